"""A department for many objectives at once: what becomes of each stands in its text, such as `files of good-17`.

A good one is carried out, a refused one given up, and an asking one waits until the lead has spoken.
"""

import re

from langchain_core.messages import AIMessage

from backend_coordinator.testing import Script
from tests.support.department import Told, department, plan, refuse, task, write_own_file

CALLS = {"analysis": 1, "decomposition": 1, "backend-T001": 2, "backend-T002": 2}
"""The model calls a good one takes, by purpose."""


def name_in(text: str) -> str:
    """The name in an objective or in a packet of its tasks."""
    found = re.search(r"files of (\w+-\d+)", text)
    assert found is not None, text
    return found[1]


def _work(told: Told) -> AIMessage:
    kind = name_in(told.text).partition("-")[0]
    stuck = kind == "refused" or (kind == "asking" and "GUIDANCE from lead" not in told.text)
    return refuse(told) if stuck and told.task == "backend-T001" else write_own_file(told)


def _review(told: Told) -> dict[str, object]:
    kind = name_in(told.text).partition("-")[0]
    return {"action": "give_up" if kind == "refused" else "escalate", "text": "nobody can do this"}


def _tasks(told: Told) -> dict[str, object]:
    name = name_in(told.text)
    made = plan(task(1, objective=f"first of the files of {name}"), task(2, needs=[1], objective=f"files of {name}"))
    return {"tasks": [each.model_dump(mode="json") for each in made.tasks]}


SCRIPT: Script = department(plan(task(1)), _work, decomposition=_tasks, review=_review)
