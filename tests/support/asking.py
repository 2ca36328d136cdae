"""Whom the ladder and the packaged roster ask about a failure, for tests of single rules."""

from backend_coordinator.domain.failure import Failure, FailureClass, Level, LevelBudget
from backend_coordinator.domain.question import Question
from backend_coordinator.nodes import ladder
from backend_coordinator.nodes.levels import COORDINATOR
from backend_coordinator.prompts.loader import load_roster

ROSTER = load_roster()
LEAD = Question.model_fields["to"].default
ENGINEER = "backend-engineer"


def asked_of(author: str, says: str, kind: str) -> list[str]:
    """Who is asked in turn about a failure that is told in these words, on the rung where it starts."""
    failure, member = Failure(kind=FailureClass(kind), summary=says), ROSTER.get(author)
    level = ladder.next_level(failure, (), LevelBudget())
    if level != Level.PEER_CONSULTATION:
        return {1: [author], 3: [COORDINATOR], 4: [LEAD]}[int(level or 0)]
    asked: list[str] = []
    while peer := ladder.peer_for(failure, member, ROSTER, asked):
        asked.append(peer.name)
    return asked


def level_of(kind: str) -> int:
    """The rung that a class of failure takes first."""
    return int(ladder.next_level(Failure(kind=FailureClass(kind), summary="x"), (), LevelBudget()) or 0)


def routes(author: str, kind: str) -> set[str]:
    """Whom the author's own table names for a class."""
    rows = ROSTER.get(author).escalates_to
    return {ROSTER.get(to).name for route in rows if route.failure == kind for to in route.to}
