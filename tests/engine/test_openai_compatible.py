"""A model behind the HTTP interface that most servers speak."""

import shutil
from pathlib import Path

import pytest

from backend_coordinator import Coordinator, Settings
from backend_coordinator.domain import events as e
from backend_coordinator.domain.report import Report
from backend_coordinator.nodes.models.offline.chat import OfflineModel
from backend_coordinator.testing import ScriptedModel
from tests.support.department import department, plan, task
from tests.support.openai_server import COMPLETION_TOKENS, PROMPT_TOKENS, serving
from tests.support.runs import QUICK, git, of, tree

OBJECTIVE = "CRUD API for products with name, price, stock and category"


def over_http(shop: Path, model: OfflineModel | ScriptedModel, objective: str, settings: Settings) -> Report:
    """A run whose model is asked through a socket."""
    with serving(model) as env, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        run = Coordinator("openai:test-model", shop, settings=settings).start(objective)
        report = run.result()
        told = [(event.tool, event.ok) for event in of(e.ToolCalled, run.events())]
    assert all(ok for _, ok in told)
    return report


def test_a_run_over_http_counts_the_tokens_the_server_reports(shop: Path) -> None:
    model = ScriptedModel(script=department(plan(task(1), task(2))))
    report = over_http(shop, model, "two files", QUICK)
    assert report.accepted
    assert report.model == "openai:test-model"
    assert report.usage.model_calls == 6
    assert report.usage.input_tokens == 6 * PROMPT_TOKENS
    assert report.usage.output_tokens == 6 * COMPLETION_TOKENS
    assert report.coordination.model_calls == 2


def test_runs_of_one_process_share_the_connections_of_their_model(shop: Path) -> None:
    model = ScriptedModel(script=department(plan(task(1))))
    with serving(model) as env, pytest.MonkeyPatch.context() as patch:
        for name, value in env.items():
            patch.setenv(name, value)
        for _ in range(3):
            report = Coordinator("openai:test-model", shop, settings=QUICK).start("one file").result()
            assert report.accepted, report.summary


@pytest.mark.slow
def test_the_same_objective_gives_the_same_tree_over_http_as_without(shop: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    shutil.copytree(shop, other, symlinks=True)
    direct = Coordinator("offline", other).start(OBJECTIVE).result()
    report = over_http(shop, OfflineModel(), OBJECTIVE, Settings())
    assert report.accepted
    assert direct.accepted
    told, meant = ([(t.id, t.specialist, t.status, t.attempts) for t in each.tasks] for each in (report, direct))
    assert told == meant
    assert tree(shop, report.branch) == tree(other, direct.branch)
    assert "openapi.yaml" in git(shop, "ls-tree", "--name-only", report.branch).splitlines()
    assert report.usage.input_tokens == report.usage.model_calls * PROMPT_TOKENS
    assert report.usage.output_tokens == report.usage.model_calls * COMPLETION_TOKENS
    assert report.usage.model_calls == direct.usage.model_calls
