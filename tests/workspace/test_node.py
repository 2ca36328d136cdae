"""Node units: packages come from a registry by name only, and a tree sees them without being changed by them."""

import json
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from backend_coordinator.nodes.workspace.environment import Environment, build
from backend_coordinator.nodes.workspace.node import NodeUnit
from backend_coordinator.nodes.workspace.package_json import Packages, find_packages
from backend_coordinator.nodes.workspace.repository import RunRepository
from backend_coordinator.nodes.workspace.sandbox import BASH, TESTS, Sandbox, SandboxLevel
from backend_coordinator.nodes.workspace.trees import EXPORT_PREFIX
from tests.support.npm_registry import NpmRegistry
from tests.workspace.conftest import sandbox_of

ALL: tuple[SandboxLevel, ...] = ("bubblewrap", "landlock", "none")
NONE = Sandbox("none")
TOKEN = "npm_" + "x" * 36
needs_node = pytest.mark.skipif(not (shutil.which("node") and shutil.which("npm")), reason="needs node and npm")


@pytest.fixture
def registry(settings_of_a_user: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[NpmRegistry]:
    """A registry that the user's configuration names, with its token and a package that has a program."""
    served = NpmRegistry()
    for name in ("NPM_CONFIG_USERCONFIG", "NPM_CONFIG_REGISTRY", "npm_config_registry"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("THE_TOKEN", TOKEN)
    host = served.url.removeprefix("http:")
    (settings_of_a_user / ".npmrc").write_text(f"registry={served.url}\n{host}:_authToken=${{THE_TOKEN}}\n")
    program = "#!/usr/bin/env node\nconsole.log('greeted', require('./index.js').greeting)\n"
    served.add("words", "1.0.0", {"index.js": "module.exports = 'hello'\n"})
    served.add(
        "greeter",
        "1.2.0",
        {"index.js": "exports.greeting = require('words')\n", "cli.js": program},
        bin={"greet": "cli.js"},
        dependencies={"words": "^1.0.0"},
    )
    yield served
    served.close()


def _write(tree: Path, files: Mapping[str, object]) -> None:
    for path, content in files.items():
        (tree / path).parent.mkdir(parents=True, exist_ok=True)
        (tree / path).write_text(content if isinstance(content, str) else json.dumps(content))


def _lock(registry: NpmRegistry, root: Mapping[str, object], **more: object) -> dict[str, object]:
    known = {
        "node_modules/greeter": registry.entry("greeter", "1.2.0"),
        "node_modules/words": registry.entry("words", "1.0.0"),
    }
    return {"lockfileVersion": 3, "packages": {"": root, **known, **more}}


def _shop(tree: Path, registry: NpmRegistry) -> None:
    manifest = {"name": "shop", "version": "1.0.0", "dependencies": {"greeter": "^1.0.0"}}
    _write(tree, {"package.json": manifest, "package-lock.json": _lock(registry, manifest)})


async def _build(tree: Path, sandbox: Sandbox = NONE) -> Environment:
    return await build(tree, cache=tree.parent.parent / "cache", sandbox=sandbox)


def _exported(tree: Path) -> Path:
    return tree.rename(tree.parent / f"{EXPORT_PREFIX}abc")


def _only(tree: Path, files: Mapping[str, object]) -> Packages:
    _write(tree, files)
    (packages,) = find_packages(tree)
    return packages


def _refused(tree: Path, manifest: Mapping[str, object], **packages: object) -> str:
    """Why what the lock says of packages by place, with `/` for `__`, is refused."""
    entries = {place.replace("__", "/"): entry for place, entry in packages.items()}
    lock = {"lockfileVersion": 3, "packages": {"": manifest, **entries}}
    return _only(tree, {"package.json": manifest, "package-lock.json": lock}).problem or ""


@needs_node
@pytest.mark.parametrize("level", ALL)
async def test_packages_of_the_lock_are_found_by_require_import_and_their_programs(
    level: SandboxLevel, tree: Path, registry: NpmRegistry
) -> None:
    _shop(tree, registry)
    _write(tree, {"old.js": "console.log(require('greeter').greeting)"})
    _write(tree, {"new.mjs": "import greeter from 'greeter'; console.log(greeter.greeting)"})
    environment = await _build(tree, await sandbox_of(level))
    assert [unit.problem for unit in environment.node] == [None]
    assert TOKEN in str(registry.tokens)
    for command in ("node old.js", "node new.mjs", "greet", "npx greet", "node_modules/.bin/greet"):
        done = await environment.run(["sh", "-c", command], tree, BASH)
        assert done.output.endswith("hello\n"), done.output


@needs_node
async def test_packages_cannot_be_changed_but_tools_may_keep_their_caches_beside_them(
    tree: Path, registry: NpmRegistry, bubblewrap: Sandbox
) -> None:
    _shop(tree, registry)
    environment = await _build(tree, bubblewrap)
    done = await environment.run(["sh", "-c", "mkdir node_modules/.cache && echo kept"], tree, BASH)
    assert done.output == "kept\n"
    done = await environment.run(["sh", "-c", "echo bad > node_modules/greeter/index.js"], tree, BASH)
    assert "ead-only file system" in done.output


@needs_node
async def test_what_is_shown_in_a_tree_is_no_part_of_what_is_delivered(
    run: RunRepository, registry: NpmRegistry
) -> None:
    folder = run.checkout(run.head(), "backend-T001")
    _shop(folder, registry)
    environment = await build(folder, cache=folder.parent.parent / "cache", sandbox=NONE)
    assert (await environment.run(["greet"], folder, BASH)).output == "greeted hello\n"
    taken = run.snapshot("backend-T001", "work", run.head())
    assert taken.changed == {"package.json", "package-lock.json"}


@needs_node
@pytest.mark.parametrize("level", ALL)
async def test_an_exported_tree_sees_its_packages_and_stays_as_it_is(
    level: SandboxLevel, tree: Path, registry: NpmRegistry
) -> None:
    _shop(tree, registry)
    exported = _exported(tree)
    environment = await _build(exported, await sandbox_of(level))
    assert (await environment.run(["npx", "greet"], exported, TESTS)).output == "greeted hello\n"
    assert sorted(path.name for path in exported.iterdir()) == ["package-lock.json", "package.json"]


@needs_node
async def test_another_lock_shows_other_packages(tree: Path, registry: NpmRegistry) -> None:
    _shop(tree, registry)
    assert (await (await _build(tree)).run(["greet"], tree, BASH)).output == "greeted hello\n"
    registry.add("words", "1.1.0", {"index.js": "module.exports = 'good day'\n"})
    manifest = json.loads((tree / "package.json").read_text())
    newer = {"node_modules/words": registry.entry("words", "1.1.0")}
    _write(tree, {"package-lock.json": _lock(registry, manifest, **newer)})
    assert (await (await _build(tree)).run(["greet"], tree, BASH)).output == "greeted good day\n"


@needs_node
async def test_a_node_modules_of_the_trees_own_and_a_link_on_the_way_stay(
    tree: Path, tmp_path: Path, registry: NpmRegistry
) -> None:
    _shop(tree, registry)
    _shop(tree / "web" / "app", registry)
    environment = await _build(tree)
    _write(tree, {"node_modules/own.js": "1"})
    shutil.rmtree(tree / "web")
    (tmp_path / "outside" / "app").mkdir(parents=True)
    (tree / "web").symlink_to(tmp_path / "outside")
    await environment.run(["true"], tree, BASH)
    assert [path.name for path in (tree / "node_modules").iterdir()] == ["own.js"]
    assert not list((tmp_path / "outside" / "app").iterdir())


@needs_node
async def test_a_workspace_is_one_unit_whose_members_see_each_other_in_the_tree(
    tree: Path, registry: NpmRegistry, bubblewrap: Sandbox
) -> None:
    manifest = {"name": "shop", "workspaces": ["packages/*"]}
    one = {"name": "@shop/one", "version": "1.0.0", "dependencies": {"@shop/two": "*", "greeter": "1.2.0"}}
    two = {"name": "@shop/two", "version": "1.0.0"}
    lock = _lock(
        registry,
        manifest,
        **{
            "packages/one": one,
            "packages/two": two,
            "node_modules/@shop/one": {"resolved": "packages/one", "link": True},
            "node_modules/@shop/two": {"resolved": "packages/two", "link": True},
        },
    )
    _write(tree, {"package.json": manifest, "package-lock.json": lock})
    _write(tree, {"packages/one/package.json": one, "packages/two/package.json": two})
    _write(tree, {"packages/two/index.js": "exports.here = __filename"})
    _write(tree, {"packages/one/run.js": "console.log(require('@shop/two').here, require('greeter').greeting)"})
    environment = await _build(tree, bubblewrap)
    assert [(unit.root, unit.members, unit.problem) for unit in environment.node] == [
        ("", ("packages/one", "packages/two"), None)
    ]
    done = await environment.run(["node", "run.js"], tree / "packages" / "one", BASH)
    assert done.output == f"{tree}/packages/two/index.js hello\n"


@needs_node
async def test_no_script_of_a_package_runs_when_it_is_installed(
    tree: Path, tmp_path: Path, registry: NpmRegistry
) -> None:
    mark = tmp_path / "ran"
    scripts = dict.fromkeys(("preinstall", "install", "postinstall", "prepare"), f"touch {mark}")
    registry.add("greeter", "1.2.0", {"index.js": ""}, scripts=scripts, hasInstallScript=True)
    manifest = {"name": "shop", "dependencies": {"greeter": "1.2.0"}, "scripts": scripts}
    lock = _lock(registry, manifest)
    _write(tree, {"package.json": manifest, "package-lock.json": lock, ".npmrc": "ignore-scripts=false\n"})
    assert [unit.problem for unit in (await _build(tree)).node] == [None]
    assert not mark.exists()


@needs_node
async def test_only_the_users_registry_is_asked_whatever_lock_and_npmrc_of_the_tree_name(
    tree: Path, registry: NpmRegistry
) -> None:
    elsewhere = NpmRegistry()
    _shop(tree, registry)
    text = (tree / "package-lock.json").read_text().replace(registry.url, elsewhere.url)
    _write(tree, {"package-lock.json": text, ".npmrc": f"registry={elsewhere.url}\n"})
    assert [unit.problem for unit in (await _build(tree)).node] == [None]
    elsewhere.close()
    assert elsewhere.asked == []


@needs_node
async def test_a_package_that_is_not_what_the_lock_says_is_refused(tree: Path, registry: NpmRegistry) -> None:
    _shop(tree, registry)
    registry.add("words", "1.0.0", {"index.js": "module.exports = 'changed'\n"})
    (unit,) = (await _build(tree)).node
    assert "EINTEGRITY" in str(unit.problem)
    assert not unit.blocked


@needs_node
async def test_a_lock_that_lacks_a_package_is_the_units_problem(tree: Path, registry: NpmRegistry) -> None:
    _shop(tree, registry)
    registry.add("other", "1.0.0", {})
    manifest = {"name": "shop", "dependencies": {"greeter": "^1.0.0", "other": "1"}}
    _write(tree, {"package.json": manifest})
    (unit,) = (await _build(tree)).node
    assert "Missing: other@1.0.0 from lock file" in str(unit.problem)
    assert not unit.blocked


@needs_node
async def test_a_registry_that_is_gone_is_nobodys_fault_and_no_token_is_told(
    tree: Path, registry: NpmRegistry, settings_of_a_user: Path
) -> None:
    _shop(tree, registry)
    registry.close()
    secret = registry.url.replace("//", f"//ann:{TOKEN}@")
    (settings_of_a_user / ".npmrc").write_text(f"registry={secret}\nfetch-retries=0\n")
    (unit,) = (await _build(tree)).node
    assert unit.blocked
    assert "ECONNREFUSED" in str(unit.problem)
    assert TOKEN not in str(unit.problem)


@needs_node
@pytest.mark.parametrize("level", ALL)
async def test_node_has_the_address_space_it_wants_and_no_more_memory_than_others(
    level: SandboxLevel, tree: Path
) -> None:
    _write(tree, {"package.json": {"name": "shop"}})
    environment = await _build(tree, await sandbox_of(level))
    wasm = "new WebAssembly.Memory({initial: 1, maximum: 65536}); console.log('reserved')"
    assert (await environment.run(["node", "-e", wasm], tree, BASH)).output == "reserved\n"
    greedy = "const all = []; for (let i = 0; i < 40; i++) all.push(Buffer.allocUnsafe(2 ** 27)); console.log('got it')"
    assert "got it" not in (await environment.run(["node", "-e", greedy], tree, BASH)).output


async def test_without_node_the_unit_says_so(tree: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    _write(tree, {"package.json": {"name": "shop"}})
    (unit,) = (await _build(tree)).node
    assert unit.problem == "the project: node is not installed here: install it"


def test_dependencies_without_a_lock_are_a_problem_and_nothing_to_install_is_none(tree: Path) -> None:
    assert _only(tree, {"package.json": {"scripts": {"test": "node --test"}}}).problem is None
    packages = _only(tree, {"package.json": {"devDependencies": {"vitest": "^3"}}})
    assert packages.problem == (
        "the project: package.json names packages and there is no lock file: "
        "commit one (npm install --package-lock-only)"
    )
    _write(tree, {"yarn.lock": ""})
    assert "yarn.lock is not supported" in str(find_packages(tree)[0].problem)


@pytest.mark.parametrize("broken", ["", "[]", "{", '{"a":' * 5000, '{"dependencies": {"a": 1}}'])
def test_a_package_json_that_cannot_be_read_is_a_problem(broken: str, tree: Path) -> None:
    assert "package.json" in str(_only(tree, {"package.json": broken}).problem)


@pytest.mark.parametrize(
    "spec",
    [
        "git+https://example.org/a.git", "git@example.org:a/b.git", "github:a/b", "a/b", "file:../a", "link:../a",
        "../a", "./a", "..", ".", "~/a", "/a", "https://example.org/a.tgz", "a.tgz", "a.tar.gz", "npm:../a",
        "npm:a@file:b", "npm:a@../b", "catalog:", "${HOME}",
    ],
)  # fmt: skip
def test_what_is_no_package_of_a_registry_is_refused_wherever_it_is_named(spec: str, tree: Path) -> None:
    for manifest in ({"dependencies": {"x": spec}}, {"overrides": {"y": {"x": spec}}}):
        problem = str(_only(tree, {"package.json": manifest}).problem)
        assert "package.json" in problem
        assert "'x'" in problem
        assert repr(spec) in problem
        assert "instead" in problem
    entry = {"version": "1.0.0", "integrity": "sha512-x", "dependencies": {"x": spec}}
    assert repr(spec) in _refused(tree, {"dependencies": {"a": "1"}}, node_modules__a=entry)


@pytest.mark.parametrize("spec", ["^1.2.3", "1.x || >=2.5.0 <3", "*", "", "latest", "~1", "npm:b@^1", "npm:@b/c"])
def test_versions_tags_and_other_names_of_packages_are_taken(spec: str, tree: Path) -> None:
    entry = {"version": "1.0.0", "integrity": "sha512-x", "resolved": "https://example.org/a.tgz"}
    assert _refused(tree, {"dependencies": {"a": spec}}, node_modules__a=entry) == ""


@pytest.mark.parametrize(
    ("place", "entry"),
    [
        ("node_modules/a", {"resolved": "https://example.org/a.tgz"}),
        ("node_modules/a", {"resolved": "git+ssh://git@example.org/a.git#1", "integrity": "sha512-x"}),
        ("node_modules/a", {"resolved": "file:a.tgz", "integrity": "sha512-x"}),
        ("node_modules/a", {"resolved": "../a", "link": True}),
        ("node_modules/a", {"version": "1.0.0"}),
        ("node_modules/a", {"name": "../b", "integrity": "sha512-x"}),
        ("node_modules/../../a", {"integrity": "sha512-x"}),
        ("../node_modules/a", {"integrity": "sha512-x"}),
        ("lib/a", {"version": "1.0.0"}),
        ("node_modules/a", "1.0.0"),
    ],
)
def test_an_entry_of_the_lock_that_is_no_package_of_a_registry_is_refused(
    place: str, entry: object, tree: Path
) -> None:
    problem = _refused(tree, {"dependencies": {"a": "1"}}, **{place.replace("/", "__"): entry})
    assert "package-lock.json" in problem
    assert place in problem


@pytest.mark.parametrize("pattern", ["../*", "/etc", "packages/../../*"])
def test_a_workspace_outside_of_the_project_is_refused(pattern: str, tree: Path) -> None:
    assert "outside" in str(_only(tree, {"package.json": {"workspaces": [pattern]}}).problem)


@pytest.mark.parametrize("patterns", [["a/{b,c}"], [1], ["a" * 201], ["a/*"] * 101, [["a"]]])
def test_a_list_of_workspaces_that_could_take_long_is_refused(patterns: list[object], tree: Path) -> None:
    assert "workspaces" in str(_only(tree, {"package.json": {"workspaces": patterns}}).problem)


def test_texts_within_texts_of_a_pnpm_workspace_are_not_written_out(tree: Path) -> None:
    ten = [f"a{n}: &a{n} [{', '.join([f'*a{n - 1}'] * 10)}]" for n in range(1, 12)]
    listed = "\n".join(["a0: &a0 [x]", *ten, "packages: *a11"])
    files = {"package.json": "{}", "pnpm-lock.yaml": "", "pnpm-workspace.yaml": listed}
    assert "must be a text" in str(_only(tree, files).problem)
    merged = [f"a{n}: &a{n} {{<<: [{', '.join([f'*a{n - 1}'] * 10)}]}}" for n in range(1, 12)]
    assert "merge" in str(_only(tree, {"pnpm-workspace.yaml": "\n".join(["a0: &a0 {x: 1}", *merged])}).problem)


def test_many_wildcards_of_a_workspace_take_no_longer_than_few(tree: Path) -> None:
    deep = "/".join("d" * 60)
    _write(tree, {f"{deep}/package.json": {}})
    wild = ["**/" * 30 + "z", "**/*/" * 20 + "z", "*/**/" * 20 + "**"]
    assert _only(tree, {"package.json": {"workspaces": wild}}).members == (deep,)


def test_a_member_behind_a_link_is_none(tree: Path, tmp_path: Path) -> None:
    _write(tmp_path / "outside", {"package.json": {"name": "secret"}})
    (tree / "packages").mkdir()
    (tree / "packages" / "a").symlink_to(tmp_path / "outside")
    assert _only(tree, {"package.json": {"workspaces": ["packages/*"]}}).members == ()


@pytest.mark.parametrize(
    "resolution",
    [
        "{tarball: https://example.org/a.tgz}",
        "{integrity: sha512-x, tarball: https://example.org/a.tgz}",
        "{type: git, repo: https://example.org/a.git, commit: abc}",
        "{directory: ../a, type: directory}",
    ],
)
def test_a_pnpm_lock_names_packages_of_a_registry_only(resolution: str, tree: Path) -> None:
    manifest = {"dependencies": {"a": "1"}}
    lock = "lockfileVersion: '9.0'\npackages:\n  a@1.0.0:\n    resolution: {}\n  '@b/c@2.0.0(a@1.0.0)':\n"
    good = lock.format("{integrity: sha512-x}") + "    resolution: {integrity: sha512-y}\n"
    packages = _only(tree, {"package.json": manifest, "pnpm-lock.yaml": good, "pnpm-workspace.yaml": "packages: [x]"})
    assert (packages.problem, packages.installer, packages.locked) == (None, "pnpm", {"a", "@b/c"})
    assert "'a@1.0.0'" in str(_only(tree, {"pnpm-lock.yaml": lock.format(resolution)}).problem)
    assert "pnpm-lock.yaml: 1 is" in str(_only(tree, {"pnpm-lock.yaml": "packages: {1: x}"}).problem)


def test_links_in_the_place_of_folders_of_packages_lead_nowhere(tree: Path, tmp_path: Path) -> None:
    place, outside = tmp_path / "place", tmp_path / "outside"
    _write(place / "node_modules", {"words/index.js": "", "@types/words/index.d.ts": "", ".bin/greet": ""})
    outside.mkdir()
    unit = NodeUnit("", "", place=place)
    unit.show(tree)
    for name in ("@types", ".bin"):
        shutil.rmtree(tree / "node_modules" / name)
        (tree / "node_modules" / name).symlink_to(outside)
    unit.show(tree)
    assert list(outside.iterdir()) == []
    assert (tree / "node_modules/@types/words").readlink() == place / "node_modules/@types/words"
    assert (tree / "node_modules/.bin/greet").exists()
