"""All that the offline model needs: understand an objective, deliver a step, explain it."""

from typing import NamedTuple

from backend_coordinator.nodes.models.offline.delivery import Step, deliver, resolved
from backend_coordinator.nodes.models.offline.model import Field, Resource, ServiceSpec
from backend_coordinator.nodes.models.offline.understanding import understand, why_not

__all__ = [
    "Delivered",
    "Field",
    "Resource",
    "ServiceSpec",
    "Step",
    "deliver",
    "notes",
    "resolved",
    "understand",
    "why_not",
]


class Delivered(NamedTuple):
    """What a delivery says about itself."""

    summary: str
    decisions: tuple[str, ...]


SUMMARIES = {
    "contract": "OpenAPI contract for {labels}: five operations per resource and one error shape.",
    "schema": "Migrations with rollback for {labels}, and docs/schema.md.",
    "implementation": "Endpoints for {labels} on FastAPI and SQLite, with tests and README.",
    "review": "docs/security.md records what the endpoints of {labels} enforce and what they do not.",
}


def notes(step: Step, spec: ServiceSpec) -> Delivered:
    """The summary of a delivery and the decisions behind it, in plain English."""
    labels = ", ".join(resource.label for resource in spec.resources)
    types = {field.type for resource in spec.resources for field in resource.fields}
    links = [(resource, field) for resource in spec.resources for field in resource.references]
    decisions = {
        "contract": [
            "Unknown body fields are refused, because a misspelt field should not be lost silently.",
            "PUT replaces a row; there is no PATCH.",
            "An unknown reference is 422 and names the field; deleting a referenced row is 409.",
        ],
        "schema": [
            "Bounds are CHECK constraints too, because not every writer comes through the application.",
            "Ids are never reused, so that an old link cannot lead to another row.",
            *(f"{r.label}.{f.name} refers to {f.references} and has an index." for r, f in links),
        ],
        "implementation": [
            "SQL statements are literal text with bound parameters.",
            "The schema is brought up to date when the application starts.",
        ],
        "review": ["No person and no judging model reviewed the code; the record says so."],
    }[step]
    if "decimal" in types and step != "review":
        decisions.append("Amounts are decimal strings with two places, stored as exact text.")
    if "datetime" in types and step != "review":
        decisions.append("Times need an offset and are kept in UTC with whole seconds.")
    return Delivered(SUMMARIES[step].format(labels=labels), tuple(decisions))
