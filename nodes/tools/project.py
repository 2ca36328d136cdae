"""Running things: the project's own checks, and bash under permission."""

from typing import Annotated

from pydantic import Field

from backend_coordinator.nodes.gates.project import check_project
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused, bounded
from backend_coordinator.nodes.tools.permissions import Ruling, judge_bash
from backend_coordinator.nodes.tools.registry import tool
from backend_coordinator.nodes.workspace.sandbox import BASH


@tool(repeatable=True)
async def check(bench: Bench) -> str:
    """Runs the project's configured lint, type check and tests in the project's own environment."""
    result = await check_project(bench.tree, await bench.context.environment(bench.tree))
    return bounded(result.text)


@tool(repeatable=False)
async def bash(bench: Bench, command: Annotated[str, Field(description="one simple command")]) -> str:
    """Runs one bash line in the project's root: no network, no git repository, refused where no rule allows it."""
    ruling = _ruling(bench, command)
    if ruling.decision == "deny":
        raise ToolRefused(f"denied: {ruling.reason}")
    if ruling.decision == "ask":
        answer = bench.consent(f"run {command!r}? ({ruling.reason})")
        if answer.decision != "approve":
            raise ToolRefused(f"not permitted: {ruling.reason}. {answer.text}".strip())
    environment = await bench.context.environment(bench.tree)
    bench.begin()
    done = await environment.run(["bash", "-c", command], bench.tree, BASH)
    ending = "timed out" if done.timed_out else f"exit {done.exit_code}"
    return bounded(f"{done.output}\n[{ending}]")


def _ruling(bench: Bench, command: str) -> Ruling:
    rules = dict(dict(bench.specialist.permission).get("bash", ()))
    ruling = judge_bash(command, rules)
    if ruling.decision == "allow" and bench.context.sandbox.level == "none":
        return Ruling("ask", f"no sandbox on this machine: {bench.context.sandbox.advice}")
    return ruling
