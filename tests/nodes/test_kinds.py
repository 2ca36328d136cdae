"""Which kind a path has, by layout and by the settings' rules, and which paths a task sees."""

from pathlib import Path
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from backend_coordinator.domain.context import ContextKind as Kind
from backend_coordinator.domain.plan import Task
from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.kinds import kind_of, sees_path
from backend_coordinator.prompts.loader import load_roster
from backend_coordinator.settings import load_settings

ROSTER = load_roster()
CODE_WRITERS = ("api-developer", "backend-engineer", "django-developer", "fastapi-developer", "java-expert",
                "nodejs-expert", "python-pro")  # fmt: skip
DESIGNERS = ("api-architect", "backend-architect", "database-admin", "database-optimizer")

BY_LAYOUT = {
    Kind.API_CONTRACT: "openapi.yaml docs/openapi.v2.json api/swagger.yml schema.graphql src/a.graphqls a.gql "
    "x/y.proto contracts/orders.yaml asyncapi.yaml",
    Kind.DATABASE_SCHEMA: "shop/migrations/0001_a.py alembic/versions/1.py alembic.ini prisma/schema.prisma a/b.sql "
    "shop/models.py app/models/user.py src/user.entity.ts src/main/resources/db/migration/V1__a.sql db/schema.rb "
    "db/migrate/1_a.rb db/changelog/a.xml docs/schema.md queries/users.sql",
    Kind.DATABASE_ADMINISTRATION: "pg_hba.conf etc/postgresql.conf ops/backup.sh scripts/db_restore.sql "
    "dba/roles.py a.dump",
    Kind.DEVOPS_CONFIGURATION: "Dockerfile a/Dockerfile.dev prod.Dockerfile docker-compose.yml compose.yaml "
    ".github/workflows/ci.yml .gitlab-ci.yml .circleci/config.yml Jenkinsfile k8s/a.yaml deploy/helm/x.tpl main.tf "
    "terraform/a.hcl nginx/default.conf",
    Kind.TECHNOLOGY_STACK: "pyproject.toml requirements-dev.txt requirements/base.txt package.json "
    "frontend/package.json tsconfig.json pom.xml build.gradle.kts go.mod Cargo.toml Gemfile"
    " composer.json a/B.csproj .gitignore",
    Kind.FRONTEND_MARKUP: "templates/a.html static/a.css src/a.scss web/a.jsx web/a.tsx web/a.vue a.svelte views/a.ejs "
    "frontend/src/api.ts src/main/webapp/a.js",
    Kind.SYSTEM_DESIGN: "ARCHITECTURE.md docs/adr/0001-a.md docs/decisions/a.md docs/architecture/overview.md",
    Kind.OPERATIONS: "docs/runbooks/restart.md RUNBOOK.md",
    Kind.DOCUMENTATION: "README.md docs/guide.rst docs/conf.py CHANGELOG.md",
    Kind.CODE_PATTERN: "app/main.py src/index.ts src/main/java/a/B.java cmd/main.go tests/test_models_of_cars.py "
    "manage.py src/backup/service.py app/frontend/routes.py models.ts src/openapi.py"
    " client/http.py app/nginx.py Makefile",
}  # fmt: skip
PATHS = [(kind, path) for kind, paths in BY_LAYOUT.items() for path in paths.split()]


def task(*writes: str) -> Task:
    return Task(id="backend-T001", title="t", objective="o", specialist="python-pro", writes=writes)


@pytest.mark.parametrize(("kind", "path"), PATHS)
def test_the_layout_gives_a_path_its_kind(kind: Kind, path: str) -> None:
    assert kind_of(path) is kind
    assert kind_of(f"services/orders/{path}") is kind


@pytest.mark.parametrize(("kind", "path"), PATHS)
def test_who_writes_code_sees_what_the_work_needs_and_no_markup_or_administration(kind: Kind, path: str) -> None:
    needed = {Kind.API_CONTRACT, Kind.DATABASE_SCHEMA, Kind.CODE_PATTERN, Kind.TECHNOLOGY_STACK}
    for name in CODE_WRITERS:
        assert sees_path(ROSTER.get(name), task(), path) is (kind in needed), name


@pytest.mark.parametrize("path", [path for kind, path in PATHS if kind is Kind.CODE_PATTERN])
@pytest.mark.parametrize("name", DESIGNERS)
def test_designers_see_no_code(name: str, path: str) -> None:
    assert not sees_path(ROSTER.get(name), task(), path)


TESTS = [
    ("app/auth/login.py", "tests/test_login.py", "tests/auth/test_login.py", "app/auth/login_test.py",
     "app/auth/tests/test_login.py", "tests/unit/auth/test_login.py"),
    ("src/a/login.ts", "src/a/login.test.ts", "src/a/__tests__/login.spec.ts", "test/a/login.test.ts"),
    ("pkg/a.go", "pkg/a_test.go"),
    ("src/main/java/com/x/Foo.java", "src/test/java/com/x/FooTest.java", "src/test/java/com/x/FooIT.java"),
    ("app/auth/**", "tests/auth/test_login.py", "tests/auth/deep/test_x.py", "tests/test_auth.py"),
    ("app/auth/*.py", "tests/auth/test_login.py", "app/auth/tests/test_login.py"),
    ("shop/migrations/0002_a.py", "shop/tests/test_0002_a.py"),
]  # fmt: skip
NOT_THEIRS = [
    ("app/auth/login.py", "tests/test_pay.py", "tests/billing/test_login.py", "app/test_login.py",
     "other/tests/test_login.py", "app/auth/login_helper.py", "tests/login.py"),
    ("src/a/login.ts", "src/login.test.ts", "src/b/login.test.ts", "src/a/login.test.ts.snap"),
    ("app/auth/**", "tests/test_pay.py", "tests/billing/test_auth.py", "tests/authority/test_login.py",
     "app/test_auth.py"),
    ("app/*/a.py", "tests/test_pay.py", "tests/auth/test_b.py"),
    ("services/b/**", "services/a/tests/test_b.py", "tests/test_a.py"),
    ("src/main/java/com/x/Foo.java", "src/test/java/com/y/FooTest.java"),
    ("**/x.py", "tests/test_y.py"),
]  # fmt: skip


@pytest.mark.parametrize(("glob", "path"), [(row[0], path) for row in TESTS for path in row[1:]])
def test_a_task_sees_the_tests_of_what_it_writes(glob: str, path: str) -> None:
    designer = ROSTER.get("database-optimizer")
    assert not sees_path(designer, task(), path)
    assert sees_path(designer, task("elsewhere/**", glob), path)


@pytest.mark.parametrize(("glob", "path"), [(row[0], path) for row in NOT_THEIRS for path in row[1:]])
def test_a_task_does_not_see_other_tests(glob: str, path: str) -> None:
    assert not sees_path(ROSTER.get("database-optimizer"), task(glob), path)


def test_the_most_specific_rule_of_the_settings_comes_before_the_layout(tmp_path: Path) -> None:
    (tmp_path / "backend-coordinator.toml").write_text(
        '[paths]\n"app/**" = "business_logic"\n"app/queries/*.py" = "query_pattern"\n"**/*.sql" = "data_model"\n'
    )
    rules = load_settings(tmp_path).paths
    found = {
        path: kind_of(path, rules).value for path in ("app/a.py", "app/queries/b.py", "app/c.sql", "d.sql", "e.py")
    }
    assert found == {"app/a.py": "business_logic", "app/queries/b.py": "query_pattern", "app/c.sql": "data_model",
                     "d.sql": "data_model", "e.py": "code_pattern"}  # fmt: skip
    assert not sees_path(ROSTER.get("python-pro"), task(), "d.sql", rules)
    assert sees_path(ROSTER.get("database-optimizer"), task(), "app/queries/b.py", rules)


def test_an_unknown_kind_is_a_configuration_error_that_names_the_path(tmp_path: Path) -> None:
    (tmp_path / "backend-coordinator.toml").write_text('[paths]\n"app/**" = "secret_sauce"\n')
    with pytest.raises(ConfigurationError, match=r"paths\.app/\*\*: Input should be 'api_requirement'"):
        load_settings(tmp_path)


GLOBS = st.lists(st.sampled_from(["*", "**", "app", "db", "a.py", "*.py", "?.py"]), min_size=1, max_size=4).map(
    "/".join
)


@given(
    st.dictionaries(GLOBS, st.sampled_from(Kind), max_size=8), st.randoms(), st.sampled_from(["app/db/a.py", "a.py"])
)
def test_the_order_of_the_settings_rules_does_not_matter(rules: dict[str, Kind], random: Random, path: str) -> None:
    names = list(rules)
    random.shuffle(names)
    assert kind_of(path, {name: rules[name] for name in names}) is kind_of(path, rules)
