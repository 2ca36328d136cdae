"""What is withheld from one specialist, gathered for the screen before it."""

from collections.abc import Collection, Iterable, Iterator
from functools import partial
from pathlib import PurePosixPath

from backend_coordinator.domain.context import ContextItem
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.index import SOURCE
from backend_coordinator.nodes.kinds import rule_for, sees_path
from backend_coordinator.nodes.scope import out_of_scope
from backend_coordinator.nodes.screen import Screen, screen
from backend_coordinator.nodes.tools.paths import is_environment

MOST_READ = 20_000_000
"""Characters of the user's files that are looked at to find out what a specialist may read anyway."""


def screen_for(
    context: RunContext, specialist: Specialist, task: Task, *, items: Collection[ContextItem], plan: Plan
) -> Screen:
    """The screen before whoever works on a task, or is asked about it: items it does not see, others' prompts, plans.

    A kind claimed by a task's author opens nothing. What tasks say that it directly needs must stand in what they hand
    over, and what the user's own commit says in files that the specialist may read is no secret. (Context Filtering
    Rules.)
    """
    known = {*items, *context.items}
    other = out_of_scope(task, known)
    shown = {item for item in known if rule_for(specialist, item.kind)[0] and item not in other}
    names = {item.text for item in known if item.source == SOURCE and item not in context.items}  # of files, no texts
    without = screen((text for each in plan.tasks if each.id in task.needs for text in _texts(each)), ())
    hidden = (
        *({without(item.text) if item.source in plan.by_id else item.text for item in known - shown} - names),
        *_headings({*context.items} - shown),
        *(member.prompt for member in context.roster.specialists if member.name != specialist.name),
        *(without(text) for each in plan.tasks if each.id not in (task.id, *task.needs) for text in _texts(each)),
    )
    told = {item.text for item in shown if item.source not in plan.by_id}
    told |= {*_headings({*context.items} & shown), *(_texts(task) if task.id in plan.by_id else ())}
    return screen(hidden, (specialist.prompt, *told), partial(_readable, context, specialist, task))


def _headings(items: Iterable[ContextItem]) -> Iterator[str]:
    """The names of the user's files and the headings in them, which are told as sources."""
    return (part for item in items for part in item.source.split(", ", 1))


def _texts(task: Task) -> Iterator[str]:
    yield from (task.title, task.objective, *task.acceptance_criteria, *task.success_criteria, *task.expected_output)
    yield from (line for _, lines in task.requirements for line in lines)


def _readable(context: RunContext, specialist: Specialist, task: Task) -> Iterable[str]:
    """The files of the user's commit that the specialist may read."""
    tree, left = context.repository.tree(context.repository.user.base_commit), MOST_READ
    for path in tree.files:
        if left > 0 and sees_path(specialist, task, path, context.settings.paths):
            text = "" if is_environment(PurePosixPath(path).name.casefold()) else tree.read(path) or ""
            left -= len(text)
            yield text
