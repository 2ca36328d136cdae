"""Well-written applications in four styles, at which no check of an API may complain."""

LAYERED = {
    "src/shop/__init__.py": "",
    "src/shop/store.py": """
import sqlite3
from contextlib import contextmanager

connection = sqlite3.connect(":memory:", check_same_thread=False)
connection.execute("CREATE TABLE books (id INTEGER PRIMARY KEY, title TEXT)")


@contextmanager
def transaction():
    with connection:
        yield connection


def add(title: str) -> int:
    with transaction() as db:
        return db.execute("INSERT INTO books (title) VALUES (?)", (title,)).lastrowid


def find(book_id: int) -> str | None:
    with transaction() as db:
        row = db.execute("SELECT title FROM books WHERE id = ?", (book_id,)).fetchone()
    return row and row[0]


def remove(book_id: int) -> None:
    with transaction() as db:
        db.execute("DELETE FROM books WHERE id = ?", (book_id,))
""",
    "src/shop/guards.py": """
from typing import Annotated

from fastapi import Depends, HTTPException
from fastapi.security import HTTPAuthorizationCredentials, HTTPBearer

bearer = HTTPBearer(auto_error=False)


def reader(sent: Annotated[HTTPAuthorizationCredentials | None, Depends(bearer)]) -> str:
    if sent is None:
        raise HTTPException(401, headers={"WWW-Authenticate": "Bearer"})
    return sent.credentials
""",
    "src/shop/books.py": """
from fastapi import APIRouter, Depends, HTTPException, status
from pydantic import BaseModel

from . import store
from .guards import reader

refused = {401: {"description": "Who are you?"}}
router = APIRouter(prefix="/books", dependencies=[Depends(reader)], responses=refused)


class Book(BaseModel):
    title: str


@router.post("", status_code=status.HTTP_201_CREATED)
def create_book(book: Book) -> int:
    return store.add(book.title)


@router.get("/{book_id}", responses={404: {"description": "No such book"}})
def get_book(book_id: int) -> Book:
    title = store.find(book_id)
    if title is None:
        raise HTTPException(status_code=status.HTTP_404_NOT_FOUND)
    return Book(title=title)


@router.delete("/{book_id}", status_code=204)
def delete_book(book_id: int) -> None:
    store.remove(book_id)
""",
    "src/shop/app.py": """
from fastapi import APIRouter, FastAPI

from shop.books import router

api = APIRouter(prefix="/v1")
api.include_router(router)
app = FastAPI(title="Shop", version="1.2.0")
app.include_router(api)
""",
    "tests/test_shop.py": """
from fastapi.testclient import TestClient
from shop.app import app


def test_books() -> None:
    client = TestClient(app, headers={"Authorization": "Bearer x"})
    made = client.post("/v1/books", json={"title": "Emma"}).json()
    assert client.get(f"/v1/books/{made}").json() == {"title": "Emma"}
    assert client.delete(f"/v1/books/{made}").status_code == 204
    assert client.get(f"/v1/books/{made}").status_code == 404
    assert client.post("/v1/books", json={}).status_code == 422
    assert TestClient(app).get("/v1/books/1").status_code == 401
""",
}

FACTORY = {
    "service.py": """
import asyncio
import os
import secrets
import time
from typing import Annotated

from fastapi import Body, Cookie, Depends, FastAPI, HTTPException, Request
from fastapi.middleware.cors import CORSMiddleware
from fastapi.responses import JSONResponse, RedirectResponse


class Sessions:
    def __init__(self) -> None:
        self.known: set[str] = set()

    def add(self, token: str) -> str:
        time.sleep(0.001)
        self.known.add(token)
        return token

    def drop(self, token: str) -> None:
        self.known.discard(token)


def create_app() -> FastAPI:
    app = FastAPI(title="Accounts", version="0.3.0", description="Incompatible versions get a new path.")
    origins = os.environ.get("ORIGINS", "http://localhost:5173").split(",")
    app.add_middleware(CORSMiddleware, allow_origins=origins, allow_credentials=True)
    sessions = Sessions()

    async def stored() -> Sessions:
        return sessions

    Stored = Annotated[Sessions, Depends(stored)]

    @app.middleware("http")
    async def measure(request: Request, call_next):
        begun = time.perf_counter()
        answer = await call_next(request)
        answer.headers["Server-Timing"] = f"total;dur={time.perf_counter() - begun}"
        return answer

    @app.get("/oauth/authorize", status_code=302, response_class=RedirectResponse)
    async def authorize(session: Stored) -> str:
        state = await asyncio.to_thread(session.add, secrets.token_urlsafe())
        return f"https://provider.example/authorize?state={state}"

    @app.get("/oauth/callback", responses={400: {"description": "Wrong state"}})
    async def callback(code: str, state: str, session: Stored) -> dict[str, str]:
        if state not in session.known:
            raise HTTPException(400)
        return {"token": await asyncio.to_thread(session.add, code)}

    @app.post("/login", responses={401: {"description": "Refused"}})
    async def login(name: Annotated[str, Body(embed=True)], session: Stored) -> dict[str, str]:
        if name != "emma":
            raise HTTPException(401)
        return {"token": await asyncio.to_thread(session.add, name)}

    @app.post("/logout", status_code=204)
    async def logout(session: Stored, token: Annotated[str, Cookie()] = "") -> None:
        session.drop(token)

    @app.exception_handler(404)
    async def missing(_request: Request, _error: Exception) -> JSONResponse:
        return JSONResponse({"error": "no such path"}, 404)

    return app
""",
}

SINGLE = {
    "main.py": """
from fastapi import FastAPI, Query, Response
from fastapi.middleware.cors import CORSMiddleware

app = FastAPI(title="Weather", version="2026.1.0", servers=[{"url": "https://weather.example/api/v3"}])
app.add_middleware(CORSMiddleware, allow_origins=["*"], allow_methods=["GET"])
cities = {"oslo": 3, "rome": 17}


@app.get("/health")
async def health() -> dict[str, str | None]:
    return {"status": "ok", "error": None}


@app.get("/cities/{city}", responses={404: {"description": "Unknown city"}})
async def temperature(city: str, response: Response, unit: str = Query("C", pattern="C|F")) -> float | None:
    if city not in cities:
        response.status_code = 404
        return None
    return cities[city] if unit == "C" else cities[city] * 1.8 + 32


@app.post("/cities/search")
async def search_cities(names: list[str]) -> list[str]:
    return [name for name in names if name in cities]
""",
    "test_main.py": """
from fastapi.testclient import TestClient
from main import app


def test_cities() -> None:
    client = TestClient(app)
    assert client.get("/cities/oslo").json() == 3
    assert client.get("/cities/bonn").status_code == 404
    assert client.get("/cities/rome?unit=K").status_code == 422
    assert client.post("/cities/search", json=["oslo"]).json() == ["oslo"]
""",
}

PAGES = {
    "main.py": """
from fastapi import FastAPI, HTTPException
from fastapi.responses import HTMLResponse

app = FastAPI(title="Jobs", version="0.2.0")
jobs = {1: {"state": "failed", "error": "out of paper"}}
missing = {404: {"description": "No such job"}}


@app.get("/jobs/{job_id}", responses=missing)
def job_status(job_id: int) -> dict[str, object]:
    if job_id not in jobs:
        raise HTTPException(404)
    job = jobs[job_id]
    return {"id": job_id, "state": job["state"], "error": job["error"]}


@app.get("/jobs/new/form", response_class=HTMLResponse)
def create_job_form() -> str:
    return "<form method=post action=/jobs/1/delete>"


@app.post("/jobs/{job_id}/delete", response_class=HTMLResponse)
def delete_job(job_id: int) -> str:
    jobs.pop(job_id, None)
    return "gone"


@app.get("/get-started", response_class=HTMLResponse)
def started() -> str:
    return "<h1>Hello</h1>"


@app.get("/updates/latest")
def update_feed() -> dict[str, str]:
    return {"latest": "none"}


@app.get("/pages")
def pages_per_job() -> float:
    return 100 / len(jobs)
""",
    "test_main.py": """
from fastapi.testclient import TestClient
from main import app, jobs


def test_jobs() -> None:
    client = TestClient(app, raise_server_exceptions=False)
    assert client.get("/jobs/1").json()["error"] == "out of paper"
    assert client.get("/jobs/2").status_code == 404
    jobs.clear()
    assert client.get("/pages").status_code == 500
""",
}
