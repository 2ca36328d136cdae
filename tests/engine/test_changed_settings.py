"""Settings that were wrong when a run began: corrected, then resumed, in the same process and in another one."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from backend_coordinator import Coordinator, Settings
from backend_coordinator.domain.events import Asked as Question
from backend_coordinator.domain.events import ModelCalled
from backend_coordinator.errors import ConfigurationError, ModelUnavailable
from backend_coordinator.graph.coordinator import Run
from backend_coordinator.graph.runs import Runs
from backend_coordinator.testing import ScriptedModel
from tests.faults.server import Asked, Response, Server, refused, served, whole
from tests.support.department import department, plan, task
from tests.support.runs import QUICK, cli_here, git, of

MODEL = "openai:test-model"
TWO = plan(task(1), task(2))


def play(asked: Asked) -> Response:
    """A server that lacks the models whose names begin with `wrong`."""
    if str(asked.body["model"]).startswith("wrong"):
        return refused(404, "no such model", code="model_not_found")(asked)
    return whole(asked)


@pytest.fixture
def apart(shop: Path) -> Path:
    """A repository with settings, beside the one that is looked at again."""
    git(shop.parent, "clone", "--quiet", str(shop), "apart")
    return shop.parent / "apart"


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    with served(ScriptedModel(script=department(TWO)), play) as server:
        for name, value in server.env.items():
            monkeypatch.setenv(name, value)
        yield server


def write(apart: Path, text: str) -> None:
    (apart / "backend-coordinator.toml").write_text(f'sandbox = "none"\n{text}')


def refused_run(apart: Path, wrong: str = '[models]\nPython-Expert = "openai:wrong"\n') -> str:
    """The run of a command that ended because the settings name a model that the server does not have."""
    write(apart, wrong)
    said = cli_here("run", "one file", "-w", str(apart), "--model", MODEL)
    assert said.returncode == 2
    assert "error: models.Python-Expert: " in said.stderr
    assert "wrong" in said.stderr
    (run,) = Runs(apart).ids()
    return run


@pytest.mark.usefixtures("server")
def test_a_name_that_is_corrected_is_taken_by_resume_and_all_else_stays(apart: Path) -> None:
    run = refused_run(apart)
    write(apart, 'slots = 1\n[limits.task]\nmodel_calls = 1\n[models]\npython-pro = "openai:right"\n')
    said = cli_here("resume", run, "-w", str(apart), "--model", MODEL)
    assert said.returncode == 0, said.stderr
    report = Runs(apart).report(run)
    assert report is not None
    assert report.models == {"python-pro": "openai:right"}
    calls = [event for _, event in Runs(apart).ledger(run).events() if isinstance(event, ModelCalled)]
    assert len([call for call in calls if call.task]) == 4, "a limit of now is none of the run's"


@pytest.mark.usefixtures("server")
@pytest.mark.parametrize(
    ("now", "message"),
    [
        ('[models]\nnobody = "offline"', "models: no specialist is called 'nobody'"),
        ('[models]\npython-pro = "gpt"', "models.python-pro: unknown model 'gpt'"),
        ("[model]\nattempts = 0", "backend-coordinator.toml: model.attempts: "),
    ],
)
def test_what_is_wrong_at_a_resume_is_one_line_and_code_2(apart: Path, now: str, message: str) -> None:
    run = refused_run(apart)
    write(apart, now)
    said = cli_here("resume", run, "-w", str(apart), "--model", MODEL)
    assert said.returncode == 2
    assert said.stderr.startswith(f"error: {message}")
    assert said.stderr.count("\n") == 1


@pytest.mark.usefixtures("server")
def test_an_ended_run_is_reported_whatever_the_settings_are_now(apart: Path) -> None:
    write(apart, "")
    assert cli_here("run", "one file", "-w", str(apart), "--model", MODEL).returncode == 0
    (run,) = Runs(apart).ids()
    write(apart, "[model]\nattempts = 0")
    assert cli_here("resume", run, "-w", str(apart)).returncode == 0


def test_given_settings_go_before_the_file_also_at_a_resume(apart: Path, server: Server) -> None:
    write(apart, '[models]\npython-pro = "openai:wrong"')
    run = started(apart, QUICK.model_copy(update={"models": {"python-pro": "openai:wrong-too"}}))
    with pytest.raises(ModelUnavailable, match=r"models\.python-pro: .*wrong-too"):
        run.result()
    right = QUICK.model_copy(update={"models": {"python-pro": "openai:right"}})
    assert Coordinator(MODEL, apart, settings=right).resume(run.id).result().accepted
    assert {str(asked.body["model"]) for asked in server.requests} == {"test-model", "wrong-too", "right"}


def started(apart: Path, settings: Settings | None = None) -> Run:
    return Coordinator(MODEL, apart, settings=settings).start(TWO)


def test_a_handle_whose_run_was_refused_tries_again_when_it_is_asked_again(apart: Path, server: Server) -> None:
    write(apart, '[models]\npython-pro = "openai:wrong"')
    run = started(apart)
    assert list(run.events()) != []
    for tried in (1, 2):
        with pytest.raises(ModelUnavailable, match=r"models\.python-pro"):
            run.result()
        assert [asked.body["model"] for asked in server.requests].count("wrong") == tried
    write(apart, '[models]\npython-pro = "openai:right"')
    assert run.result().accepted
    assert of(Question, run.events()) == []


def test_two_names_of_one_member_are_refused_in_limits_too(apart: Path) -> None:
    twice = '[limits.specialists.python-pro]\nturns = 9\n[limits.specialists."Python Expert"]\nturns = 8\n'
    write(apart, twice)
    with pytest.raises(
        ConfigurationError, match=r"limits\.specialists: 'python-pro' and 'Python Expert' are both pyth"
    ):
        Coordinator("offline", apart).start("one file")
    assert Runs(apart).ids() == ()
