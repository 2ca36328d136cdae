"""What changed between two OpenAPI documents for those who call the API, and which of it breaks them."""

import datetime
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from urllib.parse import urlsplit

from backend_coordinator.nodes.gates.breaking_change import EACH, Change, worded
from backend_coordinator.nodes.gates.breaking_schemas import Comparison
from backend_coordinator.nodes.gates.breaking_security import changed_schemes, security_changes
from backend_coordinator.nodes.gates.breaking_shapes import kinds, whole
from backend_coordinator.nodes.gates.openapi import Document, Node, Operation, as_list, as_node, server_urls, unnamed


def breaks(before: Document, after: Document) -> tuple[str, ...]:
    """The places where a caller written for `before` can fail with `after`, one line each, in order."""
    return tuple(str(change) for change in changes(before, after) if change.breaking)


def changes(before: Document, after: Document) -> tuple[Change, ...]:
    """Every change that callers can notice, in the order of the documents; what was deprecated may go.

    Source: API Contract Coordination, breaking changes are found by code and not by a model's judgement.
    """
    found = [*_servers(before, after)]
    for name in changed_schemes(before, after):
        found.append(Change("security-scheme-changed", "", f"security scheme {name}", "is another one"))
    pairs = _pairs(before.operations, after.operations, before.server, after.server)
    for old, new in pairs:
        found += _operation(before, after, old, new) if new else [_gone(old)]
    known = {new.key for _, new in pairs if new}
    found += [Change("operation-added", "", str(o), "is new", False) for o in after.operations if o.key not in known]
    found += _called_back(before, after, "webhook", _hooks(before), _hooks(after))
    return tuple(dict.fromkeys(found))


def _pairs(
    before: tuple[Operation, ...], after: tuple[Operation, ...], was: str, now: str
) -> list[tuple[Operation, Operation | None]]:
    """Each old operation with the one at its full path, else with the one that only the server's path moved."""
    kept = {operation.key: operation for operation in after}
    taken = {operation.key for operation in before}
    moved = {(o.method, unnamed(o.path.removeprefix(now))): o for o in after if o.key not in taken}
    return [(o, kept.get(o.key) or moved.get((o.method, unnamed(o.path.removeprefix(was))))) for o in before]


def _servers(before: Document, after: Document) -> Iterator[Change]:
    urls = [server_urls(d.content.get("servers")) for d in (before, after)]
    paths = {urlsplit(url).path.rstrip("/") for url in urls[1]} or {""}
    pairs = _pairs(before.operations, after.operations, before.server, after.server)
    moved = [new for old, new in pairs if new and new.key != old.key]
    if moved and before.server not in paths:
        message = f"is {after.server or '/'} instead of {before.server or '/'}"
        yield Change("base-path-changed", "", "the server's path", message, bool(urls[0]))
    gone = [url for url in urls[0] if url not in urls[1]]
    yield from (Change("server-removed", "", f"server {url}", "is gone", False) for url in gone)


def _gone(old: Operation) -> Change:
    sunset = str(old.content.get("x-sunset", ""))[:10]
    if not old.content.get("deprecated"):
        return Change("operation-removed", "", str(old), "is gone")
    # Dates as text compare as dates; what is no date announces nothing.
    if re.fullmatch(r"\d{4}-\d\d-\d\d", sunset) and sunset > datetime.datetime.now(datetime.UTC).date().isoformat():
        return Change("operation-removed-early", "", str(old), f"is gone before {sunset}")
    return Change("deprecated-operation-removed", "", str(old), "is gone", False)


def _operation(before: Document, after: Document, old: Operation, new: Operation) -> Iterator[Change]:
    look = _Look(before, after, str(old))
    if old.name and old.name != new.name:
        yield Change("operation-id-changed", str(old), "", f"is no longer named {old.name}", False)
    if new.content.get("deprecated") and not old.content.get("deprecated"):
        yield Change("operation-deprecated", str(old), "", "is deprecated", False)
    yield from look.parameters(old, new)
    yield from look.body(old.content, new.content)
    for rule, message, breaking in security_changes(before, after, old, new):
        yield Change(rule, str(old), "", message, breaking)
    yield from look.answers(*(_statuses(operation) for operation in (old, new)))
    hooks = [_callbacks(d, o) for d, o in ((before, old), (after, new))]
    yield from _called_back(before, after, f"{old}: callback", *hooks)


@dataclass(frozen=True)
class _Look:
    """Two documents and the operation that is looked at in both."""

    before: Document
    after: Document
    operation: str

    def parameters(self, old: Operation, new: Operation) -> Iterator[Change]:
        was, now = _by_place(old), _by_place(new)
        for place, parameter in now.items():
            where, required = _titled(parameter), bool(parameter.get("required")) or place[0] == "path"
            if place not in was:
                rule, message = ("required-parameter-added", "is new and required") if required else ("", "is new")
                yield Change(rule or "parameter-added", self.operation, where, message, required)
            else:
                yield from self._parameter(was[place], parameter, where)
        for place, parameter in was.items():
            if place not in now:
                deprecated = bool(parameter.get("deprecated"))
                rule = "deprecated-parameter-removed" if deprecated else "parameter-removed"
                yield Change(rule, self.operation, _titled(parameter), "is gone", not deprecated)

    def _parameter(self, old: Node, new: Node, where: str) -> Iterator[Change]:
        if bool(new.get("required")) != bool(old.get("required")) and new.get("in") != "path":
            now = bool(new.get("required"))
            rule, message = ("required", "became required") if now else ("optional", "became optional")
            yield Change(f"parameter-became-{rule}", self.operation, where, message, now)
        if self._written_otherwise(old, new):
            yield Change("parameter-style-changed", self.operation, where, "is written in another style")
        media = [next(iter(as_node(p.get("content")).values()), p) for p in (old, new)]
        repeated = "schema" in new and _style(new) == ("form", True)
        schemas = [as_node(m).get("schema", {}) for m in media]
        text = "schema" in new
        yield from self.schemas(schemas[0], schemas[1], where, sent=True, text=text, repeated=repeated)

    def _written_otherwise(self, old: Node, new: Node) -> bool:
        """Whether what was right in the old way no longer is; how a list is spread says nothing about one value."""
        if "content" in old or "content" in new:
            return not ("content" in old and "content" in new)
        (style, spread), (other, spread_now) = _style(old), _style(new)
        nested = kinds(self.before, whole(self.before, old.get("schema", {}))) & {"array", "object"}
        reserved = old.get("allowReserved") and not new.get("allowReserved")
        return style != other or bool(reserved) or (bool(nested) and spread != spread_now)

    def body(self, old: Node, new: Node) -> Iterator[Change]:
        was, now = self.before.resolve(old.get("requestBody")), self.after.resolve(new.get("requestBody"))
        required, had = bool(now.get("required")), bool(was.get("required"))
        if was and not now:
            yield Change("body-removed", self.operation, "the body", "is gone")
            return
        if now and not was:
            rule, message = ("required-body-added", "became required") if required else ("body-added", "is new")
            yield Change(rule, self.operation, "the body", message, required)
            return
        if required != had:
            name = "required" if required else "optional"
            yield Change(f"body-became-{name}", self.operation, "the body", f"became {name}", required)
        yield from self.media(was, now, "the body", sent=True)

    def answers(self, old: Node, new: Node) -> Iterator[Change]:
        for status in sorted(old):
            ranges = (f"{status[0]}XX", f"{status[0]}xx")
            within = [s for s in sorted(new) if status in ranges and s[0] == status[0]]
            now = next((s for s in (status, *ranges, *within) if s in new), None)
            was = self.before.resolve(old[status])
            if now is None:
                breaking = status[0] in "23"
                rule = "status-removed" if breaking else "error-status-removed"
                yield Change(rule, self.operation, "", f"no longer answers {status}", breaking)
            else:
                yield from self._headers(was, self.after.resolve(new[now]), status)
                yield from self.media(was, self.after.resolve(new[now]), f"the answer {status}", sent=False)
        for status in sorted(set(new) - set(old)):
            yield Change("status-added", self.operation, "", f"may now answer {status}", False)

    def _headers(self, old: Node, new: Node, status: str) -> Iterator[Change]:
        was, now = ({k.lower(): v for k, v in as_node(n.get("headers")).items()} for n in (old, new))
        for name, described in was.items():
            where = f"header {name} of the answer {status}"
            if name not in now:
                yield Change("response-header-removed", self.operation, where, "is gone")
                continue
            header, other = self.before.resolve(described), self.after.resolve(now[name])
            if header.get("required") and not other.get("required"):
                yield Change("response-header-became-optional", self.operation, where, "may now be absent")
            yield from self.schemas(header.get("schema", {}), other.get("schema", {}), where, sent=False)
        added = [name for name in now if name not in was]
        for name in added:
            yield Change(
                "response-header-added", self.operation, f"header {name} of the answer {status}", "is new", False
            )

    def media(self, old: Node, new: Node, where: str, *, sent: bool) -> Iterator[Change]:
        """Content types and their schemas."""
        was, now, side = as_node(old.get("content")), as_node(new.get("content")), "request" if sent else "response"
        for kind, described in was.items():
            match = kind if kind in now else next((other for other in now if _covered(kind, other, sent)), None)
            if match is None:
                message = f"may no longer be {kind}" if sent else f"is no longer {kind}"
                yield Change(f"{side}-media-type-removed", self.operation, where, message)
                continue
            pair = [as_node(media).get("schema", {}) for media in (described, now[match])]
            text = sent and ("form" in kind or kind.startswith("text/"))
            yield from self.schemas(pair[0], pair[1], where, sent=sent, text=text)
            yield from self._encodings(as_node(described), as_node(now[match]), where, side, sent=sent)
        added = [kind for kind in now if not any(_same_media(kind, other) for other in was)]
        for kind in added:
            yield Change(f"{side}-media-type-added", self.operation, where, f"may now be {kind}", False)

    def _encodings(self, old: Node, new: Node, where: str, side: str, *, sent: bool) -> Iterator[Change]:
        """Content types of the parts of a form, where both documents say them."""
        was, now = (as_node(media.get("encoding")) for media in (old, new))
        for name in was.keys() & now.keys():
            listed = [
                [kind.strip() for kind in str(as_node(e[name]).get("contentType", "")).split(",")] for e in (was, now)
            ]
            for kind in listed[0]:
                if all(listed[1]) and kind and not any(_covered(kind, other, sent) for other in listed[1]):
                    message = f"may no longer be {kind}" if sent else f"is no longer {kind}"
                    yield Change(f"{side}-media-type-removed", self.operation, f"part {name} of {where}", message)

    def schemas(
        self, old: object, new: object, where: str, *, sent: bool, text: bool = False, repeated: bool = False
    ) -> Iterator[Change]:
        """What a new schema takes less or more than the old one."""
        forward = Comparison(self.before, self.after, sent, True, text, repeated)
        backward = replace(forward, giving=self.after, taking=self.before, forward=False, seen={})
        breaking = forward.refused(old, new, where) if sent else backward.refused(new, old, where)
        broken = [*breaking]
        yield from (worded(self.operation, refusal, sent=sent, breaking=True) for refusal in broken)
        borne = backward.refused(new, old, where) if sent else forward.refused(old, new, where)
        told = {(refusal.kind, refusal.place) for refusal in broken if refusal.kind not in EACH}
        for refusal in borne:
            if (refusal.kind, refusal.place) not in told:
                yield worded(self.operation, refusal, sent=sent, breaking=False)


def _called_back(
    before: Document, after: Document, what: str, old: Mapping[str, Node], new: Mapping[str, Node]
) -> Iterator[Change]:
    """Calls that the API makes: what it sends there is an answer to those who listen, and the other way round."""
    rule = what.rpartition(" ")[2]
    for name, operation in old.items():
        if name not in new:
            yield Change(f"{rule}-removed", "", f"{what} {name}", "is gone")
            continue
        look, bodies = _Look(before, after, f"{what} {name}"), (operation, new[name])
        was, now = (d.resolve(o.get("requestBody")) for d, o in zip((before, after), bodies, strict=True))
        yield from look.media(was, now, "the body", sent=False)
    yield from (Change(f"{rule}-added", "", f"{what} {name}", "is new", False) for name in new if name not in old)


def _hooks(document: Document) -> dict[str, Node]:
    return _calls(document, "", document.content.get("webhooks"))


def _callbacks(document: Document, operation: Operation) -> dict[str, Node]:
    named = as_node(operation.content.get("callbacks"))
    return {k: v for name in named for k, v in _calls(document, f"{name} ", document.resolve(named[name])).items()}


def _calls(document: Document, prefix: str, paths: object) -> dict[str, Node]:
    content = {
        "openapi": document.content.get("openapi"),
        "paths": paths,
        "components": document.content.get("components"),
    }
    return {f"{prefix}{o.method} {o.path}": o.content for o in Document(document.path, content).operations}


def _by_place(operation: Operation) -> dict[tuple[str, str], Node]:
    """Parameters by kind and name; those of the path have no name for callers, only a position."""
    positions = re.findall(r"\{([^}]*)\}", operation.path)
    found = {}
    for parameter in map(as_node, as_list(operation.content.get("parameters"))):
        place, name = str(parameter.get("in")), str(parameter.get("name"))
        if place == "header" and name.lower() in {"accept", "authorization", "content-type"}:
            continue  # OpenAPI says that these are ignored
        key = name.lower() if place == "header" else name
        found[place, str(positions.index(name)) if name in positions and place == "path" else key] = parameter
    return found


def _statuses(operation: Operation) -> dict[str, object]:
    """Answers by status, extensions left out."""
    responses = as_node(operation.content.get("responses"))
    return {status: answer for status, answer in responses.items() if status and not status.startswith("x-")}


def _titled(parameter: Node) -> str:
    return f"{parameter.get('in')} parameter {parameter.get('name')}"


def _style(parameter: Node) -> tuple[str, bool]:
    style = str(parameter.get("style", "form" if parameter.get("in") in {"query", "cookie"} else "simple"))
    return style, bool(parameter.get("explode", style == "form"))


def _covered(kind: str, other: str, sent: bool) -> bool:
    """Whether callers that sent `kind` may send it to `other`, or that take `kind` can take `other`."""
    return _same_media(kind, other) if sent else _same_media(other, kind)


def _same_media(kind: str, other: str) -> bool:
    """Whether a content type is the other, or one of the range the other names; a charset makes no difference."""
    one, two = (re.sub(r";\s*charset=[^;]*", "", k.lower()).replace(" ", "") for k in (kind, other))
    return one == two or two == "*/*" or (two.endswith("/*") and one.startswith(two[:-1]))
