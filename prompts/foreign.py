"""The lenient reader of agents written for other products: what is no plain YAML is read line by line."""

import re
from dataclasses import dataclass

from backend_coordinator.prompts.frontmatter import Data, FrontMatterError, read

_KEY = re.compile(r"""(["']?)([A-Za-z_][\w.-]*)\1\s*:(?=\s|$)""")
_NAMED = re.compile(r"[a-z][A-Za-z_-]*\Z")
_SPOKEN = frozenset({"user", "assistant", "context", "commentary", "example", "examples", "note"})
"""Words before a colon in the dialogues that descriptions quote."""
_RARE_ENDS = re.compile("[\x85\u2028\u2029]")
"""Ends of lines to YAML, which nobody means so."""
_UNSEEN = re.compile(r"[^\t\n\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True, slots=True)
class Foreign:
    """An agent's fields in the order written, its text, and what was odd about reading them."""

    fields: dict[str, Data]
    body: str
    remarks: tuple[str, ...] = ()


def read_foreign(text: str) -> Foreign:
    """Fields and text of a file; without front matter all of it is text. Nothing in a file is an error."""
    text = _RARE_ENDS.sub(" ", text.replace("\r\n", "\n").replace("\r", "\n"))
    text = _UNSEEN.sub("", text).removeprefix("\ufeff").lstrip()
    lines = text.split("\n")
    end = next((i for i, line in enumerate(lines) if i and line.rstrip() == "---"), None)
    if lines[0].rstrip() != "---" or end is None:
        return Foreign({}, text.strip(), ("it has no front matter",))
    body = "\n".join(lines[end + 1 :]).strip()
    try:
        return Foreign(read(text, "").data, body)
    except FrontMatterError as error:
        odd = f"its front matter is no plain YAML (line {error.line}: {error.problem}): read line by line"
        fields, remarks = _by_lines(lines[1:end])
        return Foreign(fields, body, (odd, *remarks))


def _by_lines(lines: list[str]) -> tuple[dict[str, Data], tuple[str, ...]]:
    """Each key with the lines below it, and remarks on what could have been meant otherwise."""
    chunks: dict[str, list[str]] = {}
    remarks = dict[str, None]()
    key = ""
    for line in lines:
        found = _KEY.match(line)
        if found and key == "description" and _is_spoken(found[2]):
            remarks[f"{found[2]}: is read as part of the description, not as a field"] = None
        elif found:
            key = found[2]
            if key in chunks:
                remarks[f"{key}: stands there twice, the last one counts"] = None
            chunks[key] = []
            line = line[found.end() :]
        if key and not line.startswith("#"):
            chunks[key].append(line)
    return {key: _value(chunk) for key, chunk in chunks.items()}, tuple(remarks)


def _is_spoken(word: str) -> bool:
    return word.lower() in _SPOKEN or not _NAMED.match(word)


def _value(chunk: list[str]) -> Data:
    """What stands behind a key: as YAML where it is that, else its words."""
    text = "\n".join(chunk).expandtabs(2)
    try:
        return read(f"---\nkey: {text}\n---", "").data["key"]
    except (FrontMatterError, KeyError):
        words = " ".join(text.split())
        return words[1:-1] if len(words) > 1 and words[0] == words[-1] and words[0] in "\"'" else words
