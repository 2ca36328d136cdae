"""What notebooks are shown: complete, escaped, readable without a notebook."""

import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from hypothesis import given

from backend_coordinator import display
from backend_coordinator.domain.plan import Plan, Task
from backend_coordinator.domain.report import Metric, Report
from backend_coordinator.domain.usage import Usage
from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates.registry import ITEMS
from backend_coordinator.nodes.workspace.git import GitError
from tests.engine.test_plan_laws import sound
from tests.support.department import department, plan, task
from tests.support.runs import coordinator, git

HOSTILE = "<script>alert('&\")</script>"
OURS = {"div", "style", "table", "tr", "th", "td", "i", "p", "pre", "details", "summary"}
DRAWN = {"svg", "g", "title", "rect", "text", "path"}


class Seen(HTMLParser):
    """What a browser makes of a shown thing: elements, their texts and titles."""

    def __init__(self, shown: display.Shown) -> None:
        super().__init__()
        self.elements: list[tuple[str, dict[str, str]]] = []
        self.texts: list[str] = []
        self.feed(shown._repr_html_())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, {key: value or "" for key, value in attrs}))

    def handle_data(self, data: str) -> None:
        self.texts.append(data)

    def all(self, tag: str) -> list[dict[str, str]]:
        return [attributes for name, attributes in self.elements if name == tag]


def report(**changes: object) -> Report:
    """A report that says nothing yet."""
    empty = dict.fromkeys(("run", "objective", "summary", "base", "branch", "commit", "tree", "model", "sandbox"), "")
    known = {"accepted": True, "tasks": (), "verdicts": (), "escalations": (), "seconds": 1.0}
    return Report.model_validate({**empty, **known, "usage": Usage(), "coordination": Usage(), **changes})


def verdict(item: str, outcome: Outcome, reason: str = "because") -> Verdict:
    return Verdict(id=item, verdict=outcome, reason=reason)


def test_hostile_text_stays_text(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet", "-b", "main")
    commits = []
    for text in ("<b>one</b>\n", f"{HOSTILE}\nnaïve\n"):
        (tmp_path / "a.html").write_text(text, encoding="latin-1")
        git(tmp_path, "add", ".")
        git(tmp_path, "commit", "--quiet", "-m", "step")
        commits.append(git(tmp_path, "rev-parse", "HEAD"))
    judged = report(
        base=commits[0],
        commit=commits[1],
        verdicts=[verdict("A1", Outcome.FAIL, HOSTILE)],
        metrics=[Metric(name="test_coverage", value=1, unit=HOSTILE, how=HOSTILE)],
    )
    made = plan(task(1, title=HOSTILE, objective=HOSTILE, specialist=HOSTILE, writes=(HOSTILE,)))
    for shown in (
        display.plan_table(made),
        display.plan_picture(made),
        display.gate_matrix(judged),
        display.diff(tmp_path, judged),
        display.diff(tmp_path, judged, "a.html"),
        display.metrics(judged),
    ):
        seen = Seen(shown)
        assert {name for name, _ in seen.elements} <= OURS | DRAWN
        assert not {key for _, attributes in seen.elements for key in attributes if key.startswith("on")}
        shown._repr_html_().encode()
    assert HOSTILE in Seen(display.plan_table(made)).texts
    assert Seen(display.gate_matrix(judged)).all("i")[0]["title"].endswith(f"fail, {HOSTILE}")
    lines = Seen(display.diff(tmp_path, judged, "a.html"))
    assert lines.texts[-4:] == ["@@ -1 +1,2 @@", "-<b>one</b>", f"+{HOSTILE}", "+na\ufffdve"]
    assert [each["class"] for each in lines.all("div")[-4:]] == ["faint", "minus", "plus", "plus"]


def test_a_diff_of_commits_that_are_not_there_is_an_error(tmp_path: Path) -> None:
    git(tmp_path, "init", "--quiet")
    with pytest.raises(GitError, match="git diff failed"):
        display.diff(tmp_path, report(base="a" * 40, commit="b" * 40))


def test_the_table_has_every_need_and_the_picture_leaves_out_what_others_imply() -> None:
    made = plan(task(1), task(2, needs=[1], effort="large"), task(3, needs=[1, 2]), task(4))
    assert "backend-T001, backend-T002" in str(display.plan_table(made))
    picture = display.plan_picture(made)
    assert str(picture).splitlines() == [
        "group 1: backend-T001 + backend-T004",
        "group 2: backend-T002",
        "group 3: backend-T003",
        "critical path: backend-T001 -> backend-T002 -> backend-T003",
    ]
    assert [each["class"] for each in Seen(picture).all("path")] == ["main", "main"]
    assert sum(each.get("class") == "main" for each in Seen(picture).all("g")) == 3


@given(sound())
def test_no_arrow_crosses_a_box_and_no_two_boxes_overlap(tasks: list[Task]) -> None:
    seen = Seen(display.plan_picture(Plan(tasks=tuple(tasks))))
    boxes = [{key: int(box[key]) for key in ("x", "y", "width", "height")} for box in seen.all("rect")]
    assert len({(box["x"], box["y"]) for box in boxes}) == len(tasks)
    for path in seen.all("path"):
        x, y, turn = (int(number) for number in re.findall(r"-?\d+", path["d"])[:3])
        inside = [box for box in boxes if box["y"] < y < box["y"] + box["height"]]
        assert [box for box in inside if box["x"] < turn and box["x"] + box["width"] > x] == []


def test_the_matrix_shows_forty_items_and_never_an_unknown_one_as_a_pass() -> None:
    settled = {"A1": "pass", "C2": "fail", "S7": "not_applicable", "D3": "waived"}
    judged = {**settled, "T1": "unknown"}
    shown = display.gate_matrix(report(verdicts=[verdict(item, Outcome(told)) for item, told in judged.items()]))
    chips = Seen(shown).all("i")[: len(ITEMS)]
    classes = {item.id: chip["class"] for item, chip in zip(ITEMS, chips, strict=True)}
    assert classes == {item.id: settled.get(item.id, "unknown") for item in ITEMS}
    assert chips[1]["title"].endswith("unknown, the run ended before this was judged")
    rows = str(shown).splitlines()
    assert rows[0] == "API design     A1 ✓ A2 ? A3 ? A4 ? A5 ? A6 ? A7 ?"
    assert rows[-1] == "1 pass, 1 fail, 36 unknown, 1 not applicable, 1 waived"
    assert [("open" in each) for each in Seen(shown).all("details")] == [False, True, False, False, False]


def test_what_was_not_measured_says_so_and_zero_is_zero() -> None:
    measured = [
        Metric(name="test_coverage", value=0, unit="%", how="lines"),
        Metric(name="api_response_time_p95", value=None, unit="ms", how="no requests were recorded"),
    ]
    lines = str(display.metrics(report(metrics=measured))).splitlines()
    assert re.split(" {2,}", lines[1]) == ["test_coverage", "0 %", "lines"]
    assert re.split(" {2,}", lines[2]) == ["api_response_time_p95", "not measured", "no requests were recorded"]


def test_outside_of_a_notebook_progress_is_lines(shop: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = coordinator(shop, department(plan(task(1), task(2, needs=[1])))).start("two files")
    display.progress(run)
    told = capsys.readouterr()
    assert told.out == ""
    assert [line.partition("] ")[2] for line in told.err.splitlines() if "merged" in line] == [
        "backend-T001 merged",
        "backend-T002 merged",
    ]
    stat = str(display.diff(shop, run.result()))
    assert re.findall(r"f\d\.txt", stat) == ["f1.txt", "f2.txt"]
