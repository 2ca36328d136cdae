"""Which subjects of the approval policy a plan or a delivery touches: told by paths and lines, by no model's word."""

import re
from collections import Counter
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from difflib import SequenceMatcher
from pathlib import PurePosixPath

from backend_coordinator.domain.context import ContextKind as Kind
from backend_coordinator.domain.plan import Task
from backend_coordinator.domain.question import Subject
from backend_coordinator.nodes.access import ACCESS
from backend_coordinator.nodes.gates.files import is_code, is_test
from backend_coordinator.nodes.gates.schema import is_revision
from backend_coordinator.nodes.kinds import NO_RULES, PathRules, kind_of
from backend_coordinator.nodes.units import units
from backend_coordinator.nodes.workspace.trees import Tree

Touched = Mapping[str, str]
"""What speaks for a subject, and the file or folder that it was found in: `.` for all files, empty for none."""

_KINDS: Mapping[Kind, Subject] = {
    Kind.API_CONTRACT: "api_contract",
    Kind.DATABASE_SCHEMA: "schema",
    Kind.DEVOPS_CONFIGURATION: "infrastructure",
    Kind.DATABASE_ADMINISTRATION: "infrastructure",
    Kind.SYSTEM_DESIGN: "architecture",
}
_STEPS: Mapping[str, Subject] = {
    "design_contract": "api_contract",
    "design_migration": "schema",
    "rollback_script": "schema",
}
_INFRASTRUCTURE = re.compile(
    r"(?:.*/)?(?:[^/]+\.(?:service|timer|socket)|Caddyfile|Vagrantfile|haproxy[^/]*|traefik[^/]*|serverless\.ya?ml"
    r"|cloudbuild\.ya?ml|chart\.ya?ml|pulumi(?:\.[^/]+)?\.ya?ml|\.drone\.ya?ml|(?:vercel|cdk)\.json|netlify\.toml"
    r"|(?:gunicorn|supervisord)\.conf[^/]*|entrypoint[^/]*\.sh|deploy[^/]*\.(?:sh|py|ya?ml)"
    r"|(?:\.gitlab|deploy|deployment|infra|infrastructure|systemd|charts)/.*)",
    re.IGNORECASE,
)
_SECRET = re.compile(
    r"(?:.*/)?(?:\.env(?!\.(?:example|sample))[^/]*|[^/]*(?:secrets?|credentials?|crypto|cors|permissions?)[^/]*"
    r"|[^/]+\.(?:pem|key|crt|p12|jks)|id_(?:rsa|dsa|ecdsa|ed25519)|authorized_keys|\.(?:npmrc|netrc|pypirc|htpasswd)"
    r"|CODEOWNERS|backend-coordinator\.toml)",
    re.IGNORECASE,
)
_GUARDING = re.compile(r"(?i)\b(?:tokens?|guards?)\b")
"""Words that in the name of a file speak of access control, though not in a demand."""
_MIGRATION = re.compile(r"(?:.*/)?(?:migrations|alembic|db/migrat(?:e|ion))/.*", re.IGNORECASE)
_MAKE = frozenset({"makefile", "justfile", "taskfile.yml", "taskfile.yaml"})
_DEPLOYS = re.compile(r"(?i)\b(?:deploy\w*|release|publish|kubectl|helm|terraform|docker|ansible\S*|ssh|scp|rsync)\b")
_GUARDS = re.compile(
    r"""(?x)
    \bCORS\w*\( | CORSMiddleware | (?i:allow_(?:origins|credentials)\w* | access-control-allow)
    | \b(?:OAuth2\w+ | HTTPBearer | HTTPBasic | APIKey(?:Header|Query|Cookie) | Security)\( | (?i:auth\w*middleware)
    | @\w*(?:login_required|permission_required|PreAuthorize|Secured|RolesAllowed|UseGuards)\b
    | \b(?:permission_classes | authentication_classes | csrf_exempt | set_cookie | ALLOWED_HOSTS | SECRET_KEY)\b
    | (?i:\bget_current_\w*user | \bcurrent_user\b | \brequire_(?:auth|role|admin|permission)\w*)
    | \b(?:jwt | jose | bcrypt | argon2 | passlib | hmac | hashlib | cryptography | Fernet | jsonwebtoken)\b
    | \bverify\s*=\s*False\b | rejectUnauthorized | \bGRANT\b | \bREVOKE\b"""
)
"""Lines of access control, of its middleware, of cryptography, and of what holds secrets."""
_OWN_SETTINGS = re.compile(r"tool\.backend-coordinator")
_MOST_LINE = 120
_TABLES = re.compile(
    r"""(?x)(?i:\b(?:create|alter|drop|truncate)\s+(?:or\s+replace\s+|unique\s+|temp(?:orary)?\s+)?
        (?:table|index|view|type|schema|sequence|column)\b)
    | __tablename__ | \btable=True\b | \b(?:mapped_column|relationship|Column|ForeignKey)\( | @Entity\b | \bop\.\w+\(
    | \bmodels\.\w+(?:Field|Key)\("""
)
"""Lines that make or change tables."""
_FREE = frozenset({Kind.DOCUMENTATION, Kind.TECHNOLOGY_STACK, Kind.FRONTEND_MARKUP, Kind.OPERATIONS})
"""Files whose lines say nothing by themselves: prose, names of packages, markup."""


def by_path(path: str, rules: PathRules = NO_RULES) -> frozenset[Subject]:
    """The subjects that a path, or a glob of paths, stands for; those of a test are none.

    Tools that migrate run every file of their folder: there no name makes a test, only a folder of tests around it.
    """
    kind, suffix = kind_of(path, rules), PurePosixPath(path).suffix.lower()
    migration = _MIGRATION.fullmatch(path) and not is_test(str(PurePosixPath(path).with_name("_")))
    prose = suffix in (".md", ".mdx", ".rst", ".adoc")
    if (is_test(path) and not migration) or (prose and kind is not Kind.SYSTEM_DESIGN):
        return frozenset()
    found: set[Subject] = {_KINDS[kind]} if kind in _KINDS else set()
    if _INFRASTRUCTURE.fullmatch(path):
        found.add("infrastructure")
    words = _words(path)
    if not prose and (_SECRET.fullmatch(path) or ACCESS.search(words) or _GUARDING.search(words)):
        found.add("security")
    return frozenset(found)


def _words(path: str) -> str:
    """`app/authTokens.py` as `app auth Tokens py`; `*` of a glob is no word."""
    return " ".join(re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|\d+", path))


def in_plan(tasks: Iterable[Task], rules: PathRules = NO_RULES) -> Mapping[Subject, tuple[str, ...]]:
    """The subjects that tasks will touch, with their ids: by protocol steps, by paths to write, by access control."""
    found: dict[Subject, list[str]] = {}
    for task in tasks:
        touched = {_STEPS[step] for step in task.steps if step in _STEPS}
        touched |= {subject for glob in task.writes for subject in by_path(glob, rules)}
        if {"write_code", "design_contract"} & set(task.steps) and ACCESS.search(task.title):
            touched.add("security")
        for subject in touched:
            found.setdefault(subject, []).append(task.id)
    return {subject: tuple(ids) for subject, ids in sorted(found.items())}


def in_diff(base: Tree, head: Tree, changed: Sequence[str], rules: PathRules = NO_RULES) -> Mapping[Subject, Touched]:
    """The subjects that the changed files touch, each with what speaks for it.

    Not told here are breaking changes, which takes asking the API, and new dependencies.
    """
    found: dict[Subject, dict[str, str]] = {}
    for path in sorted(changed):
        named = by_path(path, rules)
        for subject in named:
            found.setdefault(subject, {})[path] = path
        for subject, line in _by_lines(base, head, path, rules).items():
            if subject not in named:
                found.setdefault(subject, {})[f"{path}: {line}"] = path
    for told, place in _new_places(base, head):
        found.setdefault("architecture", {})[told] = place
    return found


def _by_lines(base: Tree, head: Tree, path: str, rules: PathRules) -> Mapping[Subject, str]:
    """The first changed line of a file that speaks for each subject."""
    migration = any(is_revision(tree, path) for tree in (base, head))
    if not migration and (is_test(path) or (kind_of(path, rules) in _FREE and not path.endswith("pyproject.toml"))):
        return {}
    before, after = [(tree.read(path) or "").splitlines() for tree in (base, head)]
    rules_of: dict[Subject, re.Pattern[str]] = {"security": _GUARDS, "schema": _TABLES}
    if PurePosixPath(path).name.lower() in _MAKE:
        rules_of = {"infrastructure": _DEPLOYS}
    elif path.endswith("pyproject.toml"):
        rules_of = {"security": _OWN_SETTINGS}
    found = {subject: _first_changed(rule, before, after) for subject, rule in rules_of.items()}
    if migration:
        found["schema"] = "a migration"
    return {subject: line.strip()[:_MOST_LINE] for subject, line in found.items() if line}


def _first_changed(rule: re.Pattern[str], before: Sequence[str], after: Sequence[str]) -> str | None:
    """The first line of a rule that came, went, or stands elsewhere among the lines that stay.

    A plain diff may tell a guard that moves past a line as that line moving past the guard.
    """
    rest = [[line for line in lines if not rule.search(line)] for lines in (before, after)]
    if len(rest[0]) == len(before) and len(rest[1]) == len(after):
        return None
    blocks = SequenceMatcher(a=rest[0], b=rest[1]).get_matching_blocks()
    was = Counter(_placed(rule, before, {block.a + each for block in blocks for each in range(block.size)}))
    now = Counter(_placed(rule, after, {block.b + each for block in blocks for each in range(block.size)}))
    return next((line for line, _ in (*(now - was), *(was - now))), None)


def _placed(rule: re.Pattern[str], lines: Sequence[str], staying: Container[int]) -> Iterator[tuple[str, int]]:
    """The lines of a rule, each with how many lines before it stay, which `staying` tells of the other lines."""
    others = before = 0
    for line in lines:
        if rule.search(line):
            yield line, before
        else:
            before += others in staying
            others += 1


def _new_places(base: Tree, head: Tree) -> Iterator[tuple[str, str]]:
    """New packages or services, and new top-level folders that hold code, each with its folder."""
    roots, before = {unit.root for unit in units(head)}, {unit.root for unit in units(base)}
    yield from ((f"{root or '.'}: a new package or service", root or ".") for root in sorted(roots - before))
    tops = _tops(head) - _tops(base) - roots
    yield from ((f"{top}/: a new folder with code", top) for top in sorted(tops))


def _tops(tree: Tree) -> frozenset[str]:
    """Top-level folders with code, below `src` those of the next level."""
    code = [PurePosixPath(path).parts for path in tree.files if is_code(tree, path) and not is_test(path)]
    tops = {parts[:2] if parts[0] == "src" and len(parts) > 2 else parts[:1] for parts in code if len(parts) > 1}
    return frozenset("/".join(top) for top in tops)
