"""Two versions of a contract, read from text and compared: OpenAPI 3, Swagger 2.0 or GraphQL type definitions."""

from typing import TypeAlias

from graphql import GraphQLSchema

from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.gates.breaking import changes
from backend_coordinator.nodes.gates.breaking_change import Change
from backend_coordinator.nodes.gates.breaking_graphql import graphql_changes, is_sdl, sdl
from backend_coordinator.nodes.gates.openapi import Document, ForeignReference, load
from backend_coordinator.nodes.gates.swagger import converted

_BROKEN = (AttributeError, KeyError, RecursionError, TypeError, ValueError)
"""What a document that is wrong enough makes the code stumble over."""
Contract: TypeAlias = Document | GraphQLSchema


def read_contract(name: str, text: str) -> Contract:
    """The contract in a text; raises ConfigurationError that names the file and why it cannot be compared.

    A reference to another file, or to nowhere, is refused: what stands there cannot be judged.
    """
    try:
        return sdl(text) if is_sdl(name) else _document(name, text)
    except (*_BROKEN, ForeignReference) as error:
        msg = f"{name} cannot be compared: {error}"
        raise ConfigurationError(msg) from error


def contract_changes(before: Contract, after: Contract) -> tuple[Change, ...]:
    """Every change that callers can notice; raises ConfigurationError for what cannot be compared."""
    if isinstance(before, Document) and isinstance(after, Document):
        try:
            return changes(before, after)
        except _BROKEN as error:
            msg = f"{before.path} and {after.path} cannot be compared: {type(error).__name__} {error}"
            raise ConfigurationError(msg) from error
    if isinstance(before, GraphQLSchema) and isinstance(after, GraphQLSchema):
        return graphql_changes(before, after)
    msg = "one contract is OpenAPI and the other GraphQL: there is nothing to compare"
    raise ConfigurationError(msg)


def _document(name: str, text: str) -> Document:
    document = load(name, text)
    if reason := document.content.get("unreadable"):
        raise ValueError(str(reason))
    if str(document.content.get("swagger")).startswith("2"):
        document = Document(name, converted(document.content))
    version = str(document.content.get("openapi", "")) or "missing"
    if not version.startswith("3."):
        msg = f"its version is {version}; OpenAPI 3, Swagger 2.0 and GraphQL type definitions are understood"
        raise ValueError(msg)
    for reference in document.references():
        if not reference.startswith("#"):
            raise ForeignReference(f"$ref {reference} leaves the document: bundle the files into one")
        if document.at(reference) is None:
            raise ValueError(f"$ref {reference} leads nowhere")
    return document
