"""Reads the roster's files and the coordinator's own prompts."""

import re
from collections.abc import Mapping
from importlib.resources import files
from importlib.resources.abc import Traversable
from pathlib import Path

from pydantic import ValidationError

from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.errors import RosterError
from backend_coordinator.prompts.frontmatter import Document, FrontMatterError, read
from backend_coordinator.prompts.specialist_file import TOOLS, specialist_from

Folder = Path | Traversable
_PLACEHOLDER = re.compile(r"\{\{([a-z_]+)\}\}")


def packaged_specialists() -> Traversable:
    """The folder of the roster that comes with this package; pass it first to extend that roster."""
    return files("backend_coordinator.prompts") / "specialists"


def load_roster(*folders: Folder, tools: frozenset[str] = TOOLS) -> Roster:
    """The roster of all `*.md` files in `folders`, of the packaged one when none is given.

    Who works is told its file's text and below it coordinator/working.md, the rules of everybody.
    A later folder's specialist replaces an earlier one of its name and is known by its aliases too; the aliases
    of others it takes over. Files may switch `tools`. Raises RosterError with file and line.
    """
    members: dict[str, Specialist] = {}
    for folder in folders or (packaged_specialists(),):
        members = extended(members, _read_folder(folder, tools))
    try:
        return Roster(specialists=tuple(members.values()))
    except ValidationError as error:
        raise RosterError(error.errors()[0]["msg"]) from error


def read_documents(folder: Folder) -> tuple[Document | FrontMatterError, ...]:
    """Every `*.md` file of `folder` by name, those that cannot be read as the error that says why.

    Raises RosterError when there is no such file.
    """
    if not folder.is_dir():
        msg = f"{folder} is not a folder of specialists"
        raise RosterError(msg)
    entries = sorted((e for e in folder.iterdir() if e.name.endswith(".md")), key=lambda e: e.name)
    if not entries:
        msg = f"{folder} holds no specialist: one is a file <name>.md"
        raise RosterError(msg)
    return tuple(_read_file(entry) for entry in entries)


def extended(members: Mapping[str, Specialist], found: Mapping[str, Specialist]) -> dict[str, Specialist]:
    """`members` after those of a later folder: each by its name, no alias with two of them."""
    taken = {name for s in found.values() for name in (s.name, *s.aliases)}
    result = dict(found)
    for name, member in members.items():
        left = tuple(alias for alias in member.aliases if alias not in taken)
        base = found.get(name)
        result[name] = (base or member).model_copy(update={"aliases": (*base.aliases, *left) if base else left})
    return result


def coordinator_prompt(name: str, /, **values: str) -> str:
    """The coordinator's prompt `name` with each `{{key}}` replaced by its value, which is not searched again.

    Raises RosterError for an unknown prompt and for a value that is missing or not used.
    """
    folder = files("backend_coordinator.prompts") / "coordinator"
    available = {entry.name.removesuffix(".md"): entry for entry in folder.iterdir()}
    if name not in available:
        msg = f"no coordinator prompt is called {name!r}; there are {', '.join(sorted(available))}"
        raise RosterError(msg)
    text = available[name].read_text(encoding="utf-8")
    if wrong := set(_PLACEHOLDER.findall(text)) ^ values.keys():
        msg = f"the prompt {name} and the values given differ in {', '.join(sorted(wrong))}"
        raise RosterError(msg)
    return _PLACEHOLDER.sub(lambda match: values[match[1]], text)


def _read_folder(folder: Folder, tools: frozenset[str]) -> dict[str, Specialist]:
    members: dict[str, Specialist] = {}
    for document in read_documents(folder):
        if isinstance(document, FrontMatterError):
            raise document
        specialist = specialist_from(document, tools)
        if specialist.name in members:
            document.refuse(("name",), f"{specialist.name} has a file already in this folder")
        members[specialist.name] = _instructed(specialist)
    return members


def _instructed(specialist: Specialist) -> Specialist:
    """A member that works gets the rules that bind everybody who does, below its own text."""
    if specialist.role != "specialist":
        return specialist
    return specialist.model_copy(update={"prompt": f"{specialist.prompt}\n\n{coordinator_prompt('working').rstrip()}"})


def _read_file(entry: Folder) -> Document | FrontMatterError:
    try:
        return read(entry.read_text(encoding="utf-8"), str(entry))
    except UnicodeDecodeError:
        return FrontMatterError(str(entry), 1, "the file is not UTF-8 text")
    except FrontMatterError as error:
        return error
