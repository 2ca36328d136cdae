"""Plans on the command line: made, explained, written to a file, edited, checked, and given back to a run."""

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path

import pytest
import yaml

from backend_coordinator.domain.events import Escalated, PlanMade
from backend_coordinator.domain.failure import Level
from backend_coordinator.domain.plan import Plan
from backend_coordinator.testing import ScriptedModel
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.openai_server import serving
from tests.support.runs import Said, cli_here, coordinator, finished, of

MODEL = ("--model", "openai:test-model")
TWO = plan(task(1, covers=["endpoint-1"]), task(2, needs=[1], covers=["monitoring-1"]))
ANALYSIS = {"endpoints": ["GET /one"], "monitoring_needs": ["a log line"]}


@pytest.fixture
def served(shop: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., Said]]:
    """The command line in a workspace whose model drafts a plan of two tasks."""
    script = department(TWO, analysis=lambda told: ANALYSIS)
    with serving(ScriptedModel(script=script)) as env:
        for name, value in env.items():
            monkeypatch.setenv(name, value)
        yield lambda *words: cli_here(*words, "--workspace", str(shop))


def test_a_plan_is_shown_with_its_groups_and_its_critical_path(served: Callable[..., Said]) -> None:
    said = served("plan", "two files", *MODEL)
    assert said.returncode == 0, said.stderr
    assert said.stdout.splitlines()[-2:] == [
        "groups: backend-T001 | backend-T002",
        "critical path: backend-T001 -> backend-T002",
    ]


def test_a_plan_is_explained(served: Callable[..., Said], tmp_path: Path) -> None:
    told = served("plan", "--explain", "two files", *MODEL).stdout
    assert "  endpoint-1: GET /one (backend-T001)\n" in told
    assert "  backend-T002 python-pro: named by the plan\n" in told
    shown = json.loads(served("plan", "two files", "--explain", "--json", *MODEL).stdout)
    assert shown["covered"] == {"endpoint-1": ["backend-T001"], "monitoring-1": ["backend-T002"]}
    assert shown["reasons"].keys() == TWO.by_id.keys()
    assert shown["groups"] == [["backend-T001"], ["backend-T002"]]
    (tmp_path / "told.json").write_text(json.dumps(shown))
    assert served("plan", "check", str(tmp_path / "told.json")).returncode == 0


@pytest.mark.parametrize("name", ["plan.yaml", "plan.json"])
def test_a_plan_that_was_edited_is_checked_and_given_back_to_a_run(
    served: Callable[..., Said], tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    assert served("plan", "two files", "--out", str(file), *MODEL).returncode == 0
    untouched = served("plan", "check", str(file))
    assert (untouched.returncode, untouched.stdout) == (0, "2 tasks, sound, nothing found\n")
    before, _, tasks = file.read_text().partition("tasks")
    file.write_text(f"{before}tasks{tasks.replace('python-pro', 'python-expert', 1).replace('Task 2', 'Edited')}")
    checked = served("plan", "check", str(file), "--json")
    assert checked.returncode == 0
    (finding,) = json.loads(checked.stdout)["findings"]
    assert (finding["rule"], finding["task"]) == ("stranger", "backend-T001")
    ran = served("run", "two files", "--plan", str(file), "--sandbox", "none", "--json", *MODEL)
    assert ran.returncode == 0, ran.stderr
    report = json.loads(ran.stdout)
    assert [each["title"] for each in report["tasks"]] == ["Task 1", "Edited"]
    assert report["repairs"] == [
        "backend-T001: python-expert is called python-pro in this roster: it goes to python-pro"
    ]
    assert report["chosen"]["backend-T001"] == "python-pro, named by the plan"


def test_the_file_of_a_plan_names_specialists_and_answers(served: Callable[..., Said], tmp_path: Path) -> None:
    file = tmp_path / "plan.yaml"
    served("plan", "two files", "--out", str(file), *MODEL)
    text = file.read_text()
    assert "#   endpoint-1: GET /one\n" in text
    assert "#   api-architect: " in text
    assert Plan.model_validate(yaml.safe_load(text)) == TWO


REFUSED: Mapping[str, tuple[str, str]] = {
    "a ring": (
        "tasks:\n"
        "- {id: T1, title: a, objective: a, specialist: python-pro, needs: [T2]}\n"
        "- {id: T2, title: b, objective: b, specialist: python-pro, needs: [T1]}\n",
        ":2: cycle: refused: backend-T001: the tasks form a cycle: backend-T001 -> backend-T002 -> backend-T001",
    ),
    "a stranger": (
        "# mine\ntasks:\n- id: T1\n  title: a\n  objective: a\n  specialist: nobody\n",
        ":3: stranger: refused: backend-T001: no specialist is called 'nobody'",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_a_plan_that_is_refused_is_named_with_file_and_line(shop: Path, tmp_path: Path, case: str) -> None:
    text, line = REFUSED[case]
    (file := tmp_path / "plan.yaml").write_text(text)
    said = cli_here("plan", "check", str(file), "--workspace", str(shop))
    assert (said.returncode, said.stdout.splitlines()[0]) == (1, f"{file}{line}")
    assert cli_here("run", "o", "--plan", str(file), *MODEL, "--workspace", str(shop)).returncode == 2


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("tasks:\n- id: T1\n  title: a\n", ":2 is not a plan: tasks.0.objective: Field required"),
        ("tasks:\n- id: T1\n  id: T2\n", ":3: the key 'id' stands here twice"),
        ("tasks: &a [*a]\n", ":1: anchors and aliases are not read"),
        ("nothing: here\n", " is not a plan: it has no 'tasks'"),
        ("tasks: []\nnotes: mine\n", " is not a plan: beside tasks it has notes"),
        ('{"tasks": [{"id": "T1", "id": "T2"}]}', " is not a plan: the key 'id' stands there twice"),
        ('{"tasks": [], "group": []}', " is not a plan: beside tasks it has group"),
        ("[]", " is not a plan: it is no mapping with tasks"),
        (
            "tasks:\n- id: T1\n  needs: T2\n  title: a\n  objective: a\n  specialist: b\n",
            ":3 is not a plan: tasks.0.needs: must be a list: [T2]",
        ),
        (
            "tasks:\n- id: T1\n  effort: huge\n  title: a\n  objective: a\n  specialist: b\n",
            ":3 is not a plan: tasks.0.",
        ),
    ],
)
def test_a_file_that_cannot_be_read_as_a_plan_is_named_with_its_line(
    shop: Path, tmp_path: Path, text: str, why: str
) -> None:
    (file := tmp_path / ("plan.json" if text[0] in "{[" else "plan.yml")).write_text(text)
    said = cli_here("plan", "check", str(file), "--workspace", str(shop))
    assert said.returncode == 2
    assert f"{file}{why}" in said.stderr


def test_the_options_of_check_may_stand_before_it(shop: Path, tmp_path: Path) -> None:
    (file := tmp_path / "plan.yaml").write_text(
        "tasks:\n- {id: T1, title: a, objective: a, specialist: python-pro}\n"
        "- {id: T2, title: a, objective: a, specialist: python-pro, needs: [T1, 1]}\n"
    )
    for words in (
        ("--json", "-w", str(shop), "check", str(file)),
        (f"--workspace={shop}", "check", "--json", str(file)),
    ):
        said = cli_here("plan", *words)
        assert (said.returncode, json.loads(said.stdout)) == (0, {"sound": True, "findings": []})


def test_the_report_names_remarks_and_why_each_specialist_was_chosen(shop: Path) -> None:
    both = plan(task(1, writes=("f*.txt",)), task(2, writes=("f2.txt",)))
    report, events = finished(coordinator(shop, department(both)).start("two files"))
    assert report.chosen == dict.fromkeys(both.by_id, "python-pro, named by the plan")
    assert report.remarks == ("backend-T001: may run at the same time as backend-T002 and write the same: f*.txt",)
    (made,) = of(PlanMade, events)
    assert [finding.rule for finding in made.findings] == ["writes"]


def ring(told: Told) -> dict[str, object]:
    tasks = [task(1, needs=[2]), task(2, needs=[1])]
    return {"tasks": [each.model_dump(mode="json") for each in tasks]}


def test_drafts_that_stay_unsound_are_reviewed_and_guidance_mends_the_last(shop: Path) -> None:
    def draft(told: Told) -> dict[str, object]:
        sound = {"tasks": [task(1).model_dump(mode="json")]}
        return sound if "GUIDANCE:\nstart with T001" in told.text else ring(told)

    reviewed: list[str] = []

    def review(told: Told) -> dict[str, object]:
        reviewed.append(told.text)
        return {"action": "guide", "text": "start with T001"}

    run = coordinator(shop, department(TWO, write_own_file, decomposition=draft, review=review)).start("one file")
    report, events = finished(run)
    assert report.accepted
    assert "the tasks form a cycle" in reviewed[0]
    (step,) = report.escalations
    assert (step.task, step.level, step.action) == ("plan", Level.COORDINATOR_REVIEW, "guide")
    assert [event.escalation for event in of(Escalated, events)] == [step]


def test_drafts_that_stay_unsound_and_are_given_up_end_the_run_with_the_findings(shop: Path) -> None:
    answer = {"action": "give_up", "text": "no order is possible"}
    run = coordinator(shop, department(TWO, decomposition=ring, review=lambda told: answer)).start("one file")
    report, _ = finished(run)
    assert not report.accepted
    assert "the tasks form a cycle: backend-T001 -> backend-T002 -> backend-T001" in report.summary
    assert "plan check" in report.summary
    assert report.escalations[0].action == "give_up"
    assert cli_here("plan", "check", str(run.folder / "draft.json"), "--workspace", str(shop)).returncode == 1
