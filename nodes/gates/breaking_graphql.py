"""What changed between two GraphQL schemas for those who query them; the rules are those of graphql-core."""

import re
from pathlib import PurePosixPath

from graphql import BreakingChange, GraphQLError, GraphQLSchema, build_schema, find_schema_changes

from backend_coordinator.nodes.gates.breaking_change import Change
from backend_coordinator.nodes.workspace.trees import Tree

_SUFFIXES = frozenset({".gql", ".graphql", ".graphqls"})


def is_sdl(path: str) -> bool:
    """Whether a file's name says that it holds GraphQL type definitions."""
    return PurePosixPath(path).suffix in _SUFFIXES


def sdl(text: str) -> GraphQLSchema:
    """The schema that a text of type definitions describes; raises ValueError that says what is wrong with it."""
    try:
        return build_schema(text)
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
    ]
    return tuple(sorted(found, key=lambda change: (not change.breaking, change.place, change.rule, change.message)))


def graphql_breaks(before: Tree, after: Tree) -> tuple[tuple[str, str], ...]:
    """Path and change for each one that breaks callers of a file in both trees that holds a whole schema."""
    found = []
    for path in after.files:
        if not is_sdl(path) or path not in before.files:
            continue
        try:
            schemas = [sdl(tree.read(path) or "") for tree in (before, after)]
        except ValueError:
            continue  # a part of a schema, or operations of a client: nothing here stands alone
        found += [(path, change.message) for change in graphql_changes(*schemas) if change.breaking]
    return tuple(found)


def _coordinate(description: str) -> str:
    """The type, field or argument that graphql-core's sentence is about."""
    words = re.findall(r"@?\b[A-Za-z_]\w*(?:\.\w+)?(?:\(\w+:\))?", description)
    named = [word for word in words if "." in word or word.startswith("@")]
    capital = [word for word in words[1:] if word[0].isupper()]
    return str((named or capital or words)[0])
