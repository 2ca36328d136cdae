"""From what a user names to a chat model."""

import os
from typing import TYPE_CHECKING

from backend_coordinator.errors import ModelUnavailable

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

FORMS = "openai:<name>, offline, or a LangChain chat model"


def default_model() -> str:
    """`openai:<OPENAI_MODEL>` when a key or a base URL is set, else `offline`.

    Raises ModelUnavailable when a key is set but no model is named.
    """
    if not (os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")):
        return "offline"
    if name := os.environ.get("OPENAI_MODEL"):
        return f"openai:{name}"
    msg = "a key or base URL is set but no model is named: pass --model openai:<name>, or set OPENAI_MODEL"
    raise ModelUnavailable(msg)


def resolve_model(model: "str | BaseChatModel", *, temperature: float | None = None) -> "BaseChatModel":
    """The chat model behind `model`; an instance is used as it is.

    Raises ModelUnavailable naming the accepted forms, or the key that is missing.
    """
    if not isinstance(model, str):
        return model
    provider, _, name = model.partition(":")
    if model == "offline":
        from backend_coordinator.nodes.models.offline.chat import OfflineModel

        return OfflineModel()
    if provider == "openai" and name:
        return _openai(name, temperature)
    msg = f"unknown model {model!r}: use {FORMS}"
    raise ModelUnavailable(msg)


def _openai(name: str, temperature: float | None) -> "BaseChatModel":
    if not (os.environ.get("OPENAI_API_KEY") or os.environ.get("OPENAI_BASE_URL")):
        msg = f"openai:{name} needs OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server; without: offline"
        raise ModelUnavailable(msg)
    from langchain_openai import ChatOpenAI  # loaded when first used: it costs over a second
    from pydantic import SecretStr

    return ChatOpenAI(
        model=name,
        temperature=temperature,
        streaming=True,
        stream_usage=True,
        max_retries=0,
        api_key=SecretStr(os.environ.get("OPENAI_API_KEY") or "none"),
    )


def model_name(model: "str | BaseChatModel") -> str:
    """How reports call the model."""
    if isinstance(model, str):
        return model
    name = getattr(model, "model_name", None) or getattr(model, "model", None)
    return f"{type(model).__name__}:{name}" if name else type(model).__name__
