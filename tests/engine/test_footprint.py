"""What a run leaves in its checkpoints: little of each task, nothing of its turns, the newest of each graph only."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from langchain_core.messages import AIMessage
from langgraph.checkpoint.base import empty_checkpoint

from backend_coordinator.domain.verdict import Outcome
from backend_coordinator.graph.persistence import FILE, checkpoints
from backend_coordinator.nodes import points
from backend_coordinator.nodes.points import Point
from tests.support.department import Told, department, plan, task, write_own_file
from tests.support.runs import coordinator, finished, result_of

MOST = 20_000
"""Bytes of checkpoints for a task (section 4.2 of the design)."""


def rows(folder: Path) -> list[tuple[str, bytes]]:
    """Every checkpoint and pending write of a run, each with the graph that it belongs to."""
    query = "select checkpoint_ns, checkpoint from checkpoints union all select checkpoint_ns, value from writes"
    with closing(sqlite3.connect(folder / FILE)) as db:
        return db.execute(query).fetchall()


def at_merge(shop: Path, monkeypatch: pytest.MonkeyPatch, *, turns: int) -> list[tuple[str, bytes]]:
    """What the checkpoints held when the only task of a run was about to be merged."""
    seen: list[list[tuple[str, bytes]]] = []

    def look(point: Point) -> None:
        if point == "merge prepared":
            seen.append(rows(max((shop / ".backend-coordinator" / "runs").iterdir())))

    def work(told: Told) -> AIMessage:
        if told.turn < turns - 1:
            return told.calls("write", path="f1.txt", content=f"draft {told.turn}\n")
        return told.calls("submit", summary="wrote f1.txt")

    monkeypatch.setattr(points, "reached", [look])
    report, _ = finished(coordinator(shop, department(plan(task(1)), work)).start("one file"))
    assert report.accepted
    return seen[0]


def test_a_task_takes_at_most_20_kilobytes_of_checkpoints(shop: Path) -> None:
    tasks = [task(number) for number in range(8)]
    run = coordinator(shop, department(plan(*tasks))).start("eight files")
    assert run.result().accepted
    assert (run.folder / FILE).stat().st_size < MOST * len(tasks)


def test_an_ended_run_keeps_its_last_checkpoint_only(shop: Path) -> None:
    run = coordinator(shop, department(plan(task(1), task(2, needs=[1])))).start("two files")
    assert run.result().accepted
    assert [graph for graph, _ in rows(run.folder)] == [""]


def test_checkpoints_hold_neither_packets_nor_evidence(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    held = at_merge(shop, monkeypatch, turns=2)
    assert any(graph.startswith("python-pro:") for graph, _ in held)
    everything = b"".join(value for _, value in held)
    assert b"backend-T001" in everything
    assert b"DELEGATION TO" not in everything
    assert b"output_sha256" not in everything


def test_turns_leave_nothing_in_checkpoints(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    few, many = (sum(len(value) for _, value in at_merge(shop, monkeypatch, turns=turns)) for turns in (2, 9))
    assert abs(many - few) < 100  # a figure of the usage may have more digits


def test_the_report_has_the_verdicts_of_each_task(shop: Path) -> None:
    report, _ = finished(coordinator(shop, department(plan(task(1)), write_own_file)).start("one file"))
    verdicts = result_of(report, 1).verdicts
    assert verdicts
    assert all(verdict.evidence and verdict.verdict is not Outcome.UNKNOWN for verdict in verdicts)


async def test_the_checkpoint_written_last_counts_though_the_clock_went_back(tmp_path: Path) -> None:
    config = {"configurable": {"thread_id": "r", "checkpoint_ns": ""}}
    async with checkpoints(tmp_path) as saver:
        for name in ("later", "early"):
            await saver.aput(config, {**empty_checkpoint(), "id": name}, {}, {})  # type: ignore[arg-type]
        newest = await saver.aget_tuple(config)  # type: ignore[arg-type]
    assert newest is not None
    assert newest.checkpoint["id"] == "early"
