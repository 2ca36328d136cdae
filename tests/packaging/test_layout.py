"""What is built is what lies on disk, and the tree keeps its own rules."""

import ast
import json
import os
import subprocess
import sys
import tomllib
import zipfile
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

from tests.packaging.source import FOLDERS, LINKS, ROOT, copy_tree, modules, through_a_link

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
SETUPTOOLS = PYPROJECT["tool"]["setuptools"]
MODULES = [pytest.param(path, id=path.relative_to(ROOT).as_posix()) for path in modules()]
MOST_LINES, MOST_OF_A_FUNCTION = 300, 50
# Programs that start inside the workspace's own environment, where its packages and not ours are installed.
# The fixtures are taken by pytest alone, which is there then.
ELSEWHERE = ("nodes/gates/inside/", "backend_coordinator/testing/fixtures.py")
OURS = {"backend-coordinator"}


def test_the_packages_listed_are_those_on_disk() -> None:
    found = {path.parent.relative_to(ROOT) for path in modules() if path.name == "__init__.py"}
    named = {".".join(p.parts if p.parts[0] not in LINKS else ("backend_coordinator", *p.parts)) for p in found}
    assert sorted(SETUPTOOLS["packages"]) == sorted(named)


def test_every_folder_with_python_files_is_a_package() -> None:
    assert [str(path) for path in modules() if not (path.parent / "__init__.py").exists()] == []


@pytest.mark.parametrize("name", LINKS)
def test_the_face_links_to_each_mapped_package(name: str) -> None:
    link = ROOT / "backend_coordinator" / name
    assert link.is_symlink()
    assert os.readlink(link) == f"../{name}"
    assert SETUPTOOLS["package-dir"][f"backend_coordinator.{name}"] == name


@pytest.mark.parametrize("name", LINKS)
def test_a_bare_import_from_the_root_names_the_right_one(name: str) -> None:
    done = subprocess.run([sys.executable, "-c", f"import {name}"], cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 1
    assert done.stderr.strip().endswith(f"ImportError: import backend_coordinator.{name}, not {name}")


def test_every_file_that_is_no_code_is_declared_as_package_data() -> None:
    declared = {
        path
        for package, patterns in SETUPTOOLS["package-data"].items()
        for pattern in patterns
        for path in _folder_of(package).glob(pattern)
    }
    assert set(texts()) == declared


@pytest.mark.slow
def test_a_wheel_built_through_an_sdist_holds_every_module_and_text_once(tmp_path: Path) -> None:
    source, out = copy_tree(tmp_path / "source"), tmp_path / "dist"
    subprocess.run([sys.executable, "-m", "build", "--outdir", str(out), str(source)], check=True, capture_output=True)
    names = zipfile.ZipFile(next(out.glob("*.whl"))).namelist()
    packed = sorted(name for name in names if ".dist-info/" not in name)
    inside = [path.relative_to(ROOT).as_posix() for path in (*modules(), *texts())]
    wanted = [name if name.startswith("backend_coordinator/") else f"backend_coordinator/{name}" for name in inside]
    assert packed == sorted(wanted)


def test_every_foreign_package_that_is_imported_is_declared() -> None:
    provided = {name: {_slug(d) for d in found} - OURS for name, found in packages_distributions().items()}
    entries = PYPROJECT["project"]["dependencies"] + PYPROJECT["project"]["optional-dependencies"]["postgres"]
    declared = {entry.partition(">=")[0].partition("[")[0] for entry in entries}
    outside = [path for path in modules() if not path.relative_to(ROOT).as_posix().startswith(ELSEWHERE)]
    imported = {name.partition(".")[0] for path in outside for name in _imports(path)} - sys.stdlib_module_names
    givers = {name: provided[name] for name in imported if provided.get(name)}
    assert [name for name, found in givers.items() if declared.isdisjoint(found)] == []
    assert declared - set().union(*givers.values()) == set()


@pytest.mark.parametrize("path", MODULES)
def test_files_and_functions_stay_short(path: Path) -> None:
    text = path.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= MOST_LINES
    functions = [n for n in ast.walk(ast.parse(text)) if isinstance(n, ast.FunctionDef | ast.AsyncFunctionDef)]
    assert [f.name for f in functions if (f.end_lineno or 0) - f.lineno + 1 > MOST_OF_A_FUNCTION] == []


@pytest.mark.parametrize("path", MODULES)
def test_imports_are_absolute(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    assert [ast.unparse(n) for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and n.level] == []


@pytest.mark.parametrize("path", MODULES)
def test_everything_public_says_what_it_is(path: Path) -> None:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    naked = [name for name, node in _public(tree, "module") if not ast.get_docstring(node)]
    assert naked == []


def test_the_domain_has_no_dictionary_of_anything() -> None:
    loose = [
        f"{path.name}: {ast.unparse(node)}"
        for path in (ROOT / "backend_coordinator" / "domain").glob("*.py")
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
        if isinstance(node, ast.Subscript) and "Any" in ast.unparse(node.slice) and "ict" in ast.unparse(node.value)
    ]
    assert loose == []


def test_langgraph_s_configuration_names_a_graph_that_is_there(tmp_path: Path) -> None:
    where = json.loads((ROOT / "langgraph.json").read_text(encoding="utf-8"))["graphs"]["backend"]
    file, _, name = where.partition(":")
    program = f"import runpy; print(sorted(runpy.run_path({str(ROOT / file)!r})[{name!r}].get_graph().nodes))"
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "['__end__', '__start__', 'backend']"


def texts() -> Iterator[Path]:
    """Every file of the product that is no code, each once; what Python leaves behind is none."""
    for folder in FOLDERS:
        files = (path for path in (ROOT / folder).rglob("*") if path.is_file() and not through_a_link(path))
        yield from sorted(path for path in files if path.suffix not in {".py", ".pyc"})


def _folder_of(package: str) -> Path:
    first, *rest = package.split(".")
    return ROOT.joinpath(*rest) if rest and rest[0] in LINKS else ROOT.joinpath(first, *rest)


def _slug(distribution: str) -> str:
    return distribution.lower().replace("_", "-")


def _imports(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield node.module or ""


Documented = ast.Module | ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef


def _public(node: Documented, name: str) -> Iterator[tuple[str, Documented]]:
    yield name, node
    for child in node.body if isinstance(node, ast.Module | ast.ClassDef) else ():
        if isinstance(child, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef) and not child.name.startswith("_"):
            yield from _public(child, f"{name}.{child.name}")
