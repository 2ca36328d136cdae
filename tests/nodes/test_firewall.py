"""The packet: the seed's template with every field, and first of all what the tasks of a run share."""

from dataclasses import replace

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.domain.objective import Analysis, RepositoryFacts
from backend_coordinator.domain.plan import Requirements
from backend_coordinator.domain.roster import Roster
from backend_coordinator.nodes.brief import assign, context_items
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.firewall import packet
from backend_coordinator.prompts.loader import load_roster
from tests.support.department import task

ROSTER: Roster = load_roster()
SHARED = context_items(
    Analysis(
        endpoints=("GET /notes",), performance_requirements=("200 ms",), auth_requirements=("none but the owner",)
    ),
    RepositoryFacts(languages=("Python",), manifests=("pyproject.toml",)),
)
FIELDS = """DELEGATION TO: @python-pro

PROJECT:
- nothing known

TASK ID: backend-T001
TITLE: Task 1
PRIORITY: normal

OBJECTIVE:
write f1.txt

STEPS: none given

REQUIREMENTS:
- technical: none
- security: none
- performance: p95 200 ms
- scalability: none

ACCEPTANCE CRITERIA:
- none

DEPENDENCIES:
- Depends on: none
- Blocks: backend-T002

CONTEXT:
- API specifications: none
- Database schema:
database_schema (backend-T009):
table notes
- Existing code patterns: none
- Performance SLAs: none
- Security requirements: none

PATHS YOU WRITE:
- f1.txt

EXPECTED OUTPUT:
- none

SUCCESS CRITERIA:
- none"""


def test_every_field_of_the_template_is_filled_or_says_none() -> None:
    asked = task(1, requirements=Requirements(performance=("p95 200 ms",)))
    item = ContextItem(kind=ContextKind.DATABASE_SCHEMA, source="backend-T009", text="table notes")
    text, _ = packet(ROSTER.get("python-pro"), asked, [item], blocks=["backend-T002"], budget=1000)
    assert text == FIELDS


def test_what_all_tasks_are_told_is_said_once_and_referred_to() -> None:
    text, _ = packet(ROSTER.get("backend-architect"), task(1), SHARED, budget=1000)
    assert text.count("200 ms") == 1
    assert "- Performance SLAs: as told under PROJECT\n- Security requirements: as told under PROJECT" in text


def test_two_tasks_of_a_specialist_begin_with_the_same_bytes() -> None:
    decided = ContextItem(kind=ContextKind.TECHNOLOGY_STACK, source="backend-T001", text="SQLite")
    python = ROSTER.get("python-pro")
    first, _ = packet(python, task(1), SHARED, budget=1000)
    second, _ = packet(python, task(2, needs=[1]), [decided, *SHARED], budget=1000)
    common = first.partition("TASK ID: ")[0]
    assert second.startswith(common)
    assert "languages: Python; manifests: pyproject.toml" in common
    assert "none but the owner" in common
    assert "SQLite" in second.partition("TASK ID: ")[2]


def test_a_packet_leaves_room_in_a_small_window(context: RunContext) -> None:
    items = [ContextItem(kind=ContextKind.TECHNOLOGY_STACK, source=f"{n}", text="x" * 400) for n in range(100)]
    model = context.settings.model.model_copy(update={"window": 4_000})
    small = replace(context, settings=context.settings.model_copy(update={"model": model}))
    python = context.roster.get("python-pro")
    made = [assign(c, task(1), python, attempt=1, items=items, guidance=(), blocks=()) for c in (context, small)]
    assert [each.packet.count("x" * 400) for each in made] == [100, 10]
