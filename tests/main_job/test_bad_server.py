"""Whole runs through a server that answers every fifth request badly: same result, few more requests."""

import json
import random
import subprocess
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import NamedTuple

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import PrivateAttr

from backend_coordinator import Coordinator, Report, Settings
from backend_coordinator.nodes.journal import Transcript
from backend_coordinator.nodes.models.offline.chat import OfflineModel
from backend_coordinator.nodes.redaction import Redactor
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import ScriptedModel
from tests.faults.server import Asked, Choose, Response, Server, faulty, refused, served, whole
from tests.support.clock import VirtualClock
from tests.support.department import Told, department, plan, task
from tests.support.runs import QUICK

OBJECTIVE = "CRUD API for products with name, price, stock and category"
TERMS = ModelSettings(answers="tools")  # the models behind the server answer by tools only
MIX = (
    "429 at once",
    "429",
    "500",
    "503 html",
    "200 html",
    "empty body",
    "cut json",
    "no choices",
    "null choices",
    "error object",
    "bad chunk",
    "null content",
    "length",
    "cut in arguments",
    "cut before the end",
    "early close",
    "reset",
    "malformed arguments",
)
SEEDS = range(10)
MOST_REQUESTS = 1.4
"""Times the requests of the run without faults."""


class Numbered(ScriptedModel):
    """A model whose tool calls all have ids of their own, so that each can be followed."""

    _ids: Callable[[], int] = PrivateAttr(default_factory=lambda: count().__next__)

    def reply(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        answer = super().reply(messages, tools)
        calls = [{**call, "id": f"sent-{self._ids()}"} for call in answer.tool_calls]
        return answer.model_copy(update={"tool_calls": calls})


class Done(NamedTuple):
    """A finished run with what the server saw and what the transcripts hold."""

    report: Report
    server: Server
    calls: Counter[str]
    """Every tool call that the loop took up, as text, with how often."""


def two_of_ten(seed: int) -> Choose:
    """Exactly every fifth request is answered badly, at places and in ways that the seed decides."""
    rng = random.Random(seed)
    chosen: dict[int, str] = {}

    def choose(number: int) -> str | None:
        for place in range(len(chosen) * 5, number + 1, 10):
            chosen.update((place + bad, rng.choice(MIX)) for bad in rng.sample(range(10), 2))
        return chosen.get(number)

    return choose


def carried_out(folder: Path, model: BaseChatModel, choose: Choose, settings: Settings) -> Done:
    """A run in a new repository through a server with faults."""
    return driven(folder, lambda clock: faulty(model, choose, clock), settings)


def driven(folder: Path, serve: Callable[[VirtualClock], AbstractContextManager[Server]], settings: Settings) -> Done:
    """A run in a new repository, on a clock that nobody waits for."""
    shop, clock = repository(folder / "shop"), VirtualClock()
    with serve(clock) as server, pytest.MonkeyPatch.context() as patch:
        for name, value in server.env.items():
            patch.setenv(name, value)
        coordinator = Coordinator("openai:test-model", shop, settings=settings)
        coordinator.runs = replace(coordinator.runs, clock=clock)
        run = coordinator.start(OBJECTIVE)
        report = run.result()
    transcripts = (coordinator.runs.place(run.id) / "transcripts").glob("*.jsonl")
    said = [message for path in transcripts for message in Transcript(path, Redactor()).read().messages]
    return Done(report, server, Counter(text for message in said for text in calls_of(message)))


def repository(shop: Path) -> Path:
    subprocess.run(["git", "init", "-q", "-b", "main", str(shop)], check=True)
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "start"], cwd=shop, check=True)
    return shop


def calls_of(message: BaseMessage) -> list[str]:
    """Its tool calls with their ids and arguments, comparable."""
    return [json.dumps(call, sort_keys=True) for call in message.tool_calls] if isinstance(message, AIMessage) else []


def sent_whole(server: Server) -> Counter[str]:
    """The tool calls of all answers that left the server as they should."""
    bad = {number for number, _ in server.injected}
    return Counter(text for asked in server.requests if asked.number not in bad for text in calls_of(asked.answer))


def holds(done: Done, calm: Done) -> None:
    """What a bad server may not change, and what it may cost."""
    assert done.report.accepted, done.report.summary
    assert done.report.tree == calm.report.tree
    assert [task.attempts for task in done.report.tasks] == [task.attempts for task in calm.report.tasks]
    assert len(done.server.injected) >= len(done.server.requests) // 5 - 2
    assert done.calls == sent_whole(done.server), "each call of a whole message ran once, and no other"
    asked, needed = len(done.server.requests), len(calm.server.requests)
    assert asked <= MOST_REQUESTS * needed, f"{asked} requests instead of {needed}: {done.server.injected}"


def offline() -> Numbered:
    return Numbered(script=OfflineModel().reply)


def write_what_is_missing(told: Told) -> AIMessage:
    """Writes the file of the task unless that is done, and submits; what was lost on the way changes nothing."""
    number = int(told.task[-3:])
    if any(result.startswith("wrote") for result in told.results):
        return told.calls("submit", summary=f"wrote f{number}.txt")
    return told.calls("write", path=f"f{number}.txt", content=f"hello {number}\n")


@pytest.mark.slow
def test_eight_tasks_at_once_go_well_through_a_server_with_faults(tmp_path: Path) -> None:
    model = Numbered(script=department(plan(*map(task, range(1, 9))), write_what_is_missing))
    settings = QUICK.model_copy(update={"model": TERMS, "slots": 8})
    calm = carried_out(tmp_path / "calm", model, lambda number: None, settings)
    holds(carried_out(tmp_path / "bad", model, two_of_ten(1), settings), calm)


@pytest.mark.slow
def test_twenty_specialists_wait_together_while_a_server_refuses_everything_for_ten_seconds(tmp_path: Path) -> None:
    def overloaded(asked: Asked) -> Response:
        if any(tool["function"]["name"] == "submit" for tool in asked.body["tools"]):
            working.append(asked.at)
        return (refused(429) if working and asked.at < working[0] + 10 else whole)(asked)

    working: list[float] = []
    model = Numbered(script=department(plan(*map(task, range(1, 21))), write_what_is_missing))
    settings = QUICK.model_copy(update={"model": TERMS, "slots": 20})
    done = driven(tmp_path, lambda clock: served(model, overloaded, clock), settings)
    assert done.report.accepted, done.report.summary
    assert [(each.status, each.attempts) for each in done.report.tasks] == [("merged", 1)] * 20
    early = [asked.at for asked in done.server.requests if working[0] <= asked.at < working[0] + 10]
    assert 4 <= len(early) <= 60


@pytest.fixture(scope="module")
def calm(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """The main job through a server without faults."""
    done = carried_out(tmp_path_factory.mktemp("calm"), offline(), lambda number: None, Settings(model=TERMS))
    assert done.report.accepted, done.report.summary
    assert done.calls == sent_whole(done.server)
    return done


@pytest.mark.slow
@pytest.mark.parametrize("seed", SEEDS)
def test_the_main_job_is_accepted_through_a_server_with_faults(seed: int, calm: Done, tmp_path: Path) -> None:
    holds(carried_out(tmp_path, offline(), two_of_ten(seed), Settings(model=TERMS)), calm)
