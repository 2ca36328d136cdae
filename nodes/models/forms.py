"""How a typed answer is asked for: by the server's own schema, by a tool, or in words."""

import json
from collections.abc import Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Literal

from langchain_core.messages import AnyMessage, SystemMessage
from pydantic import BaseModel

from backend_coordinator.nodes.models.call import Request, is_openai, place_of
from backend_coordinator.nodes.models.fitting import Schema
from backend_coordinator.nodes.models.rules import RuleModel
from backend_coordinator.nodes.models.structured import schema_of

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

Form = Literal["json_schema", "tools", "json"]
_ALL: tuple[Form, ...] = ("json_schema", "tools", "json")
_NOT_STRICT = frozenset({"default", "title", "minLength"})
"""Keywords that OpenAI's strict mode refuses, or nobody needs."""
_taken: dict[tuple[str, str], Form] = {}
"""The form that each server and model of this process was found to take."""


def forms(model: "BaseChatModel", wanted: Form | Literal["auto"]) -> Sequence[Form]:
    """What to ask in, in this order until one is not refused; models of rules know tools only, some others none."""
    from langchain_core.language_models import BaseChatModel  # loaded when first used

    if isinstance(model, RuleModel):
        return ("tools",)
    if type(model).bind_tools is BaseChatModel.bind_tools:
        return ("json",)
    able = _ALL if is_openai(model) else _ALL[1:]
    if wanted != "auto":
        return (wanted,) if wanted in able else able[:1]
    known = _taken.get(place_of(model))
    return able[able.index(known) :] if known in able else able


def works(model: "BaseChatModel", form: Form) -> bool:
    """Whether the model's server is known to take this form."""
    return _taken.get(place_of(model)) == form


def taken(model: "BaseChatModel", form: Form) -> None:
    """Remembers for the process that the model's server takes this form."""
    _taken[place_of(model)] = form


def request(
    model: "BaseChatModel", form: Form, messages: Sequence[AnyMessage], name: str, answer: type[BaseModel]
) -> Request:
    """The request for an answer called `name`; the first of the messages is the system's."""
    system, *rest = messages
    told = f"Answer by calling the tool `{name}`, once." if form == "tools" else in_words(answer)
    asked = [SystemMessage(f"{system.text}\n\n{told}"), *rest]
    if form == "tools":
        about = "Gives the answer. Call it exactly once."
        function = {"name": name, "description": about, "parameters": schema_of(answer)}
        return Request(asked, tools=[{"type": "function", "function": function}])
    return Request(asked, options=_by_schema(model, name, answer) if form == "json_schema" else None)


def in_words(answer: type[BaseModel]) -> str:
    """The form of the answer for models that only read."""
    return f"Answer with one JSON object and nothing else. Its schema:\n{json.dumps(_lean(answer)[0])}"


def _by_schema(model: "BaseChatModel", name: str, answer: type[BaseModel]) -> dict[str, object]:
    """As `extra_body`, because LangChain takes another way with a `response_format` that it knows of."""
    schema, strict = _lean(answer)
    form = {"name": name, "schema": schema, "strict": strict}
    if getattr(model, "use_responses_api", False):
        return {"text": {"format": {"type": "json_schema", **form}}}
    more = getattr(model, "extra_body", None) or {}
    return {"extra_body": {**more, "response_format": {"type": "json_schema", "json_schema": form}}}


@lru_cache
def _lean(answer: type[BaseModel]) -> tuple[Schema, bool]:
    """The schema as strict mode wants it, where its objects are closed; else as it is."""
    schema = schema_of(answer)
    try:
        return _strict(schema), True
    except KeyError:
        return schema, False


def _strict(schema: Schema) -> Schema:
    """All fields required and no others; raises KeyError for an object whose fields are not named."""
    if "$ref" in schema:
        return {"$ref": schema["$ref"]}
    made = {key: value for key, value in schema.items() if key not in _NOT_STRICT}
    for key in ("properties", "$defs"):
        if key in made:
            made[key] = {name: _strict(each) for name, each in made[key].items()}
    if "items" in made:
        made["items"] = _strict(made["items"])
    if "anyOf" in made:
        made["anyOf"] = [_strict(each) for each in made["anyOf"]]
    if made.get("type") == "object":
        made |= {"required": list(made["properties"]), "additionalProperties": False}
    return made
