"""Laws of the context firewall, for every specialist and any items."""

from random import Random

from hypothesis import given
from hypothesis import strategies as st

from backend_coordinator.domain.context import ContextItem, ContextKind
from backend_coordinator.domain.roster import Specialist
from backend_coordinator.nodes.firewall import estimate_tokens, packet
from backend_coordinator.nodes.kinds import UNIVERSAL, rule_for
from backend_coordinator.prompts.loader import load_roster
from tests.support.department import task

MEMBERS = st.sampled_from(load_roster().specialists)
ITEMS = st.lists(
    st.builds(
        ContextItem,
        kind=st.sampled_from(ContextKind),
        source=st.sampled_from(["analysis", "repository", "user", "backend-T002"]),
        text=st.one_of(st.text(min_size=1, max_size=60), st.sampled_from(["table users", "# One\n\n# Two\n" * 150])),
    ),
    max_size=12,
)
WIDE = 1_000_000


BUDGETS = st.one_of(st.integers(0, 60), st.just(WIDE))


@given(MEMBERS, ITEMS, BUDGETS, st.booleans(), st.randoms(use_true_random=False))
def test_the_order_and_doubling_of_items_change_nothing(
    member: Specialist, items: list[ContextItem], budget: int, digest: bool, random: Random
) -> None:
    shuffled = [*items, *items]
    random.shuffle(shuffled)
    first, second = (packet(member, task(1), each, budget=budget, digest=digest) for each in (items, shuffled))
    assert first == second


@given(MEMBERS, ITEMS, ITEMS, BUDGETS, st.booleans())
def test_what_a_specialist_may_not_see_changes_no_byte_of_its_packet(
    member: Specialist, items: list[ContextItem], more: list[ContextItem], budget: int, digest: bool
) -> None:
    hidden = [item for item in more if not rule_for(member, item.kind)[0]]
    with_them = packet(member, task(1), [*hidden, *items], budget=budget, digest=digest)
    without = packet(member, task(1), items, budget=budget, digest=digest)
    assert (with_them.text, with_them.whole) == (without.text, without.whole)


@given(MEMBERS, ITEMS)
def test_what_goes_in_by_its_outline_can_be_read_whole_and_nothing_else(
    member: Specialist, items: list[ContextItem]
) -> None:
    told = packet(member, task(1), items, budget=WIDE, digest=True)
    seen = {item.text for item in items if rule_for(member, item.kind)[0]}
    assert set(told.whole.values()) <= seen
    assert len(told.whole) == sum(entry.digest for entry in told.manifest.entries)
    assert all(f'recall call="{name}"' in told.text for name in told.whole)


@given(MEMBERS, ITEMS)
def test_what_a_specialist_never_sees_or_no_list_names_stays_out(member: Specialist, items: list[ContextItem]) -> None:
    manifest = packet(member, task(1), items, budget=WIDE).manifest
    for entry in manifest.entries:
        allowed = entry.kind in UNIVERSAL or entry.kind in member.sees
        assert entry.included == (allowed and entry.kind not in member.never_sees)


@given(MEMBERS, st.sampled_from(ContextKind))
def test_deny_beats_allow_even_for_what_everybody_sees(member: Specialist, kind: ContextKind) -> None:
    both = member.model_copy(update={"sees": (*member.sees, kind), "never_sees": (*member.never_sees, kind)})
    assert rule_for(both, kind)[0] is False
    marked = ContextItem(kind=kind, source="analysis", text="MARKED-TEXT")
    assert "MARKED-TEXT" not in packet(both, task(1), [marked], budget=WIDE).text


@given(MEMBERS, ITEMS, BUDGETS, st.booleans())
def test_the_budget_holds_and_the_manifest_names_every_item(
    member: Specialist, items: list[ContextItem], budget: int, digest: bool
) -> None:
    text, manifest, _ = packet(member, task(1), items, budget=budget, digest=digest)
    assert manifest.tokens <= budget
    assert manifest.tokens == sum(entry.tokens for entry in manifest.entries if entry.included)
    assert len(manifest.entries) == len(set(items))
    assert all(entry.rule for entry in manifest.entries)
    assert text.startswith(f"DELEGATION TO: @{member.name}\n")


@given(st.text(max_size=200), st.text(max_size=200))
def test_the_estimate_of_a_whole_is_not_more_than_that_of_its_parts(first: str, second: str) -> None:
    whole = estimate_tokens(first + second)
    assert max(estimate_tokens(first), estimate_tokens(second)) <= whole
    assert whole <= estimate_tokens(first) + estimate_tokens(second)
