"""What the screen lets through of other tasks' texts: what needed tasks had to say, and what reporters know."""

from collections.abc import Mapping
from pathlib import Path

from langchain_core.messages import AIMessage

from backend_coordinator import Coordinator, Settings
from backend_coordinator.domain.context import ContextItem, ContextKind, ContextManifest
from backend_coordinator.domain.events import Asked
from backend_coordinator.settings import Approval
from backend_coordinator.testing import ScriptedModel
from tests.support.department import Told, department, plan, refuse, task, write_own_file
from tests.support.runs import statuses

COLUMNS = "table accounts has columns id, email and region"
REFUSED = "the sixth attempt to log in is refused with 423"
TIER = "the billing tier of each account is kept by the vendor"
SETTINGS = Settings(approval=Approval(tools="deny"))


def test_what_a_needed_task_had_to_deliver_arrives_and_what_is_masked_in_an_item_is_said(shop: Path) -> None:
    made = plan(
        task(1, specialist="database-optimizer", writes=("docs/schema.md",), acceptance_criteria=(COLUMNS,)),
        task(2, needs=(1,)),
        task(3, objective="keep the invoices of last year in cold storage"),
    )
    other = made["backend-T003"].objective
    shown: list[str] = []

    def work(told: Told) -> AIMessage:
        if told.specialist == "database-optimizer":
            if told.turn == 0:
                return told.calls("write", path="docs/schema.md", content=f"# a\n\n- {COLUMNS}\n- {other}\n- {TIER}\n")
            told_too = (("database_schema", COLUMNS), ("database_schema", other), ("frontend_markup", COLUMNS))
            decisions = [{"kind": kind, "text": text} for kind, text in told_too]
            return told.calls("submit", summary="done", decisions=decisions)
        if told.task != "backend-T002":
            return told.calls("submit", summary="done") if told.turn else told.calls("write", path="f3.txt", content="")
        shown.append(told.text if told.turn == 0 else told.results[-1])
        if told.turn == 0:
            return told.calls("read", path="docs/schema.md")
        return told.calls("submit", summary="done") if told.turn > 1 else told.calls("write", path="f2.txt", content="")

    heading = ContextItem(kind=ContextKind.DEVOPS_CONFIGURATION, source=f"notes.md, {TIER}", text="nothing more")
    model = ScriptedModel(script=department(made, work))
    run = Coordinator(model, shop, settings=SETTINGS).start(made, context=[heading])
    assert statuses(run.result()) == {"001": "merged", "002": "merged", "003": "merged"}
    packet, file, _ = shown
    assert COLUMNS in packet
    assert f"3\t- {COLUMNS}\n4\t- [withheld]\n5\t- [withheld]" in file
    kept = ContextManifest.model_validate_json((run.folder / "manifests" / "backend-T002-1.json").read_text())
    rules = [entry.rule for entry in kept.entries if entry.source == "backend-T001" and "withheld" in entry.rule]
    assert rules == ["python-pro sees database_schema; parts of it are withheld"]


def test_an_added_task_keeps_what_its_reporter_s_task_says_and_loses_withheld_items(shop: Path) -> None:
    made = plan(task(1, objective="lock an account after five failed attempts", acceptance_criteria=(REFUSED,)))
    packets: list[str] = []

    def work(told: Told) -> AIMessage:
        if told.task == "backend-T002":
            packets.append(told.text)
            return told.calls("submit", summary="done") if told.turn else told.calls("write", path="n.sql", content="")
        if told.turn == 0:
            return told.calls("report_need", what="a column", why=REFUSED, who="database-optimizer")
        return (
            told.calls("write", path="f1.txt", content="") if told.turn == 1 else told.calls("submit", summary="done")
        )

    def needs(told: Told) -> Mapping[str, object]:
        added = task(2, specialist="database-optimizer", writes=("n.sql",), objective=f"a column, since {TIER}")
        return {"tasks": [added.model_copy(update={"acceptance_criteria": (REFUSED,)}).model_dump(mode="json")]}

    item = ContextItem(kind=ContextKind.FRONTEND_MARKUP, source="user", text=TIER)
    model = ScriptedModel(script=department(made, work, needs=needs))
    report = Coordinator(model, shop, settings=SETTINGS).start(made, context=[item]).result()
    assert statuses(report) == {"001": "merged", "002": "merged"}
    assert f"- {REFUSED}" in packets[0]
    assert "a column, since [withheld]" in packets[0]


def test_what_a_person_says_is_for_the_specialist_as_it_is(shop: Path) -> None:
    def work(told: Told) -> AIMessage:
        heard.append(told.text)
        return write_own_file(told) if "GUIDANCE from lead" in told.text else refuse(told)

    heard: list[str] = []
    item = ContextItem(kind=ContextKind.FRONTEND_MARKUP, source="user", text=TIER)
    run = Coordinator(ScriptedModel(script=department(plan(task(1)), work)), shop, settings=SETTINGS).start(
        plan(task(1)), context=[item]
    )
    for event in run.events():
        if isinstance(event, Asked):
            run.questions[0].answer("guide", f"mind that {TIER}", by="lead")
    assert statuses(run.result()) == {"001": "merged"}
    assert TIER not in heard[0]
    assert f"mind that {TIER}" in heard[-1]
