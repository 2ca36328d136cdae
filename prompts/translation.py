"""What each field of a foreign agent becomes here, and the report of it."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Literal, get_args

from backend_coordinator.domain.roster import Decision, Role
from backend_coordinator.prompts.foreign_rules import Table, decisions, patterns, stricter
from backend_coordinator.prompts.frontmatter import Data
from backend_coordinator.prompts.specialist_file import JUDGED, OUR_MODEL

Fate = Literal["taken", "translated", "chosen", "kept as a note", "dropped"]
EVERYTHING = ("read", "grep", "glob", "list", "write", "edit", "bash", "webfetch")
"""What an agent may use whose file says nothing about tools."""
LONGEST_DESCRIPTION = 300
"""Characters: every plan names everybody with a description."""
_TOOLS = {
    "read": "read", "notebookread": "read", "grep": "grep", "glob": "glob", "ls": "list", "list": "list",
    "write": "write", "edit": "edit", "multiedit": "edit", "notebookedit": "edit", "patch": "edit",
    "apply_patch": "edit", "bash": "bash", "bashoutput": "bash", "killbash": "bash", "killshell": "bash",
    "webfetch": "webfetch", "fetch": "webfetch", "todowrite": "todo", "todoread": "todo",
}  # fmt: skip
_NO_TOOL = {
    "task": "specialists never delegate", "agent": "specialists never delegate",
    "websearch": "nothing searches the web here; `report_need` asks for research",
    "skill": "there are no skills here", "question": "a need asks the coordinator instead",
    "askuserquestion": "a need asks the coordinator instead",
}  # fmt: skip
_ON = frozenset({"true", "on", "yes", "allow"})
_LATER = "the limits of a task are in the settings"
_NOTED = {
    "permissionMode": "the permission rules decide here", "skills": "there are no skills here; put them in the text",
    "mcpServers": "MCP tools have no counterpart here", "hooks": "hooks have no counterpart here",
    "memory": "decisions and conventions are the memory of a run", "maxTurns": _LATER, "steps": _LATER,
    "maxSteps": _LATER, "effort": "a task has its own effort",
}  # fmt: skip
_SHOW = "it only concerns how the other product shows or starts agents"
_DROPPED = {
    **dict.fromkeys(("color", "colour", "hidden", "background", "initialPrompt", "icon", "emoji", "mode"), _SHOW),
    "isolation": "every task has a worktree of its own", "top_p": "only the temperature is set here",
    "version": "files have their history in git", "license": "it stays with the source",
}  # fmt: skip
_NAME = re.compile(r"[\w.*:/-]+")
_ALL = frozenset({"*", "**", "**/*"})


@dataclass(frozen=True, slots=True)
class Field:
    """One field of a foreign file, and what became of it."""

    key: str
    fate: Fate
    text: str


@dataclass
class Translated:
    """What the fields read so far make: switches and rules by tool, and the report of each field."""

    switches: dict[str, bool] = field(default_factory=dict)
    rules: dict[str, Table] = field(default_factory=dict)
    model: str | None = None
    temperature: float | None = None
    notes: list[str] = field(default_factory=list)
    report: list[Field] = field(default_factory=list)

    @property
    def role(self) -> Role:
        """Somebody without any tool answers questions."""
        return "specialist" if any(self.switches.values()) else "consultant"

    def say(self, key: str, fate: Fate, text: str) -> None:
        """Adds a line to the report."""
        self.report.append(Field(key, fate, text))


def translate(fields: Mapping[str, Data]) -> Translated:
    """All fields but name and description; every one of them is in the report."""
    made = Translated()
    spoken = [key for key in fields if key in _GRANTING]
    tables = [_granted(made, key, fields[key]) for key in spoken]
    made.switches = {tool: all(table.get(tool) for table in tables) for table in tables for tool in table}
    if not spoken:
        made.switches = dict.fromkeys(EVERYTHING, True)
        made.say("tools", "chosen", f"the file names none, which means all: {', '.join(EVERYTHING)}")
    for key, value in fields.items():
        if key in _READERS:
            _READERS[key](made, key, value)
        elif key not in {"name", "description", "prompt", *_GRANTING}:
            _rest(made, key, value)
    if made.switches.get("bash") and not made.rules.get("bash"):
        made.rules["bash"] = {"*": "ask"}
        made.say("permission", "chosen", "bash asks for every command: allow those that it needs")
    return made


def _granted(made: Translated, key: str, value: Data) -> dict[str, bool]:
    """Tools as words, a list, or a mapping of switches, in which `*` is the rest; without it the rest stays on."""
    if value is None or (not isinstance(value, dict) and [tool for tool, _ in _calls(value)] == ["*"]):
        value = {}
    if isinstance(value, dict):
        switches = dict.fromkeys(EVERYTHING, True)
        named = [(tool, "", str(on).lower() in _ON) for tool, on in value.items()]
    else:
        switches = {}
        named = [(tool, pattern, True) for tool, pattern in _calls(value)]
    without = list(_switch(made, switches, named))
    on, off = ([tool for tool, granted in switches.items() if granted is wanted] for wanted in (True, False))
    told = f"tools here: {', '.join(on) or 'none'}" + (f", off: {', '.join(off)}" if off else "")
    made.say(key, "translated", "; ".join((told, *without)))
    return switches


def _switch(made: Translated, switches: dict[str, bool], named: list[tuple[str, str, bool]]) -> Iterator[str]:
    """Switches what has a counterpart, what is off by its name staying off; yields a word on each tool without one."""
    off: set[str] = set()
    for tool, pattern, on in named:
        ours = _ours(tool)
        if not ours:
            yield f"{tool} dropped: {_missing(tool, 'no counterpart')}"
        some = pattern not in {"", "*"}
        judged = {"edit" if each == "write" else each for each in ours} & set(JUDGED)
        if ours and some and not judged:
            yield f"{tool}({pattern}) dropped: it has no rules here"
            continue
        switches |= dict.fromkeys(sorted(ours - off), on)
        off |= ours if not on and "*" not in tool else set()
        for each in sorted(judged) if some else ():
            made.rules.setdefault(each, {"*": "ask"}).update(dict.fromkeys(patterns(each, pattern), "allow"))
            yield f"{tool}({pattern}) allowed, the rest asks"


def _ours(tool: str) -> set[str]:
    """The tools here that a name, or a pattern of names, stands for."""
    return {ours for name, ours in _TOOLS.items() if fnmatchcase(name, tool.lower())}


def _missing(tool: str, otherwise: str) -> str:
    return _NO_TOOL.get(tool.lower(), "MCP tools have no counterpart" if "mcp" in tool else otherwise)


def _calls(value: Data) -> Iterator[tuple[str, str]]:
    """Names of tools, and what stands in the brackets behind each."""
    for each in list(value) if isinstance(value, (list, dict)) else [value]:
        text = str(each or "").strip("[]")
        word, depth = "", 0
        for letter in text + ")" * (text.count("(") - text.count(")")) + ",":
            if depth == 0 and (letter == "," or (word[-1:].isspace() and letter != "(" and not letter.isspace())):
                name, _, pattern = word.strip("\"' \n\t").partition("(")
                if _NAME.fullmatch(name.rstrip()):
                    yield name.rstrip(), pattern.removesuffix(")").strip()
                word = ""
            depth = max(0, depth + (letter == "(") - (letter == ")"))
            word += letter if letter != "," or depth else ""


def _deny(made: Translated, key: str, value: Data) -> None:
    said = []
    denied: dict[str, Table] = {}
    for tool, pattern in _calls(value):
        ours = _ours(tool)
        said += [] if ours else [f"{tool} is not there anyway"]
        for each in sorted(ours):
            if pattern in {"", "*"} or each not in JUDGED:
                made.switches[each] = False
                said.append(f"{each} switched off")
            else:
                denied.setdefault(each, {}).update(dict.fromkeys(patterns(each, pattern), "deny"))
                said.append(f"{tool}({pattern}) denied")
    for each, table in denied.items():
        made.rules[each] = stricter(made.rules.get(each, {"*": "ask"}), table)
    made.say(key, "translated", "; ".join(said) or "it names nothing")


def _permission(made: Translated, key: str, value: Data) -> None:
    """Decisions for a tool or for its patterns; of two ways to read their order the stricter one counts.

    `*` stands for every tool that is not named behind it.
    """
    said: list[str] = []
    tables: dict[str, Table] = {}
    named: set[str] = set()
    for tool, rows in _tables(value):
        ours = _ours(tool) - ({"write"} if "*" in tool else set())  # which goes with edit
        said += [] if ours else [f"{tool} dropped: {_missing(tool, 'no such rules here')}"]
        for each in sorted(ours):
            table = decisions(each, rows, said)
            before = tables.get(each, {})
            tables[each] = stricter(before, table) if each in named else before | table
        named |= ours if "*" not in tool else set()
    for each, table in tables.items():
        said += _ruled(made, each, table)
    made.say(key, "translated", "; ".join(dict.fromkeys(said)) or "it names nothing")


def _ruled(made: Translated, tool: str, table: Table) -> Iterator[str]:
    """Makes a tool's table its rules, or switches the tool off where there are none that say as much."""
    values = set(table.values())
    if tool not in JUDGED and values <= {"allow"}:
        yield f"{tool}: no such rules here"
    elif tool not in JUDGED or (values == {"deny"} and table.keys() & _ALL):
        made.switches |= dict.fromkeys(("edit", "write") if tool == "edit" else (tool,), False)
        yield f"{tool} switched off" + ("" if values == {"deny"} else ", as it has no rules here")
    elif table:
        rest = "" if table.keys() & _ALL else ", the rest as without rules"
        if tool == "bash" and rest:
            table, rest = {"*": "ask", **table}, ""
        made.rules[tool] = stricter(made.rules[tool], table) if tool in made.rules else table
        told = ", ".join(f"{pattern} {decision}" for pattern, decision in made.rules[tool].items())
        yield f"{tool}: {told}{rest} (here the most specific decides)"


def _tables(value: Data) -> Iterator[tuple[str, Mapping[str, Data]]]:
    """Each tool with its decisions by pattern; lists of calls by decision are another product's way to say it."""
    if not isinstance(value, dict):
        value = {} if value is None else {"*": value}
    if value.keys() & set(get_args(Decision)):
        for decision in get_args(Decision):
            calls: dict[str, dict[str, Data]] = {}
            for tool, pattern in _calls(value.get(decision)):
                calls.setdefault(tool, {})[pattern or "*"] = decision
            yield from calls.items()
        return
    for tool, rows in value.items():
        yield tool, rows if isinstance(rows, dict) else {"*": rows}


def _model(made: Translated, key: str, value: Data) -> None:
    if isinstance(value, str) and not OUR_MODEL.fullmatch(value):
        made.model = value
        made.say(key, "kept as a note", f"{value} is shown as a hint; the settings choose the model")
    else:
        made.say(key, "dropped", "it could be taken for a model of this product; the settings choose the model")


def _temperature(made: Translated, key: str, value: Data) -> None:
    if isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 2:
        made.temperature = float(value)
        made.say(key, "taken", str(made.temperature))
    else:
        made.say(key, "dropped", "it is no number from 0 to 2")


def _mode(made: Translated, key: str, value: Data) -> None:
    if value == "plan":
        made.switches |= dict.fromkeys(("write", "edit", "bash"), False)
        made.say(key, "translated", "plan: write, edit and bash are switched off")
    else:
        _rest(made, key, value)


def _rest(made: Translated, key: str, value: Data) -> None:
    if key in _DROPPED:
        made.say(key, "dropped", _DROPPED[key])
    else:
        made.notes.append(" ".join(f"{key}: {value}".split())[:LONGEST_DESCRIPTION])
        made.say(key, "kept as a note", f"a comment in the file: {_NOTED.get(key, 'it has no counterpart here')}")


_GRANTING = ("tools", "tool_access", "allowed-tools", "allowedTools")
_READERS: Mapping[str, Callable[[Translated, str, Data], None]] = {
    "disallowedTools": _deny,
    "permission": _permission,
    "permissions": _permission,
    "model": _model,
    "temperature": _temperature,
    "permissionMode": _mode,
}
