"""Whether the credentials that opened an operation still do."""

from collections.abc import Iterator

from backend_coordinator.nodes.gates.openapi import Document, Node, Operation, as_list, as_node

_IDENTITY = ("type", "in", "name", "scheme")
_Way = dict[str, frozenset[str]]


def security_changes(
    before: Document, after: Document, old: Operation, new: Operation
) -> Iterator[tuple[str, str, bool]]:
    """Rule, message and whether it breaks: every way in that was must still be one, with no further scope."""
    was, now = _ways(before, old.content), _ways(after, new.content)
    for way in was:
        if any(_opens(way, other) for other in now):
            continue
        if not way:
            yield "security-required", "now asks for credentials", True
        elif lacking := next((sorted(_lacking(way, other)) for other in now if way.keys() == other.keys()), None):
            yield "security-scope-added", f"now asks for the scope {', '.join(lacking)}", True
        else:
            yield "security-way-removed", f"no longer takes {' with '.join(sorted(way))} alone", True
    for way in now:
        if not any(_opens(way, other) for other in was):
            what = " with ".join(sorted(way)) or "no credentials"
            yield "security-way-added", f"may be called with {what}", False


def changed_schemes(before: Document, after: Document) -> Iterator[str]:
    """The names of schemes in use that ask for credentials of another kind or in another place than before."""
    was, now = (as_node(as_node(d.content.get("components")).get("securitySchemes")) for d in (before, after))
    used = {name for operation in before.operations for way in _ways(before, operation.content) for name in way}
    for name in sorted(used & was.keys() & now.keys()):
        old, new = before.resolve(was[name]), after.resolve(now[name])
        if any(old.get(key) != new.get(key) for key in _IDENTITY):
            yield name


def _ways(document: Document, operation: Node) -> list[_Way]:
    listed = as_list(operation.get("security", document.content.get("security")))
    ways = [{str(k): frozenset(map(str, as_list(v))) for k, v in as_node(way).items()} for way in listed]
    return ways or [{}]


def _opens(way: _Way, lock: _Way) -> bool:
    return all(name in way and scopes <= way[name] for name, scopes in lock.items())


def _lacking(way: _Way, lock: _Way) -> frozenset[str]:
    return frozenset().union(*(scopes - way.get(name, frozenset()) for name, scopes in lock.items()))
