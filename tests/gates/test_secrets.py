"""Seeded secrets are found, ordinary code is not taken for one."""

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.code_quality import no_secrets_in_code
from backend_coordinator.nodes.gates.checks.security import secrets_come_from_the_environment, sql_takes_parameters
from backend_coordinator.nodes.gates.secrets import secrets_in
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import MakeTree, changes, inside

# Put together here, so that scanners of this repository find nothing in it.
FIXED = {
    "private key": "-----BEGIN RSA " + "PRIVATE KEY-----",
    "aws": "AKIA" + "Q3EGUV7KXWLT5ZPB",
    "github": "ghp_" + "k3Jd92LmQpR7sVtXyZ4aBcDeFgH1iJ2oKlMn",
    "slack": "xoxb-" + "123456789012-987654321098-aBcDeFgHiJkLmNoPqRsTuVwX",
    "stripe": "sk_live_" + "4eC39HqLyjWDarjtT1zdp7dc",
    "jwt": "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N_XgL0n3I9PlFUP0THsR8U",
    "basic auth": "postgresql://shop:" + "h7Qz-pl2@db.internal/shop",
}
ASSIGNED = [
    'DATABASE_PASSWORD = "Tr0ub4dor&3x"', 'api_key: str = "9f8a7b6c5d4e3f2a"', 'connect(password="s3cr3t-pw!")',
    'config["secret_token"] = "q8w7e6r5t4"', '{"client_secret": "Zx81-qw-99"}', 'PASSWORD = "supersecretpassword1"',
]  # fmt: skip
CLEAN = [
    'TOKEN_URL = "/oauth/token"', 'token_type = "bearer"', 'password = os.environ["PASSWORD"]',
    'API_KEY_HEADER = "X-API-Key"', 'PASSWORD = "change-me"', 'error = "invalid_token"',
    'detail = {"password": "required"}', 'password: str = Field(min_length=12)', 'SECRET_NAME = "shop/database"',
    'secret = "${SECRET}"', 'key = "a" * 64', 'tokens = text.split("secret")', 'digest = "' + "0af3" * 16 + '"',
    'password_field = "pass_phrase"', 'SECRET_KEY = "SECRET_KEY"', 'if password == "":',
]  # fmt: skip


@pytest.mark.parametrize("path", ["app.py", "tests/test_app.py", "README.md", "deploy.yaml"])
@pytest.mark.parametrize("value", FIXED.values(), ids=FIXED)
def test_secrets_of_a_fixed_form_are_found_anywhere(path: str, value: str) -> None:
    assert next(secrets_in(path, f"x = 1\ny = '{value}'\n")).line == 2


@pytest.mark.parametrize("line", ASSIGNED)
def test_literals_for_secret_names_are_found(line: str) -> None:
    assert list(secrets_in("app/settings.py", line))
    assert not list(secrets_in("tests/test_login.py", line))


@pytest.mark.parametrize("line", CLEAN)
def test_ordinary_lines_are_no_secrets(line: str) -> None:
    assert not list(secrets_in("app/settings.py", line))


def test_bare_values_are_found_in_settings_files() -> None:
    assert list(secrets_in(".env", "DB_PASSWORD=k2j3h4g5\n"))
    assert list(secrets_in("deploy.yaml", "  db_password: k2j3h4g5\n"))
    assert not list(secrets_in(".env.example", "DB_PASSWORD=your-password-here\nTOKEN_URL=/token\n"))
    assert not list(secrets_in("deploy.yaml", "  secretName: shop-database\n  password:\n"))


def test_a_documented_example_key_is_a_placeholder() -> None:
    assert not list(secrets_in("docs.md", "AKIA" + "IOSFODNN7EXAMPLE"))


async def test_an_old_secret_is_not_blamed_and_a_new_one_is(tree: MakeTree, bare: Environment) -> None:
    old = f'KEY = "{FIXED["aws"]}"\n'
    base = tree({"a.py": old})
    same, worse = tree({"a.py": "import os\n" + old}), tree({"a.py": old + f'T = "{FIXED["github"]}"\n'})
    found = await no_secrets_in_code.run(base, same, changes(base, same), inside(bare, same))
    assert found.verdict is Outcome.PASS
    found = await no_secrets_in_code.run(base, worse, changes(base, worse), inside(bare, worse))
    assert found.verdict is Outcome.FAIL
    assert found.reason.startswith("a.py:2: looks like a GitHub token")
    assert FIXED["github"] not in found.model_dump_json()


@pytest.mark.parametrize(
    ("files", "outcome"),
    [
        ({"s.py": 'SECRET_KEY = "a8f5f167f44f"\n'}, Outcome.FAIL),
        ({"s.py": 'import os\nK = os.getenv("API_KEY", "abc-123-x")\n'}, Outcome.FAIL),
        ({"s.py": 'class Settings(BaseSettings):\n    secret_key: str = "change-me"\n'}, Outcome.FAIL),
        ({"s.py": "X = 1\n", ".env": "LOG_LEVEL=debug\n"}, Outcome.FAIL),
        ({"s.py": "class Settings(BaseSettings):\n    secret_key: str\n"}, Outcome.PASS),
        ({"s.py": 'import os\nK = os.environ.get("API_KEY")\n', ".env.example": "API_KEY=\n"}, Outcome.PASS),
        ({"s.py": "X = 1\n"}, Outcome.NOT_APPLICABLE),
        ({"s.py": "SECRET_KEY = load()\n"}, Outcome.UNKNOWN),
        ({"s.py": "SECRET_KEY = (\n"}, Outcome.UNKNOWN),
        ({"s.ts": "const apiKey = load()\n"}, Outcome.UNKNOWN),
        ({"s.ts": "const a = 1\n"}, Outcome.NOT_APPLICABLE),
    ],
)
async def test_secrets_must_come_from_the_environment(
    files: dict[str, str], outcome: Outcome, tree: MakeTree, bare: Environment
) -> None:
    head = tree(files)
    found = await secrets_come_from_the_environment.run(None, head, changes(None, head), inside(bare, head))
    assert found.verdict is outcome, found.reason


async def test_code_that_is_not_read_is_unknown_for_sql(tree: MakeTree, bare: Environment) -> None:
    head = tree({"a.py": "def f(db):\n    db.execute('SELECT 1')\n", "b.js": "db.query('x' + y)"})
    found = await sql_takes_parameters.run(None, head, changes(None, head), inside(bare, head))
    assert found.verdict is Outcome.UNKNOWN
    assert "b.js" in found.reason
