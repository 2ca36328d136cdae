"""A report's verdicts are repeated on a fresh checkout; what was changed afterwards is found."""

import json
import shutil
import sqlite3
from collections.abc import Callable
from datetime import date, timedelta
from pathlib import Path
from typing import Any

import pytest
from langchain_core.messages import AIMessage

from backend_coordinator import Coordinator, Report, Settings, Waiting
from backend_coordinator.domain.events import RunEnded, TaskEnded
from backend_coordinator.domain.failure import LevelBudget
from backend_coordinator.domain.objective import Objective
from backend_coordinator.domain.question import Answer
from backend_coordinator.domain.usage import Usage
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes import records
from backend_coordinator.nodes.accept import acceptance
from backend_coordinator.nodes.gates.verify import Verification, compared, rebuilt
from backend_coordinator.nodes.metrics import noted
from backend_coordinator.testing import ScriptedModel, calls
from tests.support.department import Told, department, plan, task
from tests.support.fingerprint import fingerprint
from tests.support.runs import cli_here, git

KEY = "wJalrXUtnFEMIK7MDENGbPxRfiCYzQ7aLkP2vT"
FILES = {
    "calc.py": f'SECRET_KEY = "{KEY}"\n\n\ndef double(n: int) -> int:\n    return 2 * n\n',
    "test_calc.py": "from calc import double\n\n\ndef test_double() -> None:\n    assert double(2) == 4\n",
}
OLD = {
    "requirements.txt": "coverage\npytest\n",
    "test_old.py": "def test_old() -> None:\n    assert False\n",
    "test_gone.py": "import gone\n",
}
TOMORROW = date.today() + timedelta(days=1)
STRAIGHT_TO_LEVEL_4 = LevelBudget(self_recovery=0, peer_consultation=0, coordinator_review=0)
Json = dict[str, Any]


def write_files(told: Told) -> AIMessage:
    if told.turn == 0:
        return calls(*(("write", {"path": path, "content": text}) for path, text in FILES.items()))
    return told.calls("submit", summary="a calculator with a key")


def days_pass(database: Path) -> None:
    """The waiver that holds until tomorrow has run out, as it does while a run waits."""
    with sqlite3.connect(database) as db:
        for column, table in (("answer", "decision"), ("body", "event")):
            db.execute(f"update {table} set {column} = replace({column}, '{TOMORROW}', '2020-01-01')")
    db.close()


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A repository whose tests fail, with a run: one failed item was waived for ever, the other until yesterday."""
    root = tmp_path_factory.mktemp("shop")
    git(root, "init", "--quiet", "-b", "main")
    for path, text in OLD.items():
        (root / path).write_text(text)
    git(root, "add", ".")
    git(root, "-c", "user.name=Ann", "-c", "user.email=ann@example.org", "commit", "--quiet", "-m", "start")
    settings = Settings(sandbox="none", budget=STRAIGHT_TO_LEVEL_4)
    script = department(plan(task(1, writes=tuple(FILES))), write_files)
    run = Coordinator(ScriptedModel(script=script), root, settings=settings).start("a calculator")
    for item, expires in (("C2", None), ("S7", TOMORROW)):
        with pytest.raises(Waiting):
            run.result()
        (question,) = run.questions
        answer = Answer(decision="waive", text="a sample", by="lead", items=(item,), expires=expires)
        question.ledger.answer(question.id, answer)
    days_pass(run.folder / records.FILE)
    run.result()
    return root


@pytest.fixture
def report(shop: Path) -> Report:
    (run,) = Runs(shop).ids()
    found = Runs(shop).report(run)
    assert found is not None
    return found


def outcomes(report: Report) -> dict[str, Outcome]:
    return {verdict.id: verdict.verdict for verdict in report.verdicts}


def changed(report: Report, item: str, **values: object) -> Report:
    """The report with another verdict of one item."""
    verdicts = tuple(v.model_copy(update=values) if v.id == item else v for v in report.verdicts)
    return report.model_copy(update={"verdicts": verdicts})


def test_every_verdict_and_command_is_confirmed_and_the_workspace_stays_as_it_is(shop: Path, report: Report) -> None:
    found = outcomes(report)
    assert (found["C2"], found["S7"], found["C5"]) == (Outcome.WAIVED, Outcome.FAIL, Outcome.PASS)
    before = fingerprint(shop)
    said = cli_here("gates", "verify", report.run, "--workspace", str(shop))
    assert said.returncode == 0, said.stdout + said.stderr
    commands = {e.command for verdict in report.verdicts for e in verdict.evidence}
    assert any("pytest" in command for command in commands)
    assert said.stdout == f"40 of 40 verdicts confirmed, {len(commands)} commands repeated\n"
    assert fingerprint(shop) == before


def test_old_failures_are_named_in_the_report(shop: Path, report: Report) -> None:
    assert report.baseline == ("test_gone", "test_old::test_old")
    told = (shop / ".backend-coordinator" / "runs" / report.run / "report.md").read_text()
    assert "- failed before this run, not blamed on it: 2 tests, test_gone, test_old::test_old\n" in told


async def test_figures_come_from_the_tests_of_the_merged_tree_and_are_taken_again_where_they_were_lost(
    shop: Path, report: Report
) -> None:
    figures = {metric.name: (metric.value, metric.how) for metric in report.metrics}
    assert figures["backend_tasks_completed"] == (1, "merged, of 1 tasks")
    assert figures["backend_success_rate"] == (0, "0 of 1 begun tasks merged at once")
    assert figures["test_coverage"] == (100, "3 of 3 lines ran under the tests")
    assert figures["api_response_time_p95"] == (None, "the tests sent no request that could be seen")
    context = await Runs(shop).context(report.run)
    kept = noted(context.ledger, report.tree)
    assert kept is not None
    assert noted(context.ledger, report.base) is None
    context.ledger.note("measured", "")
    verdicts = await acceptance(context, {result.id: result for result in report.tasks})
    assert {verdict.id: verdict.verdict for verdict in verdicts} == outcomes(report)
    assert noted(context.ledger, report.tree) == kept


def test_a_fail_that_was_made_a_pass_is_found_whatever_the_kept_verdicts_say(
    shop: Path, report: Report, tmp_path: Path
) -> None:
    copy = tmp_path / "shop"
    shutil.copytree(shop, copy, symlinks=True)
    folder = copy / ".backend-coordinator" / "runs" / report.run
    forged = changed(report, "S7", verdict=Outcome.PASS).model_copy(update={"accepted": True})
    (folder / "report.json").write_text(forged.model_dump_json())
    for kept in (folder / "verdicts").iterdir():
        kept.write_text(kept.read_text().replace('"verdict":"fail"', '"verdict":"pass"'))
    shutil.rmtree(folder / "git")  # the branch was published, so the workspace has the objects too
    said = cli_here("gates", "verify", report.run, "--workspace", str(copy), "--json")
    assert said.returncode == 1, said.stderr
    answer: Json = json.loads(said.stdout)
    assert (answer["verdicts"], answer["confirmed"]) == (40, 39)
    first, second = answer["differences"]
    assert first == {"item": "report", "what": "names accepted True, that of the run is False"}
    assert second["item"] == "S7"
    assert second["what"].startswith("recorded pass, repeated fail: calc.py:1: SECRET_KEY has a literal value")
    git(copy, "update-ref", "-d", f"refs/heads/{report.branch}")
    git(copy, "gc", "--quiet", "--prune=now")
    said = cli_here("gates", "verify", report.run, "--workspace", str(copy))
    assert said.returncode == 2
    assert f"commit {report.commit} is gone from the run's repository and from {copy}" in said.stderr


def test_a_run_that_has_not_ended_or_is_unknown_cannot_be_verified(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "shop"
    git(tmp_path, "clone", "--quiet", str(shop), str(copy))
    run = Runs(copy, "offline").create(Objective(text="a calculator"))
    for name, why in ((run, "has no report: nothing to verify"), ("other", "no run 'other'")):
        said = cli_here("gates", "verify", name, "--workspace", str(copy))
        assert said.returncode == 2
        assert why in said.stderr


def repeated(shop: Path, report: Report, recorded: Report) -> Verification:
    """`recorded` compared with what `report` shows, whose waived item failed."""
    fresh = [v.model_copy(update={"verdict": Outcome.FAIL}) if v.id == "C2" else v for v in report.verdicts]
    names = ("run", "base", "branch", "commit", "tree")
    place = recorded.model_copy(update={name: getattr(report, name) for name in names})
    return compared(recorded, rebuilt(place, fresh, Runs(shop).ledger(report.run), delivered=True))


def evidence(report: Report, item: str = "C5", **values: object) -> Report:
    """The report with other evidence of one item."""
    (verdict,) = (v for v in report.verdicts if v.id == item)
    return changed(report, item, evidence=tuple(e.model_copy(update=values) for e in verdict.evidence))


def head(**values: object) -> Callable[[Report], Report]:
    return lambda report: report.model_copy(update=values)


def ended(**values: object) -> Callable[[Report], Report]:
    """A forgery of the only task."""
    return lambda report: report.model_copy(update={"tasks": (report.tasks[0].model_copy(update=values),)})


def metrics(report: Report, value: float) -> Report:
    """The report with another success rate."""
    told = tuple(
        m.model_copy(update={"value": value}) if m.name == "backend_success_rate" else m for m in report.metrics
    )
    return report.model_copy(update={"metrics": told})


def answered_by_another(report: Report) -> Report:
    first, *rest = report.questions
    assert first.answer is not None
    answer = first.answer.model_copy(update={"by": "director"})
    return report.model_copy(update={"questions": (first.model_copy(update={"answer": answer}), *rest)})


def without(report: Report, item: str) -> tuple[Verdict, ...]:
    return tuple(verdict for verdict in report.verdicts if verdict.id != item)


FORGERIES: dict[str, tuple[Callable[[Report], Report], str, str]] = {
    "fail to unknown": (lambda r: changed(r, "S7", verdict=Outcome.UNKNOWN), "S7", "recorded unknown, repeated fail"),
    "waived to pass": (lambda r: changed(r, "C2", verdict=Outcome.PASS), "C2", "recorded pass, repeated waived"),
    "pass to waived": (lambda r: changed(r, "C5", verdict=Outcome.WAIVED), "C5", "recorded waived, repeated pass"),
    "exit code": (lambda r: evidence(r, exit_code=0), "C5", "recorded, but not repeated: pytest "),
    "command": (lambda r: evidence(r, command=("true",)), "C5", "recorded, but not repeated: pytest "),
    "no evidence": (lambda r: changed(r, "C5", evidence=()), "C5", "repeated, but not recorded: pytest"),
    "tree of evidence": (lambda r: evidence(r, tree="4b825d"), "C5", "bound to tree 4b825d, that of the commit is "),
    "tree of verdict": (lambda r: changed(r, "C5", tree=""), "C5", "bound to tree none, that of the commit is "),
    "left out": (lambda r: r.model_copy(update={"verdicts": without(r, "S7")}), "S7", "not recorded, repeated fail"),
    "doubled": (lambda r: r.model_copy(update={"verdicts": (*r.verdicts, r.verdicts[0])}), "A1", "recorded 2 times"),
    "commit": (lambda r: r.model_copy(update={"commit": "c0ffee"}), "report", "names commit c0ffee, that of the run"),
    "base": (lambda r: r.model_copy(update={"base": ""}), "report", "names base none, that of the run is "),
    "accepted": (head(accepted=True), "report", "names accepted True, that of the run is False"),
    "waiver": (lambda r: changed(r, "S7", verdict=Outcome.WAIVED), "S7", "recorded waived, repeated fail: "),
    "summary": (
        head(summary="accepted, 40 of 40 verified"),
        "report",
        "names summary accepted, 40 of 40 verified, that",
    ),
    "branch": (head(branch="main"), "report", "names branch main, that of the run is backend-coordinator/"),
    "baseline": (head(baseline=()), "report", "names baseline none, that of the run is test_gone; test_old::test_old"),
    "objective": (head(objective="a bank"), "report", "names objective a bank, that of the run is a calculator"),
    "usage": (head(usage=Usage()), "report", 'names usage {"model_calls":0,'),
    "calls": (head(calls=()), "report", 'names calls none, that of the run is {"version":1,"type":"model_called",'),
    "status": (ended(status="given_up"), "backend-T001", "names status given_up, that of the run is merged"),
    "failures": (
        ended(failures=()),
        "backend-T001",
        "names attempts 1, failures none, that of the run is 1, failures 1",
    ),
    "no task": (head(tasks=()), "backend-T001", "names status none, that of the run is merged"),
    "metric": (lambda r: metrics(r, 100), "report", "names backend_success_rate 100 %, 0 of 1 begun tasks merged at"),
    "answer": (answered_by_another, "report", "names q-"),
    "version": (lambda r: evidence(r, version="1"), "C5", "recorded, but not repeated: pytest 1, `python -m coverage"),
    "counts": (lambda r: evidence(r, summary="pytest: 9 passed"), "C5", "recorded, but not repeated: pytest "),
    "failing test": (lambda r: evidence(r, findings=()), "C5", "recorded, but not repeated: pytest "),
    "digest": (lambda r: evidence(r, "C2", output_sha256="0"), "C2", "recorded, but not repeated: detect-secrets "),
    "finding": (lambda r: evidence(r, "C2", findings=()), "C2", "recorded, but not repeated: detect-secrets "),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_each_forgery_is_named_with_its_item(name: str, shop: Path, report: Report) -> None:
    forge, item, what = FORGERIES[name]
    assert repeated(shop, report, report).differences == ()
    found = next(d for d in repeated(shop, report, forge(report)).differences if d.item == item)
    assert found.what.startswith(what)


def test_acceptance_follows_from_the_run_s_records_both_ways(shop: Path, report: Report, tmp_path: Path) -> None:
    ledger = Runs(shop).ledger(report.run)
    passing = [verdict.model_copy(update={"verdict": Outcome.PASS}) for verdict in report.verdicts]
    proper = rebuilt(report, passing, ledger, delivered=True)
    assert (proper.accepted, proper.summary) == (True, "accepted, 40 of 40 verified")
    told = [difference.what for difference in compared(report, proper).differences]
    assert "names accepted False, that of the run is True" in told
    assert not rebuilt(report, passing, ledger, delivered=False).accepted
    other = records.load(Path(shutil.copy(Runs(shop).place(report.run) / records.FILE, tmp_path)).parent)
    last = "not accepted: backend-T001 given up: stuck"
    other.record(TaskEnded(task="backend-T001", status="given_up", reason="stuck"))
    other.record(RunEnded(accepted=False, summary=last))
    unmerged = rebuilt(report, passing, other, delivered=True)
    assert (unmerged.accepted, unmerged.summary, unmerged.metrics[0].value) == (False, last, 0)
    failing = [verdict.model_copy(update={"verdict": Outcome.FAIL}) for verdict in report.verdicts]
    assert outcomes(rebuilt(report, failing, ledger, delivered=True))["C2"] is Outcome.WAIVED
    assert outcomes(rebuilt(report, failing, other, delivered=True))["C2"] is Outcome.FAIL
