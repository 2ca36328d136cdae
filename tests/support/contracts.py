"""A contract that is designed by one task and shared before others build on it."""

from backend_coordinator.domain.report import Report
from tests.support.department import task

DESIGN = task(
    1,
    specialist="api-architect",
    writes=("openapi.yaml",),
    steps=("design_contract", "share_contract", "validate_contract", "integration_test"),
)


def contract(version: str, *operations: str) -> str:
    """A contract whose GET operations answer 200 and 404 with JSON."""
    paths = "".join(
        f"  {path}:\n    get:\n      operationId: {path.rpartition('/')[2]}\n      responses:\n"
        '        "200": {description: fine, content: {application/json: {schema: {type: object}}}}\n'
        '        "404": {description: none, content: {application/problem+json: {schema: {type: object}}}}\n'
        for path in operations
    )
    info = f'{{title: shop, version: {version}, description: "A new major version gets a path of its own."}}'
    return f"openapi: 3.1.0\ninfo: {info}\nservers: [{{url: https://api.test}}]\npaths:\n{paths}"


BEFORE = contract("0.9.0", "/v1/orders", "/v1/refunds")
FIRST, SECOND = contract("1.0.0", "/v1/orders"), contract("1.0.1", "/v1/orders", "/v1/customers")


def steps(report: Report) -> dict[str, tuple[str, str]]:
    return {step.step: (step.status, step.by) for step in report.protocols}
