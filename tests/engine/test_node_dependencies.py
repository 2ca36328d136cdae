"""New packages of Node go by the same policy as new distributions of Python."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from backend_coordinator.domain.delivery import Delivery
from backend_coordinator.domain.objective import Objective
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.dependencies import new_dependencies
from tests.support.climbing import author, ladder, run_of
from tests.support.npm_registry import NpmRegistry
from tests.support.runs import QUICK, git

MANIFEST = {"name": "all", "dependencies": {"express": "^5.0.0"}, "workspaces": ["one"]}


@pytest.fixture(autouse=True)
def registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[NpmRegistry]:
    """The only registry that is asked."""
    served = NpmRegistry()
    served.add("express", "5.0.0", {"index.js": ""})
    monkeypatch.setenv("NPM_CONFIG_REGISTRY", served.url)
    yield served
    served.close()


@pytest.fixture
def repository(tmp_path: Path) -> Path:
    """A repository without any package."""
    folder = tmp_path / "all"
    (folder / "one").mkdir(parents=True)
    git(folder, "init", "--quiet")
    return folder


def _commit(repository: Path, manifest: Mapping[str, object], one: Mapping[str, object], *locked: str) -> str:
    entries = {f"node_modules/{name}": {"version": "1.0.0", "integrity": "sha512-x"} for name in locked}
    lock = {"lockfileVersion": 3, "packages": {"": manifest, **entries}}
    for path, content in (("package.json", manifest), ("one/package.json", one), ("package-lock.json", lock)):
        (repository / path).write_text(json.dumps(content))
    git(repository, "add", ".")
    git(repository, "commit", "--quiet", "-m", "work")
    return git(repository, "rev-parse", "HEAD")


async def test_packages_that_the_base_does_not_name_are_new(repository: Path) -> None:
    base = _commit(repository, MANIFEST, {"name": "one"}, "express")
    more = {**MANIFEST, "dependencies": {"express": "npm:evil@1", "one": "*"}, "devDependencies": {"vitest": "^3"}}
    named = _commit(repository, more, {"name": "one", "dependencies": {"left-pad": "1"}}, "express", "vitest", "chai")
    smuggled = _commit(repository, {**MANIFEST, "version": "2.0.0"}, {"name": "one"}, "express", "other")
    runs = Runs(repository, "offline", QUICK)
    context = await runs.context(runs.create(Objective(text="packages")))

    async def added(commit: str) -> Mapping[str, str]:
        delivery = Delivery(task="backend-T001", attempt=1, specialist="nodejs-expert", summary="", commit=commit)
        return await new_dependencies(context, base, delivery)

    assert await added(base) == {}
    assert await added(named) == {
        "npm:evil": "express@npm:evil@1 (package.json)",
        "npm:vitest": "vitest@^3 (package.json)",
        "npm:left-pad": "left-pad@1 (one/package.json)",
    }
    assert await added(smuggled) == {"npm:other": "other (lock file)"}


@pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")
def test_a_package_that_the_policy_denies_is_removed_again(shop: Path, registry: NpmRegistry) -> None:
    told: list[str] = []
    manifest = {"name": "shop", "dependencies": {"express": "^5.0.0"}}
    entry = registry.entry("express", "5.0.0")
    lock = {"lockfileVersion": 3, "packages": {"": manifest, "node_modules/express": entry}}
    adding = {"package.json": json.dumps(manifest), "package-lock.json": json.dumps(lock)}
    work = author({"notes.md": "done\n", **adding}, dict.fromkeys(adding, "{}"), told=told)
    report = run_of(shop, work, approval="deny").result()
    assert ladder(report) == [(1, "gate_failure", "retry")]
    assert "(approval.dependencies is deny): express@^5.0.0 (package.json)\nRemove them" in told[1]
    assert git(shop, "show", f"{report.branch}:package.json") == "{}"
