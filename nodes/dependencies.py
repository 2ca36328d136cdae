"""Dependencies as causes of failure: a declared one is installed, a new one goes by the approval policy."""

import hashlib
import json
import sys
from collections.abc import Mapping, Sequence
from typing import NamedTuple

from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.delivery import Decision, Delivery
from backend_coordinator.domain.events import Noticed
from backend_coordinator.domain.failure import Failure, FailureClass
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Answer, Question
from backend_coordinator.nodes.classify import missing_modules
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.gates.files import is_code
from backend_coordinator.nodes.stopping import in_thread
from backend_coordinator.nodes.workspace.environment import Environment, Unit
from backend_coordinator.nodes.workspace.manifest import Group, find_manifests, normal
from backend_coordinator.nodes.workspace.node import NodeUnit
from backend_coordinator.nodes.workspace.package_json import find_packages
from backend_coordinator.nodes.workspace.sandbox import STATIC
from backend_coordinator.nodes.workspace.trees import Tree

_OWNERS = """
import importlib.util, json, sys
from importlib.metadata import packages_distributions, version
owners, found = packages_distributions(), {}
for name in sys.argv[1:]:
    try:
        there = importlib.util.find_spec(name) is not None
    except (ImportError, ValueError):
        there = False
    if there:
        found[name] = {owner: version(owner) for owner in sorted(set(owners.get(name.partition(".")[0], ())))}
print(json.dumps(found))
"""


class Recovery(NamedTuple):
    """What was found out about missing modules: installed groups, nobody's modules, and installs that failed."""

    installed: tuple[str, ...] = ()
    undeclared: tuple[str, ...] = ()
    problems: tuple[str, ...] = ()
    blocked: bool = False
    manifest: str = ""
    """The file in which a new dependency would be declared."""

    @property
    def to_decide(self) -> tuple[str, ...]:
        """The modules about which the policy decides: none while an install changed or hides what is missing."""
        return () if self.installed or self.blocked else self.undeclared


def own_modules(environment: Environment) -> frozenset[str]:
    """Top-level modules that no install can bring: those of the tree and of Python."""
    folders = [environment.tree / unit.root / inner for unit in environment.units for inner in ("", "src")]
    names = {child.name.partition(".")[0] for folder in folders if folder.is_dir() for child in folder.iterdir()}
    return frozenset(names | sys.stdlib_module_names)


async def unbuildable(context: RunContext, base: Tree, head: Tree, changed: Sequence[str]) -> Failure | None:
    """Why the tests of a delivery cannot run for want of its dependencies; None where they can, or could not before."""
    environment = await context.environment(head.path)
    bad = [unit for unit in environment.projects if unit.problem]
    if not bad:
        return None
    before = await context.environment(base.path)
    other = environment.digest != before.digest
    if not other and not any(is_code(head, path) for path in changed):
        return None
    known = {unit.problem for unit in before.projects}
    if unit := next((unit for unit in bad if unit.blocked), None):
        return _cannot(FailureClass.EXTERNAL_BLOCK, unit)
    new = next((unit for unit in bad if unit.problem not in known), None)
    return _cannot(FailureClass.MISSING_DEPENDENCY, new) if new else None


def _cannot(kind: FailureClass, unit: Unit | NodeUnit) -> Failure:
    text = unit.problem or ""
    return Failure(kind=kind, summary=text[:500], detail=text)


async def recover(context: RunContext, commit: str, failure: Failure) -> Recovery:
    """Installs the optional groups that declare what `failure` misses into a new environment of the run.

    A module counts as declared only if a group, once installed, really brings it. (Error Escalation Protocol,
    missing dependency.)
    """
    tree = await in_thread(context.repository.tree, commit)
    recovery = Recovery(manifest=await in_thread(_manifest, tree))
    if not missing_modules(failure.detail):
        return recovery
    for module in missing_modules(failure.detail, own_modules(await context.environment(tree.path))):
        recovery = await _look_for(context, tree, module, recovery)
    return recovery


async def _look_for(context: RunContext, tree: Tree, module: str, recovery: Recovery) -> Recovery:
    manifests = await in_thread(find_manifests, tree.path)
    places = [(manifest.root, group) for manifest in manifests for group in manifest.optional]
    problems: list[str] = []
    blocked = False
    for root, group in sorted(places, key=lambda place: not _likely(place[1], module)):
        environment = await context.environment(tree.path, {(root, group.where)})
        unit = next(unit for unit in environment.units if unit.root == root)
        if unit.problem:
            problems.append(f"{group.where}: {unit.problem}")
            blocked |= unit.blocked
        elif found := (await _owners(environment, unit, [module])).get(module):
            context.adopt((root, group.where))
            named = ", ".join(f"{owner} {version}" for owner, version in found.items())
            return recovery._replace(installed=(*recovery.installed, f"{named} for {module} ({group.where})"))
    return recovery._replace(
        undeclared=(*recovery.undeclared, module),
        problems=(*recovery.problems, *problems),
        blocked=recovery.blocked or blocked,
    )


def _likely(group: Group, module: str) -> bool:
    return any(normal(module.partition(".")[0]) in normal(line) for line in group.lines)


async def _owners(environment: Environment, unit: Unit, modules: Sequence[str]) -> Mapping[str, Mapping[str, str]]:
    """Which of `modules` the unit's interpreter finds, each with its distributions and their versions."""
    argv = ["python", "-I", "-c", _OWNERS, *modules]
    done = await environment.run(argv, environment.tree / unit.root, STATIC)
    found: Mapping[str, Mapping[str, str]] = json.loads(done.stdout) if done.exit_code == 0 else {}
    return found


def _manifest(tree: Tree) -> str:
    text = tree.read("pyproject.toml") or ""
    if "[project]" in text or "[tool.poetry" in text:
        return "pyproject.toml"
    return next((name for name in ("setup.cfg", "setup.py") if name in tree.files), "requirements.txt")


async def new_dependencies(context: RunContext, base: str, delivery: Delivery) -> Mapping[str, str]:
    """Requirement lines by name that a delivery's manifests declare and those of its base do not."""
    trees = [await in_thread(context.repository.tree, commit) for commit in (base, delivery.commit)]
    before, after = [await in_thread(_named, tree) for tree in trees]
    added = {name: line for name, line in after.items() if name not in before}
    return added or await in_thread(_only_locked, *trees)


async def unapproved(context: RunContext, delivery: Delivery, added: Mapping[str, str]) -> Mapping[str, str]:
    """Those of the `added` lines to whose names nobody agreed yet."""
    head = await in_thread(context.repository.tree, delivery.commit)
    approved = await _approved(context, head) if added else frozenset()
    return {name: line for name, line in added.items() if name not in approved}


def _named(tree: Tree) -> Mapping[str, str]:
    """Declared lines by the names of distributions, and with `npm:` before them of packages of Node."""
    python = {name: line for manifest in find_manifests(tree.path) for name, line in manifest.names.items()}
    node = {f"npm:{name}": line for unit in find_packages(tree.path) for name, line in unit.direct.items()}
    return {**python, **node}


def _only_locked(base: Tree, head: Tree) -> dict[str, str]:
    """Packages that locks of Node bring anew although nothing new is declared, as a new version may need them."""
    before, after = [{name for unit in find_packages(tree.path) for name in unit.locked} for tree in (base, head)]
    return {f"npm:{name}": f"{name} (lock file)" for name in sorted(after - before)}


async def _approved(context: RunContext, head: Tree) -> frozenset[str]:
    """Names of distributions a person already agreed to, by their own name or by a module that they bring."""
    agreed = [
        q.items for q in context.ledger.questions() if q.items and q.answer and q.answer.decision.startswith("approve")
    ]
    names = [name for items in agreed for name in items]
    environment = await context.environment(head.path)
    found = [await _owners(environment, unit, names) for unit in environment.units if names and unit.python]
    owners = (owner for each in found for versions in each.values() for owner in versions)
    return frozenset((*names, *map(normal, (*names, *owners))))


def question_about(context: RunContext, task: Task, names: Sequence[str], why: str) -> Question | None:
    """What a person is asked about new dependencies; None where nothing is new or the policy decides by itself."""
    if not names or not context.settings.approval.asks("dependencies"):
        return None
    seed = f"{context.run}/{task.id}/dependencies/{' '.join(sorted(names))}"
    return Question(
        id=f"q-{hashlib.sha256(seed.encode()).hexdigest()[:8]}",
        run=context.run,
        task=task.id,
        asked_by="backend-coordinator",
        to="user",
        text=context.redact(f"{task.id} ({task.title}) needs a new dependency: {', '.join(names)}. Why: {why}"),
        choices=("approve", "reject"),
        items=tuple(names),
        subjects=("dependencies",),
    )


def refusal(context: RunContext, answer: Answer | None) -> str | None:
    """Why new dependencies may not be used, or None where they may."""
    if answer is not None and answer.decision != "approve":
        return f"{answer.by} said no. {answer.text}".strip()
    return context.settings.approval.refuses("dependencies")


def advice(recovery: Recovery, refused: str | None) -> str:
    """What the author is told about modules that nobody declares."""
    names = ", ".join(recovery.to_decide)
    text = f"{names}: no module of the tree, of Python or of a declared distribution."
    if refused:
        text += f" A new dependency is refused ({refused}): do without it."
    else:
        text += f" Write it, or declare the distribution that brings it in {recovery.manifest}."
    return "\n".join((text, *(f"Not installable: {problem}" for problem in recovery.problems)))


def refused_lines(added: Mapping[str, str], refused: str) -> Failure:
    """The failure of a delivery that declares what may not be used."""
    text = f"new dependencies are refused ({refused}): {', '.join(added.values())}"
    return Failure(kind=FailureClass.GATE_FAILURE, summary=text[:500], detail=f"{text}\nRemove them and do without.")


def admitted(context: RunContext, delivery: Delivery, added: Mapping[str, str]) -> Delivery:
    """The delivery with its new dependencies among its decisions, where the report and later tasks find them.

    Each line is a note of the run once, however many tasks add it.
    """
    told = (context.ledger.noted("dependencies_told") or "").splitlines()
    if new := [line for line in added.values() if line not in told]:
        context.ledger.record(Noticed(text=f"{delivery.task}: new dependencies: {', '.join(new)}"))
        context.ledger.note("dependencies_told", "\n".join((*told, *new)))
    stack = Decision(kind=ContextKind.TECHNOLOGY_STACK, text=f"new dependencies: {', '.join(added.values())}")
    return delivery.model_copy(update={"decisions": (*delivery.decisions, stack)})
