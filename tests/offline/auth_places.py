"""Places for the authentication service, and repositories that get one."""

from collections.abc import Mapping, Sequence

from backend_coordinator.nodes.models.offline.auth import Part, Place, deliver

NEW = Place("app/auth", "tests/auth", "app/main.py", "migrations")
FOREIGN = Place("src/shop/auth", "tests/auth", "src/shop/main.py", "auth_migrations")
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


def extended(place: Place, files: Mapping[str, str], parts: Sequence[Part] = PARTS) -> dict[str, str]:
    """A repository after these parts."""
    repository = dict(files)
    for part in parts:
        repository |= deliver(part, place, repository)
    return repository
