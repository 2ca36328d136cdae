"""Long texts by their outline: what a packet shows of an item whose rest is read by range."""

import re

ABOVE = 400
"""Estimated tokens up to which a text goes in whole: its outline and one call to read on would cost no less."""
_PART = 320
"""Characters that one line of an outline stands for, where the text is not longer than `_MOST_PARTS` of them."""
_FEWEST_PARTS, _MOST_PARTS = 4, 20
_LEAD = 44
"""Characters shown of the beginning of a part."""
_HEADING = re.compile(r"^#{1,6}[ \t]+\S", re.MULTILINE)
_PARAGRAPH = re.compile(r"(?:\A|\n[ \t]*\n)\s*(?=\S)")
_LINE = re.compile(r"^(?=[^\n]*\S)", re.MULTILINE)


def outline(text: str, name: str) -> str:
    """Where each part of a text begins, in characters, and its first words; `name` is what `recall` is given."""
    parts = "\n".join(f"{start}: {_lead(text, start)}" for start in _starts(text))
    return f'{len(text)} characters, recall call="{name}" reads on from an offset:\n{parts}'


def pointer(text: str, name: str) -> str:
    """One line in the place of a text."""
    return f'{len(text)} characters: recall call="{name}" reads them'


def _starts(text: str) -> list[int]:
    """Headings, else paragraphs, else lines, evenly thinned out."""
    fewest, most = 2, min(_MOST_PARTS, max(_FEWEST_PARTS, len(text) // _PART))
    kinds = ([found.end() - len(found[0].lstrip()) for found in each.finditer(text)] for each in (_HEADING, _PARAGRAPH))
    starts = next((found for found in kinds if len(found) >= fewest), [f.start() for f in _LINE.finditer(text)])
    return sorted({0, *(starts[index * len(starts) // most] for index in range(most) if starts)})


def _lead(text: str, start: int) -> str:
    line = " ".join(text[start : start + 4 * _LEAD].split("\n")[0].lstrip("#*- \t").split())
    return line if len(line) <= _LEAD else line[:_LEAD].rpartition(" ")[0] or line[:_LEAD]
