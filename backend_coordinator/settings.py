"""What a user configures, read from `backend-coordinator.toml` or `[tool.backend-coordinator]`."""

import os
import re
import tomllib
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, ValidationError

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.usage import Limits
from backend_coordinator.errors import ConfigurationError

STATE_FOLDER = ".backend-coordinator"
_ITEM = re.compile("A[1-7]|C[1-5]|S[1-7]|P[1-6]|D[1-5]|T[1-5]|O[1-5]")


def _is_item(name: str) -> str:
    if not _ITEM.fullmatch(name):
        msg = f"{name!r} is no item of the gates: write one of A1 to O5, as `gates list` shows them"
        raise ValueError(msg)
    return name


class Approval(Value):
    """What goes ahead by itself, what becomes a question, what is refused."""

    plan: Literal["auto", "ask"] = "auto"
    tools: Literal["ask", "deny"] = "deny"
    """What happens to a tool call whose permission is `ask`: a question, or a refusal that names the rule."""
    dependencies: Literal["auto", "ask", "deny"] = "auto"
    """What happens when work needs a distribution that no manifest of the workspace named before."""


class Settings(Value):
    """One run's settings; `slots` is how many specialists work at once, `model_seconds` bounds one model call."""

    slots: int = Field(default=4, ge=1, le=256)
    sandbox: Literal["auto", "required", "none"] = "auto"
    required: tuple[Annotated[str, AfterValidator(_is_item)], ...] = ("C2", "C5", "S3", "S7", "D3", "O1")
    approval: Approval = Approval()
    budget: LevelBudget = LevelBudget()
    limits: Limits = Limits()
    model_seconds: float = Field(default=300.0, gt=0)
    model_attempts: int = Field(default=4, ge=1)
    packet_tokens: int = Field(default=24_000, ge=500)
    roster: tuple[str, ...] = ()
    """Folders with specialists that extend or replace the packaged ones, relative to the workspace."""
    services: dict[str, str] = Field(default_factory=dict)
    """Environment variables for the workspace's processes, such as DATABASE_URL."""


def load_settings(workspace: Path) -> Settings:
    """Settings of a workspace; defaults where it has none.

    Raises ConfigurationError naming the file and the field.
    """
    own, shared = workspace / "backend-coordinator.toml", workspace / "pyproject.toml"
    path = own if own.is_file() else shared
    if not path.is_file():
        return Settings()
    try:
        table = tomllib.loads(path.read_text(encoding="utf-8"))
        data = table if path == own else table.get("tool", {}).get("backend-coordinator", {})
        return Settings.model_validate(data)
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        msg = f"{path.name} cannot be read: {error}"
        raise ConfigurationError(msg) from error
    except ValidationError as error:
        first = error.errors()[0]
        msg = f"{path.name}: {'.'.join(str(part) for part in first['loc'])}: {first['msg']}"
        raise ConfigurationError(msg) from error


def cache_folder() -> Path:
    """Where environments and checkouts live, outside every repository.

    `BACKEND_COORDINATOR_CACHE` names another place.
    """
    named = os.environ.get("BACKEND_COORDINATOR_CACHE")
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(named) if named else Path(base) / "backend-coordinator"
