"""From what a user names to a chat model."""

import os
import re
from functools import lru_cache
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from backend_coordinator.errors import ModelUnavailable
from backend_coordinator.settings import ModelSettings

if TYPE_CHECKING:
    from langchain_core.language_models import BaseChatModel

_ONE_TEMPERATURE = re.compile(r"o\d|gpt-5")
"""Models that refuse every temperature but their own."""

_SENDABLE = re.compile("[!-~]+")
"""What may stand in a header or an address."""

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


def resolve_model(
    model: "str | BaseChatModel", terms: ModelSettings | None = None, *, temperature: float | None = None
) -> "BaseChatModel":
    """The chat model behind `model`; an instance is used as it is.

    Raises ModelUnavailable naming the accepted forms, or the variable that is missing or cannot be used.
    """
    if not isinstance(model, str):
        return model
    provider, _, name = model.partition(":")
    if model == "offline":
        return _offline()
    if provider != "openai" or not name:
        msg = f"unknown model {model!r}: use {FORMS}"
        raise ModelUnavailable(msg)
    key, base = os.environ.get("OPENAI_API_KEY"), os.environ.get("OPENAI_BASE_URL")
    if not (key or base):
        msg = f"openai:{name} needs OPENAI_API_KEY, or OPENAI_BASE_URL for a compatible server; without: offline"
        raise ModelUnavailable(msg)
    _demand_sendable(key, base)
    terms = terms or ModelSettings()
    warm = None if _ONE_TEMPERATURE.match(name) else temperature
    return _openai(name, warm, key or "none", base, responses=terms.api == "responses", streaming=terms.streaming)


def _demand_sendable(key: str | None, base: str | None) -> None:
    """Raises ModelUnavailable for a key or an address with which no request can be made."""
    if key and not _SENDABLE.fullmatch(key):
        msg = "OPENAI_API_KEY holds white space, or characters that no key has: set it to the key alone"
        raise ModelUnavailable(msg)
    try:
        parts = urlsplit(base or "http://unset")
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable or not _SENDABLE.fullmatch(base or "-"):
        msg = "OPENAI_BASE_URL is no address like http://localhost:8000/v1: correct it"
        raise ModelUnavailable(msg)


@lru_cache(maxsize=1)
def _offline() -> "BaseChatModel":
    from backend_coordinator.nodes.models.offline.chat import OfflineModel

    return OfflineModel()


@lru_cache(maxsize=64)
def _openai(
    name: str, temperature: float | None, key: str, base: str | None, *, responses: bool, streaming: bool
) -> "BaseChatModel":
    """One client for all calls of its kind: making one costs more than a call."""
    from pydantic import SecretStr

    from backend_coordinator.nodes.models.openai_chat import OpenAIChat  # loaded when first used: over a second

    return OpenAIChat(
        model=name,
        temperature=temperature,
        streaming=streaming,
        stream_usage=streaming,
        use_responses_api=responses,
        max_retries=0,
        stream_chunk_timeout=None,
        api_key=SecretStr(key),
        base_url=base,
    )


def model_name(model: "str | BaseChatModel") -> str:
    """How reports call the model."""
    if isinstance(model, str):
        return model
    name = getattr(model, "model_name", None) or getattr(model, "model", None)
    return f"{type(model).__name__}:{name}" if name else type(model).__name__
