"""`permissions check` answers for lines as they come, by the rules of a file or of a specialist."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.runs import Said, cli_here

CORPORA = Path(__file__).parents[1] / "corpora"
RULES = """permission:
  bash:
    "npm *": allow
    "yarn *": allow
    "pnpm *": allow
    "git *": allow
    "node *": allow
    "npx *": allow
    "docker *": allow
    "docker-compose *": allow
    "systemctl *": ask
    "sudo *": ask
    "*": ask
"""
DENIED = '    "rm *": deny\n    "curl *": deny\n    "git push *": deny\n    "npm publish *": deny\n'
PROGRAM = [sys.executable, "-c", "from backend_coordinator.cli import main; main()", "permissions", "check"]
Row = dict[str, object]


def rows(name: str) -> list[Row]:
    """A corpus."""
    return [json.loads(line) for line in (CORPORA / name).read_text(encoding="utf-8").splitlines()]


def checked(lines: list[str], *options: str, cwd: Path) -> tuple[int, list[Row]]:
    """The answers of a process of its own, in order."""
    text = "".join(f"{line}\n" for line in lines)
    done = subprocess.run(
        [*PROGRAM, "--jsonl", *options], input=text, cwd=cwd, capture_output=True, text=True, check=False
    )
    assert done.stderr == ""
    return done.returncode, [json.loads(line) for line in done.stdout.splitlines()]


def answers(asked: list[Row], *options: str, cwd: Path) -> dict[object, object]:
    """Decisions by id; every row has one, with a reason of one line."""
    code, said = checked([json.dumps(row) for row in asked], *options, cwd=cwd)
    assert (code, [row["id"] for row in said]) == (0, [row["id"] for row in asked])
    assert [row for row in said if len(str(row["reason"]).splitlines()) != 1] == []
    return {row["id"]: row["decision"] for row in said}


def rule_file(folder: Path, text: str) -> str:
    """Rules in a file."""
    (folder / "rules.yaml").write_text(text)
    return str(folder / "rules.yaml")


@pytest.mark.parametrize("profile", ["003", "003+deny"])
def test_the_permission_rows_come_back_within_what_is_accepted(tmp_path: Path, profile: str) -> None:
    asked = [row for row in rows("permission_corpus.jsonl") if row["profile"] == profile]
    rules = rule_file(tmp_path, RULES + (DENIED if profile == "003+deny" else ""))
    said = answers(asked, "--kind", "bash", "--rules", rules, cwd=tmp_path)
    assert [(row["command"], said[row["id"]]) for row in asked if said[row["id"]] not in row["accept"]] == []  # type: ignore[operator]


def test_the_url_rows_come_back_as_expected(tmp_path: Path) -> None:
    asked = rows("ssrf_corpus.jsonl")
    assert answers(asked, "--kind", "url", cwd=tmp_path) == {row["id"]: row["expect"] for row in asked}


def test_the_path_rows_that_need_no_set_up_come_back_as_expected(tmp_path: Path) -> None:
    built = ("symlink", "hard link", "TOCTOU", "FIFO")
    asked = [row for row in rows("path_corpus.jsonl") if not any(word in str(row["why"]) for word in built)]
    assert len(asked) > 10
    assert answers(asked, "--kind", "path", cwd=tmp_path) == {row["id"]: row["expect"] for row in asked}


def test_a_path_is_looked_at_where_a_workspace_is_given(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    row: list[Row] = [{"id": "a", "path": "link/etc"}]
    assert answers(row, "--kind", "path", cwd=tmp_path) == {"a": "allow"}
    assert answers(row, "--kind", "path", "--workspace", str(tmp_path), cwd=tmp_path) == {"a": "deny"}


def test_each_kind_has_its_own_rules_and_a_path_the_stricter_of_two(tmp_path: Path) -> None:
    rules = 'permission:\n  read: {"a/**": deny}\n  edit: {"b/**": ask}\n  webfetch: {"*": ask, "a.example": allow}\n'
    file = rule_file(tmp_path, rules)
    paths: list[Row] = [{"id": path, "path": path} for path in ("a/x", "b/x", "c/x")]
    said = answers(paths, "--kind", "path", "--rules", file, cwd=tmp_path)
    assert said == {"a/x": "deny", "b/x": "ask", "c/x": "allow"}
    urls: list[Row] = [{"id": url, "url": f"https://{url}/"} for url in ("a.example", "b.example")]
    assert list(answers(urls, "--kind", "url", "--rules", file, cwd=tmp_path).values()) == ["allow", "ask"]


def test_a_line_that_cannot_be_read_is_answered_and_told_at_the_end(tmp_path: Path) -> None:
    lines = ["{", '{"id": 1}', '{"id": 2, "url": 3}', "[]", "", "[" * 100_000, '{"id": "\\ud800", "url": "\\u0000"}']
    code, said = checked([*lines, '{"url": "https://example.com/\\udc80"}'], "--kind", "url", cwd=tmp_path)
    assert code == 2
    assert [(row["id"], row.get("decision")) for row in said] == [
        (None, None), (1, None), (2, None), (None, None), (None, None), ("\ud800", "deny"), (None, "deny"),
    ]  # fmt: skip
    assert [row["id"] for row in said if "error" in row] == [None, 1, 2, None, None]


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_a_number_that_is_none_is_no_line(tmp_path: Path, number: str) -> None:
    lines = [f'{{"id": {number}, "command": "ls"}}', f'{{"id": {number}}}', '{"id": 1.5, "command": "ls"}']
    code, said = checked(lines, cwd=tmp_path)
    assert (code, [row["id"] for row in said]) == (2, [None, None, 1.5])
    assert said[0]["error"] == f"{number} is no finite number"


def test_each_line_is_answered_before_the_next_is_given(tmp_path: Path) -> None:
    with subprocess.Popen(
        [*PROGRAM, "--jsonl", "--kind", "url"], cwd=tmp_path, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin
        assert process.stdout
        for number in (1, 2):
            process.stdin.write(f'{{"id": {number}, "url": "https://example.com/"}}\n')
            process.stdin.flush()
            assert json.loads(process.stdout.readline())["id"] == number


def test_nothing_heavy_is_loaded_for_lines(tmp_path: Path) -> None:
    program = "import sys\nsys.argv[1:] = ['permissions', 'check', 'ls', '--rules', 'rules.yaml']\n"
    program += "from backend_coordinator.cli import app\napp(standalone_mode=False)\n"
    program += "print(sorted({'openai', 'langgraph', 'langchain_core', 'httpx2'} & sys.modules.keys()))"
    rule_file(tmp_path, RULES)
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.splitlines() == ["ask: rule '*'", "[]"]


def check(*args: str) -> Said:
    """The command in this process."""
    return cli_here("permissions", "check", *args)


def test_one_text_gets_a_line_or_json() -> None:
    assert check("--kind", "url", "http://localhost/").stdout == "deny: its host is a local name\n"
    assert json.loads(check("--kind", "path", ".env", "--json").stdout)["decision"] == "ask"


def test_a_specialist_s_own_rules_and_those_people_added_count(tmp_path: Path) -> None:
    where = ("--kind", "url", "--specialist", "Backend Engineer", "--workspace", str(tmp_path))
    assert check("https://docs.python.org/3/", *where).stdout.startswith("allow")
    assert check("https://example.com/", *where).stdout.startswith("ask")
    (tmp_path / ".backend-coordinator").mkdir()
    added = "backend-engineer: {webfetch: {'https://example.com/': allow}}"
    (tmp_path / ".backend-coordinator" / "permissions.yaml").write_text(added)
    assert check("https://example.com/", *where).stdout.startswith("allow")


def test_an_added_rule_undoes_no_denial_of_the_file(tmp_path: Path) -> None:
    team, state = tmp_path / "team", tmp_path / ".backend-coordinator"
    team.mkdir()
    state.mkdir()
    text = "---\nname: helper\ndescription: Helps.\npermission:\n  bash: {'make x': deny, 'make y': ask}\n---\nHelp.\n"
    (team / "helper.md").write_text(text)
    (tmp_path / "backend-coordinator.toml").write_text('roster = ["team"]\n')
    (state / "permissions.yaml").write_text("helper: {bash: {make x: allow, make y: allow}}")
    for line, decision in (("make x", "deny"), ("make y", "allow")):
        assert check(line, "--specialist", "helper", "-w", str(tmp_path)).stdout.startswith(decision)


@pytest.mark.parametrize(
    ("text", "line", "words"),
    [
        ("permission:\n  bash:\n    ls: maybe\n", 3, "must be allow, ask or deny"),
        ("permission:\n  bash:\n    ls: [allow]\n", 3, "must be allow, ask or deny"),
        ("permission:\n  bahs: {}\n", 2, "the nearest known is bash"),
        ("permission:\n  write: {}\n", 2, "unknown key"),
        ("permission:\n  bash: allow\n", 2, "must be a mapping"),
        ("permission:\n  bash: {}\npermision: {}\n", 3, "unknown key"),
        ("permission:\n  bash:\n    a: ask\n    a: deny\n", 4, "stands here twice"),
        ("permission:\n  bash: {}\n---\npermission: {}\n", 1, "would not be read"),
        ("---\npermission:\n  bash:\n    ls: maybe\n---\nText.\n", 4, "must be allow, ask or deny"),
        ("---\npermission:\n  bash:\n    ls: maybe\n", 4, "must be allow, ask or deny"),
        ("bash: {}\n", 1, "unknown key"),
        ("", 1, "there is no `permission:`"),
        ("permission:\n", 1, "must be a mapping"),
    ],
)
def test_rules_that_cannot_be_read_are_a_usage_error_with_the_line(
    tmp_path: Path, text: str, line: int, words: str
) -> None:
    file = rule_file(tmp_path, text)
    said = check("ls", "--rules", file)
    assert (said.returncode, said.stdout) == (2, "")
    assert said.stderr.startswith(f"error: {file}:{line}: ")
    assert words in said.stderr


@pytest.mark.parametrize(
    "args", [(), ("ls", "--jsonl"), ("ls", "--rules", "a", "--specialist", "b"), ("--kind", "x", "a")]
)
def test_a_command_line_that_says_too_little_or_too_much_is_refused(args: tuple[str, ...]) -> None:
    assert check(*args).returncode == 2


def test_rules_that_are_not_there_are_a_usage_error(tmp_path: Path) -> None:
    assert "cannot be read" in check("ls", "--rules", str(tmp_path / "none")).stderr
    missing = check("--kind", "path", "a", "--workspace", str(tmp_path / "none"))
    assert (missing.returncode, missing.stdout) == (2, "")
    assert "no specialist is called" in check("ls", "--specialist", "nobody", "-w", str(tmp_path)).stderr
