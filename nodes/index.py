"""The repository index: which files of which kind there are, and the conventions that the project wrote down."""

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.domain.objective import RepositoryFacts, Stack
from backend_coordinator.nodes.scope import service_of
from backend_coordinator.nodes.workspace.trees import Tree

SOURCE = "repository"
_CONVENTIONS = frozenset({"agents.md", "claude.md", "contributing.md"})
_STYLE = frozenset(
    [".editorconfig", ".flake8", ".prettierrc", ".rubocop.yml", "biome.json", "checkstyle.xml", "ruff.toml", "tox.ini"]
)
_STYLE_STEMS = (".eslintrc", ".prettierrc.", "eslint.config.", ".golangci.")
_MOST_CONVENTIONS = 4
_MOST_TEXT = 100_000
"""Characters of one file of conventions."""
_MOST_PATHS = 6
"""Paths of a kind that are named one by one; of more the folders are."""


def index(tree: Tree, facts: RepositoryFacts, kind_of: Callable[[str], ContextKind]) -> tuple[ContextItem, ...]:
    """One item for each kind of file, the stack, and the project's conventions; each reaches who sees its kind."""
    paths: dict[tuple[ContextKind, str | None], list[str]] = defaultdict(list)
    for path in tree.files:
        kind = kind_of(path)
        paths[kind, service_of(path) if kind is ContextKind.DATABASE_SCHEMA else None].append(path)
    items = [
        ContextItem(kind=kind, source=SOURCE, text=_listed(found))
        for (kind, _), found in paths.items()
        if kind is not ContextKind.TECHNOLOGY_STACK
    ]
    stack = ContextItem(kind=ContextKind.TECHNOLOGY_STACK, source=SOURCE, text=_stacks(facts))
    return (stack, *items, *_conventions(tree, facts))


def _listed(paths: Sequence[str]) -> str:
    if len(paths) <= _MOST_PATHS:
        return ", ".join(sorted(paths))
    folders = Counter("/".join(path.split("/")[:-1][:2]) for path in paths)
    first = sorted(folders, key=lambda folder: (-folders[folder], folder))[:_MOST_PATHS]
    named = [f"{folder or '.'}/ ({folders[folder]})" for folder in first]
    rest = len(paths) - sum(folders[folder] for folder in first)
    return ", ".join([*named, *([f"{rest} elsewhere"] if rest else [])])


def _stacks(facts: RepositoryFacts) -> str:
    known = "; ".join(map(_told, facts.stacks[:_MOST_PATHS]))
    return known or ", ".join((*facts.languages, *facts.frameworks)) or "an empty repository"


def _told(stack: Stack) -> str:
    tools = (stack.package_manager, stack.test_runner, *stack.databases, stack.migration_tool)
    told = ", ".join([stack.language, *stack.frameworks, *filter(None, tools)])
    return f"{stack.root}: {told}" if stack.root else told


def _conventions(tree: Tree, facts: RepositoryFacts) -> Iterator[ContextItem]:
    """Those of the repository and its own packages: what a vendored dependency asks of its authors is none."""
    roots = {"", *(stack.root for stack in facts.stacks)}
    near = [path for path in tree.files if path.rpartition("/")[0] in roots]
    written = [path for path in near if path.rsplit("/", 1)[-1].lower() in _CONVENTIONS]
    for path in sorted(written, key=lambda path: (path.count("/"), path))[:_MOST_CONVENTIONS]:
        if text := (tree.read(path) or "").strip()[:_MOST_TEXT]:
            yield ContextItem(kind=ContextKind.CODE_PATTERN, source=path, text=text)
    if style := [path for path in near if _is_style(path.rsplit("/", 1)[-1])]:
        yield ContextItem(kind=ContextKind.CODE_PATTERN, source="style", text=", ".join(style[:_MOST_PATHS]))


def _is_style(name: str) -> bool:
    return name in _STYLE or name.startswith(_STYLE_STEMS)
