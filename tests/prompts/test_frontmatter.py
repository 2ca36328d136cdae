"""The strict reader takes what is unmistakable and points at the line of everything else."""

import pytest

from backend_coordinator.errors import RosterError
from backend_coordinator.prompts.frontmatter import MAX_DEPTH, FrontMatterError, read


def document(front: str, body: str = "Text.") -> str:
    return f"---\n{front}\n---\n{body}\n"


@pytest.mark.parametrize(
    ("front", "line", "words"),
    [
        ('permission:\n  bash:\n    "rm *": deny\n    "rm *": allow', 5, "'rm *' stands here twice"),
        ("a: 1\nb: 2\na: 3", 4, "'a' stands here twice"),
        ("a: &a [x,x]\nb: [*a,*a]", 2, "anchors and aliases"),
        ("a: x\nb: *a", 3, "anchors and aliases"),
        ("a: 1\nb: !!python/name:os.system x", 3, "tags"),
        ("a: !custom x", 2, "tags"),
        ("a: ! x", 2, "tags"),
        ("a: !!str 1", 2, "tags"),
        ("a: 1\n...\n--- {b: 2}", 4, "another document"),
        ("a: 1\n--- {b: 2}", 3, "another document"),
        ("a: 1\nb: c: d", 3, "mapping values are not allowed here"),
        ("a: 1\nb: [x", 3, "expected ',' or ']'"),
        ("a: 1\nb: \x07", 3, "a character"),
        ('a: 1\nb: "\\UFFFFFFFF"', 3, "an escape that names no character"),
        ('a: 1\nb: "\\U00110000"', 3, "an escape that names no character"),
        ("- a\n- b", 2, "key: value"),
        ("a: 1\n? [x]\n: 2", 3, "a key must be text"),
        ("a: 1\ntrue: 2", 3, "a key must be text"),
        ("a: 1\n3: 2", 3, "a key must be text"),
        ("a: 1\nb: " + "[" * MAX_DEPTH + "]" * MAX_DEPTH, 3, "nested deeper"),
        ("a: 1\nb: " + "[" * 50_000, 3, "nested deeper"),
    ],
)
def test_doubtful_yaml_is_refused_with_file_and_line(front: str, line: int, words: str) -> None:
    with pytest.raises(FrontMatterError) as caught:
        read(document(front), "agents/x.md")
    assert str(caught.value).startswith(f"agents/x.md:{line}: ")
    assert words in str(caught.value)
    assert isinstance(caught.value, RosterError)


@pytest.mark.parametrize(
    ("plain", "value"),
    [
        ("true", True), ("false", False), ("null", None), ("~", None), ("", None),
        ("0", 0), ("-12", -12), ("0.4", 0.4), ("-1.5", -1.5), ("text", "text"), ("'true'", "true"),
        ('"1"', "1"), ("yes", "yes"), ("off", "off"), ("True", "True"), ("NULL", "NULL"), (".nan", ".nan"),
        ("-.inf", "-.inf"), ("010", "010"), ("0x1f", "0x1f"), ("1_000", "1_000"), ("1e3", "1e3"),
        ("12:30:45", "12:30:45"),
        ("2026-01-01", "2026-01-01"), ("=", "="), ("9" * 5000, "9" * 5000),
    ],
)  # fmt: skip
def test_plain_text_is_read_as_something_else_only_when_unmistakable(plain: str, value: object) -> None:
    read_value = read(document(f"a: {plain}"), "x.md").data["a"]
    assert (type(read_value), read_value) == (type(value), value)


def test_a_merge_key_is_an_ordinary_key() -> None:
    assert read(document("<<: {a: 1}"), "x.md").data == {"<<": {"a": 1}}


@pytest.mark.parametrize("text", ["", "Text.\n", "--- a: 1\n---\n", " ---\na: 1\n---\n"])
def test_a_file_that_does_not_open_with_the_fence_is_refused(text: str) -> None:
    with pytest.raises(FrontMatterError, match=r"^x\.md:1: .*starts with a line ---"):
        read(text, "x.md")


def test_a_front_matter_without_end_is_refused() -> None:
    with pytest.raises(FrontMatterError, match=r"^x\.md:1: .*no closing line"):
        read("---\na: 1\nText.\n", "x.md")


def test_everything_below_the_second_fence_is_body() -> None:
    parsed = read("---\na: 1\n---\nfirst\n---\nb: 2\n---\n{{c}} {d}\n", "x.md")
    assert parsed.data == {"a": 1}
    assert parsed.body == "first\n---\nb: 2\n---\n{{c}} {d}"


def test_windows_line_ends_and_a_byte_order_mark_change_nothing() -> None:
    parsed = read("\ufeff---\r\na: 1\r\n---\r\none\r\ntwo\r\n", "x.md")
    assert (parsed.data, parsed.body) == ({"a": 1}, "one\ntwo")


def test_every_key_and_list_item_knows_its_line() -> None:
    parsed = read(document("a:\n  b: 1\nc:\n  - x\n  - d: 2"), "x.md")
    places = [("a",), ("a", "b"), ("c", 0), ("c", 1, "d"), ("c", 1, "missing"), ("missing",)]
    assert [parsed.line(path) for path in places] == [2, 3, 5, 6, 6, 1]
