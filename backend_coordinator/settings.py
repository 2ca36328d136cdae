"""What a user configures, read from `backend-coordinator.toml` or `[tool.backend-coordinator]`."""

import os
import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Literal, get_args

from pydantic import AfterValidator, Field, ValidationError, model_validator

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.question import Subject
from backend_coordinator.domain.usage import Limits, Price
from backend_coordinator.errors import ConfigurationError

STATE_FOLDER = ".backend-coordinator"
_ITEM = re.compile("A[1-7]|C[1-5]|S[1-7]|P[1-6]|D[1-5]|T[1-5]|O[1-5]")


def _is_item(name: str) -> str:
    if not _ITEM.fullmatch(name):
        msg = f"{name!r} is no item of the gates: write one of A1 to O5, as `gates list` shows them"
        raise ValueError(msg)
    return name


Policy = Literal["auto", "ask", "deny"]
Preset = Literal["autonomous", "guarded", "strict"]
_OWN_JUDGEMENT: Mapping[Preset, frozenset[Subject]] = {
    "autonomous": frozenset(get_args(Subject)),
    "guarded": frozenset({"plan", "architecture"}),
    "strict": frozenset(),
}
"""What each preset lets go ahead by itself; it asks about the rest."""


class Approval(Value):
    """What goes ahead by itself, what becomes a question, what is refused: subject by subject, over a preset.

    `plan` is decided before the work; the others by what a delivery that passed its gates really changed.
    """

    preset: Preset = "autonomous"
    """The policies of the subjects that are not set themselves."""
    plan: Policy = "auto"
    architecture: Policy = "auto"
    security: Policy = "auto"
    schema_: Policy = Field(default="auto", alias="schema")  # `schema` is a method of every pydantic model
    api_contract: Policy = "auto"
    infrastructure: Policy = "auto"
    breaking_changes: Policy = "auto"
    dependencies: Policy = "auto"
    """What happens when work needs a distribution that no manifest of the workspace named before."""
    tools: Literal["ask", "deny"] = "deny"
    """What happens to a tool call whose permission is `ask`: a question, or a refusal that names the rule."""
    unattended: bool = False
    """Nobody is there to answer, as in a batch: what would ask about a subject refuses, and says so."""

    @model_validator(mode="before")
    @classmethod
    def _over_the_preset(cls, given: object) -> object:
        free = _OWN_JUDGEMENT.get(given.get("preset", "autonomous")) if isinstance(given, dict) else None
        if not isinstance(given, dict) or free is None:
            return given
        named = {name.rstrip("_"): value for name, value in given.items()}  # as it was recorded
        return {**{each: "auto" if each in free else "ask" for each in get_args(Subject)}, **named}

    def policy(self, subject: Subject) -> Policy:
        """What holds for a subject."""
        found: Policy = self.schema_ if subject == "schema" else getattr(self, subject)
        return found

    def asks(self, subject: Subject) -> bool:
        """Whether a person decides."""
        return self.policy(subject) == "ask" and not self.unattended

    def refuses(self, subject: Subject) -> str | None:
        """The setting by which a subject is refused without asking; None where it is not."""
        if self.policy(subject) == "ask" and self.unattended:
            return f"a batch cannot ask: approval.{subject}"
        return f"approval.{subject} is deny" if self.policy(subject) == "deny" else None


class ModelSettings(Value):
    """How models are asked; `seconds` bounds one call with its waiting and retries, `attempts` its requests.

    `idle_seconds` bounds the silence of a stream. `window` is the context window in tokens, taken from the model
    where it is not set. `answers` is how typed answers are asked for; `auto` finds out what the server can.
    """

    seconds: float = Field(default=300.0, gt=0)
    idle_seconds: float = Field(default=120.0, gt=0)
    attempts: int = Field(default=6, ge=1)
    window: int | None = Field(default=None, ge=4_000)
    requests_per_minute: int | None = Field(default=None, ge=1)
    tokens_per_minute: int | None = Field(default=None, ge=1)
    answers: Literal["auto", "json_schema", "tools", "json"] = "auto"
    api: Literal["chat", "responses"] = "chat"
    streaming: bool = True
    prices: dict[str, Price] = Field(default_factory=dict)
    """Prices by model name, before those that are known anyhow."""


class AllLimits(Value):
    """Limits of one task over all its attempts, of the whole run, and of all a specialist's tasks together."""

    task: Limits = Limits(model_calls=200, tool_calls=600, seconds=3600.0)
    run: Limits = Limits()
    specialists: dict[str, Limits] = Field(default_factory=dict)


class Settings(Value):
    """One run's settings; `slots` is how many specialists work at once."""

    slots: int = Field(default=4, ge=1, le=256)
    sandbox: Literal["auto", "required", "none"] = "auto"
    required: tuple[Annotated[str, AfterValidator(_is_item)], ...] = ("C2", "C5", "S3", "S7", "D3", "O1")
    approval: Approval = Approval()
    budget: LevelBudget = LevelBudget()
    limits: AllLimits = AllLimits()
    frontend: Literal["nobody", "person"] = "nobody"
    """Who validates contracts as `frontend-coordinator` where nothing is bound to that name."""
    model: ModelSettings = ModelSettings()
    models: dict[str, str] = Field(default_factory=dict)
    """Model strings by specialist; `coordinator` names that of analysis, decomposition and reviews."""
    packet_tokens: int = Field(default=24_000, ge=500)
    roster: tuple[str, ...] = ()
    """Folders with specialists that extend or replace the packaged ones, relative to the workspace."""
    paths: dict[str, ContextKind] = Field(default_factory=dict)
    """Kinds of the workspace's files by glob, before those that follow from the layout; the most specific counts."""
    services: dict[str, str] = Field(default_factory=dict)
    """Environment variables for the workspace's processes, such as DATABASE_URL."""
    postgres: str | None = Field(default=None, pattern=r"^[A-Za-z_]\w*$")
    """The variable in which tests, migrations and bash find the URL of a PostgreSQL of their own."""
    table_rows: dict[str, int] = Field(default_factory=dict)
    """Rows that tables of the running system hold, by table: a migration must not keep others from a large one."""


def with_approval(settings: Settings, preset: Preset | None = None, **changes: object) -> Settings:
    """The settings with the subjects of a preset, instead of all that was set of them, and other `changes`."""
    before = settings.approval
    start = Approval(preset=preset, tools=before.tools, unattended=before.unattended) if preset else before
    return settings.model_copy(update={"approval": start.model_copy(update=changes)})


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
