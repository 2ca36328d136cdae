"""Tokens of well-known shapes are masked wherever they stand, ordinary words and code are not."""

import json
from pathlib import Path

import pytest

from backend_coordinator.nodes.models import offline
from backend_coordinator.nodes.redaction import MASK, Redactor, redactor_for

B62 = "4eC39HqLyjWDarjtT1zdp7dc8fR2kQ0xVb5m"
TOKENS = [
    "sk-proj-abcdefghijklmnopqrstuvwx",
    f"sk_live_{B62[:24]}",
    f"rk_test_{B62[:24]}",
    f"ghp_{B62}",
    f"github_pat_11ABCDEFG0{B62[:12]}_{B62}",
    f"glpat-{B62[:20]}",
    "ASIAIOSFODNN7ABCDEFG",
    f"AIzaSy{B62[:33]}",
    "xoxb-1234567890-abcdef",
    f"hf_{B62[:34]}",
    f"npm_{B62}",
    f"pypi-{B62}{B62}",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.c2lnbmF0dXJlc2lnbmF0dXJl",
]
BEHIND = [
    ("Authorization: Bearer ", "abcdef1234567890ABCDEFxyz", ""),
    ('{"authorization": "Basic ', "YWxhZGRpbjpvcGVuc2VzYW1lMQ==", '"}'),
    ("postgres://app:", "hunter2hunter2", "@db/x"),
    ("redis://:", "S3cret", "@cache:6379/0"),
]
NOTHING_SECRET = [
    "a task-for-the-disk-usage-of-all-servers",
    "bearer authentication/authorization-of-users",
    "bearer authentication-of-users:v2",
    'curl -H "authorization: Bearer $ACCESS_TOKEN"',
    'headers = {"Authorization": f"Bearer {token}"}',
    "postgresql://postgres:postgres@localhost:5432/test",
    "postgresql://USER:PASSWORD@HOST/DB",
    'f"postgresql://{user}:{password}@{host}/shop"',
    "postgresql://app:${DB_PASSWORD}@db/shop",
    "http://127.0.0.1:8000/users?by=ann@example.org",
]


@pytest.mark.parametrize("token", TOKENS)
def test_a_token_of_a_well_known_shape_is_masked_in_text_and_json(token: str) -> None:
    assert Redactor()(f"key={token}, so") == f"key={MASK}, so"
    assert json.loads(Redactor()(json.dumps(f"one\n{token}\ntwo"))) == f"one\n{MASK}\ntwo"


@pytest.mark.parametrize(("before", "secret", "after"), BEHIND)
def test_of_headers_and_addresses_only_the_secret_is_masked(before: str, secret: str, after: str) -> None:
    masked = Redactor()(f"{before}{secret}{after}")
    assert masked == f"{before}{MASK}{after}"
    assert Redactor()(masked) == masked
    assert json.loads(Redactor()(json.dumps(f"\n{before}{secret}{after}"))) == f"\n{masked}"


@pytest.mark.parametrize("text", NOTHING_SECRET)
def test_what_is_no_secret_stays(text: str) -> None:
    assert Redactor()(text) == text


def test_the_delivered_code_of_the_offline_model_stays() -> None:
    changed = [
        str(path)
        for path in Path(offline.__file__).parent.rglob("*")
        if path.suffix in {".py", ".txt"} and Redactor()(text := path.read_text(encoding="utf-8")) != text
    ]
    assert changed == []


@pytest.mark.parametrize(
    ("value", "masked"),
    [
        ("postgres", False),
        ("postgresql://localhost/shop_test", False),
        ("postgresql://postgres:postgres@localhost/shop", False),
        ("correcthorsebattery", True),
        ("correct-horse-battery", True),
        ("k3y0123456", True),
        ("postgresql://app:k3y0123456@db/shop", True),
        ("https://hooks.example.org/services/k3y0123456", True),
    ],
)
def test_a_value_is_masked_unless_it_is_an_ordinary_word(tmp_path: Path, value: str, masked: bool) -> None:
    redact = redactor_for(tmp_path, {"DATABASE_URL": value})
    assert redact(f"it is {value}") == f"it is {MASK if masked else value}"
