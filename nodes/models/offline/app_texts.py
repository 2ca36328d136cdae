"""The modules that every resource of a written service shares; `PKG` stands for the import path."""

ERRORS = '''"""One error shape for every failure a client can see."""

from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from fastapi import Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException

MAX_BODY_BYTES = 1_000_000

MEANINGS = {
    400: ("bad_request", "The body could not be read."),
    404: ("not_found", "No such row or path."),
    405: ("method_not_allowed", "The path does not allow this method."),
    409: ("conflict", "The change conflicts with other rows."),
    413: ("body_too_large", "The body is larger than 1 MB."),
    422: ("invalid", "A parameter or the body is not valid."),
}


class Problem(BaseModel):
    """What is wrong with one field or parameter."""

    field: str
    message: str


class ErrorBody(BaseModel):
    code: str
    message: str
    details: list[Problem]


class ErrorResponse(BaseModel):
    error: ErrorBody


class ApiError(HTTPException):
    """A refusal with the fields that caused it."""

    def __init__(self, status: int, details: Sequence[Problem] = ()) -> None:
        super().__init__(status, MEANINGS[status][1])
        self.details = details


class BoundedRequest(Request):
    """A request whose body is refused while it streams in, before it can fill the memory."""

    async def body(self) -> bytes:
        chunks = bytearray()
        async for chunk in self.stream():
            chunks += chunk
            if len(chunks) > MAX_BODY_BYTES:
                raise ApiError(413)
        self._body = bytes(chunks)
        return self._body


class ApiRoute(APIRoute):
    """A route that answers its own failures, so that it behaves alike in every application."""

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def guarded(request: Request) -> Response:
            try:
                return await handle(BoundedRequest(request.scope, request.receive))
            except RequestValidationError as error:
                return as_response(ApiError(422, [as_problem(found) for found in error.errors()]))
            except HTTPException as error:
                return as_response(error)

        return guarded


def as_problem(found: dict[str, Any]) -> Problem:
    """Name the field only: the value a client sent is never echoed."""
    place, *rest = found["loc"]
    names = [part for part in rest if isinstance(part, str)]
    return Problem(field=names[0] if names else place, message=found["msg"])


def as_response(error: HTTPException) -> JSONResponse:
    code, message = MEANINGS.get(error.status_code, ("error", str(error.detail)))
    body = ErrorBody(code=code, message=message, details=list(getattr(error, "details", ())))
    return JSONResponse({"error": body.model_dump()}, error.status_code, headers=error.headers)


def responses(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an operation, for its documentation."""
    return {status: {"model": ErrorResponse, "description": MEANINGS[status][1]} for status in statuses}
'''

DATABASE = '''"""Connections to the SQLite database, and its migrations.

Run `python -m PKG.database upgrade`, `downgrade` (one migration) or `status`.
"""

import argparse
import os
import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing, contextmanager
from pathlib import Path

MIGRATIONS = Path(__file__).resolve().parents[DEPTH] / "MIGRATIONS_DIR"


@contextmanager
def transaction() -> Iterator[sqlite3.Connection]:
    """A connection of its own that commits at the end and rolls back on an error."""
    with closing(sqlite3.connect(os.environ.get("DATABASE_PATH", "service.db"))) as connection:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA foreign_keys = ON")
        with connection:
            yield connection


def statements(script: str) -> Iterator[str]:
    """Single statements: `executescript` would commit between them."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""


def applied(connection: sqlite3.Connection) -> list[str]:
    """The versions in the database, oldest first."""
    connection.execute("CREATE TABLE IF NOT EXISTS schema_migrations (version TEXT PRIMARY KEY)")
    rows = connection.execute("SELECT version FROM schema_migrations ORDER BY version")
    return [row["version"] for row in rows]


def run(connection: sqlite3.Connection, name: str) -> None:
    for statement in statements((MIGRATIONS / name).read_text(encoding="utf-8")):
        connection.execute(statement)


def status() -> list[str]:
    with transaction() as connection:
        return applied(connection)


def upgrade() -> list[str]:
    """Apply every pending migration, all or none; the versions applied."""
    with transaction() as connection:
        connection.execute("BEGIN IMMEDIATE")
        known = sorted(path.name.removesuffix(".up.sql") for path in MIGRATIONS.glob("*.up.sql"))
        done = applied(connection)
        pending = [version for version in known if version not in done]
        for version in pending:
            run(connection, f"{version}.up.sql")
            connection.execute("INSERT INTO schema_migrations (version) VALUES (?)", (version,))
    return pending


def downgrade() -> list[str]:
    """Take back the newest migration; its version, or nothing."""
    with transaction() as connection:
        connection.execute("BEGIN IMMEDIATE")
        newest = applied(connection)[-1:]
        for version in newest:
            run(connection, f"{version}.down.sql")
            connection.execute("DELETE FROM schema_migrations WHERE version = ?", (version,))
    return newest


@asynccontextmanager
async def lifespan(_app: object) -> AsyncIterator[None]:
    """Bring the schema up to date before the first request."""
    upgrade()
    yield


def main() -> None:
    commands = {"upgrade": upgrade, "downgrade": downgrade, "status": status}
    parser = argparse.ArgumentParser(prog="database")
    parser.add_argument("command", choices=commands)
    for version in commands[parser.parse_args().command]():
        print(version)


if __name__ == "__main__":
    main()
'''

STORE = '''"""Create, read, update and delete rows of one table."""

import sqlite3
from collections.abc import Mapping
from dataclasses import dataclass, field

from pydantic import BaseModel

from PKG.database import transaction
from PKG.errors import ApiError, Problem


@dataclass(frozen=True)
class Table:
    """The statements of one table; `filters` and `parents` have one per referencing column."""

    insert: str
    select: str
    update: str
    delete: str
    count: str
    filters: Mapping[str, str] = field(default_factory=dict)
    parents: Mapping[str, str] = field(default_factory=dict)


def create(table: Table, body: BaseModel) -> dict[str, object]:
    return write(table, table.insert, body.model_dump(mode="json"))


def replace(table: Table, row_id: int, body: BaseModel) -> dict[str, object]:
    return write(table, table.update, {**body.model_dump(mode="json"), "id": row_id})


def write(table: Table, statement: str, values: dict[str, object]) -> dict[str, object]:
    with transaction() as connection:
        try:
            rows = connection.execute(statement, values).fetchall()
        except sqlite3.IntegrityError as error:
            raise refusal(table, connection, values, error) from error
    return found(rows)


def refusal(
    table: Table,
    connection: sqlite3.Connection,
    values: dict[str, object],
    error: sqlite3.IntegrityError,
) -> ApiError:
    """Say which field broke the rule; SQLite names the column of a broken UNIQUE only."""
    if error.sqlite_errorname == "SQLITE_CONSTRAINT_UNIQUE":
        column = str(error).rpartition(".")[2]
        return ApiError(409, [Problem(field=column, message="already taken")])
    used = [name for name in table.parents if values[name] is not None]
    found_in = {name: connection.execute(table.parents[name], [values[name]]).fetchone() for name in used}
    missing = [name for name in used if found_in[name] is None]
    return ApiError(422, [Problem(field=name, message="refers to no row") for name in missing])


def read(table: Table, row_id: int) -> dict[str, object]:
    with transaction() as connection:
        return found(connection.execute(table.select + \' WHERE "id" = ?\', (row_id,)).fetchall())


def found(rows: list[sqlite3.Row]) -> dict[str, object]:
    """The only row. All rows must have been fetched: foreign keys are checked after the last one."""
    if not rows:
        raise ApiError(404)
    return dict(rows[0])


def page(table: Table, limit: int, offset: int, wanted: Mapping[str, int | None]) -> dict[str, object]:
    """Rows in the order of their ids, and how many there are in all; a filter of None does not filter."""
    used = {name: value for name, value in wanted.items() if value is not None}
    where = " WHERE " + " AND ".join(table.filters[name] for name in used) if used else ""
    part = table.select + where + \' ORDER BY "id" LIMIT ? OFFSET ?\'
    with transaction() as connection:
        rows = connection.execute(part, [*used.values(), limit, offset]).fetchall()
        total = connection.execute(table.count + where, [*used.values()]).fetchone()[0]
    return {"items": [dict(row) for row in rows], "total": total, "limit": limit, "offset": offset}


def remove(table: Table, row_id: int) -> None:
    with transaction() as connection:
        try:
            found(connection.execute(table.delete, (row_id,)).fetchall())
        except sqlite3.IntegrityError as error:
            raise ApiError(409) from error
'''

PARAMETERS = '''"""Bounds that every resource shares; `LARGEST` is the largest number that every JSON reader keeps exact."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, ConfigDict

LARGEST = 2**53 - 1

RowId = Annotated[int, Path(ge=1, le=LARGEST)]
Limit = Annotated[int, Query(ge=1, le=100)]
Offset = Annotated[int, Query(ge=0, le=LARGEST)]


class Payload(BaseModel):
    """A body that may hold its own fields only."""

    model_config = ConfigDict(extra="forbid")
'''

MAIN = '''"""The application: `uvicorn PKG.main:app`."""

from fastapi import FastAPI, Request, Response
from starlette.exceptions import HTTPException

from PKG.api import api
from PKG.errors import as_response

app = FastAPI(title="CRUD API", version="0.1.0")
app.include_router(api)


@app.exception_handler(HTTPException)
async def answer(_request: Request, error: HTTPException) -> Response:
    """Unknown paths and methods get the same error shape as everything else."""
    return as_response(error)
'''

API = '''"""Every resource's router in one; the database is brought up to date when the application starts."""

from fastapi import APIRouter

from PKG.database import lifespan

api = APIRouter(lifespan=lifespan)
'''
