"""Running things: the project's own checks, and bash under permission."""

from dataclasses import replace

from backend_coordinator.nodes.gates.linters import tidy
from backend_coordinator.nodes.gates.project import check_project
from backend_coordinator.nodes.permissions.bash import judge_bash
from backend_coordinator.nodes.permissions.rules import Ruling
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.consent import permit, rules_of
from backend_coordinator.nodes.tools.masks import MOST, identities, put_back, withheld
from backend_coordinator.nodes.tools.quotes import unquoted
from backend_coordinator.nodes.tools.reach import reach
from backend_coordinator.nodes.tools.registry import tool
from backend_coordinator.nodes.workspace.sandbox import BASH


@tool(repeatable=True)
async def check(
    bench: Bench,
    fix: tuple[str, ...] = (),
) -> str:
    """Runs lint, types, tests; formats your `fix` files first."""
    paths = [_own_file(bench, path) for path in fix]
    environment = await bench.context.environment(bench.tree)
    mended = await tidy(bench.tree, paths, environment)
    result = await check_project(bench.tree, environment)
    return "\n".join((*(f"mended: {path}" for path in mended), unquoted(bench, result.text)))


def _own_file(bench: Bench, path: str) -> str:
    pure = reach(bench, "edit", path)
    if not (bench.tree / pure).is_file():
        raise ToolRefused(f"fix: there is no file {path}")
    return pure.as_posix()


@tool(repeatable=False)
async def bash(bench: Bench, command: str) -> str:
    """Runs one simple command, without network or git."""
    hidden = withheld(bench)
    permit(bench, "bash", command, _ruling(bench, command, len(hidden)))
    environment = await bench.context.environment(bench.tree)
    bench.begin()
    profile = replace(BASH, hidden=tuple(hidden) if len(hidden) <= MOST else ())
    places = identities(hidden)
    done = await environment.run(["bash", "-c", "--", command], bench.tree, profile)
    moved = put_back(bench.tree, places)
    told = "".join(f"\n[{path} is withheld from this specialist and was put back]" for path in moved)
    ending = "timed out" if done.timed_out else "stopped" if done.exit_code is None else f"exit {done.exit_code}"
    return f"{done.output}{told}\n[{ending}]"


def _ruling(bench: Bench, command: str, hidden: int) -> Ruling:
    ruling, sandbox = judge_bash(command, rules_of(bench, "bash")), bench.context.sandbox
    if ruling.decision != "allow":
        return ruling
    if sandbox.level == "none":
        return Ruling("ask", f"no sandbox confines it: {sandbox.advice}")
    if hidden and (sandbox.level != "bubblewrap" or hidden > MOST):
        return Ruling("ask", f"it could read {hidden} files or folders withheld from this specialist: {sandbox.advice}")
    return ruling
