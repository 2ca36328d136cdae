"""Forty verdicts on one tree."""

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from backend_coordinator.domain.verdict import Outcome, Verdict
from backend_coordinator.nodes.gates import inspection
from backend_coordinator.nodes.gates.evidence import passes
from backend_coordinator.nodes.gates.inspection import VerdictCache, inspect
from backend_coordinator.nodes.gates.policy import accepted
from backend_coordinator.nodes.gates.registry import ITEMS, Check, check
from backend_coordinator.nodes.gates.shared import KEPT, Memory, once, sharing
from backend_coordinator.nodes.workspace.environment import Environment
from backend_coordinator.nodes.workspace.trees import Tree
from tests.gates.trees import FIXTURES, MakeTree, changes, inside, read


async def test_every_item_gets_one_verdict_bound_to_the_tree(tree: MakeTree, environment: Environment) -> None:
    files = read(FIXTURES / "tests_reach_every_route" / "passing")
    contract = read(FIXTURES / "contract_equals_routes" / "passing")["openapi.yaml"]
    head = tree({**files, "openapi.yaml": contract})
    found = await inspect(None, head, changes(None, head), inside(environment, head), stage="acceptance")
    assert [verdict.id for verdict in found] == [item.id for item in ITEMS]
    assert {verdict.tree for verdict in found} == {head.oid}
    assert {e.tree for verdict in found for e in verdict.evidence} == {head.oid}
    outcomes = {verdict.id: verdict.verdict for verdict in found}
    assert [outcomes[i] for i in ("A5", "C2", "C5", "T2", "O1")] == [Outcome.PASS] * 5, found
    assert outcomes["S3"] is outcomes["S7"] is outcomes["D3"] is Outcome.NOT_APPLICABLE
    assert accepted(found)
    assert found[0].verdict is Outcome.UNKNOWN
    assert found[0].reason.startswith("no tool decides this yet: look at ")
    assert not found[0].evidence


async def test_a_contract_alone_is_accepted(tree: MakeTree, environment: Environment) -> None:
    head = tree({"openapi.yaml": read(FIXTURES / "contract_equals_routes" / "passing")["openapi.yaml"]})
    found = await inspect(None, head, changes(None, head), inside(environment, head), stage="delivery")
    assert accepted(found), found


async def answer(outcome: Outcome, item: str = "A1") -> Verdict:
    return passes(item, outcome.value).model_copy(update={"verdict": outcome})


def stub(outcome: Outcome | None, *, supports: bool = False) -> Check:
    @check("A1", supports=supports)
    async def stand_in(base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment) -> Verdict:
        if outcome is None:
            msg = "no such luck"
            raise LookupError(msg)
        return await answer(outcome)

    return stand_in


@pytest.mark.parametrize(
    ("checks", "outcome"),
    [
        ([stub(Outcome.PASS), stub(Outcome.UNKNOWN)], Outcome.UNKNOWN),
        ([stub(Outcome.UNKNOWN), stub(Outcome.FAIL)], Outcome.FAIL),
        ([stub(Outcome.NOT_APPLICABLE), stub(Outcome.PASS)], Outcome.PASS),
        ([stub(Outcome.PASS), stub(Outcome.UNKNOWN, supports=True)], Outcome.PASS),
        ([stub(Outcome.PASS), stub(Outcome.FAIL, supports=True)], Outcome.FAIL),
        ([stub(Outcome.PASS, supports=True)], Outcome.UNKNOWN),
        ([stub(Outcome.PASS), stub(None)], Outcome.UNKNOWN),
    ],
)
async def test_the_gravest_answer_of_several_checks_counts(
    checks: list[Check],
    outcome: Outcome,
    tree: MakeTree,
    bare: Environment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(inspection, "checks_of", lambda stage: checks)
    head = tree({"README.md": "x"})
    found = await inspect(None, head, changes(None, head), inside(bare, head), stage="delivery")
    assert found[0].verdict is outcome


async def test_a_check_that_breaks_is_unknown_with_its_error(
    tree: MakeTree, bare: Environment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "checks_of", lambda stage: [stub(None)])
    head = tree({"README.md": "x"})
    found = await inspect(None, head, changes(None, head), inside(bare, head), stage="delivery")
    assert found[0].verdict is Outcome.UNKNOWN
    assert found[0].reason == "stand_in broke: LookupError: no such luck"


def damage(folder: Path) -> None:
    for kept in folder.iterdir():
        kept.write_text("{broken")


async def test_an_unchanged_tree_is_not_judged_twice(
    tree: MakeTree, bare: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = []

    @check("A1")
    async def counting(base: Tree | None, head: Tree, changed: frozenset[str], environment: Environment) -> Verdict:
        runs.append(head.oid)
        return passes("A1", "fine")

    monkeypatch.setattr(inspection, "checks_of", lambda stage: [counting])
    cache = VerdictCache(tmp_path)
    one, two = tree({"README.md": "x"}), tree({"README.md": "y"})
    first = await inspect(None, one, changes(None, one), inside(bare, one), stage="delivery", cache=cache)
    again = await inspect(None, one, changes(None, one), inside(bare, one), stage="delivery", cache=cache)
    assert first == again
    assert len(runs) == 1
    await inspect(None, two, changes(None, two), inside(bare, two), stage="delivery", cache=cache)
    await inspect(two, one, changes(two, one), inside(bare, one), stage="delivery", cache=cache)
    served = replace(bare, services=(("DATABASE_URL", "sqlite://"),))
    await inspect(None, one, changes(None, one), inside(served, one), stage="delivery", cache=cache)
    assert len(runs) == 4
    damage(tmp_path)
    await inspect(None, one, changes(None, one), inside(bare, one), stage="delivery", cache=cache)
    assert len(runs) == 5


async def test_an_unknown_verdict_is_asked_again(
    tree: MakeTree, bare: Environment, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(inspection, "checks_of", lambda stage: [stub(Outcome.UNKNOWN)])
    head = tree({"README.md": "x"})
    cache = VerdictCache(tmp_path / "cache")
    await inspect(None, head, changes(None, head), inside(bare, head), stage="delivery", cache=cache)
    assert not (tmp_path / "cache").exists()


def test_a_check_of_no_item_is_refused() -> None:
    with pytest.raises(ValueError, match="no item 'Z9'"):
        check("Z9")


async def test_work_is_shared_by_inspections_with_one_memory_and_a_failure_is_not_kept() -> None:
    done: list[str] = []

    async def work(name: str) -> str:
        done.append(name)
        if name == "broken":
            raise ValueError(name)
        return name

    memory: Memory = {}
    for _ in range(2):
        async with sharing(memory):
            assert await once("a", lambda: work("a")) == "a"
            with pytest.raises(ValueError, match="broken"):
                await once("b", lambda: work("broken"))
    assert done == ["a", "broken", "broken"]
    async with sharing(memory):
        for number in range(KEPT + 5):
            await once(number, lambda: work("more"))
    assert list(memory) == list(range(5, KEPT + 5))


async def test_one_inspection_that_ends_leaves_the_work_of_another_alone() -> None:
    memory: Memory = {}
    begun, over = asyncio.Event(), asyncio.Event()

    async def slow() -> str:
        begun.set()
        await over.wait()
        return "done"

    async def other() -> str:
        async with sharing(memory):
            return await once("slow", slow)

    first = asyncio.ensure_future(other())
    async with sharing(memory):
        await begun.wait()
    over.set()
    assert await first == "done"
