"""Plans by rules are as large as what is asked: closed work is one task or two, large work has areas at once."""

import json
import subprocess
from pathlib import Path

import pytest

from backend_coordinator import Coordinator
from backend_coordinator.domain.objective import Analysis, RepositoryFacts
from backend_coordinator.domain.plan import Plan
from backend_coordinator.nodes.models.offline.areas import areas_of
from backend_coordinator.nodes.models.offline.general_planning import analysis_by_rules
from backend_coordinator.nodes.models.offline.planning import analysis_of, draft_of
from backend_coordinator.nodes.models.offline.site import site_of
from tests.support.runs import cli_here

STACKS = {
    "fastapi-developer": {
        "pyproject.toml": '[project]\nname = "shop"\nversion = "1"\ndependencies = ["fastapi"]\n',
        "app/main.py": "from fastapi import FastAPI\n\napp = FastAPI()\n",
    },
    "nodejs-expert": {
        "package.json": '{"name": "shop", "dependencies": {"express": "5"}}',
        "src/app.js": "const app = require('express')()\n",
    },
    "django-developer": {"manage.py": "", "requirements.txt": "django\n", "shop/models.py": ""},
}
SMALL = {
    "Add an endpoint that returns the order total": "endpoint",
    "Add GET /health that says whether the database answers": "endpoint",
    "Fix the bug that a cancelled order is still charged": "",
    "Fix: the login endpoint answers 500 for an unknown e-mail address": "auth",
    "Add a phone column to the users table": "schema",
    "Add an index on orders.created_at": "schema",
    "The orders list query is slow: it loads the customer of each order (N+1)": "performance",
    "Validate that quantity is positive": "",
    "Make the request timeout configurable by an environment variable": "",
    "Rename the function calc_total to total_of": "",
    "Add a test for the discount calculation": "",
    "Log every refused login with the request id": "monitoring",
}
LARGE = {
    "Build an order service with payments, inventory and notifications": 4,
    "Migrate the monolith's billing to a service": 1,
    "Add multi-tenant organisations with roles, invitations and audit log": 4,
    "GraphQL gateway over three services with caching and rate limits": 3,
    "Build a notification platform: e-mail, SMS and push channels, user preferences, retries and delivery reports": 6,
    "Split the monolith into orders, catalogue and users services with tracing across them. p95 under 150 ms.": 4,
}
# In other words than the rules were written by.
SMALL_TOO = {
    "Expose a read-only endpoint for the ten best-selling products": "endpoint",
    "Please add GET /customers/{id}/orders": "endpoint",
    "We get a 500 when the cart is empty; it should be a 400": "",
    "Totals are rounded wrongly for currencies without cents, please correct that": "",
    "users.last_seen_at is missing: add it": "schema",
    "Put a unique constraint on products.sku": "schema",
    "Searching customers by surname takes four seconds, bring it below 200 ms": "performance",
    "Refuse orders whose delivery date lies in the past": "",
    "Read the page size from the settings instead of the constant": "",
    "The field `descr` should be called `description` in the code": "",
    "Only managers may cancel an order": "auth",
    "Retry the shipping carrier's API three times before giving up": "integration",
    "Count failed payments in a Prometheus metric": "monitoring",
    "Return 404 instead of an empty body for an unknown invoice": "",
    "Make orders.note nullable": "schema",
    "Drop the unused table legacy_prices": "schema",
    "Hash the API keys before storing them": "auth",
    "Upload product pictures to S3": "integration",
    "Cache the exchange rates for ten minutes": "performance",
    "Bump the default timeout to 30 seconds": "",
    "Add a discount field to Order": "schema",
    "Rename the field qty to quantity in the order model": "schema",
    "Make phone unique on customers": "schema",
    "Store the user's timezone": "schema",
    "Change the type of price from float to decimal": "schema",
    "Let administrators delete comments": "auth",
    "Rename the field qty in the code": "",
    "Store the exchange rates in Redis": "",
    "Log in JSON": "",
    "Sign in the ledger": "",
    "Add role based access control": "auth",
    "Add API keys": "auth",
    "Rotate refresh tokens": "auth",
    "Two-factor (TOTP)": "auth",
    "Restrict admin routes": "auth endpoint",
    "Add SSO with SAML": "auth",
    "Session cookies": "auth",
    "CSRF tokens": "auth",
    "Let customers sign in twice": "auth",
}
LARGE_TOO = {
    "We want a subscription platform: plans, trials, invoices and dunning e-mails": "integration",
    "Break the monolith up into catalogue, checkout and accounts services": "",
    "Add user accounts with registration, password reset, roles and login via Google": "auth integration",
    "Create a warehouse backend that covers receiving, picking and stock counts; it has to bear 2 million items":
        "scalability",
    "Design and build a loyalty system: points, tiers, vouchers, expiry and a partner API": "",
    "Extract reporting from the monolith into its own service with its own database": "",
    "Turn the single-user app into a multi-tenant one with tenant isolation, per-tenant billing and SSO": "auth",
}  # fmt: skip


@pytest.fixture(scope="module", params=STACKS)
def coordinator(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> tuple[str, Coordinator]:
    """A coordinator over a repository of one stack, and that stack's expert."""
    folder = tmp_path_factory.mktemp("shop")
    for path, text in STACKS[request.param].items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return request.param, Coordinator("offline", folder, init=True)


def kinds_of(objective: str) -> set[str]:
    return {name.rpartition("-")[0] for name in Analysis.model_validate(analysis_by_rules(objective)).answers}


def demand_covered(objective: str, plan: Plan) -> None:
    answers = Analysis.model_validate(analysis_of(objective)).answers
    assert {name for task in plan.tasks for name in task.covers} == set(answers)


@pytest.mark.parametrize("objective", SMALL)
def test_closed_work_is_one_task_of_the_stack_s_expert_and_a_review_where_it_counts(
    coordinator: tuple[str, Coordinator], objective: str
) -> None:
    author, offline = coordinator
    plan = offline.plan(objective)
    work, *review = plan.tasks
    assert kinds_of(objective) == set(SMALL[objective].split())
    touched = kinds_of(objective) & {"endpoint", "schema", "auth"}
    assert [(task.specialist, task.steps) for task in review] == [("backend-architect", ("security_review",))] * len(
        review
    )
    assert len(review) == 1 if touched or "login" in objective else not review
    assert work.specialist == ("database-optimizer" if "index" in objective else author)
    assert ("design_contract" in work.steps) == ("endpoint" in touched)
    assert ("rollback_script" in work.steps) == ("schema" in touched)
    assert work.writes
    assert work.acceptance_criteria
    demand_covered(objective, plan)


@pytest.mark.parametrize("objective", LARGE)
def test_large_work_has_designs_then_its_areas_at_once_then_what_joins_and_checks_them(
    coordinator: tuple[str, Coordinator], objective: str
) -> None:
    author, offline = coordinator
    plan = offline.plan(objective)
    code = [task for task in plan.tasks if task.title.startswith("Implement ")]
    designs = {task.id for task in plan.tasks if task.steps[0].startswith("design_")}
    assert len(code) == LARGE[objective]
    assert designs
    assert all((task.specialist, set(task.needs)) == (author, designs) for task in code)
    assert {task.id for task in code} <= set(next(group for group in plan.groups if code[0].id in group))
    written = [glob for task in code for glob in task.writes]
    assert len(written) == len(set(written))
    last = [plan[name].steps[0] for name in plan.groups[-1]]
    assert sorted(last) == ["performance_test", "security_review"]
    demand_covered(objective, plan)


def test_the_command_prints_groups_and_the_critical_path(coordinator: tuple[str, Coordinator]) -> None:
    _, offline = coordinator
    said = cli_here(
        "plan", next(iter(LARGE)), "--workspace", str(offline.runs.workspace), "--model", "offline", "--json"
    )
    assert said.returncode == 0, said.stderr
    told = json.loads(said.stdout)
    assert [len(group) for group in told["groups"]] == [2, 4, 1, 2]
    assert len(told["critical_path"]) == 4


@pytest.mark.parametrize("objective", SMALL_TOO)
def test_closed_work_in_other_words(objective: str) -> None:
    assert areas_of(objective) == ()
    assert kinds_of(objective) == set(SMALL_TOO[objective].split())


@pytest.mark.parametrize("objective", LARGE_TOO)
def test_large_work_in_other_words(objective: str) -> None:
    assert areas_of(objective)
    assert kinds_of(objective) == {"endpoint", "schema", "performance", *LARGE_TOO[objective].split()}


@pytest.mark.parametrize("objective", [*SMALL, *LARGE, *SMALL_TOO, *LARGE_TOO])
def test_an_answer_says_what_the_objective_says_or_that_it_is_assumed(objective: str) -> None:
    for text in Analysis.model_validate(analysis_by_rules(objective)).answers.values():
        assert text.startswith("assumed: ") or text in objective or text in objective.replace("Design and ", "")


@pytest.mark.parametrize(
    ("objective", "areas"),
    [
        ("Split the monolith into user, order and inventory services with their own databases",
         "user, order, inventory services"),
        ("Build a warehouse management backend covering stock, picking and returns", "stock, picking, returns"),
        ("Build a shop platform: catalogue, checkout with Stripe, orders", "catalogue, checkout, orders"),
        ("Build a shop platform with catalogue, checkout with Stripe and payouts", "catalogue, checkout, payouts"),
        ("Build a payments platform with a ledger", "payments platform, ledger"),
    ],
)  # fmt: skip
def test_areas_are_the_parts_that_are_named(objective: str, areas: str) -> None:
    assert ", ".join(areas_of(objective)) == areas


def test_what_an_area_is_connected_to_is_done_by_its_task() -> None:
    objective = "Build a shop platform with catalogue, checkout with Stripe and payouts"
    tasks = Plan.model_validate(draft_of(objective, RepositoryFacts())).tasks
    assert [task.title for task in tasks if "integration-1" in task.covers] == ["Implement checkout"]


API, WEB, ADMIN, MAILER, GATEWAY = (
    {"root": root, "language": language, "frameworks": frameworks, "specialist": specialist}
    for root, language, frameworks, specialist in (
        ("api", "Python", ["fastapi"], "fastapi-developer"),
        ("web", "TypeScript", ["next", "react"], "nodejs-expert"),
        ("admin", "TypeScript", ["next", "react"], "nodejs-expert"),
        ("mailer", "JavaScript", ["spring-boot"], "nodejs-expert"),
        ("gateway", "Go", [], "backend-engineer"),
    )
)


@pytest.mark.parametrize(
    ("objective", "stacks", "root"),
    [
        ("Fix the retry of the mailer.", (API, MAILER), "mailer"),
        ("Fix the retry of the orders", (API, MAILER), "api"),
        ("Fix the Spring Boot configuration", (API, MAILER), "mailer"),
        ("Add an endpoint that returns the next delivery", (API, WEB), "api"),
        ("React to the change of a delivery", (API, WEB), "api"),
        ("Add caching to the Next.js app", (API, WEB), "web"),
        ("Add an endpoint that returns the orders", (ADMIN, API), "api"),
        ("Change what admin shows first", (ADMIN, API), "admin"),
        ("Let users go back to a saved draft", (API, GATEWAY), "api"),
        ("Round the totals in the Go service", (API, GATEWAY), "gateway"),
        ("Round the totals", (WEB,), "web"),
    ],
)
def test_a_service_named_by_the_objective_is_where_the_work_is_done(
    objective: str, stacks: tuple[dict[str, object], ...], root: str
) -> None:
    task = Plan.model_validate(draft_of(objective, RepositoryFacts.model_validate({"stacks": stacks}))).tasks[0]
    assert all(glob.startswith((f"{root}/", "migrations")) for glob in task.writes)
    assert task.specialist == next(stack["specialist"] for stack in stacks if stack["root"] == root)


@pytest.mark.parametrize(
    ("frameworks", "there", "wanted"),
    [
        (["django"], ["shop/orders/migrations/0001_initial.py"], "**/migrations/**"),
        (["fastapi"], ["db/migrations/0001.sql"], "db/migrations/**"),
        (["fastapi"], ["schema.sql"], "migrations/**"),
        ([], [], "migrations/**"),
    ],
)
def test_new_migrations_go_where_they_are(frameworks: list[str], there: list[str], wanted: str) -> None:
    stacks = [{"language": "Python", "frameworks": frameworks, "specialist": "python-pro"}]
    facts = RepositoryFacts.model_validate({"stacks": stacks, "migrations": there})
    assert site_of("Add a column", facts).migrations == wanted


@pytest.mark.parametrize(
    "text",
    [
        "",
        "   ",
        ".",
        "do",
        "a, " * 9000,
        "with " * 9000,
        "add and " * 9000,
        "change it to store a model " * 2000,
        "x" * 50_000,
    ],
)
def test_whatever_is_asked_has_a_plan(text: str) -> None:
    assert Plan.model_validate(draft_of(text, RepositoryFacts())).tasks


def test_a_run_of_what_it_cannot_write_says_so(tmp_path: Path) -> None:
    report = Coordinator("offline", tmp_path, init=True).start("Validate that quantity is positive").result()
    assert not report.accepted
    assert "the offline model cannot do this: It is not of the form" in report.summary
    assert [task.id for task in report.tasks] == ["backend-T001"]
    subprocess.run(["git", "rev-parse", "--verify", report.branch], cwd=tmp_path, check=True, capture_output=True)
