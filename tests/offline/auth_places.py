"""Places for the authentication service, and repositories that get one."""

from collections.abc import Mapping, Sequence

from backend_coordinator.nodes.models.offline.auth import Part, Place, deliver

NEW = Place("app/auth", "tests/auth", "app/main.py", "migrations")
FOREIGN = Place("src/shop/auth", "tests/auth", "src/shop/main.py", "auth_migrations")
BESIDE = Place("app/auth", "tests/auth", "app/main.py", "auth_migrations")
PARTS: tuple[Part, ...] = ("contract", "schema", "endpoints", "oauth", "accounts", "tokens", "review", "load")
SHOP = {
    "src/shop/__init__.py": "",
    "src/shop/prices.py": '"""Prices."""\n\nFULL = 3\n',
    "src/shop/main.py": (
        '"""Shop."""\n\nfrom fastapi import APIRouter, FastAPI\n\nfrom shop.prices import FULL\n\n'
        "router = APIRouter()\n\n\n@router.get('/prices')\ndef prices() -> int:\n    return FULL\n\n\n"
        "def create_app() -> FastAPI:\n    service = FastAPI(\n        title='shop',\n    )\n"
        "    service.include_router(router)\n    return service\n\n\napp = create_app()\n"
    ),
    "tests/conftest.py": '"""Tests of the shop."""\n',
    "tests/test_shop.py": (
        "from fastapi.testclient import TestClient\nfrom shop.main import app\n\n\ndef test_prices() -> None:\n"
        "    with TestClient(app) as client:\n        assert client.get('/prices').json() == 3\n"
    ),
    "migrations/env.py": "",
    "requirements.txt": "fastapi==0.165.0\nuvicorn\n",
    "requirements-dev.txt": "-r requirements.txt\nhttpx2\npytest\n",
    "pyproject.toml": "[tool.pytest.ini_options]\npythonpath = ['src']\nfilterwarnings = ['error']\n",
    "README.md": "# Shop\n",
}
# Keeps count of its migrations by itself, and applies whatever lies in their folder.
COUNTING = {
    "app/__init__.py": '"""Items."""\n',
    "app/db.py": (
        "import os\nimport sqlite3\nfrom pathlib import Path\n\nMIGRATIONS = Path('migrations')\n\n\n"
        "def connect() -> sqlite3.Connection:\n"
        "    connection = sqlite3.connect(os.environ.get('DATABASE_PATH', 'service.db'))\n"
        "    done = connection.execute('PRAGMA user_version').fetchone()[0]\n"
        "    for file in sorted(MIGRATIONS.glob('*.up.sql'))[done:]:\n"
        "        connection.executescript(file.read_text())\n        done += 1\n"
        "        connection.execute(f'PRAGMA user_version = {done:d}')\n    return connection\n"
    ),
    "app/main.py": (
        "from fastapi import FastAPI\n\nfrom app.db import connect\n\napp = FastAPI()\n\n\n"
        "@app.get('/items/count')\ndef count_items() -> int:\n"
        "    return int(connect().execute('SELECT count(*) FROM items').fetchone()[0])\n"
    ),
    "migrations/0001_items.up.sql": "CREATE TABLE items (id INTEGER PRIMARY KEY, name TEXT NOT NULL);\n",
    "migrations/0001_items.down.sql": "DROP TABLE items;\n",
    "pyproject.toml": '[project]\nname = "items"\nversion = "1"\ndependencies = ["fastapi", "uvicorn"]\n',
}


def extended(place: Place, files: Mapping[str, str], parts: Sequence[Part] = PARTS) -> dict[str, str]:
    """A repository after these parts."""
    repository = dict(files)
    for part in parts:
        repository |= deliver(part, place, repository)
    return repository
