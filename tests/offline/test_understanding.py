"""Objectives in the many ways people write them, and those that are refused."""

import random
import re

import pytest

from backend_coordinator.nodes.models.offline.model import Field
from backend_coordinator.nodes.models.offline.understanding import understand, why_not
from backend_coordinator.nodes.models.offline.words import plural_of, singular_of


def outline(objective: str) -> dict[str, str]:
    """Plural to fields: `!` unique, `?` optional, `->` what it refers to."""
    spec = understand(objective)
    assert spec is not None, why_not(objective)
    return {resource.plural: " ".join(map(short, resource.fields)) for resource in spec.resources}


def short(field: Field) -> str:
    marks = ("!" if field.unique else "") + ("" if field.required else "?")
    bounds = "" if field.maximum is None else f"[{field.minimum},{field.maximum}]"
    length = f"<{field.maximum_length}" if field.maximum_length else ""
    kind = f"->{field.references}" if field.references else "|".join(field.choices) or field.type
    return f"{field.name}{marks}:{kind}{bounds}{length}"


AUTHORS_AND_BOOKS = {"authors": "name:string", "books": "title:string author_id:->authors"}


@pytest.mark.parametrize(
    ("objective", "expected"),
    [
        (
            "CRUD API for authors with name and birth date, and books with title, price, pages and author",
            {
                "authors": "name:string birth_date:date",
                "books": "title:string price:decimal pages:integer author_id:->authors",
            },
        ),
        (
            "REST API for orders (customer, total, status: open|paid|shipped) and order items (order,"
            " product name, quantity)",
            {
                "orders": "customer:string total:decimal status:open|paid|shipped",
                "order_items": "order_id:->orders product_name:string quantity:integer",
            },
        ),
        (
            "CRUD API for tasks with title:string, done:boolean, due date, priority 1-5",
            {"tasks": "title:string done:boolean due_date:date priority:integer[1,5]"},
        ),
        (
            "We need an HTTP API to manage people with name (required, unique), email, is active, created at",
            {"people": "name!:string email:email is_active:boolean created_at:datetime"},
        ),
        (
            "Add CRUD endpoints for articles with title, status one of draft, published",
            {"articles": "title:string status:draft|published"},
        ),
        (
            "Add CRUD endpoints for tickets with state (one of open, in progress, done) and due date.",
            {"tickets": "state:open|in progress|done due_date:date"},
        ),
        (
            "Build a simple REST service for products with sku: varchar(20) unique, price decimal >= 0,"
            " optional website, stock as integer, rating (int, 1-5)",
            {
                "products": "sku!:string<20 price:decimal website?:url stock:integer rating:integer[1,5]",
            },
        ),
        (
            "CRUD API for employees (name: string, manager: optional reference to employees)",
            {"employees": "name:string manager_id?:->employees"},
        ),
        (
            "CRUD API for transfers with source account and target account, and accounts with iban (unique)",
            {
                "accounts": "iban!:string",
                "transfers": "source_account_id:->accounts target_account_id:->accounts",
            },
        ),
        (
            "CRUD API for messages with id, from, to, order, class and schema, using FastAPI and SQLite",
            {"messages": "from:string to:string order:string class:string schema:string"},
        ),
        (
            "CRUD API for students with name; courses with title; enrolments referencing students and courses"
            " with grade",
            {
                "students": "name:string",
                "courses": "title:string",
                "enrolments": "student_id:->students course_id:->courses grade:string",
            },
        ),
        ("CRUD API for books with title, pagination and tests", {"books": "title:string"}),
        ("API for:\n- authors: name\n- books: title, author", AUTHORS_AND_BOOKS),
        ("CRUD API for authors with name; books with title. Books belong to authors.", AUTHORS_AND_BOOKS),
        (
            "CRUD API for authors with name & books with title, where each book has one author",
            AUTHORS_AND_BOOKS,
        ),
        ("CRUD API for authors with name and books with title, an author has many books", AUTHORS_AND_BOOKS),
        (
            "CRUD API for authors (name), books (title, author_id: integer referencing authors)",
            AUTHORS_AND_BOOKS,
        ),
    ],
)
def test_an_objective_is_read_completely(objective: str, expected: dict[str, str]) -> None:
    assert outline(objective) == expected
    assert why_not(objective) == ""


@pytest.mark.parametrize(
    ("objective", "part"),
    [
        ("Migrate our monolith to Kubernetes", "not of the form"),
        ("Add user authentication with OAuth2 and JWT", "not of the form"),
        ("Make it faster", "not of the form"),
        ("", "not of the form"),
        ("GraphQL API for books with title", "not of the form"),
        ("CRUD API for books with title, full text search and Stripe payments", "full text search"),
        ("CRUD API for chats with websocket updates", "websocket updates"),
        ("CRUD API for users with name and password", "secret"),
        ("CRUD API for articles with title and tags", "list"),
        ("CRUD API for books", "No fields"),
        ("CRUD API for books with title that sends an email", "title that sends"),
        ("CRUD API for orders with total, only visible to admins", "only visible to admins"),
        ("CRUD API for books with title: quaternion", "quaternion"),
        ("CRUD API for books with title. Users must log in with Google.", "Users must log in"),
        ("CRUD API for books with title using Django", "title using Django"),
        ("CRUD API for notes with text. No authentication is needed.", "No authentication"),
        ("CRUD API for books with title (string", "parentheses"),
        ("CRUD API for books with done (boolean, unique)", "too few values"),
        ("CRUD API for hens with egg; eggs with hen", "need each other"),
        ("CRUD API for books with title and title: int", "written twice"),
        ("CRUD API for books with " + "very " * 9 + "long name", "is not understood"),
    ],
)
def test_what_is_not_understood_is_refused_and_named(objective: str, part: str) -> None:
    assert understand(objective) is None
    assert part in why_not(objective)


@pytest.mark.parametrize(
    ("singular", "plural"),
    [
        ("category", "categories"),
        ("box", "boxes"),
        ("person", "people"),
        ("series", "series"),
        ("status", "statuses"),
        ("address", "addresses"),
        ("child", "children"),
        ("medium", "media"),
        ("order_item", "order_items"),
        ("day", "days"),
        ("movie", "movies"),
        ("house", "houses"),
    ],
)
def test_nouns_go_from_singular_to_plural_and_back(singular: str, plural: str) -> None:
    assert plural_of(singular) == plural
    assert singular_of(plural) == singular
    assert singular_of(singular) == singular


PIECE_TEXT = """books authors a an the each , , ; . : ( ) with and or having belongs to has many title price
name done: boolean unique optional (required) 1-5 status one of draft | published string int referencing
reference to search where price: decimal [ ] { } > = - _ \u00e9 API for "x" fk class"""
PIECES = PIECE_TEXT.split()


@pytest.mark.parametrize("seed", range(300))
def test_any_mixture_of_words_is_understood_or_refused_with_a_reason(seed: int) -> None:
    rng = random.Random(seed)
    objective = "CRUD API for books with " + " ".join(rng.choices(PIECES, k=rng.randint(1, 14)))
    reason = why_not(objective)
    assert (understand(objective) is None) == bool(reason)
    assert reason == "" or re.search(r"\.$", reason)


@pytest.mark.parametrize("text", ["b " * 3000, "( " * 3000, "a, " * 3000, "one of a " * 500, "1 to 2 " * 1000])
def test_a_long_objective_is_answered(text: str) -> None:
    assert understand("CRUD API for books with " + text) is None
