"""The README, the record of the schema and the record of the review."""

from backend_coordinator.nodes.models.offline.migrations import description
from backend_coordinator.nodes.models.offline.model import Resource
from backend_coordinator.nodes.models.offline.repository import Layout
from backend_coordinator.nodes.models.offline.templates import template


def readme(text: str, resources: tuple[Resource, ...], layout: Layout) -> str:
    """The README with a row per resource, after the rows that are there."""
    text = text or template("docs/readme").replace("PKG", layout.module)
    about = template("docs/resources").replace("PKG", layout.module)
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
    return with_sections(
        text or template("docs/schema"), {resource.label: description(resource) for resource in resources}
    )


def endpoints(resource: Resource) -> str:
    """What is checked where, for one resource."""
    one, ids = resource.path + "/{id}", "id bounds"
    fields = ", ".join(field.name for field in resource.fields)
    references = ", ".join(field.name for field in resource.references)
    checks = [f"every field ({fields})"] + ([f"existing rows behind {references}"] if references else [])
    unique = ", ".join(field.name for field in resource.fields if field.unique)
    write = "; ".join([*checks, *([f"uniqueness of {unique}"] if unique else []), "body size"])
    filters = f"; id bounds of the filters {references}" if references else ""
    rows = [
        (f"GET {resource.path}", f"page bounds{filters}"),
        (f"POST {resource.path}", write),
        (f"GET {one}", ids),
        (f"PUT {one}", f"{ids}; {write}"),
        (f"DELETE {one}", f"{ids}; refused while the row is referenced"),
    ]
    return "| endpoint | enforced |\n| --- | --- |\n" + "".join(f"| {path} | {text} |\n" for path, text in rows)


def security_document(text: str, resources: tuple[Resource, ...]) -> str:
    """The Markdown record of the review: `text`, begun afresh if empty, with a section for each new resource."""
    return with_sections(
        text or template("docs/security"), {f"Endpoints of {r.label}": endpoints(r) for r in resources}
    )
