"""What an understood objective asks for: resources and their fields."""

from dataclasses import dataclass, replace

from backend_coordinator.nodes.models.offline.words import camel


@dataclass(frozen=True)
class Field:
    """One field; `type` is a key of `kinds.KINDS` or "reference", `name` is its JSON and column name."""

    name: str
    type: str = "string"
    required: bool = True
    unique: bool = False
    minimum: int | None = None
    maximum: int | None = None
    maximum_length: int | None = None
    choices: tuple[str, ...] = ()
    references: str | None = None
    inferred: bool = True

    def referring(self, plural: str) -> "Field":
        """The same field as a foreign key to the resource with this plural name."""
        name = self.name if self.name.endswith("_id") else f"{self.name}_id"
        return replace(self, name=name, type="reference", references=plural, inferred=False)


@dataclass(frozen=True)
class Resource:
    """One table and its endpoints; both names are snake_case."""

    singular: str
    plural: str
    fields: tuple[Field, ...] = ()

    @property
    def path(self) -> str:
        """The URL path of the list, with a leading slash and in kebab-case: `/order-items`."""
        return "/" + self.plural.replace("_", "-")

    @property
    def label(self) -> str:
        """The plural for readers, in lower case with spaces: `order items`."""
        return self.plural.replace("_", " ")

    @property
    def type_name(self) -> str:
        """The singular in CamelCase, from which schemas and classes take their names: `OrderItem`."""
        return camel(self.singular)

    @property
    def references(self) -> tuple[Field, ...]:
        """The foreign keys in the order of the fields; the lists of the API can be filtered by them."""
        return tuple(field for field in self.fields if field.references)


@dataclass(frozen=True)
class ServiceSpec:
    """The resources of one objective, in the order in which their tables can be created."""

    resources: tuple[Resource, ...]
