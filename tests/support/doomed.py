"""A process of its own that drives a run with scripted models and may be told to kill itself on the way."""

import asyncio
import hashlib
import json
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from langchain_core.messages import AIMessage, BaseMessage, messages_to_dict

from backend_coordinator.domain.objective import Objective
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import QUICK

PLAN = plan(task(1), task(2, needs=[1]), task(3, needs=[1]), task(4, needs=[2, 3]))


def counted(script: Script, calls: Path) -> Script:
    """The script, noting the digest of each prompt it answered."""

    def noting(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        answer = script(messages, tools)
        digest = hashlib.sha256(json.dumps(messages_to_dict(messages), sort_keys=True).encode()).hexdigest()
        with calls.open("a") as file:
            file.write(f"{digest}\n")
        return answer

    return noting


def main(shop: str, calls: str, armed: str, run: str = "") -> None:
    """Drives `run`, or a new one; while the file `armed` exists the second turn of task 2 is deadly."""

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T002" and told.turn == 1 and Path(armed).exists():
            Path(armed).unlink()
            os.kill(os.getpid(), signal.SIGKILL)
        return write_own_file(told)

    model = ScriptedModel(script=counted(department(PLAN, work), Path(calls)))
    runs = Runs(Path(shop), model, QUICK)
    if not run:
        run = runs.create(Objective(text="four files"))
        Path(armed).with_suffix(".on").touch()
    asyncio.run(drive(runs, run))


if __name__ == "__main__":
    main(*sys.argv[1:])
