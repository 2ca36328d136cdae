"""The coordinator's own example, carried out: the written service is used and attacked from outside."""

import base64
import hashlib
import hmac
import json
import os
import re
import secrets
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs, urlencode, urlsplit

import pytest

from backend_coordinator import Coordinator, Report
from tests.main_job.provider import CLIENT, SECRET, Provider, provider
from tests.support.fingerprint import fingerprint

pytestmark = pytest.mark.slow
OBJECTIVE = "Add user authentication system with OAuth2 and JWT"
PASSWORD = secrets.token_urlsafe(16)
FAILING = {
    "pyproject.toml": (
        '[build-system]\nrequires = ["setuptools>=77"]\nbuild-backend = "setuptools.build_meta"\n\n'
        '[project]\nname = "shop"\nversion = "2.3.0"\ndependencies = ["fastapi>=0.165", "uvicorn>=0.30"]\n\n'
        '[project.optional-dependencies]\ntest = ["pytest>=8", "httpx2>=2", "ruff>=0.9"]\n\n'
        '[tool.setuptools.packages.find]\nwhere = ["src"]\n\n'
        '[tool.pytest.ini_options]\ntestpaths = ["tests"]\npythonpath = ["src"]\n\n'
        '[tool.ruff]\nline-length = 79\n\n[tool.ruff.lint]\nselect = ["E", "F", "I", "UP", "B"]\n\n'
        "[tool.ruff.format]\nquote-style = 'single'\n"
    ),
    "README.md": "# Shop\n\nSells things.\n",
    ".gitignore": "__pycache__/\n*.egg-info/\n.venv/\n*.db\n",
    "src/shop/__init__.py": "",
    "src/shop/main.py": (
        "from fastapi import FastAPI\n\nfrom shop.prices import price_of\n\n"
        "app = FastAPI(title='Shop', version='2.3.0')\n\n\n"
        "@app.get('/prices/{name}')\ndef price(name: str) -> dict[str, int]:\n    return {'cents': price_of(name)}\n"
    ),
    "src/shop/prices.py": (
        "PRICES = {'tea': 450}\n\n\ndef price_of(name: str) -> int:\n    return PRICES.get(name, 0)\n"
    ),
    "tests/test_prices.py": (
        "from fastapi.testclient import TestClient\n\nfrom shop.main import app\n\n\n"
        "def test_tea_has_a_price() -> None:\n    assert TestClient(app).get('/prices/tea').json() == {'cents': 450}\n"
    ),
    "tests/test_old.py": "def test_that_failed_long_ago() -> None:\n    assert 1 == 2\n",
    "tests/test_lost.py": "from shop.gone import nothing\n\n\ndef test_of_what_is_gone() -> None:\n    nothing()\n",
}


class Answer(NamedTuple):
    status: int
    body: Any
    headers: Any


class Stay(urllib.request.HTTPRedirectHandler):
    """Leaves redirects to the test."""

    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """None means: do not follow."""


def send(url: str, body: object = None, method: str | None = None, **headers: str) -> Answer:
    data = None if body is None else json.dumps(body).encode()
    request = urllib.request.Request(url, data, {"content-type": "application/json", **headers}, method=method)
    try:
        with urllib.request.build_opener(Stay).open(request, timeout=20) as answer:
            text, status, got = answer.read(), answer.status, answer.headers
    except urllib.error.HTTPError as error:
        text, status, got = error.read(), error.code, error.headers
    return Answer(status, json.loads(text) if text else None, got)


def repository(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    subprocess.run(["git", "init", "-q", "-b", "main", str(folder)], check=True)
    identity = ("-c", "user.name=Ann", "-c", "user.email=ann@example.org")
    subprocess.run(["git", "add", "-A"], cwd=folder, check=True)
    subprocess.run(["git", *identity, "commit", "-q", "--allow-empty", "-m", "start"], cwd=folder, check=True)
    return folder


def carried_out(folder: Path, files: dict[str, str]) -> tuple[Report, Path]:
    """The accepted report, and a clone of the branch set up as its README says."""
    workspace = repository(folder / "shop", files)
    before = fingerprint(workspace)
    report = Coordinator("offline", workspace).start(OBJECTIVE).result()
    assert report.accepted, report.summary
    assert fingerprint(workspace) == before
    clone = folder / "clone"
    subprocess.run(["git", "clone", "-q", "-b", report.branch, str(workspace), str(clone)], check=True)
    return report, clone


def commands(clone: Path, section: str) -> list[str]:
    """The lines of a section's first block of commands."""
    text = (clone / "README.md").read_text().partition(section)[2]
    found = re.search(r"```console\n(.*?)```", text, re.DOTALL)
    assert found is not None, f"{section} of the README has no commands"
    return found[1].splitlines()


@contextmanager
def serving(clone: Path, module: str, identities: Provider) -> Iterator[tuple[str, str]]:
    """The address of the service, started as its README says, and the key it signs with."""
    make_key, make_user, start = commands(clone, "## Authentication\n")
    if start.startswith("#"):  # an application that was there before is started as it was before
        start = f"python -m uvicorn {module}.main:app"
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    environment = {
        "PATH": f"{clone}/.venv/bin:{os.environ['PATH']}",
        "HOME": str(clone),
        "AUTH_NEW_PASSWORD": PASSWORD,
        "AUTH_COOKIE_SECURE": "0",
        "OAUTH_AUTHORIZE_URL": f"{identities.url}/authorize",
        "OAUTH_TOKEN_URL": f"{identities.url}/token",
        "OAUTH_USERINFO_URL": f"{identities.url}/userinfo",
        "OAUTH_CLIENT_ID": CLIENT,
        "OAUTH_CLIENT_SECRET": SECRET,
        "OAUTH_REDIRECT_URI": f"{url}/auth/oauth/callback",
    }
    shell = f"{make_key}\n{make_user} >&2\necho $AUTH_KEYS\nexec {start} --port {port}\n"
    assert f"{module}.main:app" in start
    process = subprocess.Popen(["bash", "-euc", shell], cwd=clone, env=environment, stdout=subprocess.PIPE, text=True)
    try:
        assert process.stdout is not None
        key = process.stdout.readline().strip()
        answering(url, process)
        yield url, key
    finally:
        process.terminate()
        process.communicate()


def answering(url: str, process: "subprocess.Popen[str]") -> None:
    """Returns once a connection is accepted."""
    for _ in range(300):
        assert process.poll() is None, "the service ended"
        try:
            send(f"{url}/auth/me")
        except urllib.error.URLError:
            time.sleep(0.1)
        else:
            return
    pytest.fail("the service never answered")


def set_up(clone: Path) -> None:
    """A virtual environment with the project and its test requirements."""
    subprocess.run(["python3", "-m", "venv", ".venv"], cwd=clone, check=True)
    subprocess.run([".venv/bin/pip", "install", "-q", "-e", ".[test]"], cwd=clone, check=True)


def forged(key: str, header: dict[str, str], **claims: object) -> str:
    """A token signed by hand with the key of the service."""
    kid, _, text = key.partition(":")
    secret = base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
    parts = [json.dumps({"kid": kid, "typ": "JWT", **header}).encode(), json.dumps(claims).encode()]
    signed = ".".join(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts)
    mac = hmac.new(secret, signed.encode(), hashlib.sha256).digest()
    return f"{signed}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def claims_of(token: str) -> dict[str, Any]:
    text = token.split(".")[1]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def login(url: str, password: str = PASSWORD) -> Answer:
    return send(f"{url}/auth/login", {"email": "ada@example.com", "password": password})


def me(url: str, token: str) -> Answer:
    return send(f"{url}/auth/me", authorization=f"Bearer {token}")


def signs_in_refreshes_and_out(url: str) -> None:
    assert login(url, "not the password at all").status == 401
    first = login(url)
    assert first.status == 200
    assert me(url, first.body["access_token"]).body["email"] == "ada@example.com"
    refreshed = send(f"{url}/auth/refresh", {"refresh_token": first.body["refresh_token"]})
    assert refreshed.status == 200
    out = send(f"{url}/auth/logout", {"refresh_token": refreshed.body["refresh_token"]})
    assert out.status == 204
    assert me(url, refreshed.body["access_token"]).status == 401
    assert send(f"{url}/auth/refresh", {"refresh_token": refreshed.body["refresh_token"]}).status == 401


def refuses_a_reused_refresh_token_and_ends_its_session(url: str) -> None:
    first = login(url).body
    second = send(f"{url}/auth/refresh", {"refresh_token": first["refresh_token"]}).body
    assert send(f"{url}/auth/refresh", {"refresh_token": first["refresh_token"]}).status == 401
    assert send(f"{url}/auth/refresh", {"refresh_token": second["refresh_token"]}).status == 401
    assert me(url, second["access_token"]).status == 401


def refuses_forged_tokens(url: str, key: str) -> None:
    token = login(url).body["access_token"]
    claims, hs256 = claims_of(token), {"alg": "HS256"}
    assert me(url, forged(key, hs256, **claims)).status == 200, "the forger itself must be right"
    head, body, mac = token.split(".")
    unsigned = forged(key, {"alg": "none"}, **claims).rpartition(".")[0] + "."
    bad = {
        "expired": forged(key, hs256, **{**claims, "exp": int(time.time()) - 60}),
        "tampered": f"{head}.{forged(key, hs256, **{**claims, 'sub': '2'}).split('.')[1]}.{mac}",
        "alg=none": unsigned,
        "alg=none with a signature": forged(key, {"alg": "none"}, **claims),
        "another audience": forged(key, hs256, **{**claims, "aud": "elsewhere"}),
        "another issuer": forged(key, hs256, **{**claims, "iss": "elsewhere"}),
        "an unknown key": forged(key, {**hs256, "kid": "other"}, **claims),
        "no signature": f"{head}.{body}.",
        "garbage": "a.b.c",
    }
    for what, each in bad.items():
        answer = me(url, each)
        assert answer.status == 401, what
        assert answer.headers["www-authenticate"].startswith("Bearer"), what
    assert send(f"{url}/auth/me").status == 401


def exchanges_a_code_once(url: str, identities: Provider) -> None:
    begun = send(f"{url}/auth/oauth/authorize")
    assert begun.status in (302, 303, 307)
    asked = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    assert asked["code_challenge_method"] == "S256"
    cookie = begun.headers["set-cookie"]
    assert "httponly" in cookie.lower()
    pair = cookie.partition(";")[0]
    code = identities.consent(asked["code_challenge"], asked["redirect_uri"])

    def back(state: str, **headers: str) -> Answer:
        return send(f"{url}/auth/oauth/callback?{urlencode({'code': code, 'state': state})}", **headers)

    assert back("wrong", cookie=pair).status in (400, 401, 403)
    assert back(asked["state"]).status in (400, 401, 403), "the state belongs to the browser that began"
    done = back(asked["state"], cookie=pair)
    assert done.status == 200, done.body
    assert me(url, done.body["access_token"]).body["email"] == "grace@example.org"
    assert back(asked["state"], cookie=pair).status in (400, 401, 403), "a state is good once"
    assert not identities.refused


def slows_down_guessing(url: str) -> None:
    guesses = [send(f"{url}/auth/login", {"email": "eve@example.com", "password": "x" * 12}) for _ in range(30)]
    assert {guess.status for guess in guesses} == {401, 429}
    assert int(guesses[-1].headers["retry-after"]) > 0


def works_from_outside(clone: Path, module: str) -> None:
    set_up(clone)
    with provider() as identities, serving(clone, module, identities) as (url, key):
        signs_in_refreshes_and_out(url)
        refuses_a_reused_refresh_token_and_ends_its_session(url)
        refuses_forged_tokens(url, key)
        exchanges_a_code_once(url, identities)
        slows_down_guessing(url)


def decided(report: Report, verdict: str) -> list[str]:
    return [each.id for each in report.verdicts if each.verdict == verdict]


def test_on_a_new_repository(tmp_path: Path) -> None:
    report, clone = carried_out(tmp_path, {})
    assert len(report.tasks) == 8
    assert len(decided(report, "pass")) >= 18
    assert decided(report, "fail") == []
    assert not report.escalations
    works_from_outside(clone, "app")
    tests = subprocess.run([".venv/bin/pytest", "-q"], cwd=clone, capture_output=True, text=True)
    assert tests.returncode == 0, tests.stdout


def test_on_a_repository_with_a_style_of_its_own_whose_tests_fail_already(tmp_path: Path) -> None:
    report, clone = carried_out(tmp_path, FAILING)
    assert decided(report, "fail") == []
    assert "C1" in decided(report, "pass")
    assert any("test_that_failed_long_ago" in name for name in report.baseline)
    assert any("test_lost" in name for name in report.baseline)
    works_from_outside(clone, "shop")
    for style in (["check"], ["format", "--check"]):
        assert subprocess.run([".venv/bin/ruff", *style, "src", "tests"], cwd=clone).returncode == 0
    assert (clone / "README.md").read_text().startswith(FAILING["README.md"])
