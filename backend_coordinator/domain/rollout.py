"""What a rehearsal of migrations showed, and how the change is rolled out because of it."""

from typing import Literal

from pydantic import Field

from backend_coordinator.domain.base import Value

ChangeKind = Literal[
    "table_added", "table_dropped", "column_added", "column_dropped", "column_demanded", "column_optional",
    "default_removed", "type_changed", "rule_added", "rule_removed", "view_added", "view_dropped", "trigger_added",
    "trigger_dropped", "index_added", "index_dropped", "values_changed", "schema_changed",
]  # fmt: skip
Strategy = Literal["blue_green", "canary", "rolling", "expand_contract", "maintenance_window"]

BLOCKING = frozenset({"ShareLock", "ShareRowExclusiveLock", "ExclusiveLock", "AccessExclusiveLock"})
"""Modes of PostgreSQL under which others cannot write, some also not read."""


class SchemaChange(Value):
    """One difference that the migration makes; `column_demanded` is a value that old code does not give.

    `table` is the one that it changes as the database spells it, empty where it is none or more than one. A view,
    trigger or index with another definition is dropped and added.
    """

    kind: ChangeKind
    what: str
    table: str = ""


class Lock(Value):
    """A lock seen in `pg_locks` on a table that was there before, while the migration ran.

    `rewrites`: the table's file was replaced; `scans`: the table was read from beginning to end.
    """

    table: str
    mode: str
    rewrites: bool
    scans: bool

    @property
    def holds_up(self) -> bool:
        """Whether others wait for as long as the table is large."""
        return self.mode in BLOCKING and (self.rewrites or self.scans)


class Rehearsal(Value):
    """Migrations run up, down and up on a database with rows (Database Change Coordination, test on a replica).

    `rows` are those per table before, `unfilled` the tables that took none with the reason, `digest` the sha256 of
    all rows before. `locks` is None where the database cannot show them.
    """

    database: Literal["sqlite", "postgresql"]
    version: str
    ups: tuple[str, ...]
    """The migration's files, in the order in which they are run."""
    downs: tuple[str, ...]
    """The files that take it back, in the order in which they are run."""
    rows: dict[str, int] = Field(default_factory=dict)
    unfilled: dict[str, str] = Field(default_factory=dict)
    changes: tuple[SchemaChange, ...] = ()
    statements: tuple[str, ...] = ()
    locks: tuple[Lock, ...] | None = None
    digest: str = ""
    assumed: str = ""
    """How the migration fails where rows repeat what it wants distinct: it ran with rows that do not."""


class RolloutPlan(Value):
    """How a rehearsed change reaches a running system (Database Change Coordination, plan rollout strategy).

    Every sentence rests on the rehearsal; it holds no durations, because none were measured on real data.
    """

    strategy: Strategy
    reason: str
    before: tuple[str, ...]
    during: tuple[str, ...]
    after: tuple[str, ...]
    locks: tuple[Lock, ...] | None
    rollback: tuple[str, ...]
    """Commands, in the order in which they are run."""
    monitoring: tuple[str, ...]
