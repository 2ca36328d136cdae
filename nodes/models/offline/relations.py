"""Turns the fields that were read into resources that refer to each other."""

from collections.abc import Iterator
from dataclasses import replace

from backend_coordinator.nodes.models.offline.fields import LONGEST_NAME, Refusal
from backend_coordinator.nodes.models.offline.model import Field, Resource, ServiceSpec
from backend_coordinator.nodes.models.offline.words import plural_of, singular_of


def related(resources: dict[str, list[Field]], collections: list[tuple[str, str]]) -> ServiceSpec:
    """The resources with their relations resolved, in an order in which every parent comes first."""
    for owner, many in collections:
        if many not in resources:
            raise Refusal(f'"{many.replace("_", " ")}" is not one of the resources.')
        resources[many].append(Field(owner).referring(plural_of(owner)))
    names = {singular: plural_of(singular) for singular in resources}
    for singular, fields in resources.items():
        for one in [one for one in fields if one.type == "list"]:
            fields.remove(one)
            target = singular_of(one.name)
            if target not in names or target == singular:
                label = one.name.replace("_", " ")
                raise Refusal(f'"{label}" of {names[singular]} is a list, which one column cannot hold.')
            resources[target].append(Field(singular).referring(names[singular]))
    found = [settled(Resource(one, names[one], tuple(fields)), names) for one, fields in resources.items()]
    return ServiceSpec(tuple(_ordered(found)))


def settled(resource: Resource, names: dict[str, str]) -> Resource:
    """The resource with references instead of the names of other resources, and every field once."""
    fields: dict[str, Field] = {}
    for one in resource.fields:
        linked = reference(one, names)
        if linked.references == resource.plural:
            linked = replace(linked, required=False)
        if linked.name == "id" and linked.type in ("string", "integer"):
            continue
        known = fields.get(linked.name)
        if linked.name == "id" or (known and (not known.references or known.references != linked.references)):
            raise Refusal(f'The field "{linked.name}" of {resource.plural} is written twice or cannot be chosen.')
        fields.setdefault(linked.name, linked)
    if not fields:
        raise Refusal(f"No fields are given for {resource.label}.")
    if any(one.references and one.unique and not one.required for one in fields.values()):
        raise Refusal(f"A reference of {resource.label} is both optional and unique.")
    if any(len(one) > LONGEST_NAME for one in fields):
        raise Refusal(f"A reference of {resource.label} gets too long a name.")
    if len(resource.plural) > 25 or resource.plural == "schema_migrations" or resource.plural.startswith("sqlite_"):
        raise Refusal(f'"{resource.label}" cannot be the name of a resource.')
    return replace(resource, fields=tuple(fields.values()))


def reference(one: Field, names: dict[str, str]) -> Field:
    """A field as a reference when its name is, or ends with, that of a resource: `author`,
    `target_account`."""
    name = one.name.removesuffix("_id")
    close = [plural for singular, plural in names.items() if singular.endswith(f"_{name}")]
    target = names.get(name) or names.get(name.rpartition("_")[2]) or (close[0] if len(close) == 1 else None)
    numbered = one.name.endswith("_id") and one.type in ("integer", "uuid")
    return one.referring(target) if target and ((one.inferred and one.type == "string") or numbered) else one


def _ordered(resources: list[Resource]) -> Iterator[Resource]:
    waiting = list(resources)
    while waiting:
        left = {resource.plural for resource in waiting}
        free = [r for r in waiting if not left & {f.references for f in r.references if f.required}]
        if not free:
            raise Refusal(f"{' and '.join(sorted(left))} need each other, so that none could be created first.")
        yield free[0]
        waiting.remove(free[0])
