"""Tokens of well-known shapes are masked wherever they stand, ordinary words and code are not."""

import base64
import json
import re
import secrets
import subprocess
from collections.abc import Callable, Sequence
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from backend_coordinator import Waiting
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.usage import Usage
from backend_coordinator.domain.verdict import Evidence, Outcome, Verdict
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.models import offline
from backend_coordinator.nodes.redaction import MASK, Redactor, redactor_for
from backend_coordinator.settings import Approval
from backend_coordinator.testing import calls
from tests.support.department import Told, department, plan, task
from tests.support.runs import coordinator

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


CANARIES = [
    "k3yZ0Q9xw7", "9f8a7b6c5d4e3f2a1b0c", "a/b+c=d&e f?g%h~i8", 'say "\\x1" \u00fc\u00e9 done', "two\nlines 22",
    "\u00fb\u00ff\u00fe>>>???8x",
]  # fmt: skip
SPELLINGS: dict[str, Callable[[bytes], str]] = {
    "plain": lambda data: data.decode(),
    "hex": bytes.hex,
    "HEX": lambda data: data.hex().upper(),
    "base64": lambda data: base64.b64encode(data).decode(),
    "base64 behind one byte": lambda data: base64.b64encode(b"x" + data + b"y").decode(),
    "base64 behind two": lambda data: base64.b64encode(b"xy" + data).decode(),
    "base64 for URLs": lambda data: base64.urlsafe_b64encode(data).decode().rstrip("="),
    "URL": lambda data: quote(data, safe=""),
    "URL in lower case": lambda data: re.sub("%..", lambda match: match[0].lower(), quote(data, safe="")),
    "URL path": quote,
    "form": quote_plus,
    "URL, every letter": lambda data: "".join(f"%{byte:02x}" for byte in data),
    "JSON": lambda data: json.dumps(data.decode()),
    "JSON within JSON": lambda data: json.dumps(json.dumps(data.decode(), ensure_ascii=False)),
}


@pytest.mark.parametrize("spelled", SPELLINGS.values(), ids=SPELLINGS)
def test_a_value_is_masked_in_every_spelling(spelled: Callable[[bytes], str]) -> None:
    for canary in CANARIES:
        text = spelled(canary.encode())
        told = Redactor((canary,))(f"<{text}>")
        assert MASK in told
        assert len(told) - len(f"<{MASK}>") <= 14, "at most what stands around the value in base64 or JSON"
        assert not any(text[at : at + 9] in told for at in range(len(text) - 8))


def test_environment_files_are_read_wherever_they_are(tmp_path: Path) -> None:
    texts = {
        ".env": "export API_KEY='quoted-single-1' # a comment\n# OLD_KEY=commented-out-1\n",
        "deploy/prod.env": 'DB_PASSWORD="with space # and 2"\nTOKEN: colon-token-3\nNAME=my-shop-service\n',
        "a/b/.env.local": "PLAIN_TOKEN=plain-token-4 # a comment\nCANARY=9f8a7b6c5d4e3f2a\n",
        ".envrc": 'export KEY="-----BEGIN\nmany lines 5\n-----END"\n',
        ".env.example": "API_KEY=example-key-6\n",
        "node_modules/x/.env": "API_KEY=somebody-elses-7\n",
        ".env~": "OLD_TOKEN=backup-token-8\n",
        "links.env": "URL=postgres://app:p%40ssw0rd8@db/x\n",
    }
    for name, text in texts.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
    (tmp_path / "elsewhere").write_text("LINKED_KEY=linked-key-9\n")
    (tmp_path / "web").mkdir()
    (tmp_path / "web" / ".env").symlink_to("../elsewhere")
    redact = redactor_for(tmp_path, {}, {"SERVICE_TOKEN": "service-token-0"})
    told = ["quoted-single-1", "with space # and 2", "colon-token-3", "plain-token-4", "9f8a7b6c5d4e3f2a"]
    told += ["-----BEGIN\nmany lines 5\n-----END", "linked-key-9", "service-token-0", "backup-token-8"]
    assert [redact(text) for text in told] == [MASK] * len(told)
    for text in ("my-shop-service", "example-key-6", "somebody-elses-7"):
        assert redact(text) == text


def commit(folder: Path) -> None:
    """Commits all there is, ignored files too."""
    author = ["-c", "user.name=a", "-c", "user.email=a@b.c"]
    for command in (["init", "-q"], ["add", "-f", "."], [*author, "commit", "-qm", "x"]):
        subprocess.run(["git", *command], cwd=folder, check=True)


def test_environment_files_of_the_commit_are_read_though_they_are_gone(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("API_KEY=still-in-the-commit-1\n")
    for command in (
        ["init", "-q"],
        ["add", "-f", "."],
        ["-c", "user.name=a", "-c", "user.email=a@b.c", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", *command], cwd=tmp_path, check=True)
    (tmp_path / ".env").unlink()
    assert redactor_for(tmp_path, {})("still-in-the-commit-1") == MASK
    assert redactor_for(tmp_path / "gone", {})("still-in-the-commit-1") == "still-in-the-commit-1"


def test_a_password_of_an_address_is_masked_alone_too(tmp_path: Path) -> None:
    redact = redactor_for(tmp_path, {"DATABASE_URL": "postgres://app:p%40ssw0rd8@db/x"})
    assert redact("p@ssw0rd8 or p%40ssw0rd8") == f"{MASK} or {MASK}"


def test_a_value_of_the_domain_keeps_its_type(tmp_path: Path) -> None:
    redact = Redactor(("k3yZ0Q9xw7",))
    secret, plain = Objective(text='say "k3yZ0Q9xw7"'), Objective(text="say nothing")
    assert redact.value(secret) == Objective(text=f'say "{MASK}"')
    assert redact.value(plain) is plain


def test_each_text_of_a_value_is_masked_by_itself() -> None:
    begun, ended = "-----BEGIN PRIVATE KEY-----", "-----END PRIVATE KEY-----"
    told = Verdict(id="C5", verdict=Outcome.FAIL, reason=begun, tree=ended, evidence=(Evidence(tool="12345678"),))
    assert Redactor(("12345678",)).value(told) == told.model_copy(update={"evidence": (Evidence(tool=MASK),)})
    counted = Usage(input_tokens=123456789)
    assert Redactor(("12345678",)).value(counted) is counted


def telling(canary: str) -> Callable[[Told], AIMessage]:
    """A specialist that reads a secret's spellings and tells the secret in every place there is."""
    told_all = {
        "summary": canary,
        "decisions": [{"kind": "code_pattern", "text": canary}],
        "claims": [{"criterion": canary, "how": canary}],
    }

    def work(told: Told) -> AIMessage:
        second = told.task == "backend-T002"
        turns = (
            calls(("read", {"path": "app/leak.py"}), ("grep", {"pattern": ".", "path": "app/leak.py"})),
            told.calls("bash", command=f"echo {canary}"),
            told.calls("edit", path="app/leak.py", old=f"{canary}?", new="x"),
            told.calls("read", path=f"{canary}/.env"),
            told.calls("write", path=f"f{int(told.task[-3:])}.txt", content="x\n"),
            told.calls("report_need", what=canary, why=canary),
            told.calls("submit", **told_all, **({"refusal": canary} if second else {})),
        )
        return turns[min(told.turn, len(turns) - 1)]

    return work


def ended(run: Run, answer: str) -> list[str]:
    """Answers all that a run asks with a text; the questions."""
    asked = []
    while True:
        try:
            run.result()
        except Waiting:
            for question in run.questions:
                asked.append(question.text)
                question.answer("abandon" if "abandon" in question.choices else "approve_run", answer, by="lead")
        else:
            return asked


def test_a_secret_stands_in_nothing_a_run_keeps_and_reaches_no_model(workspace: Path) -> None:
    canary = f"q{secrets.token_hex(8)}/+ z"
    spelled = {spelling(canary.encode()) for spelling in SPELLINGS.values()}
    (workspace / ".env").write_text(f'API_TOKEN="{canary}"\n')
    (workspace / "app" / "leak.py").write_text("".join(f"# {text}\n" for text in sorted(spelled)))
    commit(workspace)
    made, shown = plan(task(1, objective=canary), task(2, title=canary)), list[str]()
    told = {"action": "escalate", "text": canary}
    story = department(made, telling(canary), review=lambda _: told, consultation=lambda _: {"guidance": canary})

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.extend(str(message.content) for message in messages)
        return story(messages, tools)

    run = coordinator(workspace, script, approval=Approval(tools="ask")).start(f"build {canary}")
    shown += ended(run, canary)
    kept = {path: path.read_bytes() for path in Runs(workspace).place(run.id).rglob("*") if path.is_file()}
    assert {"run.sqlite", "checkpoints.sqlite", "report.json", "backend-T001-1.jsonl"} <= {path.name for path in kept}
    assert any(MASK in text for text in shown)
    for text in (*spelled, canary[1:17]):
        assert [path for path, data in kept.items() if text.encode() in data] == []
        assert [each for each in shown if text in each] == []
