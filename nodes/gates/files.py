"""Which files are code, tests and documentation."""

import re
from pathlib import PurePosixPath

from backend_coordinator.nodes.workspace.trees import Tree

_CODE = frozenset({
    ".py", ".pyw", ".vue", ".svelte", ".pyx", ".ipynb",
    ".js", ".mjs", ".cjs", ".jsx", ".ts", ".tsx", ".java", ".kt", ".kts",
    ".scala", ".groovy", ".go", ".rs", ".rb", ".php", ".cs", ".fs", ".vb", ".c", ".cc", ".cpp", ".h",
    ".hpp", ".swift", ".m", ".ex", ".exs", ".erl", ".clj", ".lua", ".pl", ".pm", ".sh", ".bash", ".ps1",
    ".dart", ".r",
})  # fmt: skip
_SHELL = frozenset({".sh", ".bash", ".ps1"})
_SHEBANG_OF_A_SHELL = re.compile(r"#!.*\b(?:(?:ba|da|k|z)?sh|pwsh)\b")
_NOT_MEASURED = frozenset({"setup.py", "noxfile.py", "docs/conf.py"})

_SERVES = re.compile(
    r"""(?mx)
    ^\s*(?:from|import)\s+(?:fastapi|flask|django|starlette|aiohttp|tornado|falcon|sanic|bottle|litestar|grpc
        |http\.server|wsgiref|(?:static\s+)?(?:org\.springframework\.web|javax\.ws|jakarta\.ws))\b
    | (?:require\(\s*|\bfrom\s+|^\s*import\s+)['"]
      (?:express|fastify|koa|@hapi|@nestjs|apollo-server|graphql|node:http|http)\b
    | "(?:net/http|github\.com/gin-gonic/gin)"
    """
)
"""Imports by which a program serves something over HTTP."""


def serves(tree: Tree) -> bool:
    """Whether the tree's code, tests and documentation apart, uses something that serves HTTP."""
    paths = (path for path in tree.files if is_code(tree, path) and not is_test(path))
    return any(_SERVES.search(tree.read(path) or "") for path in paths if not path.startswith("docs/"))


def is_code(tree: Tree, path: str) -> bool:
    """True for programs in any language; a file without suffix is one if it starts as a script does."""
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in _CODE or (not suffix and (tree.read(path) or "").startswith("#!"))


def is_shell(tree: Tree, path: str) -> bool:
    """True for scripts of a shell, which have no tests of their own kind."""
    suffix = PurePosixPath(path).suffix.lower()
    return suffix in _SHELL or (not suffix and bool(_SHEBANG_OF_A_SHELL.match(tree.read(path) or "")))


def is_test(path: str) -> bool:
    """True for test modules and what stands in a test folder."""
    pure = PurePosixPath(path)
    name = pure.name
    in_folder = any(part in {"tests", "test", "__tests__"} for part in pure.parts[:-1])
    return in_folder or name == "conftest.py" or (name.endswith(".py") and _names_a_test(pure.stem))


def _names_a_test(stem: str) -> bool:
    return stem.startswith("test_") or stem.endswith("_test") or stem in {"test", "tests"}


def is_measured(path: str) -> bool:
    """True for Python files whose lines tests should run: no tests, no build files, no migrations."""
    pure = PurePosixPath(path)
    return (
        pure.suffix == ".py"
        and not is_test(path)
        and path not in _NOT_MEASURED
        and not {"migrations", "alembic"}.intersection(pure.parts[:-1])
    )


def product_python(tree: Tree, paths: frozenset[str]) -> tuple[str, ...]:
    """The Python files among `paths` that the tree holds and that are no tests."""
    return tuple(p for p in sorted(paths) if p.endswith(".py") and p in tree.files and not is_test(p))
