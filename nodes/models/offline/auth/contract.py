"""The OpenAPI contract of /auth, alone or joined to the contract of a repository."""

from collections.abc import Mapping
from typing import Any

import yaml

from backend_coordinator.nodes.models.offline.contract import read_contract
from backend_coordinator.nodes.models.offline.templates import template

_WRITTEN_OUT = ("requestBodies", "responses")


def contract(existing: str) -> str:
    """The contract; what `existing` says about other paths stays as it is.

    Raises ValueError when it already describes one of these paths or schemas in another way.
    """
    document, ours = dict(read_contract(existing)), read_contract(template("auth/openapi"))
    shared = ours["components"]
    parts = document.get("components")
    joined = dict(parts) if isinstance(parts, dict) else {}
    for kind in ("securitySchemes", "schemas"):
        joined[kind] = _joined(joined.get(kind), shared[kind])
    added = {
        "paths": _joined(document.get("paths"), _written_out(ours["paths"], shared)),
        "components": joined,
    }
    if existing and {**document, **added} == document:
        return existing
    return yaml.safe_dump({**ours, **document, **added}, sort_keys=False, allow_unicode=True, width=100)


def _written_out(node: Any, shared: Mapping[str, Any]) -> Any:
    """Answers and bodies in their places, where every reader of contracts looks for them."""
    if isinstance(node, list):
        return [_written_out(part, shared) for part in node]
    if not isinstance(node, dict):
        return node
    kind, _, name = str(node.get("$ref", "")).removeprefix("#/components/").partition("/")
    if kind in _WRITTEN_OUT:
        return _written_out(shared[kind][name], shared)
    plain = {key: _written_out(part, shared) for key, part in node.items() if key != "errors"}
    if "errors" in node:
        refusals = {
            str(status): {**_written_out(shared["errors"][status], shared), **_error()} for status in node["errors"]
        }
        plain["responses"] = {**plain["responses"], **refusals}
    return plain


def _error() -> Mapping[str, object]:
    return {"content": {"application/json": {"schema": {"$ref": "#/components/schemas/AuthErrorResponse"}}}}


def _joined(theirs: object, ours: object) -> dict[str, object]:
    known = dict(theirs) if isinstance(theirs, dict) else {}
    assert isinstance(ours, dict)
    for name, shape in ours.items():
        if known.setdefault(name, shape) != shape:
            raise ValueError(f"The contract already describes {name} in another way.")
    return known
