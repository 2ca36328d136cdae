"""What changed between two GraphQL schemas for those who query them; the rules are those of graphql-core."""

import re
from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import NamedTuple

from graphql import (
    BreakingChange,
    GraphQLError,
    GraphQLSchema,
    TypeDefinitionNode,
    TypeExtensionNode,
    build_ast_schema,
    find_schema_changes,
    parse,
)
from graphql.validation import KnownDirectivesRule
from graphql.validation.specified_rules import specified_sdl_rules
from graphql.validation.validate import validate_sdl

from backend_coordinator.nodes.gates.breaking_change import Change
from backend_coordinator.nodes.gates.files import is_test
from backend_coordinator.nodes.workspace.trees import Tree

_SUFFIXES = frozenset({".gql", ".graphql", ".graphqls"})
# A subgraph of a federation uses directives that its gateway knows.
_RULES = tuple(rule for rule in specified_sdl_rules if rule is not KnownDirectivesRule)


class Broken(NamedTuple):
    """Path and change for each one that breaks callers, and path and reason where that cannot be told."""

    changes: tuple[tuple[str, str], ...] = ()
    unclear: tuple[tuple[str, str], ...] = ()


def is_sdl(path: str) -> bool:
    """Whether a file's name says that it holds GraphQL type definitions."""
    return PurePosixPath(path).suffix in _SUFFIXES


def sdl(text: str) -> GraphQLSchema:
    """The schema that a text of type definitions describes; raises ValueError that says what is wrong with it.

    Directives may be unknown and types defined by extensions alone, as in a subgraph of a federation.
    """
    try:
        nodes = parse(text).definitions
        defined = {node.name.value for node in nodes if isinstance(node, TypeDefinitionNode)}
        extended = [node for node in nodes if isinstance(node, TypeExtensionNode)]
        kinds = {node.name.value: node.kind.partition("_")[0] for node in extended if node.name.value not in defined}
        if not defined and not kinds:
            msg = "it defines no types"
            raise ValueError(msg)
        begun = (f"\n{'type' if kind == 'object' else kind} {name}" for name, kind in kinds.items())
        document = parse(text + "".join(begun))
        if wrong := validate_sdl(document, rules=_RULES):
            raise wrong[0]
        return build_ast_schema(document, assume_valid_sdl=True)
    except (GraphQLError, TypeError, RecursionError) as error:
        raise ValueError(" ".join(str(error).split())) from error


def graphql_changes(before: GraphQLSchema, after: GraphQLSchema) -> tuple[Change, ...]:
    """Every change; what graphql-core calls dangerous (a new enum value, a new default) is not breaking."""
    found = [
        Change(
            f"graphql-{change.type.name.lower().replace('_', '-')}",
            "",
            _coordinate(change.description),
            change.description,
            isinstance(change, BreakingChange),
        )
        for change in find_schema_changes(before, after)
        # Nobody misses what nothing refers to; what did is told by itself.
        if not change.description.startswith("Standard scalar")
    ]
    return tuple(sorted(found, key=lambda change: (not change.breaking, change.place, change.rule, change.message)))


def graphql_breaks(before: Tree, after: Tree) -> Broken:
    """What breaks callers of the schemas of `before`: files that stand alone, those of tests left out.

    A schema that went is compared with the one that has most of its types, wherever that was before.
    """
    broken, unclear, schemas = [], [], _schemas(after)
    for path, old in _schemas(before).items():
        if path in after.files and path not in schemas:
            unclear.append((path, "was a schema and can no longer be read as one"))
            continue
        new = schemas.get(path) or _heir(old, schemas)
        broken += [(path, c.message) for c in graphql_changes(old, new) if c.breaking] if new else [(path, "is gone")]
    return Broken(tuple(broken), tuple(unclear))


def _schemas(tree: Tree) -> Mapping[str, GraphQLSchema]:
    found = {}
    for path in tree.files:
        if is_sdl(path) and not is_test(path):
            try:
                found[path] = sdl(tree.read(path) or "")
            except ValueError:
                continue  # a part of a schema, or operations of a client: nothing here stands alone
    return found


def _heir(old: GraphQLSchema, schemas: Mapping[str, GraphQLSchema]) -> GraphQLSchema | None:
    own = {name for name, kind in old.type_map.items() if kind.ast_node}
    shared = {path: sum(name in new.type_map for name in own) for path, new in schemas.items()}
    best = max(shared, key=lambda path: shared[path], default="")
    return schemas[best] if shared.get(best) else None


def _coordinate(description: str) -> str:
    """The type, field or argument that graphql-core's sentence is about."""
    words = re.findall(r"@?\b[A-Za-z_]\w*(?:\.\w+)?(?:\(\w+:\))?", description)
    named = [word for word in words if "." in word or word.startswith("@")]
    capital = [word for word in words[1:] if word[0].isupper()]
    return str((named or capital or words)[0])
