"""LangGraph's checkpoints in PostgreSQL, read and written only while the run's lock is held."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from langchain_core.runnables import RunnableConfig
from langgraph.checkpoint.base import ChannelVersions, Checkpoint, CheckpointMetadata
from langgraph.checkpoint.postgres._ainternal import Conn, get_connection
from langgraph.checkpoint.postgres.aio import AsyncPostgresSaver
from langgraph.checkpoint.serde.base import SerializerProtocol
from psycopg import AsyncConnection, AsyncCursor
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool

from backend_coordinator.nodes.postgres_store import HOLDER, LOCK, PATIENCE, SCHEMA, PostgresStore

_OLDER = "thread_id = %(thread_id)s and (checkpoint_ns = %(checkpoint_ns)s and checkpoint_id <> %(checkpoint_id)s"
_INNER = "%(checkpoint_ns)s = '' and checkpoint_ns <> '')"
_NEWEST = (
    f"delete from checkpoints where {_OLDER} or {_INNER}",
    f"delete from checkpoint_writes where {_OLDER} or {_INNER}",
    f"""
delete from checkpoint_blobs blob where thread_id = %(thread_id)s and (
    checkpoint_ns = %(checkpoint_ns)s and not exists (
        select from checkpoints, jsonb_each_text(checkpoint -> 'channel_versions') as held
        where thread_id = %(thread_id)s and checkpoint_ns = %(checkpoint_ns)s
            and checkpoint_id = %(checkpoint_id)s and held.key = blob.channel and held.value = blob.version
    ) or {_INNER}
""",
)
"""A checkpoint takes the place of the one before, as in SQLite, and of the values that it does not hold."""


class FencedSaver(AsyncPostgresSaver):
    """Each step is one transaction, which first demands that the run's lock still has `fence`."""

    MIGRATIONS = [step.replace("CONCURRENTLY", "") for step in AsyncPostgresSaver.MIGRATIONS]  # noqa: RUF012
    """Without what cannot be done within a transaction."""

    def __init__(self, conn: Conn, store: PostgresStore, fence: int, serde: SerializerProtocol) -> None:
        super().__init__(conn, serde=serde)
        self._store, self._fence = store, fence

    @asynccontextmanager
    async def _cursor(self, *, pipeline: bool = False) -> AsyncIterator[AsyncCursor[DictRow]]:
        with self._store.explained(self._fence):
            async with self.lock, get_connection(self.conn) as db, db.transaction(), db.cursor(binary=True) as cursor:
                row = await (await cursor.execute(HOLDER, (self._fence, self._store.key))).fetchone()
                self._store.demand_none(row and row["holder"])
                yield cursor

    async def aput(
        self,
        config: RunnableConfig,
        checkpoint: Checkpoint,
        metadata: CheckpointMetadata,
        new_versions: ChannelVersions,
    ) -> RunnableConfig:
        """Saves a checkpoint in place of the one before; texts are kept as jsonb there, which has no NUL."""
        values = checkpoint["channel_values"].items()
        fit: dict[str, Any] = {k: v.replace("\0", "\ufffd") if isinstance(v, str) else v for k, v in values}
        async with self._cursor() as cursor:
            within = AsyncPostgresSaver(cursor.connection, serde=self.serde)
            saved = await within.aput(config, {**checkpoint, "channel_values": fit}, metadata, new_versions)
            for deletion in _NEWEST:
                await cursor.execute(deletion.encode(), saved["configurable"])
        return saved


@asynccontextmanager
async def fenced(store: PostgresStore, fence: int, serde: SerializerProtocol) -> AsyncIterator[FencedSaver]:
    """The saver of one run, whose thread is named by the run's key.

    Raises RunTaken, here and at each step, when another process has taken the run over.
    """
    async with AsyncConnectionPool(
        store.conninfo(application_name=store.name),
        connection_class=AsyncConnection[DictRow],
        min_size=1,
        max_size=1,
        open=False,
        timeout=PATIENCE,
        kwargs={"autocommit": True, "row_factory": dict_row},
        check=AsyncConnectionPool.check_connection,
        num_workers=1,
    ) as pool:
        with store.explained(fence):
            async with pool.connection() as db, db.transaction():
                await db.execute(LOCK, (SCHEMA,))
                await FencedSaver(db, store, fence, serde).setup()
        yield FencedSaver(pool, store, fence, serde)
