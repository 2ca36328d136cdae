"""Named moments at which a process may die; a test can have it die exactly there."""

from collections.abc import Callable
from typing import Literal, get_args

Point = Literal[
    "run created",
    "run opened",
    "plan recorded",
    "task admitted",
    "checkout made",
    "model answered",
    "answer recorded",
    "intent recorded",
    "effect done",
    "result recorded",
    "work submitted",
    "delivery committed",
    "delivery inspected",
    "merge prepared",
    "branch moved",
    "branch published",
    "question recorded",
    "answer taken",
    "task ended",
    "branch integrated",
    "report written",
]
POINTS: tuple[Point, ...] = get_args(Point)
reached: list[Callable[[Point], None]] = []
"""What is called at each point, in order; a test puts its own function here."""


def reach(point: Point) -> None:
    """Marks that the work has come to a point: what stands before it is done, what comes after is not begun."""
    for call in reached:
        call(point)
