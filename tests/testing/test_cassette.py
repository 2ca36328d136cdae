"""What is recorded, under which key, and what a request meets that was not."""

import asyncio
import stat
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, AnyMessage, BaseMessage, HumanMessage, SystemMessage, ToolMessage
from langchain_core.tools import tool
from langchain_openai import ChatOpenAI

from backend_coordinator.errors import ConfigurationError
from backend_coordinator.nodes.models.call import Request, call_model, usage_of
from backend_coordinator.settings import ModelSettings
from backend_coordinator.testing import CassetteMiss, ScriptedModel, calls, cassette, no_network
from backend_coordinator.testing.cassette import Cassette
from tests.faults.server import faulty
from tests.support.clock import VirtualClock
from tests.support.openai_server import serving

WRITE = {"type": "function", "function": {"name": "write", "description": "Writes.", "parameters": {}}}


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "talk.jsonl"


def echo(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
    return AIMessage(f"heard: {messages[-1].text} with {','.join(tools) or 'nothing'}")


ECHO = ScriptedModel(script=echo)


def numbered() -> ScriptedModel:
    """Answers 1, 2, 3, whatever is asked."""
    given: list[int] = []

    def answer(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        given.append(1)
        return AIMessage(str(len(given)))

    return ScriptedModel(script=answer)


def asked(model: Cassette, *texts: str) -> list[str]:
    with model:
        return [str(model.invoke(text).text) for text in texts]


def test_answers_are_found_by_content_and_not_by_order(path: Path) -> None:
    first = asked(cassette(path, ECHO), "a", "b", "c")
    assert asked(cassette(path), "c", "a", "b") == [first[2], first[0], first[1]]


def test_equal_requests_get_their_answers_in_turn_and_then_the_last(path: Path) -> None:
    asked(cassette(path, numbered()), "a", "b", "a")
    assert asked(cassette(path), "a", "a", "a", "b") == ["1", "3", "3", "2"]


async def test_requests_at_once_are_recorded_whole_and_replayed(path: Path) -> None:
    texts = [f"question {n}" for n in range(50)]
    with cassette(path, ECHO) as recorder:
        await asyncio.gather(*(recorder.ainvoke(text) for text in texts))
    player = cassette(path)
    replayed = await asyncio.gather(*(player.ainvoke(text) for text in reversed(texts)))
    assert [str(reply.text) for reply in replayed] == [f"heard: {text} with nothing" for text in reversed(texts)]


def test_tools_options_and_results_are_part_of_the_key(path: Path) -> None:
    call = calls(("write", {"path": "a"}))
    talk: list[AnyMessage] = [SystemMessage("s"), HumanMessage("h"), call, ToolMessage("done", tool_call_id="0-0")]
    with cassette(path, ECHO) as recorder:
        recorder.bind_tools([WRITE]).bind(extra_body={"seed": 1}).invoke(talk)
    player = cassette(path)
    ready = player.bind_tools([WRITE]).bind(extra_body={"seed": 1})
    assert ready.invoke(talk).text == "heard: done with write"
    failed = ToolMessage("done", tool_call_id="0-0", status="error")
    others: list[Callable[[], object]] = [
        lambda: player.invoke(talk),
        lambda: player.bind_tools([WRITE]).invoke(talk),
        lambda: player.bind_tools([WRITE]).bind(extra_body={"seed": 2}).invoke(talk),
        lambda: player.bind_tools([WRITE], tool_choice="write").bind(extra_body={"seed": 1}).invoke(talk),
        lambda: ready.invoke(talk, stop=["x"]),
        lambda: ready.invoke([*talk[:3], failed]),
        lambda: ready.invoke([*talk[:2], calls(("write", {"path": "b"})), talk[3]]),
    ]
    for other in others:
        with pytest.raises(CassetteMiss):
            other()


def test_tools_of_every_form_that_models_take(path: Path) -> None:
    @tool
    def look(name: str) -> str:
        """Looks something up."""
        return name

    with cassette(path, ECHO) as recorder:
        first = recorder.bind_tools([look]).invoke("a")
    assert cassette(path).bind_tools([look]).invoke("a").text == first.text == "heard: a with look"


async def test_what_a_provider_counted_and_why_it_ended_are_kept(path: Path) -> None:
    with serving(ScriptedModel(script=lambda m, t: calls(("write", {"path": "a.py"})))) as variables:
        model = ChatOpenAI(
            model="small", base_url=variables["OPENAI_BASE_URL"], api_key="local-test-key", streaming=True
        )
        with cassette(path, model) as recorder:
            live, used = await call_model(recorder, Request([HumanMessage("go")], tools=[WRITE]), ModelSettings())
    player = cassette(path)
    with no_network():
        replayed, again = await call_model(player, Request([HumanMessage("go")], tools=[WRITE]), ModelSettings())
    assert replayed.tool_calls == live.tool_calls != []
    assert replayed.usage_metadata == live.usage_metadata
    assert replayed.response_metadata["finish_reason"] == "tool_calls"
    assert (again.input_tokens, again.output_tokens) == (used.input_tokens, used.output_tokens) == (100, 10)
    assert usage_of(player, replayed, {}).money == 0.0


@pytest.mark.parametrize("streaming", [True, False])
def test_a_provider_is_recorded_without_a_loop_as_well(path: Path, streaming: bool) -> None:
    with serving(ECHO) as variables:
        model = ChatOpenAI(
            model="small", base_url=variables["OPENAI_BASE_URL"], api_key="local-test-key", streaming=streaming
        )
        with cassette(path, model) as recorder:
            live = recorder.bind_tools([WRITE]).invoke("a")
    assert cassette(path).bind_tools([WRITE]).invoke("a").text == live.text == "heard: a with write"
    assert "local-test-key" not in path.read_text()


async def test_a_message_that_was_cut_is_neither_used_nor_recorded(path: Path) -> None:
    answer = ScriptedModel(script=lambda m, t: calls(("write", {"path": "a.py", "content": "x" * 200})))
    with faulty(answer, lambda number: "cut in arguments" if number == 0 else None) as server:
        model = ChatOpenAI(
            model="small", base_url=server.env["OPENAI_BASE_URL"], api_key="k", streaming=True, max_retries=0
        )
        request, clock = Request([HumanMessage("go")]), VirtualClock()
        with cassette(path, model) as recorder:
            reply, used = await call_model(recorder, request, ModelSettings(), clock=clock)
    assert used.retries == 1
    player = cassette(path)
    assert player.invoke("go").tool_calls == player.invoke("go").tool_calls == reply.tool_calls


def test_the_file_is_its_owner_s_and_holds_long_texts_once(path: Path) -> None:
    long = "you are a specialist. " * 500
    with cassette(path, ECHO) as model:
        for n in range(20):
            model.bind_tools([WRITE]).invoke([SystemMessage(long), *[HumanMessage(f"{m}") for m in range(n + 1)]])
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    text = path.read_text()
    assert text.count(long) == 1
    assert text.count("Writes.") == 1
    assert len(text) < len(long) + 20_000


def test_any_text_is_kept(path: Path) -> None:
    text = "line\u2028separators\x85\r\n\x00 and half of \ud83d"
    (live,) = asked(cassette(path, ECHO), text)
    assert asked(cassette(path), text) == [live.replace("\ud83d", "?")]


def test_secrets_are_in_no_line(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "very-secret-value-1")
    (path.parent / ".env").write_text("DB_PASSWORD=very-secret-value-2\n")
    monkeypatch.chdir(path.parent)
    text = "very-secret-value-1, very-secret-value-2, sk-abcdefghijklmnopqrstuvwx"
    with cassette(path, ECHO) as recorder:
        recorder.bind(extra_body={"note": text}).invoke(text)
    assert "very-secret" not in path.read_text()
    assert "sk-" not in path.read_text()
    assert cassette(path).bind(extra_body={"note": text}).invoke(text).text == (
        "heard: [redacted], [redacted], [redacted] with nothing"
    )


VOLATILE = [
    ("run 20261121-020117-6df8 on 4ab8ad1", "run 20261201-110000-0a1b on 9395522f"),
    ("{tmp}/pytest-of-ann/pytest-7/x.py", "{tmp}/pytest-of-bob/pytest-12/x.py"),
    ("{tmp}/tmpab12_xyz/x.py", "{tmp}/tmpzz99_abc/x.py"),
    ("3 passed in 0.35s", "3 passed in 12.07s"),
    ("me_p95_ms=31.2", "me_p95_ms=4"),
    ("<App at 0x7f0011223344>", "<App at 0x7fffffff3344>"),
    ("at 2026-11-21T14:15:00Z", "at 2026-12-01 09:00:07.25+01:00"),
    ("id 0b0f7c1e-3d5c-4f0e-9b58-0e7f2f1f0a11", "id 1b0f7c1e-3d5c-4f0e-9b58-0e7f2f1f0a12"),
    ("http://127.0.0.1:43211/x", "http://127.0.0.1:51234/x"),
]


@pytest.mark.parametrize(("first", "second"), VOLATILE)
def test_what_differs_between_two_runs_anyhow_is_not_in_the_key(path: Path, first: str, second: str) -> None:
    first, second = (text.replace("{tmp}", tempfile.gettempdir()) for text in (first, second))
    asked(cassette(path, ECHO), first)
    assert cassette(path).invoke(second).text == f"heard: {first} with nothing"


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("p95 200 ms", "p95 300 ms"),
        ("GET /users/7", "GET /users/8"),
        ("port 8000", "port 9000"),
        ("due 2026-01-02", ""),
    ],
)
def test_what_people_write_is_in_the_key(path: Path, first: str, second: str) -> None:
    asked(cassette(path, ECHO), first)
    with pytest.raises(CassetteMiss):
        cassette(path).invoke(second)


def test_patterns_of_one_s_own(path: Path) -> None:
    mine = [(r"build \d+", "build N")]
    asked(cassette(path, ECHO, volatile=mine), "this is build 7")
    assert cassette(path, volatile=mine).invoke("this is build 8").text.startswith("heard")


def test_a_miss_names_each_part_that_changed(path: Path) -> None:
    talk = [SystemMessage("You are careful.\nYou write Python."), HumanMessage("add notes")]
    with cassette(path, ECHO) as recorder:
        recorder.bind_tools([WRITE]).invoke(talk)
    changed = {**WRITE, "function": {**WRITE["function"], "description": "Writes a file."}}  # type: ignore[dict-item]
    with pytest.raises(CassetteMiss) as refused:
        cassette(path).bind_tools([changed]).invoke(
            [SystemMessage("You are careful.\nYou write Rust."), talk[1], AIMessage("so?")]
        )
    assert str(refused.value).splitlines()[1:-2] == [
        "Against the nearest recorded request these differ: tools, message 1 (system), message 3 (ai)."
        " - recorded, + asked now:",
        "@ tools",
        '     "name": "write",',
        '-    "description": "Writes.",',
        '+    "description": "Writes a file.",',
        '     "parameters": {}',
        "@ message 1 (system)",
        " You are careful.",
        "-You write Python.",
        "+You write Rust.",
        "@ message 3 (ai)",
        "only asked now",
    ]


def test_the_nearest_request_is_the_one_whose_texts_are_most_alike(path: Path) -> None:
    asked(cassette(path, ECHO), *(f"write the {name} of the shop, in Python" for name in ("tests", "schema", "docs")))
    with pytest.raises(
        CassetteMiss, match=r"-write the schema of the shop, in Python\n\+write the schema of the shop, in Go"
    ):
        asked(cassette(path), "write the schema of the shop, in Go")


def test_a_great_difference_is_told_in_forty_lines(path: Path) -> None:
    asked(cassette(path, ECHO), "\n".join(f"old line {n}" for n in range(500)))
    with pytest.raises(CassetteMiss, match=r"\d+ more lines") as refused:
        asked(cassette(path), "\n".join(f"new line {n}" for n in range(500)))
    assert len(str(refused.value).splitlines()) <= 44


async def test_a_miss_is_neither_tried_again_nor_a_failed_attempt(path: Path) -> None:
    asked(cassette(path, ECHO), "a")
    with pytest.raises(CassetteMiss, match="holds no answer"):
        await call_model(cassette(path), Request([HumanMessage("b")]), ModelSettings(attempts=6))


def test_modes(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigurationError, match="there is no cassette"):
        cassette(path)
    with pytest.raises(ConfigurationError, match="name a model"):
        cassette(path, mode="record")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(ConfigurationError, match="there is no cassette"):
        cassette(path, ECHO)
    monkeypatch.delenv("CI")
    asked(cassette(path, ECHO), "a")
    with pytest.raises(CassetteMiss):
        asked(cassette(path, ECHO), "b")
    asked(cassette(path, ECHO, mode="record"), "b")
    with pytest.raises(CassetteMiss):
        asked(cassette(path), "a")


@pytest.mark.parametrize("text", ["", "{}\n", "nothing\n", '{"cassette": 99}\n', '{"cassette": 1}\n{"asked": 1\n'])
def test_a_file_that_is_no_cassette_is_refused_with_the_way_out(path: Path, text: str) -> None:
    path.write_text(text)
    with pytest.raises(ConfigurationError, match="delete it and record it anew"):
        cassette(path)


def test_the_window_of_the_model_is_kept(path: Path) -> None:
    profile: Mapping[str, int] = {"max_input_tokens": 32_000}
    asked(cassette(path, ScriptedModel(script=echo, profile=profile)), "a")
    assert cassette(path).profile == profile


def fails_at(number: int) -> ScriptedModel:
    """Answers what it hears until a request of that number, which it refuses as a server does for a wrong key."""
    heard: list[str] = []

    def answer(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        heard.append("")
        if len(heard) == number:
            raise PermissionError("wrong key")
        return echo(messages, tools)

    return ScriptedModel(script=answer)


def test_a_recording_without_an_answer_leaves_all_as_it_was(path: Path) -> None:
    for _ in range(2):
        with pytest.raises(PermissionError):
            asked(cassette(path, fails_at(1)), "a")
    cassette(path, ECHO).close()
    assert list(path.parent.iterdir()) == []
    asked(cassette(path, ECHO), "a")
    with pytest.raises(PermissionError):
        asked(cassette(path, fails_at(1), mode="record"), "a")
    assert asked(cassette(path), "a") == ["heard: a with nothing"]


def test_a_cassette_without_an_answer_is_none(path: Path) -> None:
    path.write_text('{"cassette": 1, "model": "", "profile": null}\n')
    with pytest.raises(ConfigurationError, match="there is no cassette"):
        cassette(path)
    asked(cassette(path, ECHO), "a")
    assert asked(cassette(path), "a") == ["heard: a with nothing"]


def test_an_interrupted_recording_is_no_cassette(path: Path) -> None:
    with pytest.raises(PermissionError):
        asked(cassette(path, fails_at(2)), "a", "b")
    with pytest.raises(ConfigurationError, match=r"talk\.jsonl\.part is what a recording left"):
        cassette(path)
    asked(cassette(path, ECHO), "c")
    assert [file.name for file in path.parent.iterdir()] == [path.name]
    with pytest.raises(CassetteMiss):
        asked(cassette(path), "a")


def test_answers_after_the_end_are_kept_as_well(path: Path) -> None:
    recorder = cassette(path, ECHO)
    asked(recorder, "a")
    recorder.invoke("b")
    assert len(asked(cassette(path), "a", "b")) == 2


def test_an_ordinary_word_is_masked_on_no_machine(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("POSTGRES_PASSWORD", "postgres")
    asked(cassette(path, ECHO), "a service on postgres")
    monkeypatch.delenv("POSTGRES_PASSWORD")
    assert asked(cassette(path), "a service on postgres") == ["heard: a service on postgres with nothing"]


def test_a_miss_says_where_masks_differ(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SHOP_API_KEY", "very-secret-value-1")
    asked(cassette(path, ECHO), "very-secret-value-1")
    monkeypatch.delenv("SHOP_API_KEY")
    with pytest.raises(CassetteMiss, match="Not the same was masked: secrets in the environment"):
        asked(cassette(path), "very-secret-value-1")
