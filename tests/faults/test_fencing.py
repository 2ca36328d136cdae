"""F042: a holder that was paused beyond its lock writes nothing when it goes on."""

from dataclasses import replace
from pathlib import Path

import psycopg
import pytest

from backend_coordinator.domain.events import Noticed
from backend_coordinator.errors import RunTaken
from backend_coordinator.graph.persistence import driving
from backend_coordinator.nodes import records
from tests.engine.conftest import database as database
from tests.engine.conftest import postgres as postgres

ENDING = b"select pg_terminate_backend(pid, 5000) from pg_locks where locktype = 'advisory' and granted"


def test_f042_who_lost_the_lock_writes_nothing_once_another_has_it(tmp_path: Path, database: str) -> None:
    ledger = records.create(tmp_path, "r", database)
    with driving(tmp_path, database) as first:
        with psycopg.connect(database, autocommit=True) as db:
            db.execute(ENDING)
        with driving(tmp_path, database) as second:
            replace(ledger, fence=second).record(Noticed(text="of the second"))
            with pytest.raises(RunTaken):
                replace(ledger, fence=first).record(Noticed(text="of the first"))
    assert [event for _, event in ledger.events()] == [Noticed(text="of the second")]
