"""A plan drawn as SVG: a column per parallel group, the critical path thick."""

from itertools import count, pairwise
from textwrap import wrap

from backend_coordinator.display.markup import Markup, tag
from backend_coordinator.domain.plan import Plan, Task

_WIDE, _HIGH, _GAP, _APART, _TOP = 192, 76, 44, 16, 24
_LETTERS = 25
Corner = tuple[int, int]


def drawing(plan: Plan) -> Markup:
    """The picture; an arrow that others imply is left out."""
    arrows = _arrows(plan)
    corners = _corners(plan, arrows)
    path = plan.critical_path
    drawn = [_words(n * (_WIDE + _GAP) + 4, 14, f"group {n + 1}", "faint") for n in range(len(plan.groups))]
    drawn += [_arrow(corners[a], corners[b], main=(a, b) in pairwise(path)) for a, b in arrows]
    drawn += [_box(plan[task], *corner, main=task in path) for task, corner in corners.items()]
    wide = max(x for x, _ in corners.values()) + _WIDE + 4
    high = max(y for _, y in corners.values()) + _HIGH + 4
    size = f"width:100%;max-width:{wide}px;min-width:{wide * 4 // 5}px"
    return tag("svg", *drawn, viewBox=f"0 0 {wide} {high}", style=size)


def _arrows(plan: Plan) -> list[tuple[str, str]]:
    before: dict[str, set[str]] = {}
    for task in plan.tasks:
        before[task.id] = set(task.needs).union(*(before[need] for need in task.needs))
    return [(need, t.id) for t in plan.tasks for need in t.needs if not any(need in before[n] for n in t.needs)]


def _corners(plan: Plan, arrows: list[tuple[str, str]]) -> dict[str, Corner]:
    """Where the boxes stand: a task keeps its row until its last arrow ends, so that no arrow crosses a box."""
    column = {task: number for number, group in enumerate(plan.groups) for task in group}
    row: dict[str, int] = {}
    for number, group in enumerate(plan.groups):
        taken = {row[start] for start, end in arrows if column[start] < number < column[end]}
        for task in sorted(group, key=lambda each: each not in plan.critical_path):
            row[task] = next(free for free in count() if free not in taken)
            taken.add(row[task])
    return {task: (n * (_WIDE + _GAP) + 2, row[task] * (_HIGH + _APART) + _TOP) for task, n in column.items()}


def _words(x: int, y: int, text: str, kind: str = "") -> Markup:
    return tag("text", text, x=x, y=y, class_=kind)


def _box(task: Task, x: int, y: int, *, main: bool) -> Markup:
    told = [task.id, *wrap(task.title, _LETTERS, max_lines=2, placeholder=" …"), f"@{task.specialist}"]
    words = [_words(x + 10, y + 19 + 16 * n, text, "faint" * text.startswith("@")) for n, text in enumerate(told)]
    frame = tag("rect", x=x, y=y, width=_WIDE, height=_HIGH, rx=6)
    return tag("g", tag("title", task.objective), tag("g", frame, class_="main" * main), *words)


def _arrow(start: Corner, end: Corner, *, main: bool) -> Markup:
    from_y, to_x, to_y = start[1] + _HIGH // 2, end[0] - 2, end[1] + _HIGH // 2
    middle = end[0] - _GAP // 2
    curve = f"H{end[0] - _GAP}C{middle} {from_y} {middle} {to_y} {to_x} {to_y}"
    return tag("path", d=f"M{start[0] + _WIDE} {from_y}{curve}m-6 -4l6 4l-6 4", class_="main" * main)
