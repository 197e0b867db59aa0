"""A payment attempt, driven by everything that can happen to it, in any order."""

import asyncio
import json
from contextlib import suppress
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from hw.card import allowed, holds_card_number, known_means
from hw.errors import DeviceUnavailable, HwError
from hw.outcome import Done, Refused, Unknown
from hw.payment import (
    CHARGED,
    MOVES,
    OPEN,
    Answer,
    Approval,
    Approved,
    Attempt,
    Declined,
    NoAnswer,
    NotFound,
    PaymentIntent,
    Pending,
)
from hw.registry import DeviceConfig
from hw.terminal import UNDO_TRIES, Terminal, wire_id
from tests.contract.rigs import Killed, Notebook

ANSWERS = (
    Approved("seen", Approval(amount_minor=500, reference="R1")),
    Declined("no", "again", "116"),
    Declined("stopped", "again", "aborted"),
    NotFound(),
    Pending("at it"),
    NoAnswer("silence", "ask"),
)


def intent(attempt="A", **more):
    return PaymentIntent(**{"attempt": attempt, "sale": "S", "amount_minor": 500} | more)


@given(st.lists(st.sampled_from(["sent", "progress", "lost", *ANSWERS]), max_size=12))
def test_an_attempt_moves_only_as_the_table_says(events):
    attempt = Attempt(intent=intent())
    charged = 0
    for event in events:
        before = attempt
        try:
            if event == "sent":
                attempt = attempt.moved("sent")
            elif event == "progress":
                attempt = attempt.moved("in_progress")
            elif event == "lost":
                attempt = attempt.doubted("gone", "ask")
            else:
                attempt = attempt.answered(event)
        except ValueError:
            assert attempt is before, "a move that is not allowed changes nothing"
            continue
        assert attempt.state == before.state or attempt.state in MOVES[before.state]
        charged += attempt.state in CHARGED and before.state not in CHARGED
        assert (attempt.told() is None) == (attempt.state in OPEN | {"created"})
        assert Attempt.of_note(json.loads(json.dumps(attempt.as_note()))) == attempt
    assert charged <= 1


def test_what_is_proven_is_never_taken_back_by_an_answer():
    for state, moves in MOVES.items():
        attempt = replace(Attempt(intent=intent()), state=state, approval=ANSWERS[0].approval)
        assert moves or attempt.told() is not None
        if attempt.told() is None:
            continue
        for answer in ANSWERS:
            with suppress(ValueError):
                assert attempt.answered(answer) is attempt


@given(st.text(alphabet="0123456789 -.abcX", max_size=60))
def test_the_allow_list_lets_no_card_number_through(text):
    for name in ("auth_code", "reference", "moment", "terminal", "merchant", "code"):
        assert not holds_card_number(allowed(name, text))
    assert not any(character.isdigit() for character in known_means(text))


def with_check_digit(digits):
    return next(f"{digits}{d}" for d in range(10) if luhn(f"{digits}{d}"))


def luhn(digits):
    """Written from the standard's words, apart from the code under test."""
    doubled = [int(c) * 2 if i % 2 else int(c) for i, c in enumerate(digits[::-1])]
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


@given(
    st.text("0123456789", min_size=12, max_size=18).map(with_check_digit),
    st.sampled_from(["", " ", "-"]),
    st.text("abcXYZ=;? ", max_size=8),
)
def test_every_card_number_is_seen(number, gap, around):
    grouped = gap.join(number[at : at + 4] for at in range(0, len(number), 4))
    assert holds_card_number(f"{around}{grouped}{around}")
    wrong = number[:-1] + str((int(number[-1]) + 1) % 10)
    assert holds_card_number(f"x{wrong}x") == luhn(wrong)


@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_names_on_the_wire_are_letters_and_tell_attempts_apart(one, other):
    name = wire_id(one, 10)
    assert name.isalpha()
    assert len(name) == 10
    assert (name == wire_id(other, 10)) == (one == other)


class World:
    """A terminal's own books; it outlives every driver."""

    def __init__(self):
        self.taken, self.declined, self.back = {}, set(), {}
        self.script = []
        self.reachable = True


class ScriptedTerminal(Terminal):
    """The driver-neutral half over a terminal that does what the script says."""

    can_reverse = True

    def __init__(self, world, memory):
        options = {"resolve_timeout_s": "0.001", "job_timeout_s": "0.001"}
        super().__init__(DeviceConfig(id="t", driver="t", url="x:", options=options), memory)
        self.world = world

    async def open(self):
        async with self._lock:
            await self._start()

    async def _reach(self):
        if not self.world.reachable:
            raise DeviceUnavailable("gone", cure="wait")
        return "T"

    @property
    def _reachable(self):
        return self.world.reachable

    async def _order(self, attempt) -> Answer:
        name, world = attempt.intent.attempt, self.world
        assert name not in world.taken, "ordered twice"
        assert name not in world.declined, "ordered twice"
        noted = json.loads(self._memory.notes[f"payment {name}"])
        assert noted["state"] == "sent", "not noted before it left"
        step = world.script.pop(0) if world.script else "approve"
        if step == "never arrives":
            raise DeviceUnavailable("cut", cure="wait")
        if step.startswith("decline"):
            world.declined.add(name)
        elif attempt.intent.kind == "reversal":
            world.back[attempt.intent.of] = world.back.get(attempt.intent.of, 0) + 1
            world.taken[name] = attempt.intent
        else:
            world.taken[name] = attempt.intent
        if "silence" in step:
            raise DeviceUnavailable("cut", cure="wait")
        if "power" in step:
            world.reachable = False
            raise DeviceUnavailable("cut", cure="wait")
        return self._told(attempt)

    async def _ask(self, attempt) -> Answer:
        return self._told(attempt)

    def _told(self, attempt):
        name = attempt.intent.attempt
        if name in self.world.declined:
            return Declined("no", "again", "116")
        if name not in self.world.taken:
            return NotFound()
        amount = attempt.intent.amount_minor
        return Approved("seen", Approval(amount_minor=amount, reference=f"R-{name}"))


SCRIPT = st.sampled_from(
    [
        "approve",
        "decline",
        "approve, silence",
        "decline, silence",
        "approve, power",
        "never arrives",
    ]
)


class PaymentsOfADay(RuleBasedStateMachine):
    """Orders, cancelled sales, silence, and the program killed around any note."""

    def __init__(self):
        super().__init__()
        self.loop = asyncio.new_event_loop()
        self.world, self.memory = World(), Notebook()
        self.terminal = ScriptedTerminal(self.world, self.memory)
        self.run(self.terminal.open())
        self.said, self.cancelled, self.number = {}, set(), 0

    def run(self, work):
        try:
            return self.loop.run_until_complete(work)
        except Killed:
            self.memory.die_before = self.memory.die_after = None
            self.terminal = ScriptedTerminal(self.world, self.memory)
            self.loop.run_until_complete(self.terminal.open())
            return None

    @rule(script=st.lists(SCRIPT, max_size=3))
    def things_will_happen(self, script):
        self.world.script = script

    @rule(notes=st.integers(1, 6), side=st.sampled_from(["die_before", "die_after"]))
    def the_program_will_be_killed(self, notes, side):
        setattr(self.memory, side, self.memory.saves + notes)

    @rule()
    def the_program_starts_anew(self):
        self.memory.die_before = self.memory.die_after = None
        self.terminal = ScriptedTerminal(self.world, self.memory)
        self.run(self.terminal.open())

    @rule()
    def the_terminal_is_there_again(self):
        self.world.reachable = True

    @rule(again=st.booleans(), back=st.integers(0, 3))
    def pay(self, again, back):
        self.number += not again
        name = f"A{max(1, self.number - back * again)}"
        open_before = [a for a in self.terminal.unresolved if a != name]
        outcome = self.run(self.terminal.pay(intent(name)))
        if outcome is None:
            return
        if open_before and self.terminal.unresolved == open_before:
            assert not isinstance(outcome, Approved) or name in self.said
        self.hear(name, outcome)

    @precondition(lambda self: self.number)
    @rule(back=st.integers(0, 3))
    def ask(self, back):
        name = f"A{max(1, self.number - back)}"
        outcome = self.run(self.terminal.status_of(name))
        if outcome is not None:
            self.hear(name, outcome)

    @precondition(lambda self: self.number)
    @rule(back=st.integers(0, 3))
    def cancel_the_sale(self, back):
        name = f"A{max(1, self.number - back)}"
        self.cancelled.add(name)
        outcome = self.run(self.terminal.reverse(name))
        if isinstance(outcome, Done):
            assert self.world.back.get(name, 0) == (name in self.world.taken), outcome

    def hear(self, name, outcome):
        """What is said stays true, and is so."""
        if isinstance(outcome, Approved):
            assert name in self.world.taken
            self.said[name] = outcome
        elif isinstance(outcome, Declined):
            assert name not in self.world.taken or self.world.back.get(name) == 1
        elif isinstance(outcome, Refused):
            assert name not in self.said
        else:
            assert isinstance(outcome, Unknown)

    @invariant()
    def money_comes_back_at_most_once_and_only_for_cancelled_sales(self):
        assert all(count == 1 for count in self.world.back.values())
        assert set(self.world.back) <= self.cancelled

    @invariant()
    def nobody_is_asked_to_give_back_what_was_given_back(self):
        assert not set(self.terminal.tasks) & set(self.world.back)

    @invariant()
    def one_open_payment_at_a_time(self):
        notes = [json.loads(note) for note in self.memory.notes.values()]
        assert sum(note["state"] in OPEN for note in notes) <= 1

    def teardown(self):
        """In the end everything is known, and Karb's books are the terminal's."""
        self.memory.die_before = self.memory.die_after = None
        self.world.script, self.world.reachable = [], True
        self.terminal = ScriptedTerminal(self.world, self.memory)
        try:
            self.loop.run_until_complete(self.terminal.open())
            assert self.terminal.unresolved == []
            for number in range(1, self.number + 1):
                name = f"A{number}"
                outcome = self.loop.run_until_complete(self.terminal.status_of(name))
                kept = name in self.world.taken and not self.world.back.get(name)
                assert isinstance(outcome, Approved) == kept, (name, outcome)
                if kept and name in self.cancelled:
                    # Only where the cancelling itself was lost with the program, or was declined.
                    done = self.loop.run_until_complete(self.terminal.reverse(name))
                    assert isinstance(done, Done) == bool(self.world.back.get(name)), done
        finally:
            self.loop.close()


TestPaymentsOfADay = PaymentsOfADay.TestCase
TestPaymentsOfADay.settings = settings(max_examples=100, stateful_step_count=30, deadline=None)


async def test_the_last_reversal_that_is_tried_is_heard_of_late():
    """A person must not give back what the terminal gave back already."""
    world, memory = World(), Notebook()
    terminal = ScriptedTerminal(world, memory)
    await terminal.open()
    await terminal.pay(intent())
    world.script = ["never arrives"] * (UNDO_TRIES - 1) + ["approve, power"]
    for _ in range(UNDO_TRIES):
        assert not isinstance(await terminal.reverse("A"), Done)
    assert world.back == {"A": 1}
    assert terminal.tasks == [], "it may be given back already: nobody must do it by hand"
    assert await terminal.settle("A", None, by="Anna") == await terminal.pay(intent())
    world.reachable = True
    await terminal.pay(intent("B"))
    assert terminal.tasks == []
    assert await terminal.reverse("A") == Done("reversed")


async def test_a_disk_that_is_full_lets_nothing_leave():
    world, memory = World(), Notebook()
    terminal = ScriptedTerminal(world, memory)

    async def full(key, note, *, pending=False):
        raise DeviceUnavailable("disk full", cure="make room")

    memory.save = full
    await terminal.open()
    outcome = await terminal.pay(intent())
    assert isinstance(outcome, Refused)
    assert "disk full" in outcome.problem
    assert world.taken == {}


async def test_a_disk_that_fills_while_it_is_paid_is_no_refusal():
    world, memory = World(), Notebook()
    terminal = ScriptedTerminal(world, memory)
    await terminal.open()
    save = memory.save

    async def fills(key, note, *, pending=False):
        if note["state"] in {"approved", "unknown"}:
            raise DeviceUnavailable("disk full", cure="make room")
        await save(key, note, pending=pending)

    memory.save = fills
    assert isinstance(await terminal.pay(intent()), Unknown)
    assert set(world.taken) == {"A"}
    memory.save = save
    assert isinstance(await terminal.pay(intent()), Approved)
    assert set(world.taken) == {"A"}


@pytest.mark.parametrize(
    "wrong", [{"amount_minor": 0}, {"amount_minor": 10**12}, {"cashback_minor": -1}, {"sale": ""}]
)
def test_an_order_out_of_bounds_is_refused(wrong):
    with pytest.raises(HwError, match="expected"):
        intent(**wrong)
