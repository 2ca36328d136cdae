"""The forty items of the Quality Gate Checklist, and how a function becomes a check of one of them."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

from backend_coordinator.domain.verdict import Verdict
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree

Stage = Literal["delivery", "acceptance"]
CheckFunction = Callable[[Tree | None, Tree, frozenset[str], Environment], Awaitable[Verdict]]


class Category(StrEnum):
    """The seven headings of the checklist."""

    API_DESIGN = "API design"
    CODE_QUALITY = "Code quality"
    SECURITY = "Security"
    PERFORMANCE = "Performance"
    DATABASE = "Database"
    TESTING = "Testing"
    DOCUMENTATION = "Documentation"


@dataclass(frozen=True)
class Item:
    """One line of the checklist; `look_at` tells a person where to look when no tool decides."""

    id: str
    title: str
    category: Category
    look_at: str


@dataclass(frozen=True)
class Check:
    """One function that decides an item; a check that only `supports` never drags a pass down to unknown."""

    item: str
    name: str
    stage: Stage
    run: CheckFunction
    supports: bool = False

    @property
    def summary(self) -> str:
        """The first line of the check's docstring."""
        return (self.run.__doc__ or "").strip().partition("\n")[0]


def check(item: str, *, stage: Stage = "delivery", supports: bool = False) -> Callable[[CheckFunction], Check]:
    """Make a function the check of `item`; a delivery check runs at acceptance too.

    Raises ValueError for an item the checklist does not have.
    """
    if item not in BY_ID:
        raise ValueError(f"no item {item!r} in the checklist")

    def declare(function: CheckFunction) -> Check:
        return Check(item, getattr(function, "__name__", item), stage, function, supports)

    return declare


_CHECKLIST = {
    ("A", Category.API_DESIGN): (
        ("Endpoints follow REST or GraphQL conventions", "path names and resources in the routes and the contract"),
        ("HTTP methods fit what they do", "the method of each route beside what its handler changes"),
        ("Response codes are appropriate", "the status codes each handler returns and declares"),
        ("Errors have one documented form", "the error handlers and the error schema of the contract"),
        ("List endpoints are paginated", "GET routes that return collections"),
        ("Rate limits are configured", "middleware, gateway configuration, 429 in the contract"),
        ("The versioning strategy is clear", "path prefixes, version headers, the contract's info.version"),
    ),
    ("C", Category.CODE_QUALITY): (
        ("Code follows the project's style guide", "the changed files beside the project's linter configuration"),
        ("No secrets or credentials in the code", "literals in the changed files"),
        ("Errors are handled", "except blocks, calls to other services, transactions in the changed code"),
        ("Logs carry request context and nothing sensitive", "logging calls and the logging configuration"),
        ("Tests pass and cover the change by 80 %", "the test run and its coverage of the changed lines"),
    ),
    ("S", Category.SECURITY): (
        ("Authentication is sound", "login, token and password code and the dependencies that guard routes"),
        ("Every endpoint checks authorization", "the guards of each route and who owns the data it returns"),
        ("SQL takes its values as parameters", "calls that execute SQL text"),
        ("CORS is configured narrowly", "the CORS middleware's origins and credentials"),
        ("Brute force is slowed down", "limits on login, password reset and token routes"),
        ("Logs hold no sensitive data", "what logging calls and exception reports print"),
        ("Secrets come from the environment", "the settings module and tracked .env files"),
    ),
    ("P", Category.PERFORMANCE): (
        ("Queries are efficient, none per row", "queries inside loops and lazy relations in list endpoints"),
        ("Indexes fit the queries", "WHERE, JOIN and ORDER BY columns beside the schema's indexes"),
        ("Response time meets its target (p95 200 ms unless stated)", "a load test on data of realistic size"),
        ("Memory use is watched", "metrics, container limits, unbounded reads and caches"),
        ("Request handlers do not block", "synchronous I/O and heavy loops in async handlers"),
        ("Caching stands where it pays", "repeated expensive reads, cache headers, invalidation"),
    ),
    ("D", Category.DATABASE): (
        ("The schema is normalized appropriately", "tables with repeated groups or derived columns"),
        ("Common queries have indexes", "foreign keys and filter columns in the migrations"),
        ("Migrations are tested both ways", "each migration's up and down script"),
        ("Backup and recovery are documented", "the operations guide"),
        ("The database validates its data", "NOT NULL, CHECK, UNIQUE and foreign keys in the schema"),
    ),
    ("T", Category.TESTING): (
        ("Business logic has unit tests", "tests of the changed functions"),
        ("Endpoints have integration tests", "tests that send requests to the changed routes"),
        ("Database tests use fixtures", "test fixtures that set up and clear the database"),
        ("Error scenarios are tested", "tests that expect 4xx answers or exceptions"),
        ("Performance tests were run", "load test scripts and their recorded results"),
    ),
    ("O", Category.DOCUMENTATION): (
        ("The API is documented (OpenAPI)", "the contract beside the routes"),
        ("Comments say why, not what", "comments in the changed code"),
        ("The database schema is documented", "docs that name the tables and their meaning"),
        ("Deployment is documented", "the README or operations guide"),
        ("Known limitations are noted", "the README's section on limits"),
    ),
}  # fmt: skip

ITEMS: tuple[Item, ...] = tuple(
    Item(f"{letter}{number}", title, category, look_at)
    for (letter, category), lines in _CHECKLIST.items()
    for number, (title, look_at) in enumerate(lines, 1)
)
BY_ID = {item.id: item for item in ITEMS}
