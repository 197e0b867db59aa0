"""The bounded counter: merge laws, and that nothing is promised twice, whatever happens.

pytest tests/sync/merge/test_rights.py --hypothesis-profile thorough --timeout 0
"""

from copy import deepcopy

import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from sync.merge import rights
from sync.merge.rights import Counter, Fence, NotHeld, Row

HOLDERS = ("a", "b", "c", "d")

amounts = st.integers(0, 12)
rows = st.builds(
    Row,
    *[amounts] * 7,
    given=st.dictionaries(st.sampled_from(HOLDERS), amounts),
)
FENCES = {"a": Fence("b", Row(made=5, used=2)), "b": Fence("c", Row(given={"c": 1}))}
"""A fence is written once: two who know one know the same."""

counters = st.builds(
    lambda known, fences: Counter(known, {h: FENCES[h] for h in fences}),
    st.dictionaries(st.sampled_from(HOLDERS), rows),
    st.sets(st.sampled_from(sorted(FENCES))),
)


def merged(*others):
    whole = Counter()
    for other in others:
        whole.merge(other)
    return whole


def exchanged(known):
    """Return what somebody who has heard all of it believes of everybody."""
    return {h: (known.right(h), known.heir(h)) for h in HOLDERS}, known.physical, known.uncovered


@given(rows, rows, rows)
def test_rows_merge_in_any_order_any_number_of_times(a, b, c):
    assert a.merge(b) == b.merge(a)
    assert a.merge(b).merge(c) == a.merge(b.merge(c))
    assert a.merge(a) == a
    assert a.merge(b).merge(b) == a.merge(b)


@given(rows, rows, rows)
def test_before_a_fence_is_a_minimum_and_respects_the_merge(a, b, fence):
    assert a.upto(fence).upto(fence) == a.upto(fence)
    assert a.merge(a.upto(fence)) == a
    assert fence.merge(a.upto(fence)) == fence
    assert fence.merge(a).upto(fence) == fence
    assert a.merge(b).upto(fence) == a.upto(fence).merge(b.upto(fence))


@given(counters, counters, counters)
def test_counters_merge_in_any_order_any_number_of_times(a, b, c):
    assert merged(a, b) == merged(b, a)
    assert merged(merged(a, b), c) == merged(a, merged(b, c))
    assert merged(a, a) == merged(a)
    assert merged(a, b, b, a, c) == merged(c, b, a)


@given(st.lists(counters, min_size=1, max_size=5), st.data())
def test_loss_repetition_and_reordering_do_not_matter_once_the_last_row_is_there(sent, data):
    """What a lost message said, a later one says again: rows only grow."""
    grown = [merged(*sent[: n + 1]) for n in range(len(sent))]
    some = data.draw(st.lists(st.sampled_from(grown), max_size=8))
    some.insert(data.draw(st.integers(0, len(some))), grown[-1])
    assert merged(*some) == grown[-1]
    assert exchanged(merged(*some)) == exchanged(grown[-1])


@given(counters)
def test_merging_leaves_the_other_alone(a):
    before = deepcopy(a)
    whole = merged(a)
    whole.make("a", 3)
    whole.take("b", 2)
    assert a == before


class Partitioned(RuleBasedStateMachine):
    """Nodes of a store and head office, each with what it has heard; links that fail.

    A node writes as its holder, (node, life). `truth` has every row ever written, which
    nobody in the shop can see; `shelf` is what really lies there.
    """

    CENTRAL = 0

    @initialize(nodes=st.integers(2, 4), stock=st.lists(st.integers(0, 20), min_size=4, max_size=4))
    def open(self, nodes, stock):
        self.knows = {node: Counter() for node in range(nodes)}
        self.life = dict.fromkeys(self.knows, 0)
        self.truth = Counter()
        self.backup = {}
        self.post = []
        self.group = dict.fromkeys(self.knows, 0)
        self.shelf = self.over = 0
        self.lost = False
        for node in self.knows:
            self.deliver(node, stock[node])

    # Steps of a holder

    def holder(self, node):
        """Return as whom a node writes: of a fenced life it takes no more steps."""
        if (node, self.life[node]) in self.knows[node].closed:
            self.life[node] += 1
        return node, self.life[node]

    def step(self, node, act):
        """Let a node act; a refusal changes nothing."""
        known, holder = self.knows[node], self.holder(node)
        before = known.right(holder), known.row(holder)
        try:
            result = act(known, holder)
        except NotHeld:
            assert (known.right(holder), known.row(holder)) == before
            return None
        self.truth.merge(Counter({holder: known.rows[holder]} if holder in known.rows else {}))
        assert known.right(holder) >= 0 or before[0] < 0
        note(f"{holder} {before[0]} -> {known.right(holder)}")
        return result

    nodes = st.integers(0, 3)
    some = st.integers(1, 6)

    @rule(node=nodes, amount=st.integers(1, 40))
    def deliver(self, node, amount):
        node %= len(self.knows)
        self.step(node, lambda known, holder: known.make(holder, amount))
        self.shelf += amount

    @rule(node=nodes, amount=some)
    def sell_at_the_counter(self, node, amount):
        node %= len(self.knows)
        self.over += self.step(node, lambda known, holder: known.take(holder, amount))
        self.shelf -= amount

    @rule(node=nodes, amount=some)
    def sell_strictly(self, node, amount):
        node %= len(self.knows)
        known, holder = self.knows[node], self.holder(node)
        enough = known.right(holder) >= amount
        used = known.row(holder).used
        self.step(node, lambda known, holder: known.use(holder, amount))
        assert known.row(holder).used == used + amount * enough
        self.shelf -= amount * enough

    @rule(node=nodes, amount=some)
    def promise(self, node, amount):
        node %= len(self.knows)
        known, holder = self.knows[node], self.holder(node)
        if amount <= known.spare(holder):
            self.step(node, lambda known, holder: known.hold(holder, amount))
        else:
            with pytest.raises(NotHeld):
                known.hold(holder, known.right(holder) + amount)

    @rule(node=nodes, amount=some, hand=st.booleans())
    def end_a_promise(self, node, amount, hand):
        node %= len(self.knows)
        known = self.knows[node]
        reserved = known.reserved
        self.step(node, lambda known, holder: (known.hand if hand else known.free)(holder, amount))
        ended = reserved - known.reserved
        assert ended in (0, amount)
        self.shelf -= ended * hand

    @rule(node=nodes, to=nodes, life=st.integers(0, 2), amount=some)
    def give(self, node, to, life, amount):
        node, to = node % len(self.knows), to % len(self.knows)
        to = (to, min(life, self.life[to]))
        self.step(node, lambda known, holder: known.give(holder, to, amount))

    @rule(node=nodes)
    def cover(self, node):
        node %= len(self.knows)
        before = self.knows[node].uncovered
        done = self.step(node, lambda known, holder: known.cover(holder))
        assert self.knows[node].uncovered == before - done

    @rule(node=nodes, difference=st.integers(-6, 6))
    def count(self, node, difference):
        """Post a count: plus is made, minus is used as far as the right goes, else over."""
        node %= len(self.knows)
        if difference >= 0:
            self.step(node, lambda known, holder: known.make(holder, difference))
        else:
            self.over += self.step(node, lambda known, holder: known.take(holder, -difference))
        self.shelf += difference

    # Links

    @rule(node=nodes, to=nodes, what=st.sampled_from(["all", "own row", "fences"]))
    def send(self, node, to, what):
        """Put what a node knows, or a part of it, into the post."""
        node, to = node % len(self.knows), to % len(self.knows)
        known, holder = self.knows[node], (node, self.life[node])
        said = Counter(
            {
                h: row
                for h, row in known.rows.items()
                if what == "all" or (what, h) == ("own row", holder)
            },
            dict(known.closed) if what != "own row" else {},
        )
        self.post.append((to, said))

    @precondition(lambda self: self.post)
    @rule(which=st.integers(0, 99), keep=st.booleans())
    def arrive(self, which, keep):
        """Deliver late, in any order, and perhaps again."""
        which %= len(self.post)
        to, said = self.post[which] if keep else self.post.pop(which)
        self.knows[to].merge(said)

    @precondition(lambda self: self.post)
    @rule(which=st.integers(0, 99))
    def lose(self, which):
        self.post.pop(which % len(self.post))

    @rule(groups=st.lists(st.integers(0, 2), min_size=4, max_size=4))
    def split(self, groups):
        """Split the network into those who still hear each other."""
        self.group = {node: groups[node] for node in self.knows}

    @rule()
    def talk(self):
        """Whoever hears each other tells each other all."""
        for node, known in self.knows.items():
            for other, others in self.knows.items():
                if self.group[node] == self.group[other]:
                    known.merge(others)

    # Lives

    @rule(node=nodes)
    def back_up(self, node):
        node %= len(self.knows)
        self.backup[node] = deepcopy(self.knows[node])

    @precondition(lambda self: self.backup)
    @rule(which=st.integers(0, 3))
    def restore(self, which):
        """Put an old copy back: the node goes on as a new holder."""
        node = sorted(self.backup)[which % len(self.backup)]
        self.knows[node] = deepcopy(self.backup[node])
        self.life[node] += 1
        if node == self.CENTRAL:  # it writes no fence before the stores gave the old ones back
            self.knows[node].closed |= self.truth.closed

    @rule(node=nodes, life=st.integers(0, 3), to=nodes)
    def fence(self, node, life, to):
        """Head office ends a holder where it knows it: one restored, or lost and living on."""
        node, to = node % len(self.knows), to % len(self.knows)
        holder, successor = (node, life), (to, self.life[to])
        central = self.knows[self.CENTRAL]
        if life > self.life[node] or holder in central.closed:
            return
        if central.heir(successor) in (holder, *central.closed):
            return
        central.close(holder, successor)
        self.truth.merge(Counter({}, dict(central.closed)))
        self.lost = True

    # What must hold

    def disowned(self):
        """What fenced holders gave beyond their fence."""
        return sum(
            amount - self.truth.row(h).given.get(to, 0)
            for h in self.truth.closed
            for to, amount in self.truth.rows.get(h, Row()).given.items()
        )

    @invariant()
    def nothing_is_promised_twice(self):
        assert self.truth.bound <= self.truth.made + self.disowned()
        assert self.truth.reserved >= 0

    @invariant()
    def what_is_promised_is_there_unless_it_is_known_to_be_missing(self):
        for known in (self.truth, *self.knows.values()):
            if all(known.row(h) == fence.row for h, fence in known.closed.items()):
                holders = {h for h in known.rows if h not in known.closed}
                holders |= {to for row in known.rows.values() for to in row.given}
                holders |= {fence.successor for fence in known.closed.values()}
                free = sum(max(known.right(holder), 0) for holder in holders)
                assert known.physical - known.reserved == free - known.uncovered

    @invariant()
    def who_has_not_heard_all_believes_too_little(self):
        for node, known in self.knows.items():
            holder = (node, self.life[node])
            if holder not in self.truth.closed:
                assert known.right(holder) <= self.truth.right(holder) + self.disowned()

    @invariant()
    def books_and_shelf_agree_where_no_life_was_fenced(self):
        if not self.lost:
            assert self.truth.physical == self.shelf
            if not self.over:
                assert self.shelf >= self.truth.reserved
                assert self.truth.uncovered == 0

    def teardown(self):
        """Everybody hears everything, each in an order of its own: all believe the same."""
        if not hasattr(self, "knows"):
            return
        believed = []
        for first in self.knows:
            order = sorted(self.knows, key=lambda node, first=first: (node - first) % 4)
            heard = merged(*(self.knows[node] for node in order), *(said for _, said in self.post))
            heard.merge(self.truth)
            believed.append(heard)
        assert all(known == believed[0] for known in believed)
        assert believed[0] == merged(self.truth)


TestPartitioned = Partitioned.TestCase


@given(st.lists(st.tuples(st.sampled_from(HOLDERS), st.integers(1, 9)), max_size=12), st.data())
def test_what_was_taken_beyond_the_right_is_covered_as_soon_as_the_rights_are_told(taken, data):
    """All have heard all, and whoever can gives: only what is not in the books stays uncovered."""
    known = Counter()
    known.make("a", data.draw(st.integers(0, 40)))
    for holder, amount in taken:
        known.take(holder, amount)
    for holder in HOLDERS:
        for other in HOLDERS:
            if other != holder:
                known.give(other, holder, min(known.right(other), known.row(holder).over))
        known.cover(holder)
    assert known.uncovered == max(0, -known.physical)
    assert known.bound <= known.made


def test_a_successor_counts_what_it_inherits_once_it_knows_it_whole():
    closed = Counter()
    closed.make("a", 10)
    closed.use("a", 4)
    fence = closed.row("a")
    fenced = Counter()
    fenced.close("a", "b", fence)
    late = merged(fenced, Counter({"a": Row(made=10)}))
    assert late.right("b") == 0
    closed.use("a", 5)
    late.merge(closed)
    assert (late.right("a"), late.right("b"), late.physical) == (0, 6, 6)


def test_a_chain_of_lives_counts_only_as_far_as_it_is_known():
    first, second = Row(made=10), Row(used=7)
    known = Counter({"a": first, "b": Row(used=3)})
    known.close("a", "b", first)
    known.close("b", "c", second)
    assert known.right("c") == 0
    known.merge(Counter({"b": second}))
    assert known.right("c") == 3
    known.merge(Counter({"d": Row(made=4, given={"a": 4})}))
    assert known.right("c") == 7
    assert known.heir("a") == "c"


def test_what_was_given_beyond_the_fence_and_spent_is_uncovered_until_somebody_keeps_it_back():
    """A till gave 4 and died; head office fenced it where it knew it, before the gift."""
    till = Counter()
    till.make("till", 10)
    at_the_fence = till.row("till")
    till.give("till", "kiosk", 4)
    kiosk = merged(till)
    kiosk.use("kiosk", 4)
    kiosk.close("till", "new", at_the_fence)
    assert (kiosk.right("kiosk"), kiosk.right("new")) == (-4, 10)
    assert (kiosk.physical, kiosk.uncovered, kiosk.spare("new")) == (6, 4, 6)
    kiosk.give("new", "kiosk", 4)
    assert (kiosk.right("kiosk"), kiosk.uncovered, kiosk.spare("new")) == (0, 0, 6)


def test_a_successor_hands_over_what_its_predecessor_reserved():
    known = Counter()
    known.make("a", 5)
    known.hold("a", 3)
    known.close("a", "b")
    known.hand("b", 1)
    known.free("b", 2)
    assert (known.right("b"), known.reserved, known.physical) == (4, 0, 4)
    with pytest.raises(NotHeld, match="Reserved 1: expected at most 0"):
        known.hand("b", 1)


@pytest.mark.parametrize("step", ["make", "use", "take", "hold", "free", "hand"])
def test_counters_only_grow(step):
    known = Counter({"a": Row(made=9, held=3)})
    with pytest.raises(NotHeld, match="counters only grow"):
        getattr(known, step)("a", -1)
    assert known.rows == {"a": Row(made=9, held=3)}


def test_rights_are_not_given_backwards_nor_to_oneself():
    known = Counter({"a": Row(made=9), "b": Row(made=9)})
    known.close("b", "a")
    for to, amount in (("c", -1), ("c", 19), ("a", 1), ("b", 1)):
        with pytest.raises(NotHeld):
            known.give("a", to, amount)
    assert known.right("a") == 18


@given(
    st.integers(-5, 50),
    st.integers(0, 50),
    st.integers(0, 6),
    st.integers(0, 50),
    st.integers(1, 9),
)
def test_a_giver_gives_enough_if_it_can_and_never_more_than_it_can_spare(
    spare, asked, sharers, kept, step
):
    amount = rights.to_give(spare, asked, sharers, kept, step)
    assert min(max(spare, 0), asked) <= amount <= max(spare, 0)
    if amount > asked:
        assert amount % step == 0
        assert spare - amount >= kept


@given(st.integers(0, 500), st.floats(0, 30), st.floats(0, 5))
def test_a_floor_covers_at_least_what_is_expected_and_grows(per_day, days, z):
    assert rights.floor(per_day, days, z) >= round(per_day * days)
    assert rights.floor(per_day, days, z) <= rights.floor(per_day + 1, days, z)
    assert rights.floor(per_day, days, z) <= rights.floor(per_day, days + 1, z)


@given(st.text(max_size=8), st.sampled_from(["coupon", "gift", "points"]))
def test_cells_are_named_apart_by_kind(key, kind):
    key = key.replace("\x1f", "")
    assert rights.kind_of(rights.cell(kind, key)) == (kind, key)
    assert rights.kind_of(rights.cell(rights.STOCK, key)) == (rights.STOCK, key)
    assert rights.cell(kind, key) != rights.cell(rights.STOCK, key)
