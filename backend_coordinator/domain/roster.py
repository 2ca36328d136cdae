"""Who can be given work, asked or told: the members of the department and what each may see and do."""

import re
from collections.abc import Mapping
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Literal, Self

from pydantic import (
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    ValidationInfo,
    field_validator,
    model_validator,
)

from backend_coordinator.domain.base import Value
from backend_coordinator.domain.context import ContextKind
from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.errors import UnknownSpecialist

Decision = Literal["allow", "ask", "deny"]
Role = Literal["specialist", "consultant", "external"]

PROTOCOL_TOOLS = frozenset({"check", "recall", "report_need", "submit"})
"""Tools a working specialist has unless its file switches them off: without them it could not end."""


def _pairs(value: object) -> object:
    return tuple(value.items()) if isinstance(value, Mapping) else value


def _nested_pairs(value: object) -> object:
    return tuple((k, _pairs(v)) for k, v in value.items()) if isinstance(value, Mapping) else value


Name = Annotated[str, Field(pattern=r"^[a-z][a-z0-9-]{0,62}$")]
Table = Annotated[tuple[tuple[Name, str], ...], BeforeValidator(_pairs)]
Switches = Annotated[tuple[tuple[str, StrictBool], ...], BeforeValidator(_pairs)]
Rules = Annotated[tuple[tuple[str, tuple[tuple[str, Decision], ...]], ...], BeforeValidator(_nested_pairs)]


class _Row(Value):
    model_config = ConfigDict(validate_by_name=True, validate_by_alias=True)


class EscalationRoute(_Row):
    """One row of a specialist's escalation table: whom to ask for which class of failure."""

    when: str
    failure: FailureClass = Field(alias="class")
    to: tuple[Name, ...] = Field(min_length=1)


class AcceptRule(_Row):
    """Whose requests a specialist takes over, and in which situation."""

    from_: Name = Field(alias="from")
    when: str


class Specialist(Value):
    """One member of the roster; mappings of its file are kept as tuples of pairs in the order written.

    Raises pydantic's ValidationError (a ValueError) for a kind that is both seen and never seen.
    """

    name: Name
    description: str = Field(min_length=1)
    role: Role = "specialist"
    aliases: tuple[Name, ...] = ()
    expertise: tuple[str, ...] = ()
    detects: tuple[str, ...] = ()
    """What in a repository calls for this specialist: a file name, or `word in file name`."""
    model: str | None = None
    """A model string of this product; None means the run's model."""
    model_hint: str | None = None
    """A model name of another product, shown and never used."""
    temperature: float | None = Field(default=None, strict=True, ge=0, le=2)
    sees: tuple[ContextKind, ...] = ()
    never_sees: tuple[ContextKind, ...] = ()
    tools: Switches = ()
    permission: Rules = ()
    collaborates_with: Table = ()
    escalates_to: tuple[EscalationRoute, ...] = ()
    accepts_from: tuple[AcceptRule, ...] = ()
    reports_to: Name | None = None
    notes: tuple[str, ...] = ()
    """What its file says that has no counterpart here."""
    prompt: str = Field(min_length=1)

    @field_validator("never_sees")
    @classmethod
    def _not_seen_too(cls, kinds: tuple[ContextKind, ...], info: ValidationInfo) -> tuple[ContextKind, ...]:
        if both := [kind.value for kind in kinds if kind in info.data.get("sees", ())]:
            msg = f"in sees and in never_sees: {', '.join(both)}"
            raise ValueError(msg)
        return kinds

    @property
    def granted(self) -> frozenset[str]:
        """Names of the tools it may call; empty unless its role is specialist."""
        if self.role != "specialist":
            return frozenset()
        switched = dict(self.tools)
        return frozenset(tool for tool in PROTOCOL_TOOLS | switched.keys() if switched.get(tool, True))

    @property
    def writes_code(self) -> bool:
        """Whether it can change files of a worktree."""
        return not self.granted.isdisjoint({"write", "edit"})


class Roster(Value):
    """All members, sorted by name; immutable.

    Raises pydantic's ValidationError (a ValueError) when a name or alias stands for two members.
    """

    specialists: tuple[Specialist, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _check_and_sort(self) -> Self:
        owner: dict[str, str] = {}
        for specialist in self.specialists:
            for name in (specialist.name, *specialist.aliases):
                if name in owner:
                    msg = f"{name} stands for both {owner[name]} and {specialist.name}"
                    raise ValueError(msg)
                owner[name] = specialist.name
        object.__setattr__(self, "specialists", tuple(sorted(self.specialists, key=lambda s: s.name)))
        return self

    def __contains__(self, name_or_alias: str) -> bool:
        return _slug(name_or_alias) in self._by_any_name

    def get(self, name_or_alias: str) -> Specialist:
        """The member meant, also when spelled `@python-pro` or `Python Pro`; raises UnknownSpecialist."""
        slug = _slug(name_or_alias)
        if slug not in self._by_any_name:
            near = get_close_matches(slug, self._by_any_name, n=3) or self.names
            msg = f"no specialist is called {name_or_alias!r}; known here: {', '.join(near)}"
            raise UnknownSpecialist(msg)
        return self._by_any_name[slug]

    def resolve(self, name_or_alias: str) -> str:
        """The name behind a name or alias; raises UnknownSpecialist."""
        return self.get(name_or_alias).name

    @property
    def names(self) -> tuple[str, ...]:
        """All names, sorted, without aliases."""
        return tuple(specialist.name for specialist in self.specialists)

    @property
    def consultants(self) -> tuple[Specialist, ...]:
        """Those who answer questions and write nothing."""
        return tuple(s for s in self.specialists if s.role == "consultant")

    @cached_property
    def _by_any_name(self) -> Mapping[str, Specialist]:
        return {name: s for s in self.specialists for name in (s.name, *s.aliases)}


def _slug(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "-", name.lower()).strip("-")
