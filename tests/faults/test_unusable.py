"""Models that only a person can mend: one message before any work begins, one question once it has begun."""

import json
import os
import re
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage
from langchain_openai import ChatOpenAI
from langgraph.checkpoint.memory import MemorySaver
from langgraph.graph import END, START, MessagesState, StateGraph
from langgraph.types import Command

from backend_coordinator import Coordinator, Settings, Waiting
from backend_coordinator.domain import events as e
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.question import Question
from backend_coordinator.errors import BadAnswer, ConfigurationError, ModelUnavailable
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.graph.runs import Runs
from backend_coordinator.testing import Script, ScriptedModel
from tests.engine.conftest import home as home
from tests.engine.conftest import shop as shop
from tests.engine.conftest import untouched as untouched
from tests.faults.server import Asked, Fault, Response, Server, page, refused, served, whole
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.responses_server import responses
from tests.support.runs import QUICK, cli_here, of, statuses

OLD, NEW = "old-key-7f3a9b2c", "new-key-51d0c8e4"
MODEL = "openai:test-model"
UNUSABLE: dict[str, tuple[Fault, str]] = {
    "wrong key": (refused(401, f"Incorrect API key provided: {OLD}"), r"key for model test-model at .* OPENAI_API_KEY"),
    "no permission": (refused(403, "not yours"), r"key for model test-model at .* OPENAI_API_KEY"),
    "unknown model": (refused(404, "no such model", code="model_not_found"), "no model test-model at .*another model"),
    "empty account": (refused(429, "You exceeded your quota", code="insufficient_quota"), "account .* is empty"),
}


@dataclass
class Keys:
    """A server that takes one key; `revoke` is the number of answered requests after which it takes another."""

    valid: str = OLD
    revoke: dict[int, str] = field(default_factory=dict)
    answered: int = 0
    fault: Fault = UNUSABLE["wrong key"][0]
    lock: Any = field(default_factory=threading.Lock)

    def __call__(self, asked: Asked) -> Response:
        with self.lock:
            self.valid = self.revoke.pop(self.answered, self.valid)
            if asked.key != self.valid:
                return self.fault(asked)
            self.answered += 1
        return whole(asked)


@contextmanager
def behind(script: Script, play: Fault) -> Iterator[Server]:
    """A department behind a server, and the environment that leads there with the old key."""
    with served(ScriptedModel(script=script), play) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in {**server.env, "OPENAI_API_KEY": OLD}.items():
            patch.setenv(name, value)
        yield server


def started(shop: Path, made: Plan | str = "two files", settings: Settings = QUICK) -> Run:
    """A run with the model that is behind the server."""
    return Coordinator(MODEL, shop, settings=settings).start(made)


def events_of(shop: Path) -> list[e.Event]:
    runs = Runs(shop)
    return [event for run in runs.ids() for _, event in runs.ledger(run).events()]


def nothing_began(shop: Path) -> bool:
    return not any(isinstance(event, e.TaskStarted | e.Escalated | e.Failed | e.Asked) for event in events_of(shop))


def waiting(run: Run) -> Question:
    """The one question that a run waits for."""
    with pytest.raises(Waiting):
        run.result()
    (asked,) = run.questions
    return asked.question


def mend(run: Run, key: str = NEW) -> None:
    """The person corrects the key, and says so; `behind` puts it back."""
    os.environ["OPENAI_API_KEY"] = key
    run.questions[0].answer("retry")


TWO = plan(task(1), task(2))


@pytest.mark.parametrize("fault", UNUSABLE)
@pytest.mark.parametrize("how", ["objective", "plan"])
def test_f011_what_cannot_be_used_is_one_message_and_code_2_before_any_task(shop: Path, fault: str, how: str) -> None:
    play, message = UNUSABLE[fault]
    given = shop.parent / "plan.json"
    given.write_text(TWO.model_dump_json())
    where = ("--workspace", str(shop), "--model", MODEL, "--sandbox", "none")
    with behind(department(TWO), play) as server:
        said = cli_here("run", "two files", *where, *(("--plan", str(given)) if how == "plan" else ()))
    assert said.returncode == 2
    errors = [line for line in said.stderr.splitlines() if "error" in line]
    assert len(errors) == 1
    assert re.search(message, errors[0])
    assert OLD not in said.stderr + said.stdout
    assert len(server.requests) == 1, "nothing is asked twice of a server that refuses"
    assert nothing_began(shop)


@pytest.mark.parametrize(
    "fault",
    [page(200), page(405), refused(400, "Invalid model name"), refused(422, "not this one"), refused(402)],
    ids=["login page", "wrong path", "LiteLLM", "refused", "unpaid"],
)
@pytest.mark.parametrize("how", ["objective", "plan"])
def test_f011_a_server_that_never_answered_well_is_one_message_too(shop: Path, fault: Fault, how: str) -> None:
    with behind(department(TWO), fault) as server, pytest.raises(ModelUnavailable) as refusal:
        started(shop, "two files" if how == "objective" else TWO).result()
    assert "model test-model at http://127.0.0.1:" in str(refusal.value)
    assert len(server.requests) <= 3, "at most once in each form of the answer"
    assert nothing_began(shop)


@pytest.mark.parametrize("command", ["run", "plan"])
def test_f011_a_server_that_cannot_be_reached_is_named_with_the_variable(
    shop: Path, command: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        address = f"http://127.0.0.1:{free.getsockname()[1]}/v1"
    monkeypatch.setenv("OPENAI_BASE_URL", address)
    said = cli_here(command, "two files", "--workspace", str(shop), "--model", MODEL, "--json")
    assert said.returncode == 2
    assert json.loads(said.stdout)["error"] == (
        f"model test-model at {address} cannot be reached: start the server, or correct OPENAI_BASE_URL"
    )
    assert nothing_began(shop)


@pytest.mark.parametrize("fault", UNUSABLE)
def test_f011_plan_and_python_refuse_in_the_same_words(shop: Path, fault: str) -> None:
    play, message = UNUSABLE[fault]
    with behind(department(TWO), play):
        with pytest.raises(ModelUnavailable, match=message):
            Coordinator(MODEL, shop, settings=QUICK).plan("two files")
        with pytest.raises(ModelUnavailable, match=message):
            started(shop).result()


def test_f011_a_refused_run_goes_on_once_the_key_is_right(shop: Path) -> None:
    keys = Keys(NEW)
    with behind(department(TWO), keys):
        run = started(shop, TWO)
        with pytest.raises(ModelUnavailable):
            run.result()
        again = Coordinator(MODEL, shop, settings=QUICK)
        with pytest.raises(ModelUnavailable):
            again.resume(run.id).result()
        os.environ["OPENAI_API_KEY"] = NEW
        report = again.resume(run.id).result()
    assert report.accepted
    assert keys.answered == 5, "one tiny question, and two calls a task"


def test_f011_every_model_of_the_plan_is_tried_at_once_and_the_run_s_own_as_well(shop: Path) -> None:
    both = threading.Barrier(3, timeout=30)

    def play(asked: Asked) -> Response:
        both.wait()
        return whole(asked) if asked.body["model"] == "test-model" else UNUSABLE["unknown model"][0](asked)

    own = QUICK.model_copy(update={"models": {"python-expert": "openai:first", "dba": "openai:second"}})
    made = plan(task(1), task(2), task(3, specialist="database-admin"), task(4, specialist="fastapi-developer"))
    with behind(department(made), play) as server, pytest.raises(ModelUnavailable) as refusal:
        started(shop, made, own).result()
    assert sorted(asked.body["model"] for asked in server.requests) == ["first", "second", "test-model"]
    assert "no model first" in str(refusal.value)
    assert "no model second" in str(refusal.value)
    assert nothing_began(shop)


def test_each_specialist_works_with_its_own_model(shop: Path) -> None:
    own = QUICK.model_copy(update={"models": {"Python Expert": "openai:first", "coordinator": "openai:third"}})
    made = plan(task(1), task(2, specialist="backend-engineer"))
    with behind(department(made), whole) as server:
        assert started(shop, "two files", own).result().accepted
    used = {(asked.body["model"], purpose(asked)) for asked in server.requests}
    assert used == {
        ("third", "analysis"),
        ("third", "decomposition"),
        ("first", ""),
        ("first", "backend-T001"),
        ("test-model", ""),
        ("test-model", "backend-T002"),
    }


def purpose(asked: Asked) -> str:
    """What a request is for: a task's id, a verb of the coordinator, or nothing where the model is only tried."""
    text = json.dumps(asked.body)
    if found := re.search(r"answer_(\w+)", text):
        return found[1]
    found = re.search(r"backend-T\d{3}", text)
    return found[0] if found else ""


@pytest.mark.parametrize(
    ("models", "message"),
    [
        ({"pyton-pro": "openai:first"}, r"models: no specialist is called 'pyton-pro'; known here: .*python-pro"),
        ({"python-pro": "gpt"}, "models.python-pro: unknown model 'gpt': use openai:<name>, offline"),
        ({"python-pro": "offline", "Python Expert": "offline"}, "models: 'python-pro' and 'Python Expert' are both py"),
    ],
)
def test_models_for_nobody_and_strings_that_are_none_are_refused_before_anything_is_written(
    shop: Path, models: dict[str, str], message: str
) -> None:
    with pytest.raises(ConfigurationError, match=message):
        Coordinator("offline", shop, settings=QUICK.model_copy(update={"models": models})).start("two files")
    assert Runs(shop).ids() == ()


def test_f011_a_batch_stops_with_one_message_and_the_same_command_goes_on(shop: Path) -> None:
    lines = [json.dumps({"objective": f"two files, number {number}", "id": str(number)}) for number in range(3)]
    (shop.parent / "many.jsonl").write_text("\n".join(lines))
    results = shop.parent / "results.jsonl"
    with behind(department(TWO), Keys(NEW)):
        command = ("batch", str(shop.parent / "many.jsonl"), "--workspace", str(shop), "--out", str(results))
        said = cli_here(*command, "--model", MODEL)
        assert said.returncode == 2
        assert [line for line in said.stderr.splitlines() if "failed" in line] == []
        assert said.stderr.count("error: the key for model test-model") == 1
        assert results.read_text() == ""
        os.environ["OPENAI_API_KEY"] = NEW
        ended = cli_here(*command, "--model", MODEL)
    assert ended.returncode == 0, ended.stderr
    assert [json.loads(line)["status"] for line in results.read_text().splitlines()] == ["accepted"] * 3


@pytest.mark.parametrize(
    ("fault", "streaming"), [*((fault, True) for fault in UNUSABLE), ("wrong key", False), ("empty account", False)]
)
def test_f030_a_key_revoked_under_way_is_one_question_and_retry_goes_on_from_the_journal(
    shop: Path, fault: str, streaming: bool
) -> None:
    play, message = UNUSABLE[fault]
    made = plan(task(1), task(2), task(3, needs=[1]))
    keys = Keys(revoke={4: NEW}, fault=play)
    settings = QUICK.model_copy(update={"model": QUICK.model.model_copy(update={"streaming": streaming})})
    with behind(department(made), keys):
        run = started(shop, "three files", settings)
        asked = waiting(run)
        assert asked.choices == ("retry", "abort")
        assert asked.task is None
        assert re.search(message, asked.text)
        assert "correct it where the run is driven, then answer retry" in asked.text.lower()
        assert OLD not in asked.text
        mend(run)
        report = run.result()
    assert report.accepted
    assert statuses(report) == {"001": "merged", "002": "merged", "003": "merged"}
    told = list(run.events())
    assert len(of(e.Asked, told)) == 1
    assert of(e.Failed, told) == of(e.Escalated, told) == []
    assert len(of(e.TaskStarted, told)) == 3, "no attempt more than tasks"
    # One tiny question before going on, unless the answer of a sibling came after the fault.
    assert 2 + 6 <= keys.answered <= 2 + 6 + 1, "no recorded call was repeated"
    written = [path for path in run.folder.rglob("*") if path.is_file()]
    assert [path for path in written if OLD.encode() in path.read_bytes()] == []


def test_f030_an_objective_of_a_batch_waits_and_goes_on_later(shop: Path) -> None:
    (shop.parent / "one.jsonl").write_text(json.dumps({"objective": "two files", "id": "only"}))
    results = shop.parent / "one.results.jsonl"
    command = ("batch", str(shop.parent / "one.jsonl"), "--workspace", str(shop), "--model", MODEL)
    with behind(department(TWO), Keys(revoke={3: NEW})):
        said = cli_here(*command)
        assert said.returncode == 3
        assert "only waits: " in said.stderr
        assert results.read_text() == ""
        (run,) = Runs(shop).ids()
        (asked,) = Runs(shop).ledger(run).open_questions()
        assert cli_here("decide", run, asked.id, "retry", "--workspace", str(shop)).returncode == 0
        os.environ["OPENAI_API_KEY"] = NEW
        assert cli_here(*command).returncode == 0
    assert json.loads(results.read_text())["status"] == "accepted"


def test_f003_an_empty_account_is_asked_about_once_without_a_retry(shop: Path) -> None:
    keys = Keys(revoke={3: NEW}, fault=UNUSABLE["empty account"][0])
    with behind(department(plan(task(1))), keys) as server:
        run = started(shop, "one file")
        asked = waiting(run)
        assert len(server.requests) == 4
        assert "account" in asked.text
        mend(run)
        assert run.result().accepted
    assert of(e.Escalated, run.events()) == []


def test_f030_a_second_revocation_asks_a_new_question(shop: Path) -> None:
    third = "third-key-0b6e2d"
    keys = Keys(revoke={3: NEW, 5: third})
    with behind(department(plan(task(1), task(2, needs=[1]))), keys):
        run = started(shop)
        first = waiting(run)
        mend(run)
        second = waiting(run)
        assert first.id != second.id
        mend(run, third)
        assert run.result().accepted
    assert of(e.Escalated, run.events()) == []


def test_f030_retry_with_the_old_key_is_refused_and_the_run_still_goes_on_later(shop: Path) -> None:
    with behind(department(TWO), Keys(revoke={3: NEW})):
        run = started(shop)
        waiting(run)
        run.questions[0].answer("retry")
        with pytest.raises(ModelUnavailable):
            run.result()
        os.environ["OPENAI_API_KEY"] = NEW
        assert Coordinator(MODEL, shop, settings=QUICK).resume(run.id).result().accepted


def test_f030_abort_ends_the_run_though_the_key_is_still_refused(shop: Path) -> None:
    with behind(department(TWO), Keys(revoke={3: NEW})):
        run = started(shop)
        waiting(run)
        run.questions[0].answer("abort", by="lead")
        report = run.result()
    assert not report.accepted
    assert set(statuses(report).values()) <= {"abandoned", "skipped", "merged"}
    assert of(e.Escalated, run.events()) == []


def test_f030_the_command_line_ends_with_code_3_says_how_to_answer_and_resumes(shop: Path) -> None:
    where = ("--workspace", str(shop), "--json")
    with behind(department(TWO), Keys(revoke={3: NEW})):
        begun = cli_here("run", "two files", "--model", MODEL, "--sandbox", "none", *where)
        assert begun.returncode == 3
        told = json.loads(begun.stdout)
        (question,) = told["questions"]
        assert question["choices"] == ["retry", "abort"]
        assert cli_here("decide", told["run"], question["id"], "guide", "--text", "?", *where).returncode == 2
        assert cli_here("decide", told["run"], question["id"], "retry", *where).returncode == 0
        os.environ["OPENAI_API_KEY"] = NEW
        ended = cli_here("resume", told["run"], *where)
    assert ended.returncode == 0
    assert json.loads(ended.stdout)["accepted"] is True


def test_f030_an_answer_while_the_process_still_works_is_taken_up_without_a_restart(shop: Path) -> None:
    mended = threading.Event()

    def play(asked: Asked) -> Response:
        if purpose(asked) == "backend-T001" and asked.key == OLD:
            return refused(401)(asked)
        if purpose(asked) == "backend-T001":
            mended.set()
        elif purpose(asked) == "backend-T002":
            assert mended.wait(30), "task 1 went on only after task 2"
        return whole(asked)

    with behind(department(TWO), play):
        run = started(shop, TWO)
        for event in run.events():
            if isinstance(event, e.Asked):
                mend(run)
        assert run.result().accepted
    assert of(e.RunResumed, run.events()) == []


@pytest.mark.parametrize("rung", ["consultation", "review", "needs"])
def test_f030_a_peer_the_coordinator_and_the_last_review_ask_the_same_and_burn_no_level(shop: Path, rung: str) -> None:
    def work(told: Told) -> AIMessage:
        if rung != "needs":
            return write_own_file(told) if "GUIDANCE from" in told.text else refuse(told)
        steps = [
            told.calls("report_need", what="a cache", why="it is slow"),
            told.calls("write", path="f1.txt", content="one\n"),
            told.calls("submit", summary="wrote f1.txt"),
        ]
        return steps[told.turn]

    def play(asked: Asked) -> Response:
        return refused(401)(asked) if purpose(asked) == rung and asked.key == OLD else whole(asked)

    answers = {
        "review": lambda told: {"action": "guide", "text": "just write it"},
        "consultation": lambda told: {"can_help": rung == "consultation", "guidance": "just do it"},
        "needs": lambda told: {"declined": "not now"},
    }
    made = plan(task(1))
    with behind(department(made, work, **answers), play):
        run = started(shop, "one file")
        waiting(run)
        mend(run)
        report = run.result()
    assert report.accepted, report.summary
    levels = [int(step.escalation.level) for step in of(e.Escalated, run.events())]
    assert levels == {"consultation": [2], "review": [2, 3], "needs": []}[rung], "each rung was taken once"


def product(inner: Coordinator) -> Any:
    """A parent graph with a department in it."""
    graph = StateGraph(MessagesState)
    graph.add_node("backend", inner.as_node())
    graph.add_edge(START, "backend")
    graph.add_edge("backend", END)
    return graph.compile(checkpointer=MemorySaver())


async def test_a_parent_that_streams_messages_gets_whole_answers_all_the_same(shop: Path) -> None:
    ask: Any = {"messages": [("user", "two files")]}
    config: Any = {"configurable": {"thread_id": "1"}}
    with behind(department(TWO), whole) as server:
        model = ChatOpenAI(model="test-model")
        app = product(Coordinator(model, shop, settings=QUICK))
        async for _ in app.astream(ask, config, stream_mode="messages"):
            pass
    assert not any(asked.streaming for asked in server.requests)
    assert of(e.RunEnded, events_of(shop))[0].accepted


@pytest.mark.parametrize("answered", ["all", "first", "last"])
async def test_f030_under_a_parent_graph_one_answer_settles_it_for_all_tasks(shop: Path, answered: str) -> None:
    ask: Any = {"messages": [("user", "three files")]}
    config: Any = {"configurable": {"thread_id": "1"}}
    made = plan(task(1), task(2), task(3))
    with behind(department(made), Keys(revoke={2: NEW, 9: OLD})):
        app = product(Coordinator(MODEL, shop, settings=QUICK))
        asked = (await app.ainvoke(ask, config))["__interrupt__"]
        assert len({each.value["id"] for each in asked}) == 1
        assert asked[0].value["choices"] == ["retry", "abort"]
        os.environ["OPENAI_API_KEY"] = NEW
        chosen = {"all": asked, "first": asked[:1], "last": asked[-1:]}[answered]
        state = await app.ainvoke(Command(resume={each.id: {"decision": "retry"} for each in chosen}), config)
    assert "__interrupt__" not in state
    assert state["messages"][-1].additional_kwargs["backend_coordinator"]["accepted"] is True
    told = events_of(shop)
    assert len(of(e.Asked, told)) == len(of(e.Answered, told)) == 1
    assert [event.text for event in of(e.Noticed, told) if "refused" in event.text] == []


def test_f030_a_second_answer_is_still_refused(shop: Path) -> None:
    with behind(department(TWO), Keys(revoke={3: NEW})):
        run = started(shop)
        waiting(run)
        asked = run.questions[0]
        asked.answer("retry")
        with pytest.raises(BadAnswer, match="already answered"):
            asked.answer("abort")


def test_the_report_the_roster_and_the_doctor_say_who_has_which_model(shop: Path) -> None:
    table = '[models]\npython-expert = "openai:first"\nlead = "openai:third"\n'
    own = QUICK.model_copy(update={"models": {"python-expert": "openai:first", "lead": "openai:third"}})
    with behind(department(plan(task(1))), whole):
        run = started(shop, "one file", own)
        assert run.result().models == {"backend-coordinator": "openai:third", "python-pro": "openai:first"}
        text = (run.folder / "report.md").read_text()
        assert "- models of their own: backend-coordinator openai:third, python-pro openai:first\n" in text
        apart = shop.parent / "apart"
        apart.mkdir()
        (apart / "backend-coordinator.toml").write_text(table)
        shown = json.loads(cli_here("roster", "show", "python-pro", "-w", str(apart), "--json").stdout)
        assert shown["model"] == "openai:first"
        found = json.loads(cli_here("doctor", "-w", str(apart), "--model", MODEL, "--json").stdout)
    assert found["model"] == {"model": "openai:test-model", "usable": True, "why": "answers"}
    assert found["model of python-pro"] == {"model": "openai:first", "usable": True, "why": "answers"}
    assert found["model of backend-coordinator"] == {"model": "openai:third", "usable": True, "why": "answers"}


def test_the_doctor_says_why_a_model_does_not_answer_and_asks_nobody_without_a_key(shop: Path) -> None:
    offline = cli_here("doctor", "-w", str(shop), "--json")
    assert offline.returncode == 0
    assert json.loads(offline.stdout)["model"]["why"] == "works without a server"
    (shop.parent / "backend-coordinator.toml").write_text('[models]\npython-pro = "gpt"\n')
    with behind(department(TWO), UNUSABLE["wrong key"][0]):
        said = cli_here("doctor", "-w", str(shop.parent), "--model", MODEL, "--json")
        told = cli_here("doctor", "-w", str(shop.parent), "--model", MODEL)
    assert said.returncode == told.returncode == 2
    found = json.loads(said.stdout)
    assert (found["model"]["model"], found["model"]["usable"]) == (MODEL, False)
    assert found["model"]["why"].startswith("the key for model test-model at ")
    assert found["model of python-pro"]["why"].startswith("unknown model 'gpt'")
    assert f"{MODEL}: the key for model test-model at " in told.stdout
    assert OLD not in said.stdout + told.stdout


def test_the_doctor_ends_with_code_2_where_it_cannot_tell_which_models_there_are(shop: Path) -> None:
    (shop.parent / "backend-coordinator.toml").write_text('[models]\nlead = "offline"\ncoordinator = "offline"\n')
    said = cli_here("doctor", "-w", str(shop.parent), "--json")
    assert said.returncode == 2
    why = "models: 'lead' and 'coordinator' are both backend-coordinator: keep one of them"
    assert json.loads(said.stdout)["model"] == {"model": None, "usable": False, "why": why}


@pytest.mark.parametrize("streaming", [True, False], ids=["streaming", "whole"])
def test_a_whole_run_works_through_the_responses_api(shop: Path, streaming: bool) -> None:
    terms = QUICK.model.model_copy(update={"api": "responses", "streaming": streaming})
    with behind(department(TWO), responses):
        report = started(shop, "two files", QUICK.model_copy(update={"model": terms})).result()
    assert report.accepted
    assert report.usage.input_tokens > 0
