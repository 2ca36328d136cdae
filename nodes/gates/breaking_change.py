"""A change of a contract, and the words for what schemas refuse."""

from typing import NamedTuple

from backend_coordinator.nodes.gates.breaking_schemas import Refusal

# For each kind of refusal rule and message: what the new schema takes less, and what it takes more.
_WORDS = {
    "type": (("type-narrowed", "may no longer be {}"), ("type-widened", "may now be {}")),
    "null": (("null-refused", "may no longer be null"), ("null-allowed", "may now be null")),
    "limited": (
        ("enum-added", "is now limited to some values"),
        ("enum-removed", "is no longer limited to some values"),
    ),
    "value": (("enum-value-removed", "may no longer be {}"), ("enum-value-added", "may now be {}")),
    "extended": (
        ("enum-value-removed", "may no longer be {}"),
        ("enum-value-added", "may now be {}, which its extensible enum foresees"),
    ),
    "bound": (("bound-tightened", "has a tighter {}"), ("bound-loosened", "has a looser {}")),
    "pattern": (("pattern-tightened", "must now fit {}"), ("pattern-loosened", "need no longer fit {}")),
    "format": (("format-narrowed", "must now be a {}"), ("format-widened", "need no longer be a {}")),
    "constraint": (("constraint-added", "is held to another {}"), ("constraint-removed", "is not held to the same {}")),
    "required": (("field-required", "became required"), ("field-optional", "may now be absent")),
    "gone": (("field-removed", "is gone"), ("field-removed", "is gone")),
    "refused": (("field-removed", "is refused"), ("field-removed", "is refused")),
    "added": (("field-added", "is new"), ("field-added", "is new")),
    "closed": (("fields-closed", "takes no further fields"), ("fields-opened", "takes further fields")),
    "variant": (("variant-removed", "may no longer be {}"), ("variant-added", "may now be {}")),
    "form": (("variant-removed", "may no longer be what it was"), ("variant-added", "may now be something else")),
    "discriminator": (("discriminator-changed", "is told apart by another field"),) * 2,
    "mapping": (("mapping-removed", "may no longer be named {}"), ("mapping-added", "may now be named {}")),
    "default": (("default-changed", "has another default"),) * 2,
}
# One value may go and another come; what else changes both ways is one change.
EACH = frozenset({"bound", "extended", "mapping", "value", "variant"})
"""Kinds of refusals of which one place can have several."""


class Change(NamedTuple):
    """One change: its rule, the operation and the place in it, what happened, and whether callers can break."""

    rule: str
    operation: str
    place: str
    message: str
    breaking: bool = True

    @property
    def where(self) -> str:
        """The operation and the place in it."""
        return ": ".join(filter(None, (self.operation, self.place)))

    def __str__(self) -> str:
        return f"{self.where}{' ' if self.place else ': '}{self.message}"


def worded(operation: str, refusal: Refusal, *, sent: bool, breaking: bool) -> Change:
    """The change that a refusal is: a request breaks by less, an answer by more."""
    rule, message = _WORDS[refusal.kind][sent is not breaking]
    side = "request" if sent else "response"
    return Change(
        f"{side}-{rule}",
        operation,
        refusal.place,
        message.format(refusal.detail),
        breaking and refusal.kind != "extended",
    )
