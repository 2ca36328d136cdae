"""Whole runs from a cassette, in a process that can reach no network."""

from collections.abc import Callable
from pathlib import Path

import pytest
from langchain_core.language_models import BaseChatModel
from langchain_core.messages import AIMessage

from backend_coordinator import Coordinator, Report
from backend_coordinator.domain.usage import Usage
from backend_coordinator.testing import CassetteMiss, ScriptedModel, cassette, no_network
from tests.support.department import Told, department, plan, task
from tests.support.openai_server import serving
from tests.support.runs import QUICK, finished, git, statuses, tree

PLAN = plan(task(1), task(2), task(3, needs=[1, 2]))
Place = Callable[[str], Path]


def work(told: Told) -> AIMessage:
    """Looks at the repository, writes its file, submits; counted as a provider would."""
    number = int(told.task[-3:])
    steps = [
        told.calls("read", path="notes.txt"),
        told.calls("write", path=f"f{number}.txt", content=f"hello {number}\n"),
        told.calls("submit", summary=f"wrote f{number}.txt"),
    ]
    used = {"input_tokens": 100 * number + told.turn, "output_tokens": 10, "total_tokens": 0}
    return steps[told.turn].model_copy(update={"usage_metadata": used})


SCRIPTED = ScriptedModel(script=department(PLAN, work))


def run(model: BaseChatModel, shop: Path, objective: str = "three files") -> Report:
    report, _ = finished(Coordinator(model, shop, settings=QUICK).start(objective))
    return report


def counted(report: Report) -> Usage:
    """What a run used, without what the clock says and what only calls over a network have."""
    clock = {"seconds": 0.0, "tool_seconds": 0.0}
    return report.usage.model_copy(update={**clock, "uncounted_calls": 0, "unpriced_calls": 0})


@pytest.mark.slow
def test_a_whole_run_is_replayed_in_another_folder_without_sockets(repository: Place, tmp_path: Path) -> None:
    shop, other = repository("here"), repository("elsewhere")
    with cassette(tmp_path / "three.jsonl", SCRIPTED) as model:
        recorded = run(model, shop)
    with no_network():
        replayed = run(cassette(tmp_path / "three.jsonl"), other)
    assert statuses(replayed) == statuses(recorded) == dict.fromkeys(("001", "002", "003"), "merged")
    assert tree(other, replayed.branch) == tree(shop, recorded.branch)
    assert counted(replayed) == counted(recorded)
    assert replayed.usage.input_tokens > 0


@pytest.mark.slow
def test_a_run_over_http_is_replayed_without_a_server(
    repository: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shop, other = repository("here"), repository("elsewhere")
    with serving(SCRIPTED) as variables:
        for name, value in variables.items():
            monkeypatch.setenv(name, value)
        with cassette(tmp_path / "http.jsonl", "openai:small") as model:
            recorded = run(model, shop)
    for name in variables:
        monkeypatch.delenv(name)
    with no_network():
        replayed = run(cassette(tmp_path / "http.jsonl"), other)
    assert tree(other, replayed.branch) == tree(shop, recorded.branch)
    assert replayed.usage.input_tokens == recorded.usage.input_tokens > 0
    assert variables["OPENAI_API_KEY"] not in (tmp_path / "http.jsonl").read_text()


def test_one_changed_word_of_a_prompt_fails_readably(repository: Place, tmp_path: Path) -> None:
    path = tmp_path / "three.jsonl"
    with cassette(path, SCRIPTED) as model:
        run(model, repository("here"), "write three small files")
    with pytest.raises(CassetteMiss) as refused, no_network():
        run(cassette(path), repository("elsewhere"), "write three large files")
    told = str(refused.value)
    assert told.startswith("three.jsonl holds no answer to this request.\nAgainst the nearest recorded request")
    assert "these differ: message 2 (human)" in told
    assert "-write three small files" in told
    assert "+write three large files" in told
    assert f"delete {path} and run once with cassette(..., record=<model>)" in told
    assert len(told.splitlines()) < 46


@pytest.mark.slow
def test_the_offline_model_s_service_is_replayed_in_another_folder(repository: Place, tmp_path: Path) -> None:
    objective, path = "CRUD API for notes with title and body", tmp_path / "crud.jsonl"
    shop, other = repository("here"), repository("elsewhere")
    with cassette(path, "offline") as model:
        recorded = Coordinator(model, shop).start(objective).result()
    with no_network():
        replayed = Coordinator(cassette(path), other).start(objective).result()
    assert recorded.accepted
    assert replayed.accepted
    assert tree(other, replayed.branch) == tree(shop, recorded.branch)
    assert path.stat().st_size < 500_000
    assert git(other, "status", "--porcelain") == ""
