"""A process of its own that drives a run with scripted models and sends itself a signal at a named point."""

import asyncio
import os
import sys
from pathlib import Path

from langchain_core.messages import AIMessage

from backend_coordinator.domain.objective import Objective
from backend_coordinator.errors import CoordinatorError
from backend_coordinator.graph.runs import Runs, drive
from backend_coordinator.nodes.points import Point, reached
from backend_coordinator.testing import ScriptedModel
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import QUICK

RUN = "shared"
PLAN = plan(task(1), task(2, needs=[1]))


def main(shop: str, *, gate: str = "", point: str = "", signal: int = 0) -> None:
    """Starts the run, or goes on with it; says on standard output why it was refused.

    With a `gate`, a pipe, the first model call waits until somebody opens it for writing.
    """

    def work(told: Told) -> AIMessage:
        if gate and told.turn == 0 and told.task == PLAN.tasks[0].id:
            Path(gate).read_bytes()
        return write_own_file(told)

    def at(here: Point) -> None:
        if here == point and at in reached:
            reached.remove(at)
            os.kill(os.getpid(), signal)

    reached.append(at)
    runs = Runs(Path(shop), ScriptedModel(script=department(PLAN, work)), QUICK)
    try:
        if RUN not in runs.ids():
            runs.create(Objective(text="two files"), run=RUN)
        asyncio.run(drive(runs, RUN))
    except CoordinatorError as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")
        sys.exit(error.exit_code)


if __name__ == "__main__":
    main(sys.argv[1], gate=sys.argv[2], point=sys.argv[3], signal=int(sys.argv[4]))
