"""kill -9 at every named point: the run goes on in a new process, ends complete, and repeats nothing."""

import json
from pathlib import Path

import pytest

from backend_coordinator.graph.runs import Runs
from backend_coordinator.nodes.points import POINTS, Point
from tests.support import crashes
from tests.support.crashes import TASKS, Moment, Scene
from tests.support.runs import ROOT, cli_here, python

FAST = ("branch moved",)
ONCE = ("run created", "plan recorded", "branch integrated", "report written")
"""What a run passes once only."""
MOST = 60
"""Characters of a doubt that are compared."""
MOMENTS = [
    *(pytest.param(point, 1, marks=() if point in FAST else pytest.mark.slow, id=point) for point in POINTS),
    *(
        pytest.param(point, 2, marks=pytest.mark.slow, id=f"{point}, second time")
        for point in POINTS
        if point not in ONCE
    ),
]


def played(scene: Scene, *moments: Moment) -> list[list[object]]:
    """How the processes of one round died, once it is sure that nothing is wrong with what they left."""
    done = python(crashes.__file__, str(scene.shop), str(scene.folder), json.dumps(moments))
    assert done.returncode == 0, done.stderr
    told = json.loads(done.stdout)
    assert told["wrong"] == []
    return list(told["kills"])


@pytest.fixture
def scene(shop: Path, tmp_path: Path) -> Scene:
    folder = tmp_path / "scene"
    folder.mkdir()
    return Scene(shop, folder)


@pytest.mark.parametrize(("point", "time"), MOMENTS)
def test_a_run_killed_at_a_point_ends_complete_and_repeats_nothing(scene: Scene, point: Point, time: int) -> None:
    ((_, after, _),) = played(scene, Moment("point", time, point))
    assert after == point


@pytest.mark.slow
def test_an_effect_that_nobody_saw_end_is_told_by_report_story_and_verification(scene: Scene) -> None:
    played(scene, Moment("point", 1, "intent recorded"))
    runs = Runs(scene.shop)
    (run,) = runs.ids()
    report = runs.report(run)
    assert report is not None
    doubt = f"bash {scene.command('1')}"[:MOST]
    assert [f"{each.tool} {each.subject}"[:MOST] for each in report.in_doubt] == [doubt]
    where = ("--workspace", str(scene.shop))
    told = cli_here("report", run, *where).stdout.partition("## In doubt\n\n")[2]
    assert told.startswith("A process ended while these ran; whether they took effect is not known.\n\n- ")
    assert f"{TASKS[1]}: bash echo 1" in told
    assert "in doubt, the process ended while it ran: bash: echo 1 >> " in cli_here("show", run, *where).stdout
    assert cli_here("gates", "verify", run, *where).returncode == 0
    hidden = report.model_copy(update={"in_doubt": ()})
    (runs.place(run) / "report.json").write_text(hidden.model_dump_json())
    said = cli_here("gates", "verify", run, *where)
    assert said.returncode == 1
    assert "names in doubt none, that of the run is " in said.stdout


@pytest.mark.slow
def test_random_moments_lose_and_repeat_nothing() -> None:
    done = python(str(ROOT / "benchmarks" / "crashes.py"), "--kills", "6", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["kills"], told["violations"]) == (0, 6, 0), told["what"]
