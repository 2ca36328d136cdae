"""The packages and services of a repository: folders with a manifest of their own and code in its language."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from backend_coordinator.nodes.declared import Unreadable, is_requirements, lists_members, names_in
from backend_coordinator.nodes.frameworks import FAMILIES, GRAPHQL, INTERFACES, LOCKS, MANIFESTS, SERVERS, USUAL, meant
from backend_coordinator.nodes.gates.files import is_test
from backend_coordinator.nodes.workspace.trees import Tree

MOST_MANIFESTS = 200
"""Manifests read, the shallowest first."""
_SKIPPED = frozenset({
    "node_modules", "bower_components", "vendor", "third_party", "venv", "env", "dist", "build", "target",
    "site-packages", "__pycache__",
})  # fmt: skip
_NO_HOME = frozenset({"docs", "doc", "tests", "test", "__tests__", "testdata", "fixtures", "__fixtures__"})
"""Folders whose manifests serve the documentation and the tests of something else."""
_SHIPPED = frozenset({"static", "staticfiles", "public", "assets", "templates"})
_TOOLING = re.compile(r"\..*|.*\.config\.\w+|.*\.d\.[cm]?ts|(?:gulp|grunt)file\.\w+|(?:setup|conf)\.py|webpack.*")
_PINNED = re.compile(r'^\s*"packageManager"\s*:\s*"(npm|yarn|pnpm|bun)@', re.MULTILINE)
_SUFFIXES = {suffix: family for family, suffixes in FAMILIES.items() for suffix in suffixes}
_FRAMEWORKS = {**SERVERS, **GRAPHQL, **INTERFACES}
_BUNDLED = {**{name: SERVERS[name] for name in ("next", "nuxt", "remix", "sveltekit", "tanstack-start")}, **INTERFACES}
_APPLICATION = re.compile(r"^[ \t]*(?:return\s+|\w+(?::[^=\n]*)?\s*=\s*)(?:\w+\.)?FastAPI\(", re.MULTILINE)
Names = Mapping[str, tuple[str, ...]]
"""Declared names, and the manifests that declare each."""


@dataclass(frozen=True)
class Unit:
    """One package or service: what it declares by name with the manifests that say so, and the files that are its own.

    `names` are what it runs with, `all_names` also what only its development needs, `around` also what the manifests
    above it declare; `problems` say which could not be read.
    """

    root: str
    family: str
    language: str
    files: tuple[str, ...]
    manager: str | None = None
    manifests: tuple[str, ...] = ()
    names: Names = field(default_factory=dict)
    all_names: Names = field(default_factory=dict)
    around: Names = field(default_factory=dict)
    problems: tuple[str, ...] = ()
    code: int = 0


@dataclass
class _Found:
    """The manifests of one family in one folder, as they are read."""

    manifests: list[str] = field(default_factory=list)
    names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    all_names: dict[str, tuple[str, ...]] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)
    only_lists: bool = True

    def declare(self, path: str, text: str, *, listed: bool) -> None:
        """Takes in what a manifest says; raises Unreadable."""
        running = names_in(path, text)
        for names, found in ((self.names, running), (self.all_names, running | names_in(path, text, dev=True))):
            names |= {name: (*names.get(name, ()), path) for name in sorted(found)}
        self.only_lists &= lists_members(path, text, listed=listed)


_Place = tuple[str, str]
"""A folder and a family of languages."""


def family_of(path: str) -> str | None:
    """The family of languages that a file of code belongs to, by its suffix."""
    return _SUFFIXES.get(PurePosixPath(path).suffix.lower())


def manifest_family(path: str) -> str | None:
    """The family whose packages the file declares; None for a file that is no manifest."""
    name = path.rpartition("/")[2]
    if name.endswith((".csproj", ".fsproj")):
        return ".NET"
    return "Python" if is_requirements(path) else MANIFESTS.get(name)


def units(tree: Tree) -> tuple[Unit, ...]:
    """All units, the shallowest first, in one folder the one with a server before others.

    Without any manifest the language of most files is one unit.
    """
    paths = [path for path in tree.files if not _skipped(path)]
    found = _read(tree, paths)
    owned, code = _owned(paths, {root for root, _ in found})
    made = [_unit(tree, place, found, owned[place[0]], code[place]) for place in found if _counts(place, found, code)]
    if loose := _loose(tree, paths, code, made):
        made.append(loose)
    made.sort(key=lambda unit: (_depth(unit.root), unit.root, not meant(SERVERS, unit.names), -unit.code))
    first = {unit.root: unit for unit in reversed(made)}
    return tuple(unit for unit in made if first[unit.root] is unit or meant(_FRAMEWORKS, unit.names))


def _skipped(path: str) -> bool:
    folders = path.split("/")[:-1]
    return any(folder in _SKIPPED or (folder[0] == "." and len(folder) > 1) for folder in folders if folder)


def _depth(root: str) -> int:
    return root.count("/") + bool(root)


def _read(tree: Tree, paths: Iterable[str]) -> dict[_Place, _Found]:
    manifests = [path for path in paths if manifest_family(path) and not _NO_HOME.intersection(path.split("/")[:-1])]
    found: defaultdict[_Place, _Found] = defaultdict(_Found)
    for path in sorted(manifests, key=lambda path: (path.count("/"), path))[:MOST_MANIFESTS]:
        folder = path.rpartition("/")[0]
        if is_requirements(path) and folder.rpartition("/")[2] == "requirements":
            folder = folder.rpartition("/")[0]
        each, text = found[folder, manifest_family(path) or ""], tree.read(path)
        each.manifests.append(path)
        try:
            if text is None:
                raise Unreadable(f"{path} cannot be read: it is too large, a link or no text")
            each.declare(path, text, listed=f"{folder}/pnpm-workspace.yaml".lstrip("/") in tree.files)
        except Unreadable as error:
            each.only_lists = False
            each.problems.append(str(error))
    return dict(found)


def _owned(paths: Iterable[str], roots: set[str]) -> tuple[Mapping[str, list[str]], Counter[_Place]]:
    """The files by the deepest root above them, and how many of each family are code."""
    owned, code, owner = defaultdict[str, list[str]](list), Counter[_Place](), dict[str, str]()
    for path in paths:
        folder = path.rpartition("/")[0]
        if folder not in owner:
            owner[folder] = next((above for above in _above(folder) if above in roots), "")
        owned[owner[folder]].append(path)
        if (family := family_of(path)) and _is_code(path, family):
            code[owner[folder], family] += 1
    return owned, code


def _is_code(path: str, family: str) -> bool:
    *folders, name = path.split("/")
    return not _TOOLING.fullmatch(name) and not (family == "Node" and _SHIPPED.intersection(folders))


def _above(folder: str) -> Iterator[str]:
    """The folder and those above it, the deepest first."""
    while folder:
        yield folder
        folder = folder.rpartition("/")[0]
    yield ""


def _counts(place: _Place, found: Mapping[_Place, _Found], code: Mapping[_Place, int]) -> bool:
    root, family = place
    inside = f"{root}/" if root else ""
    below = any(kin == family and other != root and other.startswith(inside) for other, kin in found)
    lists = found[place].only_lists and not meant(_FRAMEWORKS, found[place].names)
    begun = code[place] > 0 or (not any(code.values()) and meant(_FRAMEWORKS, found[place].names))
    return bool(begun) and not (below and lists)


def _unit(tree: Tree, place: _Place, found: Mapping[_Place, _Found], files: list[str], code: int) -> Unit:
    (root, family), own = place, found[place]
    above = [found[other, family] for other in _above(root) if other != root and (other, family) in found]
    around = dict(own.all_names)
    for each in above:
        around = {**around, **{name: where for name, where in each.all_names.items() if name not in around}}
    return Unit(
        root=root,
        family=family,
        language=_language(family, files),
        files=tuple(files),
        manager=_manager(tree, root, family),
        manifests=tuple(own.manifests),
        # A Java module is built with what the projects above it declare for all of theirs.
        names=around if family == "Java" else _running(own, family),
        all_names=own.all_names,
        around=around,
        problems=tuple(own.problems),
        code=code,
    )


def _running(own: _Found, family: str) -> Names:
    """What a package runs with; what a bundler takes in is declared for development where nothing else serves."""
    if family != "Node" or meant(_FRAMEWORKS, own.names):
        return own.names
    return {**own.names, **{name: own.all_names[name] for name in meant(_BUNDLED, own.all_names).values()}}


def _loose(tree: Tree, paths: list[str], code: Mapping[_Place, int], made: list[Unit]) -> Unit | None:
    """Code of a family that has no manifest anywhere, where there is more of it than in all units together.

    What its manifest would name shows in an application object of FastAPI.
    """
    count: Counter[str] = Counter()
    for (_, family), number in code.items():
        count[family] += number
    for family, number in count.most_common(1):
        if all(unit.family != family for unit in made) and number > sum(unit.code for unit in made):
            names = {"fastapi": shown} if family == "Python" and (shown := applications(tree, paths)) else {}
            return Unit(
                "", family, _language(family, paths), tuple(paths), USUAL.get(family), names=names, all_names=names,
                around=names, code=number,
            )  # fmt: skip
    return None


def applications(tree: Tree, paths: Iterable[str]) -> tuple[str, ...]:
    """Of `paths` those whose code makes an application object of FastAPI, the shallowest first, `main.py` before."""
    found = [p for p in paths if p.endswith(".py") and not is_test(p) and _APPLICATION.search(tree.read(p) or "")]
    return tuple(sorted(found, key=lambda path: (path.count("/"), not path.endswith("main.py"), path)))


def _language(family: str, files: Iterable[str]) -> str:
    languages = FAMILIES[family]
    seen = Counter(languages[suffix] for path in files if (suffix := PurePosixPath(path).suffix.lower()) in languages)
    return max(seen, key=lambda name: (seen[name], name), default=next(iter(languages.values())))


def _manager(tree: Tree, root: str, family: str) -> str | None:
    there, locks = frozenset(tree.files), LOCKS.get(family, {})
    for folder in _above(root):
        prefix = f"{folder}/" if folder else ""
        if family == "Node" and (match := _PINNED.search(_text(tree, f"{prefix}package.json", there))):
            return match[1]
        if tool := next((tool for name, tool in locks.items() if prefix + name in there), None):
            return tool
    return USUAL.get(family)


def _text(tree: Tree, path: str, there: frozenset[str]) -> str:
    return (tree.read(path) if path in there else None) or ""
