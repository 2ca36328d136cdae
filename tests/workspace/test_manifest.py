"""What a unit declares is read, and what cannot be installed safely is refused with a reason."""

import os
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace.manifest import Manifest, find_manifests


def _only(tree: Path, **files: str) -> Manifest:
    for name, text in files.items():
        (tree / name.replace("__", "-").replace("_txt", ".txt").replace("_toml", ".toml")).write_text(text)
    (manifest,) = find_manifests(tree)
    return manifest


def test_what_is_not_always_installed_is_kept_with_the_place_that_declares_it(tree: Path) -> None:
    (tree / "requirements").mkdir()
    (tree / "requirements" / "prod.txt").write_text("-r base.txt\nuvicorn\n")
    (tree / "requirements" / "base.txt").write_text("fastapi\n")
    (tree / "setup.cfg").write_text("[options.extras_require]\nload =\n  locust\n")
    manifest = _only(
        tree,
        pyproject_toml="""
[project]
name = "shop"
[project.optional-dependencies]
test = ["pytest"]
auth = ["PyJWT>=2", "shop[mail]"]
mail = ["email-validator"]
odd = ["thing @ git+https://example.org/thing"]
[dependency-groups]
lint = ["ruff"]
[tool.poetry.group.docs.dependencies]
sphinx = "*"
""",
    )
    assert manifest.problem is None
    assert manifest.requirements == ("pytest",)
    assert [(group.where, group.lines) for group in manifest.optional] == [
        ("pyproject.toml, extra auth", ("PyJWT>=2", "email-validator")),
        ("pyproject.toml, extra mail", ("email-validator",)),
        ("pyproject.toml, group lint", ("ruff",)),
        ("pyproject.toml, group docs", ("sphinx",)),
        ("setup.cfg, extra load", ("locust",)),
        ("requirements/base.txt", ("fastapi",)),
        ("requirements/prod.txt", ("fastapi", "uvicorn")),
    ]
    assert {"pyjwt", "sphinx", "uvicorn"} <= manifest.names.keys()


def test_project_dependencies_test_extras_and_groups_are_collected(tree: Path) -> None:
    manifest = _only(
        tree,
        pyproject_toml="""
[project]
name = "shop"
requires-python = ">=3.11"
dependencies = ["fastapi>=0.100,<1", 'tomli ; python_version < "3.11"']
[project.optional-dependencies]
test = ["pytest", "shop[mail]"]
mail = ["email-validator[dns]==2.0"]
docs = ["sphinx"]
[dependency-groups]
dev = ["ruff", {include-group = "types"}]
types = ["mypy"]
""",
    )
    assert manifest.problem is None
    assert manifest.requirements == (
        "email-validator[dns]==2.0", "fastapi>=0.100,<1", "mypy", "pytest", "ruff",
        'tomli ; python_version < "3.11"',
    )  # fmt: skip


def test_requirement_files_follow_includes_comments_hashes_and_constraints(tree: Path) -> None:
    (tree / "limits.txt").write_text("starlette<1\n")
    manifest = _only(
        tree,
        requirements_txt="fastapi==0.115.0 \\\n  --hash=sha256:aa\n# a comment\nhttpx  # why\n-c limits.txt\n",
        requirements__dev_txt="-r requirements.txt\n-e .[test]\npytest~=8.0\n",
    )
    assert manifest.problem is None
    assert manifest.requirements == ("fastapi==0.115.0", "httpx", "pytest~=8.0")
    assert manifest.pins == ("starlette<1",)


def test_a_lock_of_pins_bounds_the_versions(tree: Path) -> None:
    manifest = _only(
        tree, requirements_txt="fastapi\n", **{"requirements.lock": "# made by a tool\nfastapi==0.115.0\n-e .\n"}
    )
    assert manifest.pins == ("fastapi==0.115.0",)


@pytest.mark.parametrize(
    ("wanted", "bounds"),
    [('"^1.2.3"', ">=1.2.3,<2"), ('"^0.2.3"', ">=0.2.3,<0.3"), ('"^0.0.3"', ">=0.0.3,<0.0.4"),
     ('"~1.2.3"', ">=1.2.3,<1.3"), ('"~1"', ">=1,<2"), ('"*"', ""), ('"1.2"', "==1.2"), ('">=1,<3"', ">=1,<3"),
     ('{version = "^2", extras = ["x"]}', "[x]>=2,<3")],
)  # fmt: skip
def test_poetry_versions_become_bounds(tree: Path, wanted: str, bounds: str) -> None:
    text = f'[tool.poetry.dependencies]\npython = "^3.11"\nfoo = {wanted}\n'
    text += '[tool.poetry.group.dev.dependencies]\nbar = "*"\n'
    assert _only(tree, pyproject_toml=text).requirements == ("bar", f"foo{bounds}")


@pytest.mark.parametrize(
    "line",
    ["git+https://example.org/x.git", "x @ https://example.org/x.whl", "./local", "../other", "/abs/x.whl", "x.whl/y",
     "-i https://example.org/simple", "--find-links=https://e.org", "-e ./pkg", "-e git+ssh://x/y",
     "--find-links .", "-f .", "--pre", "-r ../outside.txt", "-r requirements.txt", "foo --global-option=x", "$HOME",
     "foo==${PIP_INDEX_URL}", "foo; extra == '${HOME}'", "foo==1 --pre", "foo==1 --find-links=.",
     "foo; extra == 'x' --index-url=https://example.org", "-r nested/../../outside.txt", "https://example.org/x.whl",
     "--extra-index-url https://example.org", "--trusted-host example.org", "--no-binary :all:", "--editable ./pkg",
     "file:///x.whl", "foo@file:x", "foo[a] @ git+https://example.org/x", "--config-settings=x=y", "-c https://e.org"],
)  # fmt: skip
def test_a_line_that_is_not_a_released_package_is_the_units_problem(tree: Path, line: str) -> None:
    (tree.parent / "outside.txt").write_text("evil\n")
    manifest = _only(tree, requirements_txt=f"fastapi\n{line}\n")
    assert manifest.problem is not None
    assert manifest.problem.startswith("the project: ")
    assert manifest.requirements == ()


@pytest.mark.parametrize(
    "text",
    ["[project", '[project]\nrequires-python = ">=3.99"\n', '[tool.poetry.dependencies]\nx = {path = "../x"}\n',
     '[project]\ndependencies = ["x @ file:///etc"]\n',
     '[project]\ndependencies = ["x>=1\\n--no-binary :all:"]\n', '[project]\ndependencies = ["x>=1\\u2028-e ."]\n',
     '[dependency-groups]\ntest = ["x>=1\\r--pre"]\n', '[tool.poetry.dependencies]\nx = ">=1\\n--pre"\n',
     '[tool.poetry.dependencies]\nx = ""\n', '[tool.poetry.dependencies]\nx = "^"\n',
     '[tool.poetry.dependencies]\nx = "~a"\n', '[project]\ndependencies = ["x"]\n[tool.uv.sources]\nx = {git = "https://example.org/x"}\n'],
)  # fmt: skip
def test_a_manifest_that_cannot_be_used_is_a_problem_and_not_a_crash(tree: Path, text: str) -> None:
    assert _only(tree, pyproject_toml=text).problem


def test_a_pin_that_is_more_than_a_pin_is_left_out(tree: Path) -> None:
    (tree / "requirements.lock").write_text(
        "a==1.0\nb==${HOME}\nc==1 ; python_version > '3' --index-url=https://example.org\nd==2 ; python_version > '3'\n"
    )
    assert _only(tree, requirements_txt="a\n").pins == ("a==1.0", "d==2 ; python_version > '3'")


def test_setup_files_are_read_and_never_run(tree: Path) -> None:
    (tree / "setup.cfg").write_text(
        "[options]\ninstall_requires =\n  fastapi>=0.1\n[options.extras_require]\ntest = pytest\n"
    )
    (tree / "setup.py").write_text(
        "from setuptools import setup\nopen('ran', 'w')\nsetup(install_requires=['httpx'])\n"
    )
    (manifest,) = find_manifests(tree)
    assert manifest.requirements == ("fastapi>=0.1", "httpx", "pytest")
    assert not (tree / "ran").exists()


@pytest.mark.parametrize("given", ["open('x').read().split()", "{[]: 1}", "{(1, []), 2}"])
def test_computed_requirements_of_setup_py_are_a_problem(given: str, tree: Path) -> None:
    (tree / "setup.py").write_text(f"setup(install_requires={given})\n")
    (manifest,) = find_manifests(tree)
    assert "computes install_requires" in str(manifest.problem)


def test_every_unit_of_a_monorepo_is_found_and_caches_are_not(tree: Path) -> None:
    for name in ("services/a", "services/b", "node_modules/c", ".venv/d", ".hidden"):
        (tree / name).mkdir(parents=True)
        (tree / name / "pyproject.toml").write_text("[project]\nname='x'\n")
    assert [manifest.root for manifest in find_manifests(tree)] == ["services/a", "services/b"]


def test_a_file_that_is_included_over_and_over_is_read_once(tree: Path) -> None:
    for level in range(40):
        (tree / f"r{level}.txt").write_text(f"-r r{level + 1}.txt\n-r ./r{level + 1}.txt\na{level}\n")
    (tree / "r40.txt").write_text("-c limits.txt\n-r limits.txt\n")
    (tree / "limits.txt").write_text("last<2\n")
    manifest = _only(tree, requirements_txt="-r r0.txt\n")
    assert manifest.problem is None
    assert len(manifest.requirements) == 41
    assert (manifest.requirements[-1], manifest.pins) == ("last<2", ("last<2",))


def test_a_group_that_is_included_over_and_over_is_read_once(tree: Path) -> None:
    groups = [f'g{n} = [{{include-group = "g{n + 1}"}}, {{include-group = "g{n + 1}"}}]\n' for n in range(40)]
    manifest = _only(tree, pyproject_toml=f"[dependency-groups]\n{''.join(groups)}g40 = ['a']\n")
    assert {group.lines for group in manifest.optional} == {("a",)}
    assert len(manifest.optional) == 41


def test_an_extra_that_is_named_over_and_over_is_read_once(tree: Path) -> None:
    lines, extra = ["shop[mail]"] * 10_000, [f"a{n}" for n in range(1000)]
    text = f"[project]\nname = 'shop'\ndependencies = {lines}\n[project.optional-dependencies]\nmail = {extra}\n"
    assert set(_only(tree, pyproject_toml=text).requirements) == set(extra)


@pytest.mark.parametrize("line", [f"a{' ' * 1900}@", f"a{' ' * 100_000}@", f"a>{' ' * 100_000}@", "a" * 2001])
def test_a_long_line_is_refused_at_once(tree: Path, line: str) -> None:
    problem = str(_only(tree, requirements_txt=f"{line}\n").problem)
    assert problem.startswith("the project: requirements.txt: ")
    assert len(problem) < 2100


def test_what_is_included_is_a_file_and_no_loop_of_links_or_pipe(tree: Path) -> None:
    (tree / "loop.txt").symlink_to("loop.txt")
    os.mkfifo(tree / "pipe.txt")
    for name in ("loop", "pipe"):
        assert f"{name}.txt" in str(_only(tree, requirements_txt=f"-r {name}.txt\n").problem)
