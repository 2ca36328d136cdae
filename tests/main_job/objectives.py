"""Random objectives in the words people use."""

import random
from typing import NamedTuple

NOUNS = (
    "invoices", "warehouses", "courses", "patients", "tickets", "recipes", "vehicles", "lessons", "branches", "cities",
    "suppliers", "shipments", "contracts", "devices", "playlists", "bookings", "employees", "categories", "teams",
)  # fmt: skip
FIELDS = (
    "name", "title", "price", "stock", "start date", "due_date: date", "is active", "email", "website url",
    "rating: int", "weight", "notes: text", "code (unique)", "optional nickname", "quantity: integer",
    "amount: decimal", "phone number", "created_at: datetime", "enabled: boolean", "serial number: string",
    "score: float",
)  # fmt: skip
OPENINGS = (
    "CRUD API for",
    "Build a REST API for",
    "Create a simple CRUD API for",
    "Add CRUD endpoints for",
    "We need a CRUD API for",
)


class Pair(NamedTuple):
    """An objective for a new repository, and one for the repository it leaves."""

    first: str
    second: str


def pair(seed: int) -> Pair:
    """Two objectives; the second one's resource refers to the first one's."""
    rng = random.Random(seed)
    one, two, three = rng.sample(NOUNS, 3)
    parent = _singular(one)
    first = f"{rng.choice(OPENINGS)} {one} with {_fields(rng)}, and {two} with {_fields(rng)} and {parent}"
    relation = rng.choice((f"and {parent}", f"and {parent}_id"))
    return Pair(first, f"{rng.choice(OPENINGS)} {three} with {_fields(rng)} {relation}")


def _fields(rng: random.Random) -> str:
    return ", ".join(rng.sample(FIELDS, rng.randint(2, 4)))


def _singular(noun: str) -> str:
    if noun.endswith("ies"):
        return f"{noun[:-3]}y"
    return noun.removesuffix("es") if noun.endswith("ches") else noun.removesuffix("s")
