"""Which stacks are found in small written-out layouts, who would write their code, and why."""

import json
from collections.abc import Mapping
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_coordinator.domain.objective import RepositoryFacts, Stack
from backend_coordinator.domain.roster import Roster, Specialist
from backend_coordinator.nodes.facts import repository_facts
from backend_coordinator.nodes.frameworks import DATABASES, GRAPHQL, MIGRATIONS, REST, RUNNERS, SERVERS, meant
from backend_coordinator.nodes.stack import expert_for, stacks
from backend_coordinator.nodes.workspace.trees import Tree
from backend_coordinator.prompts.loader import load_roster

ROSTER = load_roster()
Layout = Mapping[str, str]


def tree(root: Path, layout: Layout) -> Tree:
    for path, text in layout.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text, encoding="utf-8")
    return Tree("0" * 40, root, tuple(sorted(layout)))


def node(*names: str, dev: tuple[str, ...] = (), **more: object) -> str:
    tables = {"dependencies": dict.fromkeys(names, "*"), "devDependencies": dict.fromkeys(dev, "*")}
    return json.dumps({"name": "x", **tables, **more}, indent=1)


def python(*lines: str, more: str = "") -> str:
    return f'[project]\nname = "x"\ndescription = "not django, not flask"\ndependencies = {json.dumps(lines)}\n{more}'


def pom(*artifacts: str, more: str = "") -> str:
    inner = "".join(
        f"<dependency><groupId>{g}</groupId><artifactId>{a}</artifactId></dependency>"
        for g, a in (name.split(":") for name in artifacts)
    )
    space = 'xmlns="http://maven.apache.org/POM/4.0.0"'
    return f"<project {space}>{more}<!-- io.quarkus --><dependencies>{inner}</dependencies></project>"


WEB = "org.springframework.boot:spring-boot-starter-web"
CODE = {"py": "app/main.py", "js": "src/index.js", "ts": "src/index.ts", "java": "src/main/java/A.java"}

LAYOUTS: dict[str, tuple[Layout, list[tuple[str, str | None, str]]]] = {
    "fastapi": (
        {"pyproject.toml": python("FastAPI[standard]>=0.1", "asyncpg"), CODE["py"]: ""},
        [("", "fastapi-developer", "fastapi in pyproject.toml")],
    ),
    "a comment is no dependency": (
        {"requirements.txt": "# django is not used\n-r more.txt\nflask==3 # nor fastapi\n", CODE["py"]: ""},
        [("", "python-pro", "flask in requirements.txt")],
    ),
    "a longer name is another package": (
        {"requirements.txt": "django-cors-headers\nfastapi-utils\nFlask_Login\n", CODE["py"]: ""},
        [("", "python-pro", "no framework; requirements.txt is Python")],
    ),
    "django by a pinned git address": (
        {"requirements/base.txt": "django @ https://example.org/django.zip\n", "shop/views.py": ""},
        [("", "django-developer", "django in requirements/base.txt")],
    ),
    "django by manage.py alone": (
        {"setup.py": "from setuptools import setup\nsetup(install_requires=read())\n", "manage.py": ""},
        [("", "django-developer", "manage.py")],
    ),
    "setup.py with a list of its own": (
        {"setup.py": "NEEDS = ['flask>=2']\nsetup(install_requires=NEEDS)\n", CODE["py"]: ""},
        [("", "python-pro", "flask in setup.py")],
    ),
    "poetry group": (
        {"pyproject.toml": '[tool.poetry.group.web.dependencies]\nfastapi = "^0.1"\n', CODE["py"]: ""},
        [("", "fastapi-developer", "fastapi in pyproject.toml")],
    ),
    "setup.cfg and Pipfile": (
        {"setup.cfg": "[options]\ninstall_requires =\n  celery\n", "Pipfile": "[packages]\ndjango = '*'\n", "a.py": ""},
        [("", "django-developer", "django in Pipfile")],
    ),
    "express": ({"package.json": node("express"), CODE["js"]: ""}, [("", "nodejs-expert", "express in package.json")]),
    "words of a description and of scripts": (
        {"package.json": node(description="like express", scripts={"build": "next build"}), CODE["js"]: ""},
        [("", "nodejs-expert", "no framework; package.json is Node")],
    ),
    "graphql first": (
        {"package.json": node("@apollo/server", "express"), "schema.graphql": "type Query { a: Int }", CODE["js"]: ""},
        [("", "graphql-architect", "@apollo/server in package.json")],
    ),
    "graphql in a framework that has a mode": (
        {"pyproject.toml": python("django", "graphene-django"), "manage.py": "", CODE["py"]: ""},
        [("", "django-developer", "django in pyproject.toml")],
    ),
    "graphql beside rest": (
        {"pyproject.toml": python("fastapi", "strawberry-graphql"), CODE["py"]: ""},
        [("", "fastapi-developer", "fastapi in pyproject.toml")],
    ),
    "spring": ({"pom.xml": pom(WEB), CODE["java"]: ""}, [("", "java-expert", "spring-boot in pom.xml")]),
    "gradle with comments": (
        {
            "build.gradle.kts": '// id("io.quarkus")\nplugins { id("org.springframework.boot") version "3" }\n',
            "src/main/kotlin/A.kt": "",
        },
        [("", "java-expert", "org.springframework.boot in build.gradle.kts")],
    ),
    "maven modules": (
        {"pom.xml": pom(more="<modules><module>a</module></modules>"), "a/pom.xml": pom(WEB), f"a/{CODE['java']}": ""},
        [("a", "java-expert", "spring-boot in a/pom.xml")],
    ),
    "go": (
        {"go.mod": "module example.org/x\nrequire (\n\tgithub.com/gin-gonic/gin v1.9.0\n)\n", "main.go": ""},
        [("", "backend-engineer", "gin in go.mod; the roster has no expert for Go")],
    ),
    "rust, ruby, php, .net": (
        {
            "a/Cargo.toml": '[package]\nname = "a"\n[dependencies]\naxum = "1"\n', "a/src/main.rs": "",
            "b/Gemfile": "# gem 'sinatra'\ngem 'rails', '~> 7'\n", "b/app.rb": "",
            "c/composer.json": '{"require": {"laravel/framework": "*"}}', "c/index.php": "",
            "d/D.csproj": '<Project Sdk="Microsoft.NET.Sdk.Web"/>', "d/A.cs": "",
        },
        [
            ("a", "backend-engineer", "axum in a/Cargo.toml; the roster has no expert for Rust"),
            ("b", "backend-engineer", "rails in b/Gemfile; the roster has no expert for Ruby"),
            ("c", "backend-engineer", "laravel in c/composer.json; the roster has no expert for PHP"),
            ("d", "backend-engineer", "microsoft.net.sdk.web in d/D.csproj; the roster has no expert for C#"),
        ],
    ),
    "workspaces, frontend, service, library": (
        {
            "package.json": node(dev=("turbo",), workspaces=["apps/*"]), "turbo.js": "",
            "apps/web/package.json": node("react"), "apps/web/a.tsx": "",
            "apps/api/package.json": node("@nestjs/core"), f"apps/api/{CODE['ts']}": "",
            "packages/db/package.json": node("pg"), f"packages/db/{CODE['ts']}": "",
        },
        [
            ("apps/api", "nodejs-expert", "nestjs in apps/api/package.json"),
            ("apps/web", None, "react in apps/web/package.json; the frontend's work"),
            ("packages/db", "nodejs-expert", "no framework; packages/db/package.json is Node"),
        ],
    ),
    "uv workspace of two languages": (
        {
            "pyproject.toml": '[tool.uv.workspace]\nmembers = ["api"]\n', "scripts/a.py": "",
            "api/pyproject.toml": python("fastapi"), "api/app.py": "",
            "worker/package.json": node("fastify"), "worker/a.js": "",
        },
        [
            ("api", "fastapi-developer", "fastapi in api/pyproject.toml"),
            ("worker", "nodejs-expert", "fastify in worker/package.json"),
        ],
    ),
    "tools of the other language in one folder": (
        {"requirements.txt": "django\n", "shop/a.py": "", "package.json": node(dev=("prettier",)), "lib/a.js": ""},
        [("", "django-developer", "django in requirements.txt")],
    ),
    "two servers in one folder": (
        {"requirements.txt": "django\n", "shop/a.py": "", "package.json": node("express"), "lib/a.js": "",
         "lib/b.js": ""},
        [("", "nodejs-expert", "express in package.json"), ("", "django-developer", "django in requirements.txt")],
    ),
    "others' code and tests are nobody's packages": (
        {
            "node_modules/express/package.json": node("koa"), "node_modules/express/index.js": "",
            "vendor/x/go.mod": "module x\n", "vendor/x/a.go": "", ".venv/lib/setup.py": "",
            "tests/fixtures/app/package.json": node("koa"), "tests/fixtures/app/a.js": "",
            "docs/requirements.txt": "sphinx\n", "docs/conf.py": "", "app/main.py": "",
        },
        [("", "python-pro", "no manifest; 1 files of code are Python")],
    ),
    "an application without a manifest": (
        {"app/main.py": "import fastapi\n\napp = fastapi.FastAPI()\n", "tests/test_a.py": "app = FastAPI()\n"},
        [("", "fastapi-developer", "fastapi in app/main.py")],
    ),
    "broken manifests": (
        {
            "a/pyproject.toml": "[project\n", "a/x.py": "", "b/package.json": "[1]", "b/x.js": "",
            "c/pom.xml": '<!DOCTYPE a [<!ENTITY b "c">]><project/>', "c/A.java": "",
            "d/setup.py": "def (", "d/x.py": "",
            "e/package.json": "[" * 100_000, "e/x.js": "",
        },
        [
            ("a", "python-pro", "a/pyproject.toml cannot be read: TOMLDecodeError; it is Python"),
            ("b", "nodejs-expert", "b/package.json cannot be read: Unreadable; it is Node"),
            ("c", "java-expert", "c/pom.xml cannot be read: Unreadable; it is Java"),
            ("d", "python-pro", "d/setup.py cannot be read: SyntaxError; it is Python"),
            ("e", "nodejs-expert", "e/package.json cannot be read: RecursionError; it is Node"),
        ],
    ),
    "a huge manifest is not read": (
        {"requirements.txt": "django\n" * 200_000, "a.py": ""},
        [("", "python-pro", "requirements.txt cannot be read: it is too large, a link or no text; it is Python")],
    ),
    "a package without dependencies above an example": (
        {
            "pyproject.toml": '[project]\nname = "lib"\ndependencies = []\n', "lib/a.py": "",
            "examples/requirements.txt": "django\n", "examples/a.py": "",
        },
        [
            ("", "python-pro", "no framework; pyproject.toml is Python"),
            ("examples", "django-developer", "django in examples/requirements.txt"),
        ],
    ),
    "settings of tools beside a package": (
        {
            "pyproject.toml": "[tool.ruff]\n", "setup.py": "setup(install_requires=['flask'])\n", "lib/a.py": "",
            "scripts/requirements.txt": "fastapi\n", "scripts/a.py": "",
        },
        [
            ("", "python-pro", "flask in setup.py"),
            ("scripts", "fastapi-developer", "fastapi in scripts/requirements.txt"),
        ],
    ),
    "settings of tools alone": (
        {
            "pyproject.toml": "[tool.ruff]\n", "setup.cfg": "[flake8]\n", "requirements-dev.txt": "ruff\n", "a.py": "",
            "api/requirements.txt": "flask\n", "api/a.py": "",
        },
        [("api", "python-pro", "flask in api/requirements.txt")],
    ),
    "workspaces with code of their own": (
        {
            "package.json": node("pg", workspaces=["a"]), "src/a.js": "",
            "a/package.json": node("koa"), "a/a.js": "",
        },
        [("", "nodejs-expert", "no framework; package.json is Node"), ("a", "nodejs-expert", "koa in a/package.json")],
    ),
    "what development needs says nothing": (
        {
            "a/requirements.txt": "django\n", "a/requirements-dev.txt": "fastapi\n", "a/manage.py": "",
            "b/pyproject.toml": python("flask", more='[dependency-groups]\ndev = ["fastapi"]\n'), "b/b.py": "",
            "c/pyproject.toml": python(more='optional-dependencies = {test = ["fastapi"]}\n'), "c/manage.py": "",
            "d/setup.cfg": "[options]\ninstall_requires = flask\n[options.extras_require]\ndev = fastapi\n",
            "d/a.py": "",
            "e/setup.py": "setup(extras_require={'dev': ['fastapi'], 'web': ['flask']}, tests_require=['django'])\n",
            "e/a.py": "",
            "f/pyproject.toml": "[tool.poetry.group.dev.dependencies]\nfastapi = '*'\n", "f/f.py": "",
            "g/Pipfile": "[packages]\nflask = '*'\n[dev-packages]\nfastapi = '*'\n", "g/g.py": "",
            "h/package.json": node("koa", dev=("@apollo/server", "next")), "h/h.js": "",
        },
        [
            ("a", "django-developer", "django in a/requirements.txt"),
            ("b", "python-pro", "flask in b/pyproject.toml"),
            ("c", "django-developer", "c/manage.py"),
            ("d", "python-pro", "flask in d/setup.cfg"),
            ("e", "python-pro", "flask in e/setup.py"),
            ("f", "python-pro", "no framework; f/pyproject.toml is Python"),
            ("g", "python-pro", "flask in g/Pipfile"),
            ("h", "nodejs-expert", "koa in h/package.json"),
        ],
    ),
    "a bundled package has all for development": (
        {"package.json": node(dev=("svelte", "vite")), "src/a.js": ""},
        [("", None, "svelte in package.json; the frontend's work")],
    ),
    "nothing but words": ({"README.md": "# A Django app\n"}, []),
}  # fmt: skip


@pytest.mark.parametrize("name", LAYOUTS)
def test_each_unit_has_its_specialist_and_the_reason(name: str, tmp_path: Path) -> None:
    layout, wanted = LAYOUTS[name]
    assert [(s.root, s.specialist, s.reason) for s in stacks(tree(tmp_path, layout), ROSTER)] == wanted


FULL: list[tuple[Layout, dict[str, object]]] = [
    (
        {
            "pyproject.toml": python("sqlalchemy", "alembic", "django"), "uv.lock": "", "a.py": "",
            "tests/test_a.py": "",
            "docker-compose.yml": "services: {db: {image: 'registry.example/postgres:16'}, web: {image: mysqlish}}",
            "api/openapi.yaml": "",
        },
        {"package_manager": "uv", "test_runner": "django", "databases": ("postgresql",), "migration_tool": "alembic",
         "contracts": ("api/openapi.yaml",), "language": "Python", "frameworks": ("django",)},
    ),
    (
        {
            "package.json": node("fastify", dev=("vitest",), packageManager="pnpm@9.0.0"), "yarn.lock": "", "a.ts": "",
            "prisma/schema.prisma": 'datasource db {\n // provider = "mysql"\n provider = "sqlite"\n}\n',
        },
        {"package_manager": "pnpm", "test_runner": "vitest", "databases": ("sqlite",), "migration_tool": "prisma",
         "language": "TypeScript"},
    ),
    (
        {"pom.xml": pom(WEB, "org.postgresql:postgresql", "org.flywaydb:flyway-core",
                        "org.junit.jupiter:junit-jupiter"),
         "mvnw": "", "A.java": ""},
        {"package_manager": "maven", "test_runner": "junit", "databases": ("postgresql",), "migration_tool": "flyway"},
    ),
    (
        {"package.json": node("knex", "mysql2", "mongoose"), "a.js": "", "test/a.js": ""},
        {"package_manager": "npm", "test_runner": None, "databases": ("mongodb", "mysql"), "migration_tool": "knex"},
    ),
    (
        {"package.json": node("pg", dev=("jest", "drizzle-kit", "better-sqlite3", "express")), "src/a.js": ""},
        {"test_runner": "jest", "databases": ("postgresql",), "migration_tool": "drizzle", "frameworks": ()},
    ),
    (
        {"Pipfile": "[packages]\n", "Pipfile.lock": "{}", "a.py": "", "tests/conftest.py": ""},
        {"package_manager": "pipenv", "test_runner": "pytest", "databases": (), "migration_tool": None},
    ),
]  # fmt: skip


@pytest.mark.parametrize("number", range(len(FULL)))
def test_a_stack_says_what_it_is_built_with(number: int, tmp_path: Path) -> None:
    layout, wanted = FULL[number]
    (found,) = stacks(tree(tmp_path, layout), ROSTER)
    assert {key: getattr(found, key) for key in wanted} == wanted


def test_members_are_built_and_tested_as_the_workspace_above_them(tmp_path: Path) -> None:
    layout = {
        "package.json": node(dev=("jest",), workspaces=["a"]),
        "pnpm-lock.yaml": "",
        "a/package.json": node("koa"),
    }
    (found,) = stacks(tree(tmp_path, {**layout, "a/b.js": ""}), ROSTER)
    assert (found.root, found.package_manager, found.test_runner) == ("a", "pnpm", "jest")


def own(*detects: str) -> Roster:
    member = Specialist(
        name="house-expert",
        description="d",
        prompt="p",
        detects=detects,
        tools={"write": True},  # type: ignore[arg-type]
    )
    return Roster(specialists=(*ROSTER.specialists, member))


@pytest.mark.parametrize(
    ("rule", "wanted"),
    [
        ("celery in pyproject.toml", "house-expert"),
        ("cel in pyproject.toml", "fastapi-developer"),
        ("flask in pyproject.toml", "fastapi-developer"),
        ("pyproject.toml", "fastapi-developer"),
        ("ruff in pyproject.toml", "house-expert"),
        ("house in notes.txt", "house-expert"),
        ("hous in notes.txt", "fastapi-developer"),
    ],
)
def test_the_users_own_specialist_takes_part_by_exact_rules(rule: str, wanted: str, tmp_path: Path) -> None:
    tools = '[dependency-groups]\ndev = ["ruff"]\n'
    layout = {"pyproject.toml": python("fastapi", "celery", more=tools), "notes.txt": "the house rules", "a.py": ""}
    (found,) = stacks(tree(tmp_path, layout), own(rule))
    assert found.specialist == wanted


def test_a_file_s_rule_beats_the_language_s_expert_in_its_own_unit_only(tmp_path: Path) -> None:
    layout = {"a/go.mod": "module a\n", "a/a.go": "", "b/pyproject.toml": python("flask"), "b/b.py": ""}
    facts = repository_facts(tree(tmp_path, layout), own("go.mod"))
    assert [(s.root, s.specialist) for s in facts.stacks] == [("a", "house-expert"), ("b", "python-pro")]
    assert facts.detected[:2] == ("house-expert", "python-pro")


def test_a_roster_without_the_expert_gives_the_work_to_who_is_there(tmp_path: Path) -> None:
    layout = {"package.json": node("express"), "a.js": ""}
    without = Roster(specialists=tuple(s for s in ROSTER.specialists if s.name != "nodejs-expert"))
    (found,) = stacks(tree(tmp_path, layout), without)
    assert (found.specialist, found.reason) == (
        "backend-engineer", "express in package.json; the roster has no expert for JavaScript",
    )  # fmt: skip
    nobody = Roster(specialists=tuple(s for s in without.specialists if s.name != "backend-engineer"))
    (found,) = stacks(Tree("0", tmp_path, tuple(layout)), nobody)
    assert (found.specialist, found.reason) == (None, "nobody in the roster writes JavaScript")


FACTS = RepositoryFacts(
    stacks=(
        Stack(root="", language="JavaScript"),
        Stack(root="api", language="Python", specialist="python-pro"),
        Stack(root="api", language="TypeScript", specialist="nodejs-expert"),
        Stack(root="api/jobs", language="Go", specialist="backend-engineer"),
    )
)


@pytest.mark.parametrize(
    ("writes", "wanted"),
    [
        ((), 1),
        (("web/**",), 0),
        (("api/**",), 1),
        (("./api/a.py",), 1),
        (("api/**/*.ts",), 2),
        (("api/jobs/**", "api/jobs/a.go", "api/a.py"), 3),
        (("api/jobs/**", "api/a.py", "api/b.py"), 1),
        (("apish/a.py",), 0),
    ],
)
def test_a_task_belongs_to_the_deepest_stack_with_most_of_its_paths(writes: tuple[str, ...], wanted: int) -> None:
    assert expert_for(FACTS, writes) == FACTS.stacks[wanted]


def test_without_a_stack_nobody_is_named() -> None:
    assert expert_for(RepositoryFacts(), ("a.py",)) is None


def test_facts_agree_with_the_stacks_and_stay_small(tmp_path: Path) -> None:
    layout = {f"s{n:03}/package.json": node("express") for n in range(300)} | {f"s{n:03}/a.js": "" for n in range(300)}
    layout |= {"api/models.py": "", "api/migrations/0001.py": "", "api/requirements.txt": "fastapi\n"}
    layout |= {"src/contests/a.py": "", "s000/tests/test_a.py": "", "tests/unit/tests/test_b.py": ""}
    facts = repository_facts(tree(tmp_path, layout), ROSTER)
    assert (len(facts.stacks), len(facts.manifests)) == (20, 20)
    assert facts.frameworks == ("fastapi", "express")
    assert facts.migrations == ("api/migrations/0001.py",)
    assert facts.test_directories == ("s000/tests", "tests")
    assert set(facts.detected) >= {"fastapi-developer", "nodejs-expert"}
    assert len(facts.model_dump_json(exclude_defaults=True)) < 6_000


@given(st.lists(st.sampled_from(sorted({n for m in (SERVERS, DATABASES) for s in m.values() for n in s})), unique=True))
def test_what_names_mean_does_not_depend_on_their_order(names: list[str]) -> None:
    for meaning in (SERVERS, DATABASES, GRAPHQL, REST, MIGRATIONS, RUNNERS):
        assert list(meant(meaning, names)) == list(meant(meaning, reversed(names)))
    assert not meant(SERVERS, [f"x-{name}" for name in names])
