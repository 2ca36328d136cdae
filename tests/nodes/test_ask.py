"""A typed answer is asked for in the form that the server takes, and corrected once."""

import json
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import Any, Literal

import pytest
from langchain_core.callbacks import CallbackManagerForLLMRun
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage, BaseMessage, ToolMessage
from langchain_core.outputs import ChatGeneration, ChatResult
from pydantic import BaseModel

from backend_coordinator.domain.context import Assignment
from backend_coordinator.domain.objective import Analysis
from backend_coordinator.errors import ModelCallFailed, ModelUnavailable
from backend_coordinator.nodes import records
from backend_coordinator.nodes.ask import Inquiry, ask
from backend_coordinator.nodes.context import RunContext
from backend_coordinator.nodes.levels import Guidance, Review
from backend_coordinator.nodes.models.forms import request
from backend_coordinator.nodes.models.resolve import resolve_model
from backend_coordinator.nodes.needs import Additions
from backend_coordinator.nodes.plan_compiler import PlanDraft
from backend_coordinator.nodes.tools.bench import Bench
from backend_coordinator.nodes.work import work
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import ScriptedModel, calls
from tests.faults.server import FAULTS, Asked, Fault, Response, Server, refused, served, whole
from tests.support.clock import VirtualClock
from tests.support.responses_server import responses

MEANT = Review(action="guide", text="Hash it.")
ANSWER = MEANT.model_dump(mode="json")
names = (f"test-model-{number}" for number in count())
"""A name of its own for each test: what a server was found to take is remembered by server and model."""


def answers(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    """The answer: by the tool where there is one, else amid prose."""
    return calls((tools[0], ANSWER)) if tools else AIMessage(f"Let me see.\n{json.dumps(ANSWER)}\nThat is all.")


@contextmanager
def server(play: Fault, script: Callable[..., AIMessage] = answers) -> Iterator[Server]:
    with served(ScriptedModel(script=script), play) as it, pytest.MonkeyPatch.context() as patch:
        for name, value in it.env.items():
            patch.setenv(name, value)
        yield it


def asking(context: RunContext, **terms: object) -> RunContext:
    """The run, with a model behind HTTP asked by these terms."""
    settings = context.settings.model_copy(update={"model": ModelSettings.model_validate({"attempts": 1, **terms})})
    return replace(context, model=f"openai:{next(names)}", settings=settings)


async def review(context: RunContext, number: int = 1) -> Review:
    found, _ = await ask(context, Inquiry(f"review-{number}", "You review.", "What now?"), Review)
    return found


def shapes(server: Server) -> list[str]:
    """The form of each request that came."""
    return [
        "json_schema" if "response_format" in asked.body or "text" in asked.body
        else "tools" if "tools" in asked.body
        else "json"
        for asked in server.requests
    ]  # fmt: skip


def refusing(*fields: str) -> Fault:
    """A server that knows none of these fields of a request."""

    def play(asked: Asked) -> Response:
        unknown = [name for name in fields if name in asked.body]
        return refused(400, f"unknown parameter: {unknown[0]}")(asked) if unknown else whole(asked)

    return play


def ignoring(*fields: str) -> Fault:
    """A server that overlooks these fields of a request."""
    return lambda asked: whole(replace(asked, body={k: v for k, v in asked.body.items() if k not in fields}))


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize(
    ("play", "shape"),
    [
        (whole, ["json_schema"]),
        (refusing("response_format"), ["json_schema", "tools"]),
        (refusing("response_format", "tools"), ["json_schema", "tools", "json"]),
        (ignoring("response_format"), ["json_schema"]),
    ],
    ids=["takes a schema", "refuses a schema", "refuses tools too", "overlooks a schema"],
)
async def test_every_server_is_asked_in_the_form_it_takes_and_that_is_remembered(
    context: RunContext, play: Fault, shape: list[str], streaming: bool
) -> None:
    asked = asking(context, streaming=streaming)
    with server(play) as it:
        assert await review(asked) == MEANT
        assert shapes(it) == shape
        assert await review(asked, 2) == MEANT
        assert shapes(it) == [*shape, shape[-1]]
    schemas = [each.body["response_format"]["json_schema"] for each in it.requests if "response_format" in each.body]
    assert {each["name"] for each in schemas} == {"answer_review"}


@pytest.mark.parametrize(
    ("fault", "shape", "again"),
    [
        (refused(501, "not implemented"), ["json_schema", "tools"], ["json_schema", "tools"]),
        (FAULTS["null content"], ["json_schema", "tools"], ["tools"]),
    ],
    ids=["error", "empty"],
)
async def test_a_form_that_brings_errors_or_nothing_is_left_for_the_next_and_only_errors_are_doubted(
    context: RunContext, fault: Fault, shape: list[str], again: list[str]
) -> None:
    asked = asking(context)
    with server(lambda each: (fault if "response_format" in each.body else whole)(each)) as it:
        found, used = await ask(asked, Inquiry("review-1", "You review.", "What now?"), Review)
        assert (found, shapes(it)) == (MEANT, shape)
        assert used == asked.transcript("review-1").read().usage
        assert used.model_calls == 1 + (again == ["tools"]), "an empty answer is paid for"
        assert await review(asked, 2) == MEANT
        assert shapes(it) == [*shape, *again]


async def test_the_forms_share_the_attempts_of_a_call_until_one_of_them_worked(context: RunContext) -> None:
    asked = replace(asking(context, attempts=5), clock=VirtualClock())
    with server(lambda each: (whole if each.number in (4, 5) else refused(500))(each)) as it:
        assert await review(asked) == MEANT
        assert shapes(it) == ["json_schema", "json_schema", "tools", "tools", "json"]
        assert await review(asked, 2) == MEANT
        with pytest.raises(ModelCallFailed, match="failed 5 times: status 500"):
            await review(asked, 3)
        assert shapes(it)[5:] == ["json_schema"] * 6, "a server that was down teaches nothing"


@pytest.mark.parametrize("fault", [refused(429), FAULTS["reset"]], ids=["rate limit", "reset"])
async def test_what_has_nothing_to_do_with_the_form_is_waited_for_in_the_first(
    context: RunContext, fault: Fault
) -> None:
    asked = replace(asking(context, attempts=5), clock=VirtualClock())
    with server(lambda each: (fault if each.number < 4 else whole)(each)) as it:
        assert await review(asked) == MEANT
    assert shapes(it) == ["json_schema"] * 5
    with server(fault) as it, pytest.raises(ModelCallFailed):
        await review(asked, 2)
    assert shapes(it) == ["json_schema"] * 5


async def test_after_a_crash_every_call_of_a_malformed_answer_is_corrected_once(context: RunContext) -> None:
    shown: list[Sequence[BaseMessage]] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        shown.append(messages)
        return calls((tools[0], ANSWER))

    journal = context.transcript("review-1")
    journal.add(calls(("answer_review", {}), ("answer_review", {"text": "Hash it."})))
    journal.add(ToolMessage("That answer cannot be used", tool_call_id="0-0", status="error"))
    scripted = replace(context, model=ScriptedModel(script=script))
    assert await review(scripted) == MEANT
    assert [m.tool_call_id for m in shown[0] if isinstance(m, ToolMessage)] == ["0-0", "0-1"]
    (reply,) = [m for m in journal.read().messages[3:] if isinstance(m, AIMessage)]
    assert [call["id"] for call in reply.tool_calls] == [f"call-{len(shown[0])}-0"], "ids are used once"
    assert await review(scripted) == MEANT
    assert len(shown) == 1


async def test_an_answer_is_kept_before_it_is_counted(context: RunContext) -> None:
    asked: list[str] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        asked.extend(tools)
        return calls((tools[0], ANSWER))

    scripted = replace(context, model=ScriptedModel(script=script))
    with sqlite3.connect(context.folder / records.FILE) as db:
        db.execute("create trigger full before insert on event begin select raise(abort, 'disk full'); end")
    with pytest.raises(sqlite3.IntegrityError, match="disk full"):
        await review(scripted)
    assert await review(scripted) == MEANT
    assert asked == ["answer_review"]


@pytest.mark.parametrize("form", ["json_schema", "tools", "json"])
async def test_a_form_that_is_set_is_the_only_one(
    context: RunContext, form: Literal["json_schema", "tools", "json"]
) -> None:
    asked = asking(context, answers=form)
    with server(lambda each: (refused(400) if each.number else whole)(each)) as it:
        assert await review(asked) == MEANT
        with pytest.raises(ModelCallFailed, match="refused"):
            await review(asked, 2)
    assert shapes(it) == [form] * 2


async def test_a_server_that_refuses_everything_fails_the_call_and_teaches_nothing(context: RunContext) -> None:
    asked = asking(context)
    with server(refusing("messages")) as it:
        for number in (1, 2):
            with pytest.raises((ModelCallFailed, ModelUnavailable), match="unknown parameter: messages"):
                await review(asked, number)
        assert shapes(it) == ["json_schema", "tools", "json"] * 2


async def test_a_server_that_overlooks_tools_is_told_the_schema_once_it_wrote_prose(context: RunContext) -> None:
    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        asked_for = '"can_help"' not in str(messages[-1].text) and '"action"' in str(messages[-1].text)
        return answers(messages, tools) if asked_for else AIMessage("You should hash it.")

    with server(ignoring("tools"), script) as it:
        assert await review(asking(context, answers="tools")) == MEANT
    assert len(it.requests) == 2


@pytest.mark.parametrize("answer", [Analysis, PlanDraft, Review, Guidance, Additions])
def test_a_schema_is_one_that_the_strict_mode_takes(answer: type[BaseModel], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    model = resolve_model("openai:test-model")
    options = request(model, "json_schema", [AIMessage("")], "answer_it", answer).options
    form = json.loads(json.dumps(options))["extra_body"]["response_format"]["json_schema"]
    assert form["strict"]
    found = list(_objects(form["schema"]))
    assert found
    for each in found:
        assert each["additionalProperties"] is False
        assert each["required"] == list(each["properties"])
        assert not any("default" in value for value in each["properties"].values())
    assert form["schema"]["properties"].keys() == answer.model_fields.keys()


def test_a_schema_with_open_objects_is_asked_for_without_the_strict_mode(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    options = request(resolve_model("openai:test-model"), "json_schema", [AIMessage("")], "answer_it", Open).options
    form = json.loads(json.dumps(options))["extra_body"]["response_format"]["json_schema"]
    assert (form["strict"], form["schema"]) == (False, Open.model_json_schema())


class Open(BaseModel):
    """An answer whose keys nobody knows."""

    names: dict[str, str]


def _objects(node: object) -> Iterator[dict[str, Any]]:
    if isinstance(node, Mapping):
        if node.get("type") == "object":
            yield dict(node)
        for value in node.values():
            yield from _objects(value)
    elif isinstance(node, list):
        for value in node:
            yield from _objects(value)


class Plain(BaseChatModel):
    """A chat model that has no tools."""

    @property
    def _llm_type(self) -> str:
        return "plain"

    def _generate(
        self,
        messages: list[BaseMessage],
        stop: list[str] | None = None,
        run_manager: CallbackManagerForLLMRun | None = None,
        **kwargs: Any,
    ) -> ChatResult:
        assert '"action"' in str(messages[0].text)
        return ChatResult(generations=[ChatGeneration(message=answers(messages, ()))])


async def test_a_chat_model_without_tools_answers_in_words(context: RunContext) -> None:
    assert await review(replace(context, model=Plain())) == MEANT


async def test_an_answer_that_stays_bad_ends_after_one_correction_and_a_good_one_is_never_paid_twice(
    context: RunContext,
) -> None:
    said: list[str] = []

    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        said.append(str(messages[-1].text))
        return calls((tools[0], {"action": "retry"} if len(said) < 3 else ANSWER), turn=len(messages))

    scripted = replace(context, model=ScriptedModel(script=script))
    with pytest.raises(ModelCallFailed, match=r"review-1: .* text is missing"):
        await review(scripted)
    assert len(said) == 2
    assert said[1].splitlines() == [
        "That answer cannot be used:",
        "- action: Input should be 'guide', 'reassign', 'split', 'amend', 'wait', 'escalate' or 'give_up', not retry",
        "- text is missing",
        "Answer again in full.",
    ]
    assert [await review(scripted, 2), await review(scripted, 2)] == [MEANT, MEANT]
    assert len(said) == 3


@pytest.mark.parametrize("streaming", [True, False])
@pytest.mark.parametrize("form", ["auto", "tools"])
async def test_the_responses_api_answers_and_calls_tools(
    context: RunContext, bench: Bench, streaming: bool, form: str
) -> None:
    def script(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        turn = sum(isinstance(message, AIMessage) for message in messages)
        if "submit" not in tools:
            return answers(messages, tools)
        write = ("write", {"path": "docs/a.md", "content": "one\n"})
        return calls(write, turn=turn) if turn == 0 else calls(("submit", {"summary": "done"}), turn=turn)

    asked = asking(context, api="responses", streaming=streaming, answers=form)
    with server(responses, script) as it:
        assert await review(asked) == MEANT
        assignment = Assignment(task=bench.task.id, specialist="python-pro", attempt=1, packet="do it")
        worked = await work(assignment, replace(bench, context=asked), "you are python-pro")
    assert worked.submission is not None
    assert worked.submission.summary == "done"
    assert bench.tree.joinpath("docs", "a.md").read_text() == "one\n"
    assert all("input" in each.body for each in it.requests)
    assert shapes(it) == ["json_schema" if form == "auto" else "tools", "tools", "tools"]


@pytest.mark.parametrize("fault", ["null content", "length"])
async def test_an_empty_or_cut_off_answer_is_asked_for_once_more_with_the_reason(
    context: RunContext, fault: str
) -> None:
    with server(lambda asked: FAULTS[fault](asked) if asked.number == 0 else whole(asked)) as it:
        assert await review(asking(context, answers="tools")) == MEANT
        assert it.requests[1].body["messages"][-1]["content"].startswith("Your last message was ")
    with server(FAULTS[fault]) as it, pytest.raises(ModelCallFailed, match=r"cut off|neither text nor a tool call"):
        await review(asking(context, answers="tools"), 2)
    assert len(it.requests) == 2
