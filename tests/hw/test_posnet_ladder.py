"""The judge against all that can have happened to a printer between two countings."""

from dataclasses import dataclass, replace

from hypothesis import given
from hypothesis import strategies as st

from hw.posnet.ladder import Count, judge

BASE = Count(reports=3, receipts=7, cancelled=2, last=9, document=500)


@dataclass
class World:
    """What really happened, and what the printer would tell of it."""

    count: Count
    ours: bool = False
    is_open: bool = False
    answer: str = "none"


def finish(count):
    return replace(
        count, receipts=count.receipts + 1, last=count.last + 1, document=count.document + 1
    )


def cancel(count):
    return replace(count, cancelled=count.cancelled + 1, last=count.last + 1)


def report(count):
    return replace(count, reports=count.reports + 1, receipts=0, cancelled=0, last=0)


@st.composite
def worlds(draw, *, strangers):
    """From the baseline on: our receipt or not, then what came after."""
    world = World(BASE)
    before = draw(st.integers(0, 2)) if strangers else 0
    for _ in range(before):
        world.count = finish(world.count)
    fate = draw(st.sampled_from(["printed", "open", "refused", "vanished", "cancelled"]))
    if fate == "printed":
        world.count, world.ours = finish(world.count), True
    if fate == "cancelled":
        world.count = cancel(world.count)
    world.is_open = fate in {"open", "refused"}
    kept = draw(st.booleans())  # whether the printer still has the answer
    if kept and fate in {"printed", "refused"}:
        world.answer = "ok" if fate == "printed" else "error"
    if not world.is_open:
        later = st.sampled_from([finish, report] if strangers else [report])
        for step in draw(st.lists(later, max_size=2)):
            world.count = step(world.count)
    return world


def verdict(world, *, shared):
    return judge(BASE, world.count, answer=world.answer, is_open=world.is_open, shared=shared)


@given(worlds(strangers=False))
def test_alone_on_the_printer_it_is_never_wrong(world):
    said = verdict(world, shared=False)
    if world.ours:
        assert said in {"issued", "contradiction"}
    else:
        assert said in {"nothing", "open", "contradiction"}
    if world.count.reports == BASE.reports:
        assert said != "contradiction", "the counters or `rpt` answer: there is no not knowing"


@given(worlds(strangers=True))
def test_with_strangers_it_is_never_wrong_either(world):
    said = verdict(world, shared=True)
    if world.ours:
        assert said in {"issued", "contradiction"}
    else:
        assert said in {"nothing", "open", "contradiction"}
    if world.answer == "ok":
        assert said == "issued"


@given(
    st.builds(Count, **{f: st.integers(0, 12) for f in Count.__slots__}),
    st.sampled_from(["ok", "error", "none"]),
    st.booleans(),
    st.booleans(),
)
def test_a_receipt_is_believed_only_if_the_memory_grew(now, answer, is_open, shared):
    base = Count(reports=1, receipts=4, cancelled=1, last=5, document=6)
    said = judge(base, now, answer=answer, is_open=is_open, shared=shared)
    if said == "issued":
        assert now.document > base.document
        assert not is_open
    if said in {"nothing", "open"} and not shared:
        assert now.document == base.document
