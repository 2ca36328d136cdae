"""How a function becomes a tool: its signature is the schema, its docstring what the model reads."""

import inspect
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, get_type_hints

from pydantic import BaseModel, ConfigDict, ValidationError, create_model

from backend_coordinator.nodes.tools.bench import Bench, ToolRefused

Action = Callable[..., Awaitable[str]]


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
        """The tool as chat models expect it."""
        parameters = self.arguments.model_json_schema()
        parameters.pop("title", None)
        function = {"name": self.name, "description": self.description, "parameters": parameters}
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
