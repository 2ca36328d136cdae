"""Which logging calls give secrets away, and which do not."""

import pytest

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.nodes.gates.checks.logs import logs_hold_no_sensitive_data
from backend_coordinator.nodes.workspace.environment import Environment
from tests.gates.trees import MakeTree, changes, inside

LEAKS = {
    "argument": "logger.info('login with %s', password)",
    "f-string": "logger.debug(f'{user.password!r}')",
    "format": "log.info('{}'.format(api_key))",
    "percent": "log.info('%s' % access_token)",
    "plus": "logger.warning('key ' + settings.secret_key)",
    "keyword of structlog": "log.info('login', refresh_token=issued)",
    "keyword of extra": "logger.info('login', extra={'password': form.password})",
    "dictionary": "logger.info({'cookie': value})",
    "header": "logger.info(request.headers['Authorization'])",
    "header by get": "logger.info(request.headers.get('authorization'))",
    "all headers": "logger.info('%s', request.headers)",
    "headers as a dictionary": "logger.info(dict(request.headers))",
    "whole body": "logger.info(await request.json())",
    "locals": "logger.error(locals())",
    "environment": "logger.info(os.environ)",
    "print": "print(jwt)",
    "warning": "warnings.warn(f'bad {card_number}')",
    "logger of self": "self._logger.error('%s', session_id)",
    "bound": "structlog.get_logger().bind(cvv=card.cvv).info('paid')",
    "token where logins are": "logger.info('login %s', token)",
    "camel case": "logger.info(apiKey)",
    "revealed": "logger.info(settings.api_key.get_secret_value())",
    "either": "logger.info(password if known else 'nobody')",
    "model": "logger.info('got %s', credentials_form)",
    "record": "logger.info(account.__dict__)",
    "dumped": "logger.info(account.model_dump())",
    "dumped into a variable": "data = account.model_dump(); logger.info('%s', data)",
    "text in a variable": "text = f'password is {account.password}'; logger.info(text)",
    "body in a variable": "received = await request.json(); logger.info('got %s', received)",
    "decoded body": "sent = json.loads(await request.body()); logger.info(sent)",
    "variable by way of another": "a = account.password; b = f'got {a}'; logger.info(b)",
    "made here": "made = Form(**fields); logger.info('made %s', made)",
    "short name of a password": "pwd = account.password; logger.info(pwd)",
    "password of somebody": "logger.info(user_pwd)",
}
FINE = {
    "constant": "logger.info('the password was wrong')",
    "length": "logger.info('%d', len(password))",
    "truth": "logger.info('%s', password is not None)",
    "negation": "logger.info('%s', not token)",
    "either word": "logger.info('set' if secret else 'unset')",
    "digest": "logger.info(fingerprint(token))",
    "hash": "logger.info(user.password_hash)",
    "id": "logger.info('%s', token_id)",
    "kind": "logger.info(response.token_type)",
    "count": "logger.info(usage.total_tokens)",
    "next page": "logger.info(next_page_token)",
    "error": "logger.exception(f'refused: {error}')",
    "path and method": "logger.info('%s %s', request.method, request.url.path)",
    "one header": "logger.info(request.headers['user-agent'])",
    "mask": "logger.info('%s', card_number[-4:])",
    "stars": "logger.info('login', password='***')",
    "typed to hide itself": "logger.info(settings.signing_key)",
    "flag": "logger.info(user.has_password)",
    "locals of a template": "logger.info('%(n)s' % locals())",
    "other info": "catalogue.info(password)",
    "dumped in part": "logger.info(account.model_dump(exclude={'password'}))",
    "model that hides": "logger.info('got %s', hidden_form)",
    "working directory": "pwd = os.getcwd(); logger.info('in %s', pwd)",
    "part of a body": "received = await request.json(); logger.info(received['id'])",
    "size of a body": "size = len(await request.body()); logger.info(size)",
    "answer about a body": "number = register(await request.json()); logger.info(number)",
    "redacted": "data = redact(await request.json()); logger.info(data)",
    "known parts": "data = {'id': user.id}; data['name'] = user.name; logger.info(data)",
    "dump without secrets": "data = book.model_dump(); logger.info(data)",
    "one of two": "name, code = account.password.split(); logger.info(name)",
}
UNCLEAR = {
    "bound twice": "a = await request.json(); a = redact(a); logger.info(a)",
    "grown": "text = 'x'; text += account.password; logger.info(text)",
    "entry": "fields = {}; fields['password'] = account.password; logger.info(fields)",
    "made of a body": "data = reshape(await request.json()); logger.info(data)",
    "made of a model": "payload = reshape(account); logger.info(payload)",
    "body of an answer": "body = client.get(url).json(); logger.info(body)",
}
MODULE = """import logging, os, structlog, warnings
class Settings(BaseSettings):
    signing_key: SecretStr
class Form(BaseModel):
    password: str
class Hidden(BaseModel):
    password: SecretStr
class Account:
    password: str
class Book(BaseModel):
    title: str
async def login(request, user, settings, credentials_form: Form, hidden_form: Hidden, account: Account, book: Book):
    {line}
"""


@pytest.mark.parametrize(
    ("line", "outcome"),
    [
        *((line, Outcome.FAIL) for line in LEAKS.values()),
        *((line, Outcome.PASS) for line in FINE.values()),
        *((line, Outcome.UNKNOWN) for line in UNCLEAR.values()),
    ],
    ids=[*LEAKS, *FINE, *UNCLEAR],
)
async def test_a_logging_call_is_judged_by_what_it_is_handed(
    line: str, outcome: Outcome, tree: MakeTree, bare: Environment
) -> None:
    head = tree({"a.py": MODULE.replace("{line}", line)})
    found = await logs_hold_no_sensitive_data.run(None, head, changes(None, head), inside(bare, head))
    assert found.verdict is outcome, found.reason
    assert outcome is not Outcome.FAIL or found.reason.startswith("a.py:13: logs ")


@pytest.mark.parametrize(
    ("files", "outcome"),
    [
        ({"README.md": "x"}, Outcome.NOT_APPLICABLE),
        ({"tests/test_a.py": "def test_a(password):\n    print(password)\n"}, Outcome.NOT_APPLICABLE),
        ({"lexer.py": "for token in tokens:\n    print(token)\n"}, Outcome.PASS),
        ({"keys.py": "def main():\n    print(secret)\nif __name__ == '__main__':\n    main()\n"}, Outcome.PASS),
        ({"a.ts": "console.log(password)\n"}, Outcome.UNKNOWN),
        ({"a.ts": "const a = 1\n"}, Outcome.PASS),
        ({"a.py": "logger.info(\n"}, Outcome.UNKNOWN),
        ({"a.py": "def parse(data):\n    print(data)\n"}, Outcome.PASS),
        ({"a.py": "import fastapi\ndef hook(data):\n    logger.info(data)\n"}, Outcome.UNKNOWN),
        (
            {"a.py": "import fastapi\ndef hook(body: Annotated[bytes, Body()]):\n    logger.info(body)\n"},
            Outcome.UNKNOWN,
        ),
        ({"a.py": "import fastapi\ndef hook(data: int):\n    logger.info(data)\n"}, Outcome.PASS),
        (
            {
                "a.py": "import fastapi\nclass Book:\n    title: str\ndef hook(body: Annotated[Book, Body()]):\n"
                "    logger.info(body)\n"
            },
            Outcome.PASS,
        ),
    ],
)
async def test_what_is_no_log_of_the_product_is_left_alone(
    files: dict[str, str], outcome: Outcome, tree: MakeTree, bare: Environment
) -> None:
    head = tree(files)
    found = await logs_hold_no_sensitive_data.run(None, head, changes(None, head), inside(bare, head))
    assert found.verdict is outcome, found.reason


async def test_an_old_leak_is_not_blamed(tree: MakeTree, bare: Environment) -> None:
    base = tree({"a.py": "logger.info(password)\n"})
    head = tree({"a.py": "import os\nlogger.info(password)\n"})
    found = await logs_hold_no_sensitive_data.run(base, head, changes(base, head), inside(bare, head))
    assert found.verdict is Outcome.PASS
