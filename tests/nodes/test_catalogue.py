"""What the packaged roster's prompts say of tools is true of the tools that each member has."""

import json
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import create_model

from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.tools.bench import Bench, ToolRefused
from backend_coordinator.nodes.tools.catalogue import roster_with, tools_of, weight
from backend_coordinator.nodes.tools.registry import TOOLS as TOOLS_THERE
from backend_coordinator.nodes.tools.registry import Tool
from backend_coordinator.prompts.specialist_file import TOOLS

WORKING = [member for member in roster_with().specialists if member.role == "specialist"]


@pytest.mark.parametrize("member", WORKING, ids=lambda member: member.name)
def test_a_prompt_names_no_tool_that_its_specialist_does_not_have(member: Specialist) -> None:
    has = tools_of(member).keys()
    named = set(re.findall(r"`(\w+)`", member.prompt)) & TOOLS
    assert named >= {"check", "recall", "report_need", "submit"}
    assert named <= has
    assert member.granted == has, "granted and missing"


@pytest.mark.parametrize("member", WORKING, ids=lambda member: member.name)
def test_what_every_turn_of_a_specialist_repeats_stays_small(
    member: Specialist, record_property: Callable[[str, str], None]
) -> None:
    text, tools = weight(member)
    record_property("tokens", f"text {text}, tools {tools}, together {text + tools}")
    assert text + tools < 1200, f"text {text}, tools {tools}"


def test_a_schema_names_every_argument_with_its_type_and_refers_to_nothing() -> None:
    for tool in TOOLS_THERE.values():
        parameters = json.loads(json.dumps(tool.schema))["function"]["parameters"]
        assert parameters["properties"].keys() == tool.arguments.model_fields.keys()
        required = [name for name, field in tool.arguments.model_fields.items() if field.is_required()]
        assert parameters.get("required", []) == required
        for found in _within(parameters):
            assert found["type"] in {"string", "integer", "boolean", "array", "object"}
            assert found.keys() <= {"type", "description", "enum", "items", "properties", "required"}


@pytest.mark.parametrize(
    ("form", "told"),
    [
        (Any, {}),
        (object, {}),
        (list, {"type": "array", "items": {}}),
        (int | str, {"anyOf": [{"type": "integer"}, {"type": "string"}]}),
        (int | list[str] | None, {"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "string"}}]}),
        (int | None, {"type": "integer"}),
    ],
)
def test_every_form_of_an_argument_has_a_schema(form: Any, told: dict[str, object]) -> None:
    async def nothing(bench: Bench, **_: object) -> str:
        return ""

    found = Tool("x", "X.", create_model("x", a=(form, ...)), nothing, repeatable=True).schema["function"]
    assert isinstance(found, dict)
    assert found["parameters"]["properties"] == {"a": told}


def _within(schema: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield schema
    for inner in (*schema.get("properties", {}).values(), *([schema["items"]] if "items" in schema else [])):
        yield from _within(inner)


@pytest.mark.parametrize(
    ("name", "arguments", "words"),
    [
        ("read", {"path": "a", "limit": 5001}, "read: argument limit: Input should be less than"),
        ("read", {"path": "a", "lines": 1}, "read: argument lines: Extra inputs are not permitted"),
        ("submit", {"summary": ""}, "submit: argument summary"),
        (
            "submit",
            {"summary": "x", "decisions": [{"text": "x", "kind": "gossip"}]},
            "'api_requirement', 'api_contract'",
        ),
        ("submit", {"summary": "x", "about": "gossip"}, "'performance_issue', 'database_design'"),
    ],
)
async def test_what_a_schema_leaves_out_is_still_checked_and_the_refusal_says_it(
    bench: Bench, name: str, arguments: dict[str, object], words: str
) -> None:
    with pytest.raises(ToolRefused, match=re.escape(words)):
        await TOOLS_THERE[name](bench, arguments)
