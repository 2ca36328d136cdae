"""From what a rehearsal showed to how the change is rolled out (Database Change Coordination, rollout strategy)."""

from collections.abc import Iterator

from backend_coordinator.domain.rollout import ChangeKind, Rehearsal, RolloutPlan, Strategy

_NARROWS: dict[ChangeKind, str] = {
    "table_dropped": "deploy code that neither reads nor writes {what}",
    "column_dropped": "deploy code that neither reads nor writes {what}",
    "column_demanded": "deploy code that always gives {what} a value, and fill the rows that have none",
    "default_removed": "deploy code that itself gives {what} a value",
    "type_changed": "deploy code that takes both types: {what}",
    "rule_added": "deploy code that keeps the new rule, and mend the rows that break it: {what}",
    "view_dropped": "deploy code that does not need the view {what}",
    "trigger_dropped": "deploy code that does itself what the trigger {what} did",
    "trigger_added": "deploy code that bears with what the trigger {what} does",
    "index_dropped": "deploy code whose queries are quick without the index {what}",
}
"""Changes that code of before trips over, with what has to happen first; a renaming is a column dropped and added."""
_WIDENS = frozenset({"column_optional", "rule_removed"})


def rollout_of(shown: Rehearsal) -> RolloutPlan:
    """The plan that follows from the evidence, the most careful strategy that any part of it calls for."""
    strategy, reason = _strategy(shown)
    kinds = {change.kind for change in shown.changes}
    first = [text.format(what=c.what) for c in shown.changes for kind, text in _NARROWS.items() if c.kind == kind]
    added = [change.what for change in shown.changes if change.kind in ("table_added", "column_added")]
    return RolloutPlan(
        strategy=strategy,
        reason=reason,
        before=(
            "take a backup and prove that it restores",
            *([f"look for rows that repeat what has to be distinct ({shown.assumed})"] if shown.assumed else []),
            *first,
        ),
        during=(*_window(strategy), *(f"run {path}" for path in shown.ups)),
        after=(
            *([f"deploy the code that uses {', '.join(added)}"] if added else []),
            *(["compare the rows that were to change with a sample of before"] if "values_changed" in kinds else []),
            "keep the way back at hand until what is watched stays quiet",
        ),
        locks=shown.locks,
        rollback=tuple(_rollback(shown)),
        monitoring=tuple(_monitoring(shown)),
    )


def _strategy(shown: Rehearsal) -> tuple[Strategy, str]:
    if lock := next((lock for lock in shown.locks or () if lock.holds_up), None):
        how = "is rewritten" if lock.rewrites else "is read whole"
        return "maintenance_window", f"{lock.table} {how} under {lock.mode}: others wait for as long as it is large"
    if change := next((change for change in shown.changes if change.kind in _NARROWS), None):
        return "expand_contract", f"code of before trips over it ({_words(change.kind)}: {change.what})"
    kinds = {change.kind for change in shown.changes}
    if kinds - {"values_changed"} == {"schema_changed"}:
        return "expand_contract", "the schema changes and it is not known what, so code of before may trip over it"
    if change := next((change for change in shown.changes if change.kind in _WIDENS), None):
        why = f"code of before may not read what new code writes ({_words(change.kind)}: {change.what})"
        return "blue_green", f"{why}, so all traffic changes over at once"
    if change := next((change for change in shown.changes if change.kind == "values_changed"), None):
        return "canary", f"rows that were there change ({change.what}): watch it with a part of the traffic first"
    if not kinds:
        return "canary", "nothing was seen to change, so nothing is known: watch it with a part of the traffic first"
    return "rolling", "it only adds what code of before does not need: old and new code run side by side"


def _words(kind: str) -> str:
    return kind.replace("_", " ")


def _window(strategy: Strategy) -> Iterator[str]:
    if strategy == "maintenance_window":
        yield "stop what writes to the tables, or do it in batches that each hold the lock briefly"
    if strategy == "expand_contract":
        yield "wait until no process of the old code runs"


def _rollback(shown: Rehearsal) -> Iterator[str]:
    scripts = [path for path in shown.downs if path.endswith(".sql")]
    for path in scripts:
        postgres = f'psql "$DATABASE_URL" -v ON_ERROR_STOP=1 -1 -f {path}'
        yield postgres if shown.database == "postgresql" else f'sqlite3 -bail "$DATABASE" < {path}'
    if revisions := len(shown.downs) - len(scripts):
        yield f"alembic downgrade -{revisions}"


def _monitoring(shown: Rehearsal) -> Iterator[str]:
    tables = dict.fromkeys(c.table for c in shown.changes if c.kind in _TOLD and c.table)
    for table in tables:
        yield f"errors and durations of statements on {table}, compared with before"
    for table in dict.fromkeys(lock.table for lock in shown.locks or ()):
        yield f"sessions that wait for a lock on {table} (pg_stat_activity, wait_event_type Lock) while it runs"


_TOLD = frozenset({"table_added", "column_added", "column_optional", "rule_removed", *_NARROWS})
