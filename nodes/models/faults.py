"""What goes wrong between us and a model server, named once; everything else follows from the name."""

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from datetime import datetime
from email.utils import parsedate_to_datetime
from enum import StrEnum
from typing import NamedTuple

from backend_coordinator.domain.failure import FailureClass
from backend_coordinator.domain.usage import Usage
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable


class Kind(StrEnum):
    """The faults a model call can meet."""

    RATE_LIMITED = "rate limited"
    SERVER = "server error"
    CONNECTION = "connection lost"
    ABSENT = "no connection"
    BROKEN = "unreadable answer"
    CUT = "stream cut"
    SILENT = "silent stream"
    KEY = "key refused"
    QUOTA = "account empty"
    MODEL = "unknown model"
    UNREACHABLE = "server unreachable"
    REQUEST = "request refused"
    OVERFLOW = "context too long"
    EMPTY = "empty answer"
    LENGTH = "answer cut off"
    REFUSAL = "refusal"
    FILTERED = "filtered answer"
    LATE = "out of time"
    LIMIT = "limit reached"


DOWN = frozenset({Kind.SERVER, Kind.CONNECTION, Kind.ABSENT, Kind.SILENT})
"""What a server that is overloaded or down gives to everybody."""

PASSING = DOWN | {Kind.RATE_LIMITED, Kind.BROKEN, Kind.CUT}
"""Worth another request, within the call's attempts and its deadline."""

UNUSABLE = frozenset({Kind.KEY, Kind.QUOTA, Kind.MODEL, Kind.UNREACHABLE})
"""Nothing that a specialist or the ladder can do: a person has to."""

FAILURES = {
    Kind.EMPTY: FailureClass.EMPTY_ANSWER,
    Kind.LENGTH: FailureClass.CUT_OFF,
    Kind.REFUSAL: FailureClass.REFUSAL,
    Kind.FILTERED: FailureClass.CONTENT_FILTER,
    Kind.OVERFLOW: FailureClass.CONTEXT_OVERFLOW,
    Kind.LATE: FailureClass.BUDGET_EXHAUSTED,
    Kind.LIMIT: FailureClass.BUDGET_EXHAUSTED,
}
"""The class of failure that ends an attempt; what is not named here is an external block."""

_STATUS = {
    **{401: Kind.KEY, 402: Kind.QUOTA, 403: Kind.KEY, 404: Kind.MODEL, 405: Kind.MODEL, 429: Kind.RATE_LIMITED},
    **{408: Kind.SERVER, 409: Kind.SERVER, 425: Kind.SERVER},
}
_CODES = {
    **dict.fromkeys(("insufficient_quota", "quota_exceeded", "budget_exceeded", "insufficient_balance"), Kind.QUOTA),
    **dict.fromkeys(("billing_hard_limit_reached", "billing_not_active"), Kind.QUOTA),
    "context_length_exceeded": Kind.OVERFLOW,
    "invalid_api_key": Kind.KEY,
    "model_not_found": Kind.MODEL,
}
_TOO_LONG = re.compile(
    r"context.{0,30}(length|window|size)|maximum context|prompt is too long|too many (input )?tokens", re.IGNORECASE
)
_BAD_KEY = re.compile(r"\bAPI key not valid|\b(invalid|incorrect) API key", re.IGNORECASE)
_NO_MODEL = re.compile(r"\binvalid model name|\bmodel [`'\"][^`'\"]+[`'\"] does not exist", re.IGNORECASE)
_NO_MONEY = re.compile(r"exceeded your current quota, please check your plan and billing(?!.*retry in)", re.IGNORECASE)
_SPOKEN = {
    **{400: ((_TOO_LONG, Kind.OVERFLOW), (_BAD_KEY, Kind.KEY), (_NO_MODEL, Kind.MODEL))},
    **{413: ((_TOO_LONG, Kind.OVERFLOW),), 422: ((_TOO_LONG, Kind.OVERFLOW),), 429: ((_NO_MONEY, Kind.QUOTA),)},
}
"""What servers say under a status that by itself means something else."""

_MOST_SAID = 200
_SHORTEST_NONSENSE, _LONGEST_WAIT = 86400.0, 3600.0
"""Seconds: who asks for more than a day wrote a date or no number; all callers wait for what one was told."""


class Fault(Exception):
    """One request that brought no usable message; `str` is one line in our own words, safe for a prompt."""

    def __init__(
        self, kind: Kind, said: str, *, wait: float | None = None, usage: Usage | None = None, again: bool | None = None
    ) -> None:
        self.kind, self.wait, self.usage = kind, wait, usage or Usage()
        self.again = kind in PASSING if again is None else again
        super().__init__(said)

    def error(self, tried: int = 1) -> ModelCallFailed | ModelUnavailable:
        """What the caller of the model layer gets."""
        if self.kind in UNUSABLE:
            return ModelUnavailable(str(self))
        times = f" {tried} times" if tried > 1 and self.kind is not Kind.LATE else ""
        return CallFailed(f"the model failed{times}: {self}", self.kind, self.usage)


class CallFailed(ModelCallFailed):
    """A call without a result; `usage` is what it used all the same."""

    def __init__(self, message: str, kind: Kind, usage: Usage) -> None:
        self.kind, self.usage = kind, usage
        super().__init__(message)


def failure_class(error: ModelCallFailed) -> FailureClass:
    """The class under which a failed call ends an attempt."""
    return next((failure for kind, failure in FAILURES.items() if kind == error.kind), FailureClass.EXTERNAL_BLOCK)


def usage_in(error: ModelCallFailed) -> Usage:
    """What a failed call used."""
    return error.usage if isinstance(error, CallFailed) else Usage()


class Headers(NamedTuple):
    """What a response's headers ask for; `wait` is in seconds."""

    wait: float | None = None
    again: bool | None = None


def fault_of(error: Exception, now: datetime, where: str) -> Fault:
    """The fault behind whatever a client raised; `where` names server and model for people.

    Clients of many providers are told apart by what they have in common (`status_code`, `code`, `body`,
    `response.headers`) and by names of classes, since none of them may be imported here.
    """
    if isinstance(error, Fault):
        return error
    name, told, codes = type(error).__name__, _told(error), _codes(error)
    found = getattr(error, "status_code", None) or next(
        (int(code) for code in codes if _STATUS_CODE.fullmatch(code)), 0
    )
    status = found if isinstance(found, int) else 0
    kind = next((_CODES[code] for code in codes if code in _CODES), None)
    kind = Kind.OVERFLOW if "ContextOverflow" in name else kind
    if kind or status:
        kind = kind or next((kind for words, kind in _SPOKEN.get(status, ()) if words.search(told)), None)
        return _named(kind or _by_status(status), status, _headers(error, now), told, where)
    if fault := _unsendable(error, where):
        return fault
    if _CONNECTING & {type(each).__name__ for each in _chain(error)}:
        return Fault(Kind.ABSENT, f"there was no connection to the server ({name})")
    if "Timeout" in name or isinstance(error, TimeoutError):
        return Fault(Kind.SILENT, f"the server gave no answer in time ({name})")
    if "Connect" in name or isinstance(error, OSError):
        return Fault(Kind.CONNECTION, f"the connection was lost ({name})")
    if name == "APIError" or "Protocol" in name or "ReadError" in name:
        return Fault(Kind.CONNECTION, f"the server broke off with an error ({name})")
    return Fault(Kind.BROKEN, f"the server's answer could not be read ({name})")


_CONNECTING = frozenset(
    {"ConnectError", "ConnectTimeout", "ConnectionRefusedError", "gaierror", "ClientConnectorError"}
)
_STATUS_CODE = re.compile("[45][0-9]{2}")
"""What gateways put into the error they send within a stream that began well."""


def _by_status(status: int) -> Kind:
    return Kind.SERVER if status >= 500 else _STATUS.get(status, Kind.REQUEST)


def _named(kind: Kind, status: int, headers: Headers, told: str, where: str) -> Fault:
    because, numbered = f": {told[:_MOST_SAID]}" if told else "", f" (status {status})" if status else ""
    if kind is Kind.OVERFLOW:
        return Fault(kind, "the request is longer than the model's context window")
    if kind is Kind.QUOTA:
        return Fault(Kind.QUOTA, f"the account behind the key for {where} is empty{because or numbered}")
    if kind is Kind.KEY:
        return Fault(kind, f"the key for {where} was refused{numbered}")
    if kind is Kind.MODEL:
        return Fault(kind, f"there is no {where}{numbered}")
    if kind is Kind.REQUEST:
        return Fault(kind, f"the server refused the request{numbered}{because}", again=headers.again)
    return Fault(kind, f"status {status}", wait=headers.wait, again=headers.again)


def _unsendable(error: Exception, where: str) -> Fault | None:
    """The fault of a request that no server ever gets, for its address or its key is none."""
    for each in _chain(error):
        if type(each).__name__ in ("UnsupportedProtocol", "InvalidURL"):
            return Fault(
                Kind.UNREACHABLE, f"{where} cannot be reached: its address is none like http://localhost:8000/v1"
            )
        header = type(each).__name__ == "LocalProtocolError" and str(each).startswith("Illegal header")
        if header or (isinstance(each, UnicodeEncodeError) and each.encoding == "ascii"):
            return Fault(Kind.KEY, f"the key for {where} holds characters that cannot be sent")
    return None


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__


def _told(error: Exception) -> str:
    """The message of a JSON error body, one line; never a page of HTML."""
    text = _body(error).get("message")
    return " ".join(text.split()) if isinstance(text, str) and "<" not in text else ""


def _codes(error: Exception) -> list[str]:
    body = _body(error)
    return [str(code) for code in (getattr(error, "code", None), body.get("code"), body.get("type")) if code]


def _body(error: Exception) -> Mapping[str, object]:
    """The error as the server wrote it; some clients hand one that came with status 200 over as their argument."""
    found = getattr(error, "body", None) or next(iter(error.args), None)
    if isinstance(found, list):  # as Gemini writes it
        found = next((each["error"] for each in found if isinstance(each, dict) and "error" in each), None)
    return found if isinstance(found, dict) else {}


def _headers(error: Exception, now: datetime) -> Headers:
    headers = getattr(getattr(error, "response", None), "headers", None) or {}
    again = {"true": True, "false": False}.get(str(headers.get("x-should-retry", "")).lower())
    return Headers(_wait(headers.get("retry-after-ms"), headers.get("retry-after"), now), again)


def _wait(milliseconds: str | None, after: str | None, now: datetime) -> float | None:
    for text, unit in ((milliseconds, 1000), (after, 1)):
        with suppress(TypeError, ValueError):
            return _sensible(float(text or "") / unit)
    try:
        return _sensible((parsedate_to_datetime(str(after)) - now).total_seconds())
    except (ValueError, TypeError, OverflowError):  # neither a number nor a date, or a date without a zone
        return None


def _sensible(seconds: float) -> float | None:
    return min(max(0.0, seconds), _LONGEST_WAIT) if seconds < _SHORTEST_NONSENSE else None
