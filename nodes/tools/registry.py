"""How a function becomes a tool: its signature is the schema, its docstring what the model reads."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from backend_coordinator.nodes.tools.bench import Bench, ToolRefused

Action = Callable[..., Awaitable[str]]
LONGEST_ENUM = 4
"""Values that a schema spells out; of a longer list the description names the usual ones, the refusal all."""


@dataclass(frozen=True)
class Tool:
    """A named action with the schema of its arguments.

    `repeatable` says that running it twice does no harm, so that after a crash it simply runs again.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    action: Action
    repeatable: bool

    @cached_property
    def schema(self) -> dict[str, object]:
        """The tool as chat models expect it, in few tokens; calls are checked against `arguments`, which says more."""
        whole = self.arguments.model_json_schema()
        function = {"name": self.name, "description": self.description, "parameters": _lean(whole, whole)}
        return {"type": "function", "function": function}

    async def __call__(self, bench: Bench, arguments: Mapping[str, object]) -> str:
        """Runs the tool.

        Raises ToolRefused when the arguments do not fit the schema or the tool will not do it.
        """
        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            first = error.errors()[0]
            msg = f"{self.name}: argument {'.'.join(map(str, first['loc']))}: {first['msg']}"
            raise ToolRefused(msg) from error
        return await self.action(bench, **{name: getattr(checked, name) for name in type(checked).model_fields})


def _lean(schema: Mapping[str, Any], whole: Mapping[str, Any]) -> dict[str, object]:
    """Type, description and what is within, references written out: bounds and defaults cost tokens every turn."""
    given = schema.get("description")
    branches = [each for each in schema.get("anyOf", ()) if each.get("type") != "null"]
    if len(branches) == 1:
        (schema,) = branches
    if "$ref" in schema:
        schema = whole["$defs"][schema["$ref"].rpartition("/")[2]]
    lean: dict[str, object] = {"type": schema["type"]} if "type" in schema else {}
    if len(branches) > 1:
        lean["anyOf"] = [_lean(each, whole) for each in branches]
    if given and schema is not whole:
        lean["description"] = given
    if len(schema.get("enum", ())) in range(1, LONGEST_ENUM + 1):
        lean["enum"] = schema["enum"]
    if "items" in schema:
        lean["items"] = _lean(schema["items"], whole)
    if "properties" in schema:
        lean["properties"] = {name: _lean(field, whole) for name, field in schema["properties"].items()}
    if "required" in schema:
        lean["required"] = schema["required"]
    return lean


TOOLS: dict[str, Tool] = {}


def tool(*, repeatable: bool) -> Callable[[Action], Action]:
    """Registers an async function `(bench, ...) -> str` as a tool under its own name."""

    def register(action: Action) -> Action:
        hints = get_type_hints(action, include_extras=True)
        fields: dict[str, Any] = {
            name: (hints[name], ... if parameter.default is inspect.Parameter.empty else parameter.default)
            for name, parameter in list(inspect.signature(action).parameters.items())[1:]
        }
        name = action.__name__.rstrip("_")
        arguments = create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
        TOOLS[name] = Tool(name, inspect.getdoc(action) or "", arguments, action, repeatable)
        return action

    return register
