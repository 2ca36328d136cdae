"""Makes specialists of users' own agents for Claude Code and opencode, and tells what became of every field."""

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Literal

from backend_coordinator.domain.roster import Specialist
from backend_coordinator.errors import RosterError
from backend_coordinator.prompts.foreign import Foreign, read_foreign
from backend_coordinator.prompts.frontmatter import Data, FrontMatterError, read
from backend_coordinator.prompts.loader import load_roster
from backend_coordinator.prompts.specialist_file import specialist_from
from backend_coordinator.prompts.translation import LONGEST_DESCRIPTION, Field, Translated, translate

LONGEST_FILE = 200_000
"""Bytes; no agent is that long."""
_NO_AGENTS = re.compile(
    r"(readme|claude|agents|gemini|contributing|changelog|license|skill|index|.*template.*)\Z", re.I
)
_OTHER_FOLDERS = frozenset(
    {"skills", "skill", "commands", "command", "templates", "docs", "references", "node_modules", ".git"}
)
_AGENT_FOLDERS = frozenset({"agents", "agent", "subagents"})
_FITTING = (
    (r"databas|\bsql|postgres|mysql|mongo|schema design|migration", "database-optimizer"),
    (r"graphql", "graphql-architect"),
    (r"api design|api architect|openapi|api contract", "api-architect"),
    (r"architect|audit|performance|security|load test|resilien", "backend-architect"),
)
"""Words of a name or description, and the packaged specialist whose context lists fit; the first row counts."""


@dataclass(frozen=True, slots=True)
class Imported:
    """One file: what it became, each of its fields, and for `skipped` and `kept` the reason."""

    file: str
    outcome: Literal["imported", "the same", "kept", "skipped"]
    reason: str = ""
    name: str = ""
    text: str = ""
    """The specialist's file, as it is written."""
    fields: tuple[Field, ...] = ()
    remarks: tuple[str, ...] = ()


def import_agents(folder: Path, to: Path, *, force: bool = False) -> tuple[Imported, ...]:
    """What the files below `folder` become as specialists in `to`; nothing is written.

    A file of `to` that says something else is kept unless `force`. Raises RosterError where there is no file.
    """
    if not folder.is_dir():
        msg = f"{folder} is not a folder of agents"
        raise RosterError(msg)
    paths = sorted(path for path in folder.rglob("*.md") if path.is_file() and not path.is_relative_to(to))
    if not paths:
        msg = f"{folder} holds no agent: one is a file <name>.md"
        raise RosterError(msg)
    packaged = _packaged()
    taken: dict[str, str] = {}
    found = []
    for path in paths:
        one = _import(path, path.relative_to(folder), packaged, taken)
        if one.outcome == "imported" and not force and _differs(to / f"{one.name}.md", one.text):
            one = Imported(one.file, "kept", f"{one.name}.md is there already: --force replaces it", one.name)
        found.append(one)
    return tuple(found)


def write_agents(found: tuple[Imported, ...], to: Path) -> None:
    """Writes those that were imported, each as `<name>.md`."""
    to.mkdir(parents=True, exist_ok=True)
    for one in found:
        if one.outcome == "imported":
            (to / f"{one.name}.md").write_text(one.text, encoding="utf-8")


@cache
def _packaged() -> Mapping[str, Specialist]:
    return {specialist.name: specialist for specialist in load_roster().specialists}


def _differs(place: Path, text: str) -> bool:
    return place.exists() and place.read_bytes() != text.encode()


def _import(path: Path, shown: Path, packaged: Mapping[str, Specialist], taken: dict[str, str]) -> Imported:
    """One file; `taken` has the text of each name that an earlier file took."""
    text = _text(path)
    if text is None:
        return Imported(str(shown), "skipped", f"it is not UTF-8 text of at most {LONGEST_FILE} bytes")
    foreign = read_foreign(text)
    if reason := _no_agent(shown, foreign):
        return Imported(str(shown), "skipped", reason)
    made = translate(foreign.fields)
    name = _name(foreign.fields.get("name"), shown, made)
    text, described = _written(foreign, name, made, packaged)
    if taken.get(name) == text:
        return Imported(
            str(shown), "the same", f"{name} has this text already", name, fields=(*described, *made.report)
        )
    if name in taken:
        other = _slug(f"{name}-{_distinct(shown)}")
        name = next(n for n in (other, *(_slug(f"{i}-{other}") for i in range(2, 10_000))) if n not in taken)
        made.say("name", "translated", f"the name is taken by another file: {name}")
        text, described = _written(foreign, name, made, packaged)
    try:
        specialist_from(read(text, f"{name}.md"))
    except FrontMatterError as error:
        return Imported(str(shown), "skipped", str(error), name)
    taken[name] = text
    remarks = (*foreign.remarks, *_replaces(name, packaged))
    return Imported(str(shown), "imported", "", name, text, _report(made, described), remarks)


def _report(made: Translated, described: list[Field]) -> tuple[Field, ...]:
    return tuple(sorted((*described, *made.report), key=lambda each: each.key != "name"))


def _text(path: Path) -> str | None:
    try:
        return path.read_text(encoding="utf-8") if path.stat().st_size <= LONGEST_FILE else None
    except (UnicodeDecodeError, OSError):
        return None


def _no_agent(shown: Path, foreign: Foreign) -> str:
    """Why a file cannot be an agent; empty where it can."""
    folders = [part.lower() for part in shown.parts[:-1]]
    if _NO_AGENTS.match(shown.stem):
        return f"a file named {shown.name} is no agent"
    among = [part for part in folders if part in _OTHER_FOLDERS | _AGENT_FOLDERS]
    if among and among[-1] in _OTHER_FOLDERS:
        return f"what lies in {among[-1]} are no agents"
    if not foreign.fields.keys() & {"description", "name"} and not among:
        return "it has neither name nor description, and lies in no folder of agents"
    if any(str(foreign.fields.get(key)).lower() == "true" for key in ("disable", "disabled")):
        return "it is disabled"
    if not _body(foreign):
        return "it has no text"
    if re.fullmatch(r"\{file:[^}]*\}", _body(foreign)):
        return f"its text is in another file, {_body(foreign)}: write it below the fields"
    return ""


def _body(foreign: Foreign) -> str:
    return foreign.body or str(foreign.fields.get("prompt") or "").strip()


def _name(given: Data, shown: Path, made: Translated) -> str:
    slug = _slug(str(given or "")) or _slug(shown.stem) or f"agent-{len(shown.name)}"
    if given == slug:
        made.say("name", "taken", slug)
    else:
        why = f"{given!r} is spelled so here" if given and _slug(str(given)) else "made from the file's name"
        made.say("name", "translated" if given else "chosen", f"{slug}: {why}")
    return slug


def _slug(name: str) -> str:
    slug = re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
    return (f"agent-{slug}" if slug[:1].isdigit() else slug)[:63].rstrip("-")


def _distinct(shown: Path) -> str:
    """The nearest folder above that tells a file from its namesake."""
    return next((p for p in reversed(shown.parts[:-1]) if p.lower() not in _AGENT_FOLDERS and _slug(p)), "other")


def _written(
    foreign: Foreign, name: str, made: Translated, packaged: Mapping[str, Specialist]
) -> tuple[str, list[Field]]:
    """The specialist's file, and the report of what is chosen by words."""
    report = list(_described(foreign))
    description = report[0].text if report[0].fate == "taken" else _short(foreign)
    like, why = _fitting(name, f"{name} {description}".lower(), packaged)
    report.append(Field("sees, never_sees", "chosen", f"those of {like.name}, {why}: correct them in the file"))
    front: dict[str, object] = {"name": name, "description": description, "role": made.role}
    front |= {"model": made.model} if made.model else {}
    front |= {"temperature": made.temperature} if made.temperature is not None else {}
    front |= {"sees": [k.value for k in like.sees], "never_sees": [k.value for k in like.never_sees]}
    front |= {"tools": made.switches, "permission": made.rules, "reports_to": "backend-coordinator"}
    lines = [f"{key}: {json.dumps(value, ensure_ascii=False)}" for key, value in front.items()]
    notes = [f"# {note}" for note in made.notes]
    return "\n".join(("---", *lines, *notes, "---", _body(foreign), "")), report


def _described(foreign: Foreign) -> Iterator[Field]:
    given, short = " ".join(str(foreign.fields.get("description") or "").split()), _short(foreign)
    if not given:
        yield Field("description", "chosen", f"the text's first words: {short}")
    elif given == short:
        yield Field("description", "taken", short)
    else:
        yield Field("description", "translated", f"shortened from {len(given)} to {len(short)} characters: {short}")
    if "prompt" in foreign.fields:
        unused = "there is a text below it" if foreign.body else ""
        yield Field("prompt", "dropped" if unused else "taken", unused or "it is the text")


def _short(foreign: Foreign) -> str:
    """The first sentences of what describes an agent, before any example."""
    given = str(foreign.fields.get("description") or "") or _body(foreign).lstrip("# ").split("\n")[0]
    words = " ".join(given.replace("\\n", "\n").split())
    if len(words) <= LONGEST_DESCRIPTION:
        return " ".join(given.split())
    head = re.split(r"<example>|\bExamples?:", words)[0].strip() or words
    sentences = re.match(rf".{{20,{LONGEST_DESCRIPTION - 1}}}[.!?](?=\s|$)", head)
    return sentences[0] if sentences else head[:LONGEST_DESCRIPTION].rpartition(" ")[0] or head[:LONGEST_DESCRIPTION]


def _fitting(name: str, words: str, packaged: Mapping[str, Specialist]) -> tuple[Specialist, str]:
    """The packaged specialist whose context lists an agent gets, and why."""
    if name in packaged and packaged[name].sees:
        return packaged[name], "whose name it has"
    for pattern, like in _FITTING:
        if found := re.search(pattern, words):
            return packaged[like], f"for the word {found[0]!r}"
    return packaged["python-pro"], "since no word points elsewhere"


def _replaces(name: str, packaged: Mapping[str, Specialist]) -> Iterator[str]:
    if name in packaged:
        yield f"it replaces the packaged {name}: rename it to keep both"
    for member in packaged.values():
        if name in member.aliases:
            yield f"{name} is an alias of the packaged {member.name}: it now stands for this one"
