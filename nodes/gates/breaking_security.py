"""Whether the credentials that opened an operation still do."""

from collections.abc import Iterator

from backend_coordinator.nodes.gates.openapi import Document, Node, Operation, as_list, as_node

_IDENTITY = ("type", "in", "name", "scheme")
_Way = dict[str, frozenset[str]]


def security_changes(
    before: Document, after: Document, old: Operation, new: Operation
) -> Iterator[tuple[str, str, bool]]:
    """Rule, message and whether it breaks: every way in that was must still be one, with no further scope."""
    names = _renamed(before, after)
    was, now = (
        _ways(before, old.content),
        [{names.get(name, name): scopes for name, scopes in way.items()} for way in _ways(after, new.content)],
    )
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
    was, now = _schemes(before), _schemes(after)
    used = {name for operation in before.operations for way in _ways(before, operation.content) for name in way}
    for name in sorted(used & was.keys() & now.keys()):
        if was[name] != now[name]:
            yield name


def _renamed(before: Document, after: Document) -> dict[str, str]:
    """New names of schemes and the old ones, which are gone, of the same kind in the same place."""
    was, now = _schemes(before), _schemes(after)
    gone = {scheme: name for name, scheme in was.items() if name not in now}
    return {name: gone[scheme] for name, scheme in now.items() if name not in was and scheme in gone}


def _schemes(document: Document) -> dict[str, tuple[str, ...]]:
    """What identifies each scheme; schemes of HTTP and names of headers have no case."""
    listed = as_node(as_node(document.content.get("components")).get("securitySchemes"))
    found = {}
    for name, scheme in listed.items():
        said = {key: str(document.resolve(scheme).get(key, "")) for key in _IDENTITY}
        said["scheme"] = said["scheme"].lower()
        said["name"] = said["name"].lower() if said["in"] == "header" else said["name"]
        found[name] = tuple(said.values())
    return found


def _ways(document: Document, operation: Node) -> list[_Way]:
    listed = as_list(operation.get("security", document.content.get("security")))
    ways = [{str(k): frozenset(map(str, as_list(v))) for k, v in as_node(way).items()} for way in listed]
    return ways or [{}]


def _opens(way: _Way, lock: _Way) -> bool:
    return all(name in way and scopes <= way[name] for name, scopes in lock.items())


def _lacking(way: _Way, lock: _Way) -> frozenset[str]:
    return frozenset().union(*(scopes - way.get(name, frozenset()) for name, scopes in lock.items()))
