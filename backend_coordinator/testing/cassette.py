"""Cassettes: what a model answered, recorded once and played back without it."""

import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, NoReturn, Self

from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage
from pydantic import InstanceOf, SecretStr

from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.models.call import place_of
from backend_coordinator.nodes.models.faults import Fault, Kind
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.nodes.models.rules import RuleModel
from backend_coordinator.testing.difference import difference
from backend_coordinator.testing.tape import Cleaner, Tape
from backend_coordinator.testing.wrapper import Then, Wrapper


class CassetteMiss(Fault, ConfigurationError):
    """A request that was never recorded; `str` shows how it differs from the nearest that was. It ends a run."""

    def __init__(self, said: str) -> None:
        super().__init__(Kind.UNREACHABLE, said)

    def error(self, tried: int = 1) -> NoReturn:
        """Raises it as it is: neither trying again nor a person's answer can help."""
        raise CassetteMiss(str(self)) from None


class Cassette(BaseChatModel):
    """A model with a tape; as a context it keeps what was recorded if the block ends without an exception."""

    tape: InstanceOf[Tape]

    def close(self) -> None:
        """Keeps what was recorded, which so far stands in `<path>.part`; without any answer an old cassette stays."""
        self.tape.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        if error is None:
            self.close()


def cassette(
    path: str | Path,
    record: str | BaseChatModel | None = None,
    *,
    mode: Literal["replay", "record", "auto"] | None = None,
    volatile: Sequence[tuple[str, str]] = (),
) -> Cassette:
    """A chat model that plays back what `path` holds, or asks the model `record` and writes its answers there.

    `replay` is the mode where no model is given, else `auto`: record if the file is missing or without an answer, but
    never where the environment variable CI is set. `record` begins the file anew. A recording is kept when the
    cassette is closed: `with cassette(...) as model`, or `close()`. `volatile` are patterns, each with what stands for
    it, of texts that may differ between recording and replay, as in `VOLATILE`.
    Raises ConfigurationError where there is nothing to play or to record from, ModelUnavailable as `resolve_model`.
    """
    path, mode = Path(path), mode or ("replay" if record is None else "auto")
    on_ci = os.environ.get("CI", "").lower() not in ("", "0", "false")
    if mode != "record" and (tape := Tape.load(path, Cleaner.here(volatile))):
        return Player.model_validate({**tape.about, "tape": tape})
    if mode == "replay" or (mode == "auto" and on_ci):
        msg = f"there is no cassette {path}: record it once, with a model, where that can be reached"
        if (part := path.with_name(f"{path.name}.part")).exists():
            msg += f"; {part.name} is what a recording left that was not closed, or whose test failed"
        raise ConfigurationError(msg)
    if record is None:
        msg = f"cassette {path.name}: to record, name a model"
        raise ConfigurationError(msg)
    inner = resolve_model(record)
    secrets = [value.get_secret_value() for value in vars(inner).values() if isinstance(value, SecretStr)]
    about = {"model": place_of(inner)[1], "profile": inner.profile}
    return Recorder(inner=inner, profile=inner.profile, tape=Tape(path, Cleaner.here(volatile, secrets), about))


class Player(Cassette, RuleModel):
    """Gives recorded answers, by what is asked and never by the order of asking; costs nothing."""

    model: str

    @property
    def _llm_type(self) -> str:
        return "cassette"

    def answer(self, messages: Sequence[BaseMessage], options: Mapping[str, Any]) -> AIMessage:
        """The recorded answer. Raises CassetteMiss."""
        parts = self.tape.cleaner.parts(messages, options)
        if (reply := self.tape.answer(parts)) is not None:
            return reply
        path = self.tape.path
        raise CassetteMiss(
            f"{path.name} holds no answer to this request.\n{difference(parts, self.tape.answers, self.tape.parts)}\n"
            f"Where the change is meant, record again: delete {path} and run once with cassette(..., record=<model>).\n"
            "Where it differs from run to run, name its pattern: cassette(..., volatile=[(pattern, name)])."
        )


class Recorder(Cassette, Wrapper):
    """Asks a model and writes down every whole answer."""

    def _begin(self, messages: list[BaseMessage], options: dict[str, Any]) -> Then:
        parts = self.tape.cleaner.parts(messages, options)

        def keep(reply: AIMessage) -> AIMessage:
            self.tape.add(parts, reply)
            return reply

        return keep
