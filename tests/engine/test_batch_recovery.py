"""A batch that is killed again and again, or interrupted: one line for each objective, and nothing done twice."""

import hashlib
import json
import os
import random
import shlex
import shutil
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage, messages_to_dict

from backend_coordinator import Batch
from backend_coordinator.domain import events as e
from backend_coordinator.graph.batch_files import read_entries
from backend_coordinator.graph.runs import Runs
from backend_coordinator.testing import ScriptedModel
from tests.support.batches import CALLS, SCRIPT
from tests.support.openai_server import serving
from tests.support.runs import ROOT, git, merges, of

GIT = """#!/bin/sh
case "$(cat /proc/$PPID/comm)" in python*)
  if [ -e {armed} ]; then
    echo >> {armed}
    [ "$(wc -l < {armed})" -gt {least} ] && rm -f {armed} && kill -9 $PPID && exit 1
  fi;;
esac
exec {git} "$@"
"""
CONCURRENCY = 8
MODEL = ("--model", "openai:test-model")


class Doomed:
    """A batch in a process of its own, whose model answers here, so that it counts across all kills."""

    def __init__(self, shop: Path, *kinds: str) -> None:
        self.shop, self.folder = shop, shop.parent
        self.names = [f"{kind}-{number}" for number, kind in enumerate(kinds)]
        places = {name: "gone" if name.startswith("gone") else "shop" for name in self.names}
        lines = [{"id": n, "objective": f"files of {n}", "workspace": place} for n, place in places.items()]
        self.file, self.results = self.folder / "objectives.jsonl", self.folder / "objectives.results.jsonl"
        self.file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
        self.prompts: Counter[str] = Counter()
        self._process: subprocess.Popen[str] | None = None
        self._lines = sys.maxsize

    def script(self, messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        """Answers, and kills the process that asks once there are enough lines."""
        text = json.dumps(messages_to_dict(list(messages)), sort_keys=True)
        self.prompts[hashlib.sha256(text.encode()).hexdigest()] += 1
        if self._process is not None and len(self.lines()) >= self._lines:
            self._process.kill()
        return SCRIPT(messages, tools)

    def lines(self) -> list[str]:
        """The results there are."""
        return self.results.read_text().splitlines() if self.results.exists() else []

    def start(self, *, lines: int = sys.maxsize, git_calls: int = 0) -> int:
        """The exit code of the command, killed at so many lines or at its so-manieth call of git."""
        wrapper, armed = self.folder / "bin" / "git", self.folder / "armed"
        wrapper.parent.mkdir(exist_ok=True)
        wrapper.write_text(GIT.format(armed=armed, least=git_calls, git=shutil.which("git")))
        wrapper.chmod(0o755)
        armed.unlink(missing_ok=True)
        if git_calls:
            armed.touch()
        self._lines = lines
        program = "from backend_coordinator.cli import main; main()"
        words = ("batch", str(self.file), "--json", "--concurrency", str(CONCURRENCY), *MODEL)
        with serving(ScriptedModel(script=self.script)) as env:
            path = f"{wrapper.parent}:{os.environ['PATH']}"
            self._process = subprocess.Popen(
                [sys.executable, "-c", program, *words],
                env={**os.environ, **env, "PYTHONPATH": str(ROOT), "PATH": path},
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                text=True,
            )
            _, self.said = self._process.communicate()
        return self._process.returncode

    def demand_that_nothing_was_done_twice(self, kills: int) -> None:
        """One line, run, branch, merge and recorded call each; only calls under way at a kill were made again."""
        results = {line["id"]: line for line in map(json.loads, self.lines())}
        assert sorted(results) == sorted(self.names)
        assert len(self.lines()) == len(self.names)
        becomes = {"good": "accepted", "refused": "not_accepted", "gone": "failed"}
        assert {n: r["status"] for n, r in results.items()} == {n: becomes[n.partition("-")[0]] for n in self.names}
        had = {name: result["run"] for name, result in results.items() if result["run"]}
        assert sorted(had.values()) == sorted(Runs(self.shop).ids())
        heads = git(self.shop, "for-each-ref", "--format=%(refname:lstrip=2)", "refs/heads/backend-coordinator/")
        good = {name: run for name, run in had.items() if name.startswith("good")}
        assert {f"backend-coordinator/{run}" for run in good.values()} <= set(heads.splitlines())
        assert len(heads.splitlines()) == len(had)
        for run in good.values():
            assert merges(self.shop, f"backend-coordinator/{run}") == ["backend-T001", "backend-T002"]
            events = [event for _, event in Runs(self.shop).ledger(run).events()]
            made = Counter(event.purpose for event in of(e.ModelCalled, events))
            made.pop("try-models", None)  # one word, after each start of the program
            assert made <= Counter(CALLS)
        assert len(self.prompts) >= len(good) * sum(CALLS.values())
        repeated = self.prompts.total() - len(self.prompts)
        print(f"{self.prompts.total()} model calls, {repeated} of them a second time")  # noqa: T201
        assert repeated <= kills * CONCURRENCY

    def demand_that_another_start_does_nothing(self) -> None:
        lines, prompts = self.lines(), self.prompts.copy()
        assert self.start() == 1
        assert (self.lines(), self.prompts) == (lines, prompts)


@pytest.mark.slow
def test_a_batch_that_is_killed_does_nothing_twice(shop: Path) -> None:
    doomed = Doomed(shop, "good", "good", "gone", "refused", "good", "good")
    assert doomed.start(git_calls=100) == -signal.SIGKILL, doomed.said
    assert doomed.start() == 1, doomed.said
    doomed.demand_that_nothing_was_done_twice(kills=1)


@pytest.mark.slow
def test_fifty_objectives_killed_five_times_have_one_line_each(shop: Path) -> None:
    seed = random.randrange(10_000)
    print(f"seed {seed}")  # noqa: T201
    chance = random.Random(seed)
    kinds = ["good"] * 40 + ["refused"] * 5 + ["gone"] * 5
    chance.shuffle(kinds)
    doomed = Doomed(shop, *kinds)
    moments = [{"git_calls": chance.randrange(1, 300)} for _ in range(3)]
    moments[1:1], moments[3:3] = [{"lines": 10}], [{"lines": 25}]
    for moment in moments:
        assert doomed.start(**moment) == -signal.SIGKILL, doomed.said
    assert doomed.start() == 1, doomed.said
    doomed.demand_that_nothing_was_done_twice(kills=5)
    doomed.demand_that_another_start_does_nothing()


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupted_batch_stops_within_seconds_and_says_how_to_go_on(shop: Path, number: signal.Signals) -> None:
    asked, release = threading.Event(), threading.Event()

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        if "good-2" in str(messages) and "submit" in tools:
            asked.set()
            assert release.wait(60)
        return SCRIPT(messages, tools)

    file = shop.parent / "objectives.jsonl"
    file.write_text("".join(f'{{"objective": "files of good-{number}"}}\n' for number in (1, 2, 3)))
    words = ("batch", str(file), "--workspace", str(shop), "--concurrency", "1", *MODEL)
    with serving(ScriptedModel(script=script)) as env:
        process = subprocess.Popen(
            [sys.executable, "-c", "from backend_coordinator.cli import main; main()", *words],
            env={**os.environ, **env, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            # A shell's background jobs ignore it, and so would their children.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
        )
        try:
            assert asked.wait(60)
            process.send_signal(number)
            out, err = process.communicate(timeout=60)
            assert not release.is_set()
        finally:
            release.set()
            process.kill()
            process.communicate()
        assert process.returncode == 128 + number
        assert out == ""
        stopped, _, command = err.splitlines()[-1].partition("; to go on: ")
        assert stopped == "stopped, 1 of 3 objectives: 1 accepted"
        assert shlex.split(command) == ["backend-coordinator", *words]
        assert len(Runs(shop).ids()) == 2
    results = file.with_suffix(".results.jsonl")
    again = Batch(read_entries(file, shop), results, model=ScriptedModel(script=SCRIPT))
    assert [result.status for result in again] == ["accepted"] * 3
    assert len(Runs(shop).ids()) == len(results.read_text().splitlines()) == 3
