"""Each limit stops a run within one call, with a dossier; what was used is in the report and in `show`."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Coordinator, Waiting
from backend_coordinator.display import usage
from backend_coordinator.domain import events as e
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.report import Report
from backend_coordinator.domain.usage import Limits, Price
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.costs import HEADINGS
from backend_coordinator.nodes.models.clock import Clock
from backend_coordinator.settings import AllLimits, ModelSettings
from backend_coordinator.testing import ScriptedModel, calls
from tests.support.department import Told, department, metered, plan, refuse, task, write_own_file
from tests.support.runs import QUICK, cli_here, coordinator, finished, of, result_of, statuses

PRICED = ModelSettings(prices={"ScriptedModel": Price(input=10_000, cached=5_000, output=20_000)})
"""An answer of 60 fresh, 40 cached and 10 written tokens costs a dollar."""

THREE = {
    "model_calls": 3,
    "turns": 3,
    "tool_calls": 3,
    "input_tokens": 300,
    "output_tokens": 30,
    "total_tokens": 330,
    "money": 3.0,
    "seconds": 15.0,
}
"""Limits that three turns reach, each with one call of a tool."""


class Hand(Clock):
    """A clock that is moved by hand."""

    time = 0.0

    def now(self) -> float:
        return self.time


def busy(told: Told) -> AIMessage:
    """Looks around for ever."""
    return metered(told.calls("glob", pattern=f"{told.turn}*"))


def run_of(shop: Path, work: Callable[[Told], AIMessage], limits: AllLimits, clock: Clock, *tasks: int) -> Runs:
    """What drives a run of tasks that need nobody; the reviewer gives up."""
    made = plan(*map(task, tasks))
    script = department(made, work, review=lambda told: {"action": "give_up", "text": "enough"})
    settings = QUICK.model_copy(update={"limits": limits, "model": PRICED, "slots": 1})
    runs = Runs(shop, ScriptedModel(script=script), settings, clock=clock)
    runs.create(Objective(text="files"), plan=made)
    return runs


def events_of(runs: Runs) -> list[e.Event]:
    (run,) = runs.ids()
    return [event for _, event in runs.ledger(run).events()]


def purposes(events: list[e.Event]) -> list[str]:
    return [call.purpose for call in of(e.ModelCalled, events)]


@pytest.mark.parametrize("scope", ["task", "python-pro", "run"])
@pytest.mark.parametrize("kind", THREE)
async def test_each_limit_stops_within_one_call_with_a_dossier(kind: str, scope: str, shop: Path) -> None:
    bounds, clock = Limits.model_validate({kind: THREE[kind]}), Hand()

    def work(told: Told) -> AIMessage:
        clock.time += 5
        return busy(told)

    of_scope = {
        "task": AllLimits(task=bounds),
        "python-pro": AllLimits(specialists={"python-expert": bounds}),
        "run": AllLimits(run=bounds),
    }
    runs = run_of(shop, work, of_scope[scope], clock, 1)
    (run,) = runs.ids()
    if scope == "run":
        with pytest.raises(Waiting):
            await drive(runs, run)
        (question,) = runs.ledger(run).open_questions()
        dossier = question.text
    else:
        report = await drive(runs, run)
        assert statuses(report) == {"001": "given_up"}
        (step,) = report.escalations
        assert (step.level, step.failure, step.action) == (3, "budget_exhausted", "give_up")
        dossier = step.question
    events = events_of(runs)
    assert purposes(events) == ["backend-T001"] * 3 + ["review-backend-T001-0"] * (scope != "run")
    assert len(of(e.ToolCalled, events)) == (3 if kind == "tool_calls" else 2), "no tool runs once a limit is reached"
    (failed,) = of(e.Failed, events)
    name = {"task": "backend-T001", "run": "the run"}.get(scope, scope)
    assert failed.failure == "budget_exhausted"
    told, _, used = failed.summary.rpartition(": ")
    assert told == f"a limit of {name} is reached: {kind.replace('_', ' ')}"
    amount, _, bound = used.removesuffix(" used").partition(" of ")
    assert float(bound) == THREE[kind]
    # The run's seconds hold the real ones before its first call, too.
    assert amount == bound or (kind == "seconds" and scope == "run" and float(amount) < THREE[kind] + 5)
    assert failed.summary in dossier


async def test_a_message_with_fifty_calls_stops_at_the_limit(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return calls(*(("glob", {"pattern": f"{number}*"}) for number in range(50)))

    runs = run_of(shop, work, AllLimits(task=Limits(tool_calls=10)), Clock(), 1)
    report = await drive(runs, *runs.ids())
    assert len(of(e.ToolCalled, events_of(runs))) == 10
    assert result_of(report, 1).usage.tool_calls == report.usage.tool_calls == 10
    assert "tool calls: 10 of 10 used" in report.summary


async def test_the_limits_of_a_specialist_hold_over_all_its_tasks(shop: Path) -> None:
    limits = AllLimits(specialists={"python-pro": Limits(model_calls=3)})
    runs = run_of(shop, write_own_file, limits, Clock(), 1, 2)
    report = await drive(runs, *runs.ids())
    assert statuses(report) == {"001": "merged", "002": "given_up"}
    assert purposes(events_of(runs)) == [*["backend-T001"] * 2, "backend-T002", "review-backend-T002-0"]


def test_reviews_and_consultations_count_for_the_run_and_none_is_made_at_its_limit(shop: Path) -> None:
    script = department(plan(task(1)), refuse, review=lambda told: {"action": "guide", "text": "try again"})
    limits = AllLimits(run=Limits(model_calls=3))
    run = coordinator(shop, script, limits=limits).start(plan(task(1)))
    with pytest.raises(Waiting):
        run.result()
    made = ["backend-T001", "consultation-backend-T001-1", "review-backend-T001-1"]
    assert purposes(list(run.events())) == made
    (question,) = run.questions
    assert "FAILURE: budget_exhausted: a limit of the run is reached: model calls: 3 of 3 used" in question.text
    assert "- attempt 1 by python-pro: outside_expertise: this is not mine to do" in question.text
    assert "- level 3, backend-coordinator: try again" in question.text
    assert "- level 3, backend-coordinator: a limit of the run is reached" in question.text
    question.answer("abandon", by="lead")
    assert purposes(list(run.events())) == made
    assert not run.result().accepted


def test_guidance_of_a_person_gives_as_much_again_also_in_another_process(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return write_own_file(told) if told.text.count("GUIDANCE") > 1 else busy(told)

    script = department(plan(task(1)), work)
    run = coordinator(shop, script, limits=AllLimits(run=Limits(model_calls=3))).start(plan(task(1)))
    for so_far in (3, 6):
        with pytest.raises(Waiting):
            run.result()
        assert len(of(e.ModelCalled, run.events())) == so_far
        (question,) = run.questions
        assert "Until a person's guidance gives as much again, no attempt under this limit can go on." in question.text
        question.answer("guide", f"go on after {so_far}", by="lead")
        run = Coordinator(ScriptedModel(script=script), shop).resume(run.id)
    assert run.result().accepted
    assert run.result().usage.model_calls == 8


def test_a_run_at_its_limit_makes_no_plan(shop: Path) -> None:
    limits = AllLimits(run=Limits(model_calls=1))
    report, events = finished(coordinator(shop, department(plan(task(1))), limits=limits).start("one file"))
    assert purposes(events) == ["analysis"]
    assert report.summary == "not accepted: decomposition: a limit of the run is reached: model calls: 1 of 1 used"


def test_parallel_tasks_share_what_the_run_has(shop: Path) -> None:
    made = plan(*map(task, range(1, 5)))
    limits = AllLimits(run=Limits(model_calls=6))
    run = coordinator(shop, department(made, busy), limits=limits).start(made)
    with pytest.raises(Waiting):
        run.result()
    assert len(of(e.ModelCalled, list(run.events()))) == 6
    assert len(run.questions) == 4
    run.questions[0].answer("abort", by="lead")
    assert run.result().usage.model_calls == 6


@pytest.fixture
def report(shop: Path) -> Report:
    """Of a run of one task with two attempts."""

    def work(told: Told) -> AIMessage:
        return metered(write_own_file(told) if "GUIDANCE" in told.text else refuse(told))

    script = department(plan(task(1)), work, review=lambda told: {"action": "guide", "text": "do it"})

    def counting(messages: list[AIMessage], tools: list[str]) -> AIMessage:
        return metered(script(messages, tools))

    return finished(coordinator(shop, counting, model=PRICED).start("one file"))[0]


def test_the_report_has_each_call_and_sums_by_task_and_verb(shop: Path, report: Report) -> None:
    assert [(call.purpose, call.specialist) for call in report.calls] == [
        ("analysis", "backend-coordinator"),
        ("decomposition", "backend-coordinator"),
        ("backend-T001", "python-pro"),
        ("consultation-backend-T001-1", "librarian"),
        ("review-backend-T001-1", "backend-coordinator"),
        ("backend-T001", "python-pro"),
        ("backend-T001", "python-pro"),
    ]
    assert {call.model for call in report.calls} == {"ScriptedModel"}
    first = report.calls[0].usage
    assert (first.input_tokens, first.cached_tokens, first.output_tokens) == (100, 40, 10)
    assert first.money == pytest.approx(1.0)
    assert (report.usage.money, report.coordination.money) == (pytest.approx(7), pytest.approx(4))
    folder = shop / ".backend-coordinator" / "runs" / report.run
    text = (folder / "report.md").read_text()
    assert "- 7 model calls, 700 tokens in, 70 out, cost $7; of these for coordination: 4 model calls, 400 tok" in text
    assert "\n- coordination 440 tokens, " in text
    assert "; work 330 tokens, " in text
    lines = text.partition("## Usage\n\n")[2].splitlines()
    assert [line.rpartition("| ")[0] for line in lines[2:10]] == [
        "| analysis | 1 | 0 | 100 | 40 | 10 | $1 ",
        "| decomposition | 1 | 0 | 100 | 40 | 10 | $1 ",
        "| backend-T001 | 3 | 0 | 300 | 120 | 30 | $3 ",
        "| consultation | 1 | 0 | 100 | 40 | 10 | $1 ",
        "| review | 1 | 0 | 100 | 40 | 10 | $1 ",
        "| coordination | 4 | 0 | 400 | 160 | 40 | $4 ",
        "| work | 3 | 0 | 300 | 120 | 30 | $3 ",
        "| all | 7 | 0 | 700 | 280 | 70 | $7 ",
    ]
    assert "unknown" not in "\n".join(lines[:10])


def test_show_and_notebooks_have_the_same_table(shop: Path, report: Report) -> None:
    said = cli_here("show", report.run, "--workspace", str(shop)).stdout
    table = usage(report).text
    assert table in said
    assert " ".join(table.split()).startswith(" ".join(HEADINGS))
    told = json.loads(cli_here("show", report.run, "--workspace", str(shop), "--json").stdout)["usage"]
    assert told["all"] == report.usage.model_dump(mode="json")
    assert told["coordination"] == report.coordination.model_dump(mode="json")
    assert told["work"] == report.work.model_dump(mode="json")
    assert told["backend-T001"]["input_tokens"] == 300
