"""What a run of a one-task plan costs beside the work itself: two model calls."""

import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage, BaseMessage

from backend_coordinator import Batch, Coordinator, Entry
from backend_coordinator.domain.plan import Plan
from backend_coordinator.domain.report import Report
from backend_coordinator.settings import Settings
from backend_coordinator.testing import Script, ScriptedModel
from tests.support.department import department, metered, plan, task
from tests.support.openai_server import COMPLETION_TOKENS, PROMPT_TOKENS, serving
from tests.support.runs import QUICK, cli_here

ONE = plan(task(1))
HEAVY = plan(task(1, writes=("f1.txt", "src/**"), covers=("performance-1",), effort="large"))


def counting(script: Script) -> tuple[Script, Counter[str]]:
    """The script, and what it was asked: a specialist's turns are `work`, a question without tools is `ready`."""
    asked: Counter[str] = Counter()

    def counted(messages: Sequence[BaseMessage], tools: Sequence[str]) -> AIMessage:
        asked["work" if "submit" in tools else next(iter(tools), "ready")] += 1
        return metered(script(messages, tools))

    return counted, asked


def here(shop: Path, script: Script, settings: Settings) -> Report:
    return Coordinator(ScriptedModel(script=script), shop, settings=settings).start("one file").result()


def over_http(shop: Path, script: Script, settings: Settings, asked: Plan | str = "one file") -> Report:
    with serving(ScriptedModel(script=script)) as env, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        return Coordinator("openai:test-model", shop, settings=settings).start(asked).result()


@pytest.mark.parametrize("run", [here, over_http])
@pytest.mark.parametrize("made", [ONE, HEAVY], ids=["plain", "with answers"])
def test_one_task_costs_an_analysis_and_a_decomposition(
    shop: Path, run: Callable[[Path, Script, Settings], Report], made: Plan
) -> None:
    answer = {"performance_requirements": ["p95 under 200 ms"]} if made is HEAVY else {}
    script, asked = counting(department(made, analysis=lambda told: answer))
    report = run(shop, script, QUICK)
    assert report.accepted, report.summary
    assert asked == {"answer_analysis": 1, "answer_decomposition": 1, "work": 2}
    assert report.coordination.model_calls == 2
    assert report.work.model_calls == 2
    assert report.coordination.input_tokens == 2 * PROMPT_TOKENS
    assert report.coordination.output_tokens == 2 * COMPLETION_TOKENS


def test_a_given_plan_of_one_task_costs_the_question_whether_the_model_answers(shop: Path) -> None:
    script, asked = counting(department(ONE))
    report = over_http(shop, script, QUICK, ONE)
    assert report.accepted
    assert asked == {"ready": 1, "work": 2}


def test_a_specialist_s_own_model_behind_one_task_is_found_out_by_its_first_turn(shop: Path) -> None:
    settings = QUICK.model_copy(update={"models": {"python-pro": "openai:own-model"}})
    script, asked = counting(department(ONE))
    report = over_http(shop, script, settings)
    assert report.accepted, report.summary
    assert asked == {"answer_analysis": 1, "answer_decomposition": 1, "work": 2}
    assert {call.model for call in report.calls if call.task} == {"own-model"}


def test_a_batch_says_of_one_task_what_coordination_and_work_took(
    shop: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    script, _ = counting(department(ONE))
    (result,) = Batch(
        [Entry(id="a", objective="one file", workspace=shop)], tmp_path / "out", model=ScriptedModel(script=script)
    )
    assert result.coordination is not None
    assert result.work is not None
    assert (result.coordination.model_calls, result.coordination.input_tokens) == (2, 200)
    assert (result.work.model_calls, result.work.input_tokens, result.work.tool_calls) == (2, 200, 1)
    assert json.loads((tmp_path / "out").read_text())["work"] == result.work.model_dump(mode="json")

    (tmp_path / "in.jsonl").write_text(json.dumps({"id": "b", "objective": "one file", "workspace": str(shop)}))
    with serving(ScriptedModel(script=script)) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        said = cli_here("batch", str(tmp_path / "in.jsonl"), "--model", "openai:test-model")
    assert "b accepted" in said.stderr
    line = next(line for line in said.stderr.splitlines() if " b accepted" in line)
    assert "(coordination 220 tokens, " in line
    assert "; work 220 tokens, " in line
    assert line.endswith(" s)")
    assert said.stdout.startswith("1 of 1 objectives: 1 accepted")
