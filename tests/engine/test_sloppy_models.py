"""What sloppy, broken and hostile model messages do to a run: an attempt may fail, the run never does."""

import shutil
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langchain_core.messages.tool import invalid_tool_call, tool_call

from backend_coordinator.domain import events as e
from backend_coordinator.domain.usage import Limits
from backend_coordinator.domain.verdict import Finding, Outcome, Verdict
from backend_coordinator.graph.routing import MOST_ROUNDS
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.gates import catalogue
from backend_coordinator.nodes.gates.evidence import fails, passes
from backend_coordinator.nodes.gates.registry import check
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree
from backend_coordinator.settings import AllLimits, ModelSettings, cache_folder
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import coordinator, finished, git, of, result_of, statuses


def message(*made: tuple[str, dict[str, object], str | None]) -> AIMessage:
    return AIMessage("", tool_calls=[tool_call(name=name, args=args, id=number) for name, args, number in made])


def test_handing_in_nothing_is_not_accepted(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return told.calls("submit", summary="implemented OAuth2", claims=[{"criterion": "all", "met": True}])

    script = department(plan(task(1, writes=())), work, review=lambda told: {"action": "give_up", "text": "no"})
    report, events = finished(coordinator(shop, script).start("OAuth2"))
    assert not report.accepted
    assert of(e.Failed, events)[0].summary.startswith("nothing was written")


def test_a_plan_of_reviews_that_change_nothing_is_not_accepted_either(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        return told.calls("submit", summary="looks fine")

    script = department(plan(task(1, writes=(), steps=("security_review",))), work)
    report, _ = finished(coordinator(shop, script).start("look"))
    assert statuses(report) == {"001": "merged"}
    assert report.summary == "not accepted: nothing was delivered"


@pytest.mark.parametrize("number", ["call_0", None])
def test_servers_that_send_one_id_or_none_for_every_call_are_understood(shop: Path, number: str | None) -> None:
    steps = (("write", {"path": "f1.txt", "content": "one"}), ("write", {"path": "f1.txt", "content": "two"}))

    def work(told: Told) -> AIMessage:
        if told.turn < len(steps):
            return message((*steps[told.turn], number), (*steps[told.turn], number))
        return message(("submit", {"summary": "done"}, number))

    report, _ = finished(coordinator(shop, department(plan(task(1)), work)).start("files"))
    assert report.accepted
    assert git(shop, "show", f"{report.branch}:f1.txt") == "two"


@pytest.mark.parametrize(
    ("name", "arguments", "told_back"),
    [
        ("grep", {"pattern": "a{99999999999}"}, "not a regular expression"),
        ("grep", {"pattern": "(" * 3000}, "not a regular expression"),
        ("read", {"path": "\ud800"}, "there is no file \ufffd"),
        ("write", {"path": "\udcff.txt", "content": "\ud800"}, "wrote \ufffd.txt"),
        ("read", {"path": ["a"]}, "read: argument path"),
        ("report_need", {"what": "help"}, "report_need: argument why"),
        ("nothing", {}, "there is no tool 'nothing'"),
    ],
)
def test_a_call_that_cannot_be_made_is_told_to_the_model_and_the_task_goes_on(
    shop: Path, name: str, arguments: dict[str, object], told_back: str
) -> None:
    seen: list[str] = []

    def work(told: Told) -> AIMessage:
        seen.extend(told.results)
        if told.turn == 0:
            return message((name, arguments, "a"))
        if told.turn == 1:
            return message(("write", {"path": "f1.txt", "content": "x\n"}, "b"))
        return message(("submit", {"summary": "s\ud800"}, "c"))

    report, _ = finished(coordinator(shop, department(plan(task(1)), work)).start("files"))
    assert report.accepted, report.summary
    assert any(told_back in result for result in seen)
    assert result_of(report, 1).summary == "s\ufffd"
    assert result_of(report, 1).requests == ()


def test_arguments_that_are_no_json_are_answered_in_the_next_turn(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            broken = invalid_tool_call(name="write", args='{"path": "f1', id=None, error="unterminated")
            return AIMessage("", invalid_tool_calls=[broken])
        assert "not valid JSON" in told.results[0]
        return write_after(told, 1)

    report, _ = finished(coordinator(shop, department(plan(task(1)), work)).start("files"))
    assert report.accepted


def write_after(told: Told, turn: int) -> AIMessage:
    if told.turn == turn:
        return told.calls("write", path="f1.txt", content="x\n")
    return told.calls("submit", summary="done")


def test_a_search_that_would_take_for_ever_ends_and_leaves_other_tasks_alone(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend_coordinator.nodes.tools.files.SEARCH_SECONDS", 0.5)

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T002":
            return write_own_file(told)
        if told.turn == 0:
            return told.calls("write", path="f1.txt", content="a" * 60 + "!\n")
        if told.turn == 1:
            return told.calls("grep", pattern=r"(a|a)+$|(?:(a+)+b)+$")
        assert told.turn == 2
        return told.calls("submit", summary=told.results[-1])

    report, _ = finished(coordinator(shop, department(plan(task(1), task(2)), work)).start("files"))
    assert statuses(report) == {"001": "merged", "002": "merged"}


def test_a_client_that_raises_fails_the_attempt_and_not_the_run(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.task == "backend-T001":
            raise ValueError("No generations found in stream")
        return write_own_file(told)

    script = department(
        plan(task(1), task(2)), work, review=lambda told: {"action": "give_up", "text": "the server is broken"}
    )
    once = ModelSettings(attempts=1)
    report, events = finished(coordinator(shop, script, model=once).start("files"))
    assert statuses(report) == {"001": "given_up", "002": "merged"}
    assert of(e.Failed, events)[0].failure == "external_block"
    assert "could not be read (ValueError)" in of(e.Failed, events)[0].summary


def test_an_emptied_cache_between_work_and_inspection_costs_one_attempt(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            return told.calls("write", path="f1.txt", content="x\n")
        if "GUIDANCE" not in told.text:
            (run,) = Runs(shop).ids()
            for tree in (cache_folder() / "trees").glob(f"{run}-*/backend-T001"):
                shutil.rmtree(tree)
        return told.calls("submit", summary="done")

    script = department(plan(task(1)), work, review=lambda told: {"action": "guide", "text": "do it again"})
    report, events = finished(coordinator(shop, script).start("files"))
    assert report.accepted
    assert "gone from the cache" in of(e.Failed, events)[0].summary


def test_the_limits_of_a_task_hold_over_all_its_attempts(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if "GUIDANCE" in told.text:
            return told.calls("glob", pattern="**")
        return told.calls("submit", summary="nothing")

    script = department(plan(task(1)), work, review=lambda told: {"action": "give_up", "text": "enough"})
    report, events = finished(coordinator(shop, script, limits=AllLimits(task=Limits(model_calls=2))).start("files"))
    assert of(e.Failed, events)[-1].failure == "budget_exhausted"
    assert sum(event.purpose == "backend-T001" for event in of(e.ModelCalled, events)) == 2
    assert not report.accepted


def test_a_refusal_can_name_what_advice_would_help(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if "GUIDANCE" in told.text:
            return write_own_file(told)
        return told.calls("submit", summary="stuck", refusal="which index?", about="database_design")

    advice = {"can_help": True, "guidance": "a partial index"}
    report, _ = finished(
        coordinator(shop, department(plan(task(1)), work, consultation=lambda told: advice)).start("files")
    )
    (asked,) = report.escalations
    assert (asked.level, asked.asked, asked.failure) == (2, "database-optimizer", "database_design")
    assert report.accepted


def test_the_user_looking_at_the_branch_does_not_end_the_run(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        if told.task == "backend-T002" and told.turn == 0:
            branch = git(shop, "branch", "--list", "backend-coordinator/*", "--format=%(refname:short)")
            git(shop, "checkout", "-q", branch)
        if told.task == "backend-T003" and told.turn == 0:
            git(shop, "checkout", "-q", "main")
        return write_own_file(told)

    log = (shop / ".git" / "logs" / "HEAD").read_bytes()
    script = department(plan(task(1), task(2, needs=[1]), task(3, needs=[2])), work)
    report, events = finished(coordinator(shop, script).start("files"))
    (shop / ".git" / "logs" / "HEAD").write_bytes(log)  # what this test itself did as the user
    assert report.accepted
    assert any("cannot be brought into" in event.text for event in of(e.Noticed, events))


@check("O5", stage="acceptance")
async def the_file_is_mended(
    base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment
) -> Verdict:
    """f1.txt says that it was mended."""
    if "mended" in (head.read("f1.txt") or ""):
        return passes("O5", "it was mended")
    return fails("O5", [Finding(path="f1.txt", message="not mended")], "mend it")


def test_what_fails_on_the_merged_tree_only_becomes_a_task_that_mends_it(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "CHECKS", (*catalogue.CHECKS, the_file_is_mended))

    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            text = "mended\n" if "O5: " in told.text else "broken\n"
            return told.calls("write", path="f1.txt", content=text)
        return told.calls("submit", summary="done")

    script = department(plan(task(1, steps=("write_code",))), work)
    report, events = finished(coordinator(shop, script).start("files"))
    assert statuses(report) == {"001": "merged", "002": "merged"}
    assert report.tasks[1].title == "Mend O5 on the merged tree"
    assert next(verdict.verdict for verdict in report.verdicts if verdict.id == "O5") is Outcome.PASS
    assert report.accepted
    assert len(of(e.PlanMade, events)) == 2


def test_what_cannot_be_mended_ends_not_accepted_after_a_bounded_number_of_rounds(
    shop: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(catalogue, "CHECKS", (*catalogue.CHECKS, the_file_is_mended))

    def work(told: Told) -> AIMessage:
        if told.turn == 0:
            return told.calls("write", path="f1.txt", content=f"broken by {told.task}\n")
        return told.calls("submit", summary="done")

    report, _ = finished(coordinator(shop, department(plan(task(1, steps=("write_code",))), work)).start("files"))
    assert not report.accepted
    assert "1 failed: O5" in report.summary
    assert len(report.tasks) == 1 + MOST_ROUNDS
