"""What a specialist's front matter may say, and the specialist it makes."""

import re
from collections.abc import Iterable
from difflib import get_close_matches
from pathlib import PurePath
from typing import NoReturn, cast, get_args

from pydantic import ValidationError

from backend_coordinator.domain.roster import Decision, Specialist
from backend_coordinator.prompts.frontmatter import Data, Document, Path

TOOLS = frozenset(
    {"read", "grep", "glob", "list", "write", "edit", "bash", "webfetch", "todo", "check"}
    | {"recall", "report_need", "request_research", "submit"}
)
"""Names a file may use; whoever has more tools than these passes all of them."""

JUDGED = ("bash", "read", "edit", "webfetch")
"""What `permission` has rules for; all other tools are granted or withheld as a whole."""

FOREIGN_TOOLS = {"todowrite": "todo", "todoread": "todo", "patch": "edit", "skill": None, "question": None}
"""Tools of the opencode format and ours that do the same; None: there is none."""

_ROW_KEYS = {"escalates_to": ("when", "class", "to"), "accepts_from": ("from", "when")}
_KEYS = (Specialist.model_fields.keys() - {"prompt", "model_hint", "notes"}) | {"mode"}
OUR_MODEL = re.compile(r"offline|[a-z][a-z0-9_-]*:\S+")
"""A model string of this product; any other is a hint."""


def specialist_from(document: Document, tools: frozenset[str] = TOOLS) -> Specialist:
    """The specialist a file describes, by default named after the file; raises FrontMatterError."""
    _check_keys(document, tools)
    switches, notes = _switches(document, tools)
    values: dict[str, object] = {"name": PurePath(document.file).stem, **document.data}
    values |= {**_model(document.data.get("model")), "tools": switches, "notes": notes, "prompt": document.body}
    values.pop("mode", None)
    try:
        return Specialist.model_validate(values)
    except ValidationError as error:
        first = min(error.errors(), key=lambda e: document.line(_written(document.data, e["loc"])))
        path = _written(document.data, first["loc"])
        unknown_kind = first["type"] == "enum" and path[0] in {"sees", "never_sees"}
        document.refuse(path, first["msg"], "unknown-kind" if unknown_kind else "front-matter")


def rules_in(document: Document) -> dict[str, dict[str, Decision]]:
    """The rules of a file's `permission`, by kind of call; the file need not describe a specialist.

    Raises FrontMatterError for an unknown key or kind, and for what is no decision.
    """
    _check_keys(document, TOOLS)
    permission = document.data.get("permission")
    if not isinstance(permission, dict):
        document.refuse((), "there is no `permission:` in it")
    _refuse_unknown(document, ("permission",), permission, JUDGED)
    for kind, rules in permission.items():
        for pattern, decision in rules.items() if isinstance(rules, dict) else ():
            if decision not in get_args(Decision):
                document.refuse(("permission", kind, pattern), "must be allow, ask or deny")
    return cast("dict[str, dict[str, Decision]]", permission)


def _nearest(word: str, known: Iterable[str]) -> str:
    return get_close_matches(word, sorted(known), n=1, cutoff=0.0)[0]


def _check_keys(document: Document, tools: frozenset[str]) -> None:
    _refuse_unknown(document, (), document.data, _KEYS)
    for field, known in _ROW_KEYS.items():
        rows = document.data.get(field)
        for index, row in enumerate(rows if isinstance(rows, list) else ()):
            if isinstance(row, dict):
                _refuse_unknown(document, (field, index), row, known)
    for field in ("tools", "permission", "collaborates_with"):
        _refuse_short_form(document, (field,), document.data.get(field, {}))
    permission = document.data.get("permission")
    for kind, rules in permission.items() if isinstance(permission, dict) else ():
        if kind not in tools:
            _refuse_tool(document, ("permission", kind), tools)
        _refuse_short_form(document, ("permission", kind), rules)


def _refuse_unknown(document: Document, path: Path, keys: Iterable[str], known: Iterable[str]) -> None:
    for key in keys:
        if key not in known:
            document.refuse((*path, key), f"unknown key; the nearest known is {_nearest(key, known)}")


def _refuse_tool(document: Document, path: Path, tools: frozenset[str]) -> NoReturn:
    document.refuse(path, f"unknown tool; the nearest known is {_nearest(str(path[-1]), tools)}", "unknown-tool")


def _refuse_short_form(document: Document, path: Path, value: Data) -> None:
    if not isinstance(value, dict):
        document.refuse(path, 'must be a mapping; to mean everything write the pattern out: {"*": allow}')


def _switches(document: Document, known: frozenset[str]) -> tuple[dict[str, bool], tuple[str, ...]]:
    """Our switches, and notes on the rest; our own name beats a foreign one, of two foreign ones off wins."""
    ours: dict[str, bool] = {}
    foreign: dict[str, bool] = {}
    notes = []
    tools = document.data.get("tools", {})
    for tool, on in tools.items() if isinstance(tools, dict) else ():
        if not isinstance(on, bool):
            document.refuse(("tools", tool), "must be true or false, without quotes")
        if tool in known:
            ours[tool] = on
        elif tool not in FOREIGN_TOOLS:
            _refuse_tool(document, ("tools", tool), known)
        elif (same := FOREIGN_TOOLS[tool]) is None:
            notes.append(f"the tool {tool} has no counterpart here")
        else:
            foreign[same] = on and foreign.get(same, True)
    return foreign | ours, tuple(notes)


def _model(value: Data) -> dict[str, Data]:
    if not isinstance(value, str) or OUR_MODEL.fullmatch(value):
        return {"model": value}
    return {"model": None, "model_hint": value}


def _written(data: Data, location: Path) -> Path:
    """Where the file has what pydantic names: it counts the pairs of a mapping that the file knows by key."""
    path: list[str | int] = []
    steps = iter(location)
    for step in steps:
        if isinstance(data, dict) and isinstance(step, int):
            step = list(data)[step]
            next(steps, None)
        path.append(step)
        if isinstance(data, dict) and isinstance(step, str):
            data = data.get(step)
        elif isinstance(data, list) and isinstance(step, int):
            data = data[step]
    return tuple(path)
