"""Running things: the project's own checks, and bash under permission."""

from typing import Annotated

from pydantic import Field

from backend_coordinator.nodes.gates.linters import tidy
from backend_coordinator.nodes.gates.project import check_project
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.permissions import Ruling, judge_bash
from backend_coordinator.nodes.tools.registry import tool
from backend_coordinator.nodes.workspace.sandbox import BASH


@tool(repeatable=True)
async def check(
    bench: Bench,
    fix: Annotated[
        tuple[str, ...], Field(description="your own files that the project's formatter and linter may mend first")
    ] = (),
) -> str:
    """Runs the project's configured lint, type check and tests in the project's own environment."""
    paths = [_own_file(bench, path) for path in fix]
    environment = await bench.context.environment(bench.tree)
    mended = await tidy(bench.tree, paths, environment)
    result = await check_project(bench.tree, environment)
    return "\n".join((*(f"mended: {path}" for path in mended), result.text))


def _own_file(bench: Bench, path: str) -> str:
    place = bench.place(path)
    if place.is_symlink() or not place.is_file():
        raise ToolRefused(f"fix: there is no file {path}")
    return place.relative_to(bench.tree).as_posix()


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
    return f"{done.output}\n[{ending}]"


def _ruling(bench: Bench, command: str) -> Ruling:
    rules = dict(dict(bench.specialist.permission).get("bash", ()))
    ruling = judge_bash(command, rules)
    if ruling.decision == "allow" and bench.context.sandbox.level == "none":
        return Ruling("ask", f"no sandbox on this machine: {bench.context.sandbox.advice}")
    return ruling
