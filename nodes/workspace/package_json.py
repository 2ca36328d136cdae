"""What a Node unit of the workspace declares: named packages, read from package.json and its lock file."""

import json
import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import yaml

from backend_coordinator.nodes.tools.paths import fits
from backend_coordinator.nodes.workspace.manifest import Undeclared, roots_below

_TABLES = ("dependencies", "devDependencies", "optionalDependencies", "peerDependencies")
_KEPT = frozenset({"name", "version", *_TABLES, "peerDependenciesMeta", "bundleDependencies", "overrides"})
"""All that an installer needs to know of a package.json; scripts and hooks are not among it."""

_NPM_LOCKS = ("npm-shrinkwrap.json", "package-lock.json")
_OTHER_LOCKS = ("yarn.lock", "bun.lock", "bun.lockb")
_MAKE_LOCK = "npm install --package-lock-only"
_NAME = r"(?:@[\w~-][\w.~-]*/)?[\w~-][\w.~-]*"
_RANGE = r"(?![.~]?[./])(?!.*\.(?:tgz|tar|tar\.gz)$)[\w.*+ <>=~^|-]*"
# npm takes what begins with a dot for a folder and what ends like an archive for a file.
_SPEC = re.compile(rf"workspace:[\w.*^~+-]*|npm:(?P<alias>{_NAME})(?:@{_RANGE})?|{_RANGE}")
_PLACE = re.compile(rf"(?P<folder>.*?)/?node_modules/{_NAME}(?:/node_modules/{_NAME})*")

_MOST_PATTERNS, _LONGEST_PATTERN, _MOST_TRIALS = 100, 200, 100_000
"""What a list of workspaces may hold, so that reading it takes no more than seconds."""

_Data = Mapping[str, object]


@dataclass(frozen=True)
class Packages:
    """A Node unit: `files` are the texts by path that its `installer` gets, none where nothing is to be installed.

    `members` are the folders of its workspaces, `direct` what its package.json files name, by package, and `locked`
    the names of all packages of its lock.
    """

    root: str
    installer: str = "npm"
    files: Mapping[str, str] = field(default_factory=dict)
    members: tuple[str, ...] = ()
    direct: Mapping[str, str] = field(default_factory=dict)
    locked: frozenset[str] = frozenset()
    problem: str | None = None


def find_packages(tree: Path) -> tuple[Packages, ...]:
    """The Node units below `tree`, outermost first; the members of a workspace belong to the unit of its lock."""
    found: list[Packages] = []
    members: set[Path] = set()
    for root in roots_below(tree, lambda folder: (folder / "package.json").is_file()):
        if Path(root) not in members:
            found.append(unit := _read(tree, root))
            members |= {Path(root, member) for member in unit.members}
    return tuple(found)


def read_json(tree: Path, path: str) -> _Data:
    """The object in the file at `path` of `tree`; raises Undeclared where there is none."""
    text = _text(tree, path)
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        data = None
    if not isinstance(data, dict):
        raise Undeclared(f"{path} holds no JSON object")
    return data


def _text(tree: Path, path: str) -> str:
    file = tree / path
    if not file.resolve().is_relative_to(tree.resolve()):
        raise Undeclared(f"{path} lies outside the tree")
    return file.read_text(encoding="utf-8-sig")


def _read(tree: Path, root: str) -> Packages:
    try:
        return _declared(tree, root)
    except (Undeclared, OSError, ValueError, yaml.YAMLError, RecursionError) as error:
        return Packages(root, problem=f"{root or 'the project'}: {error}")


def _declared(tree: Path, root: str) -> Packages:
    folder = tree / root
    manifests = {"": read_json(folder, "package.json")}
    members = _members(folder, manifests[""])
    manifests |= {member: read_json(folder, f"{member}/package.json") for member in members}
    own = {manifest.get("name") for manifest in manifests.values()}
    direct: dict[str, str] = {}
    for member, manifest in manifests.items():
        where = f"{member}/package.json" if member else "package.json"
        named = dict(_specs(manifest, where))
        direct |= {name: f"{line} ({where})" for name, line in named.items() if name not in own}
        _check_overrides(manifest.get("overrides"), where)
    if not any(_table(manifest, table) for manifest in manifests.values() for table in _TABLES):
        return Packages(root, members=members)
    files = {f"{member}/package.json".lstrip("/"): _dump(_kept(each)) for member, each in manifests.items()}
    if name := next((name for name in _NPM_LOCKS if (folder / name).is_file()), None):
        lock, locked = _npm_lock(read_json(folder, name), members, name)
        workspaces = _dump({**_kept(manifests[""]), **({"workspaces": members} if members else {})})
        files |= {"package.json": workspaces, "package-lock.json": _dump(lock)}
        return Packages(root, "npm", files, members, direct, locked)
    if (folder / "pnpm-lock.yaml").is_file():
        text = _text(folder, "pnpm-lock.yaml")
        files |= {"pnpm-lock.yaml": text, "pnpm-workspace.yaml": _dump({"packages": members})}
        return Packages(root, "pnpm", files, members, direct, frozenset(_pnpm_lock(text)))
    if other := next((name for name in _OTHER_LOCKS if (folder / name).is_file()), None):
        raise Undeclared(f"{other} is not supported: commit a package-lock.json ({_MAKE_LOCK}) or a pnpm-lock.yaml")
    raise Undeclared(f"package.json names packages and there is no lock file: commit one ({_MAKE_LOCK})")


def _members(folder: Path, manifest: _Data) -> tuple[str, ...]:
    patterns: object = manifest.get("workspaces")
    if isinstance(patterns, dict):
        patterns = patterns.get("packages")
    if (folder / "pnpm-lock.yaml").is_file() and (folder / "pnpm-workspace.yaml").is_file():
        patterns = (_yaml(_text(folder, "pnpm-workspace.yaml"))).get("packages")
    listed = patterns if isinstance(patterns, list) else []
    if not all(isinstance(each, str) and len(each) <= _LONGEST_PATTERN and "{" not in each for each in listed):
        raise Undeclared(f"each of the workspaces must be a text without braces of at most {_LONGEST_PATTERN} letters")
    places = roots_below(folder, lambda place: (place / "package.json").is_file()) if listed else []
    if len(listed) > _MOST_PATTERNS or len(listed) * len(places) > _MOST_TRIALS:
        raise Undeclared(f"{len(listed)} workspaces for {len(places)} folders are too many: name fewer patterns")
    found: dict[str, None] = {}
    for pattern in listed:
        wanted = pattern.removeprefix("!").removeprefix("./").rstrip("/")
        if wanted in {"", "."}:
            continue
        if wanted.startswith("/") or ".." in Path(wanted).parts:
            raise Undeclared(f"the workspace {pattern!r} lies outside of the project")
        there = {place for place in places if place and fits(place, f"/{wanted}")}
        found = {key: None for key in found if key not in there} if pattern[0] == "!" else found | dict.fromkeys(there)
    return tuple(sorted(found))


def _specs(data: _Data, where: str) -> Iterator[tuple[str, str]]:
    """The packages that `data` names with their lines; raises Undeclared for what is no package of a registry."""
    for table in _TABLES:
        for name, spec in _table(data, table).items():
            match = _SPEC.fullmatch(spec) if isinstance(spec, str) and re.fullmatch(_NAME, name) else None
            if match is None:
                fix = "name a released package and its version instead"
                raise Undeclared(f"{where}: {name!r} is {spec!r}, which is refused: {fix}")
            yield match["alias"] or name, f"{name}@{spec}"


def _check_overrides(value: object, where: str) -> None:
    for name, spec in value.items() if isinstance(value, dict) else ():
        if isinstance(spec, dict):
            _check_overrides(spec, where)
        elif not isinstance(spec, str) or not _SPEC.fullmatch(spec.removeprefix("$")):
            raise Undeclared(f"{where}: the override {name!r} is {spec!r}, which is refused: name a version instead")


def _npm_lock(data: _Data, members: Collection[str], where: str) -> tuple[_Data, frozenset[str]]:
    """The lock without places, so that npm asks the configured registry for each name, and the names in it."""
    packages = data.get("packages")
    if not isinstance(packages, dict):
        raise Undeclared(f"{where} is of an old kind: make it anew ({_MAKE_LOCK} with npm 7 or newer)")
    kept, names = {}, set()
    for key, entry in packages.items():
        if not isinstance(entry, dict):
            raise Undeclared(f"{where}: {key!r} is no package")
        list(_specs(entry, f"{where}, {key}"))
        if key and key not in members:
            _check_entry(key, entry, members, where)
            if not entry.get("link"):
                names.add(str(entry.get("name") or key.rpartition("node_modules/")[2]))
        dropped = {"workspaces"} if entry.get("link") else {"workspaces", "resolved"}
        kept[key] = {name: value for name, value in entry.items() if name not in dropped}
    return {"lockfileVersion": 3, "requires": True, "packages": kept}, frozenset(names)


def _check_entry(key: str, entry: _Data, members: Collection[str], where: str) -> None:
    place, resolved = _PLACE.fullmatch(key), entry.get("resolved")
    inside = place is not None and (not place["folder"] or place["folder"] in members)
    if entry.get("link"):
        named = resolved in members
    else:
        web = resolved is None or str(resolved).startswith(("https://", "http://"))
        named = web and (bool(entry.get("integrity")) or bool(entry.get("inBundle")))
    named = named and re.fullmatch(_NAME, str(entry.get("name", "a"))) is not None
    if not inside or not named:
        reason = "no package of a registry with its integrity"
        raise Undeclared(f"{where}: {key!r} is {resolved or 'unnamed'}, {reason}: name a released one instead")


def _pnpm_lock(text: str) -> Iterator[str]:
    """The names in a pnpm lock; raises Undeclared for what is no package of a registry with its integrity."""
    for key, entry in _table(_yaml(text), "packages").items():
        resolution = entry.get("resolution") if isinstance(entry, dict) else None
        match = re.match(rf"/?({_NAME})@", str(key))
        if match is None or not isinstance(resolution, dict) or set(resolution) != {"integrity"}:
            reason = "no package of a registry with its integrity alone"
            raise Undeclared(f"pnpm-lock.yaml: {key!r} is {reason}: name a released one instead")
        yield match[1]


def _yaml(text: str) -> _Data:
    # Refuses merged keys (<<): each level of them can hold the one below many times over.
    unmerged = {"flatten_mapping": lambda _loader, _node: None}
    data = yaml.load(text, Loader=type("_Loader", (getattr(yaml, "CSafeLoader", yaml.SafeLoader),), unmerged))
    return data if isinstance(data, dict) else {}


def _table(data: _Data, key: str) -> Mapping[str, object]:
    value = data.get(key)
    return value if isinstance(value, dict) else {}


def _kept(manifest: _Data) -> _Data:
    return {key: value for key, value in manifest.items() if key in _KEPT}


def _dump(data: _Data) -> str:
    return json.dumps(data, indent=1, sort_keys=True)
