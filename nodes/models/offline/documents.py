"""The README, the record of the schema and the record of the review."""

from backend_coordinator.nodes.models.offline.migrations import description
from backend_coordinator.nodes.models.offline.model import Resource
from backend_coordinator.nodes.models.offline.repository import Layout

README = """# CRUD API

A small FastAPI service on SQLite; [openapi.yaml](openapi.yaml) is its contract.

```console
python -m pip install -e ".[test]"
python -m uvicorn PKG.main:app
python -m pytest
```
"""

ABOUT = """
## Resources

Lists take `limit` (1 to 100, 20 without it), `offset` and the referencing fields as filters. Every error is
`{"error": {"code": ..., "message": ..., "details": [{"field": ..., "message": ...}]}}`.

The database is the file named by `DATABASE_PATH` (`service.db` without it). It is brought up to date when the
application starts; by hand: `python -m PKG.database upgrade`, `downgrade` (one migration) or `status`.

| path | methods | fields |
| --- | --- | --- |
"""

SCHEMA = """# Schema

SQLite, one table per resource, with foreign keys enforced on every connection. Amounts are kept as exact text
with two decimal places, dates and times as ISO 8601 text (times in UTC), booleans as 0 and 1. The migrations
repeat the bounds of the contract as CHECK constraints.
"""

SECURITY = """# Security review

Written by a fixed set of rules along with the code. No person and no judging model has reviewed this service.

## What every endpoint enforces

- Values reach SQL as bound parameters only; the statements are literals.
- Bodies are limited to 1 MB while they stream in, lists to 100 rows a page, texts and numbers to bounds.
- Unknown body fields are refused. Errors name the field and never repeat the value sent.
- Foreign keys, uniqueness and bounds hold in the database as well as in the application.

## What is not there

- Authentication and authorisation: whoever reaches the service can read and change everything.
- Rate limiting, audit log, CORS rules and TLS: left to what stands in front of the service.
- Encryption of the database file, and protection against lost updates (the last write wins).
- The OpenAPI pages (`/docs`, `/redoc`, `/openapi.json`) are public as FastAPI leaves them.
"""


def readme(text: str, resources: tuple[Resource, ...], layout: Layout) -> str:
    """The README with a row per resource, after the rows that are there."""
    text = text or README.replace("PKG", layout.module)
    about = ABOUT.replace("PKG", layout.module)
    if about.rstrip() not in text:
        text = text.rstrip() + "\n" + about
    for resource in resources:
        fields = ", ".join(field.name for field in resource.fields)
        row = f"| `{resource.path}`, `{resource.path}/{{id}}` | GET, POST; GET, PUT, DELETE | {fields} |\n"
        head, mark, rest = text.partition(about.rstrip())
        rows, gap, after = rest.partition("\n\n")
        text = text if row in text else head + mark + rows.rstrip() + "\n" + row.rstrip() + (gap + after or "\n")
    return text


def with_sections(text: str, sections: dict[str, str]) -> str:
    """The document with a `##` section for every title that has none yet."""
    for title, body in sections.items():
        if f"\n## {title}\n" not in text:
            text = f"{text.rstrip()}\n\n## {title}\n\n{body}"
    return text


def schema_document(text: str, resources: tuple[Resource, ...]) -> str:
    """The Markdown record of the tables: `text`, begun afresh if empty, with a section for each new resource."""
    return with_sections(text or SCHEMA, {resource.label: description(resource) for resource in resources})


def endpoints(resource: Resource) -> str:
    """What is checked where, for one resource."""
    one, ids = resource.path + "/{id}", "id bounds"
    fields = ", ".join(field.name for field in resource.fields)
    references = ", ".join(field.name for field in resource.references)
    checks = [f"every field ({fields})"] + ([f"existing rows behind {references}"] if references else [])
    unique = ", ".join(field.name for field in resource.fields if field.unique)
    write = "; ".join([*checks, *([f"uniqueness of {unique}"] if unique else []), "body size"])
    rows = [
        (
            f"GET {resource.path}",
            "page bounds" + (f"; id bounds of the filters {references}" if references else ""),
        ),
        (f"POST {resource.path}", write),
        (f"GET {one}", ids),
        (f"PUT {one}", f"{ids}; {write}"),
        (f"DELETE {one}", f"{ids}; refused while the row is referenced"),
    ]
    return "| endpoint | enforced |\n| --- | --- |\n" + "".join(f"| {path} | {text} |\n" for path, text in rows)


def security_document(text: str, resources: tuple[Resource, ...]) -> str:
    """The Markdown record of the review: `text`, begun afresh if empty, with a section for each new resource."""
    return with_sections(text or SECURITY, {f"Endpoints of {r.label}": endpoints(r) for r in resources})
