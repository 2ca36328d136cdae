"""HTML in which every text is escaped, and the things it is shown as."""

from collections.abc import Iterable, Sequence
from html import escape

from backend_coordinator.cli.output import columns, plain

# Tints over the page's own colours, so that a dark page needs no rules of its own.
_STYLE = """
.bc{font:13px/1.5 system-ui,sans-serif;overflow-x:auto} .bc p{margin:6px 0} .bc summary{cursor:pointer;margin-top:4px}
.bc table{border-collapse:collapse;margin:0;font-size:13px} .bc tr{background:none!important}
.bc th,.bc td{text-align:left!important;vertical-align:baseline;padding:4px 14px 4px 0!important;max-width:36em;
overflow-wrap:break-word;border:0;border-bottom:1px solid rgba(128,128,128,.3)} .bc td:first-child{white-space:nowrap}
.bc i{display:inline-block;font:12px/1.4 monospace;min-width:3em;margin:2px 4px 2px 0;padding:2px 5px;text-align:center;
border:1px solid transparent;border-radius:4px;white-space:nowrap}
.bc .pass,.bc .merged,.bc .plus{background:rgba(46,160,67,.3)} .bc .waived{background:rgba(210,153,34,.4)}
.bc .fail,.bc .given_up,.bc .minus{background:rgba(218,54,51,.35)} .bc .unknown{border:1px dashed currentColor}
.bc .not_applicable,.bc .faint{opacity:.6} .bc pre{font:12px/1.45 monospace;margin:0;max-height:28em;overflow:auto}
.bc pre div{min-width:max-content;padding:0 6px} .bc svg{font:12px system-ui,sans-serif;fill:currentColor}
.bc rect{fill:rgba(128,128,128,.12);stroke:currentColor;stroke-opacity:.4} .bc .main,.bc .main rect{stroke-opacity:1}
.bc path{fill:none;stroke:currentColor;stroke-opacity:.5} .bc .main{stroke-width:2.2}
"""


class Markup(str):
    """Markup as it stands; every other text is escaped."""


class Shown:
    """Something to look at: HTML in a notebook, `text` wherever it is printed."""

    def __init__(self, text: str, *inside: str) -> None:
        self.text = plain(text)
        self._html = tag("div", Markup(f"<style>{_STYLE}</style>"), *inside, class_="bc")

    def _repr_html_(self) -> str:
        return self._html

    def __repr__(self) -> str:
        return self.text


def join(parts: Iterable[str]) -> Markup:
    """The parts in a row, each escaped unless it is markup."""
    return Markup("".join(part if isinstance(part, Markup) else escape(part) for part in parts))


def tag(name: str, *inside: str, **attributes: object) -> Markup:
    """One element; an attribute may end in `_` where its name is a word of Python."""
    told = "".join(f' {key.rstrip("_")}="{escape(str(value))}"' for key, value in attributes.items())
    return Markup(f"<{name}{told}>{join(inside)}</{name}>")


def rows(cells: Iterable[Sequence[str]], *heading: str) -> Markup:
    """A table."""
    head = tag("tr", *(tag("th", name) for name in heading))
    return tag("table", head, *(tag("tr", *(tag("td", cell) for cell in row)) for row in cells))


def table(cells: Sequence[Sequence[str]], *heading: str) -> Shown:
    """A table, as text in aligned columns."""
    return Shown(columns([heading, *cells]), rows(cells, *heading))


def chip(text: str, kind: str, hover: str = "") -> Markup:
    """A short text on the tint of its kind, such as `pass` or `merged`."""
    return tag("i", text, class_=kind, title=hover)
