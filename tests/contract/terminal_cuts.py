"""Cut the line of a payment terminal at every byte, kill the program at every step, and compare.

    python -m tests.contract.terminal_cuts [--every N] [ecreft | nexo | standalone …]

For each cut point one payment is ordered and the line is cut there, once with the same driver
going on and once with the process gone and a fresh driver over what it had noted. Then what
Karb believes is compared with the terminal's own books: at most one charge an attempt, and one
exactly if Karb says so. Where no machine can tell the outcome must be unknown, the terminal
must take nothing else, and a person who reads its slip settles it. A payment that was not
taken is then ordered as another attempt, and must be.
"""

import asyncio
from collections import Counter

from hw.outcome import Done, Refused, Unknown
from hw.payment import Approval, Approved, PaymentIntent
from tests.contract.rigs import (
    EcreftRig,
    Killed,
    NexoRig,
    SerialEcreftRig,
    SilentEcreftRig,
    StandaloneRig,
)
from tests.contract.tally import Tally, command

RIGS = {
    "ecreft": EcreftRig,
    "ecreft-serial": SerialEcreftRig,
    "ecreft-silent": SilentEcreftRig,
    "nexo": NexoRig,
    "standalone": StandaloneRig,
}
UNKNOWN_BECAUSE = {
    "ecreft": "",
    "ecreft-serial": "",
    "ecreft-silent": "the order was noted as sent, and S1 of type C must not be asked: "
    "the terminal's slip tells",
    "nexo": "",
    "standalone": "the cashier was asked and had not answered: the terminal has no cable",
}
"""Where a person must look, and why; nothing: nowhere, while the terminal can be reached."""

WHAT = ("a payment", "terminal")
BIG = 10_000_000


def order(attempt):
    return PaymentIntent(attempt=attempt, sale=f"S-{attempt}", amount_minor=4217)


def agree(rig, attempt, outcome):
    """Karb's belief is what stands in the terminal's books; what is not known is no belief."""
    taken = rig.books.taken(rig.name(attempt))
    assert len(taken) <= 1, (attempt, outcome, taken)
    if isinstance(outcome, Approved):
        assert len(taken) == 1, (attempt, outcome)
        assert outcome.approval.amount_minor == taken[0].amount_minor
        if rig.tells:
            assert outcome.approval.reference == taken[0].reference
    if isinstance(outcome, Refused):
        assert not taken, (attempt, outcome)


async def end_well(rig, terminal, attempt, outcome, tally, where):
    """Compare; a person settles what is unknown; what was not taken is paid as another attempt."""
    agree(rig, attempt, outcome)
    tally.points += 1
    tally.outcomes[type(outcome).__name__] += 1
    if isinstance(outcome, Unknown):
        tally.unknown.append(where)
        blocked = await terminal.pay(order(f"{attempt}-other"))
        assert isinstance(blocked, Refused), (where, blocked)
        assert rig.books.find(rig.name(f"{attempt}-other")) is None
        taken = rig.books.taken(rig.name(attempt))
        slip = Approval(amount_minor=taken[0].amount_minor) if taken else None
        outcome = await terminal.settle(attempt, slip, by="Anna")
        assert not isinstance(outcome, Unknown), (where, outcome)
        if isinstance(rig, StandaloneRig):
            rig.back()  # the cashier is at the till again
        if isinstance(outcome, Approved):
            assert taken
        else:
            assert not taken
    assert await terminal.pay(order(attempt)) == outcome or isinstance(outcome, Refused)
    if isinstance(outcome, Refused):
        # Refused before anything was sent: the same attempt; after that: another one.
        found = await terminal.pay(order(attempt))
        if not isinstance(found, Approved):
            found = await terminal.pay(order(f"{attempt}-again"))
            assert len(rig.books.taken(rig.name(f"{attempt}-again"))) == 1, where
        assert isinstance(found, Approved), (where, found)
    both = rig.books.taken(rig.name(attempt)) + rig.books.taken(rig.name(f"{attempt}-again"))
    assert len(both) == 1, "the sale was paid once"
    assert terminal.unresolved == []


async def restarted(rig, terminal):
    await terminal.close()
    fresh = rig.make(**PATIENCE)
    await fresh.open()
    return fresh


PATIENCE = {"answer_timeout_s": "2", "job_timeout_s": "2", "resolve_timeout_s": "2"}
IMPATIENCE = {"answer_timeout_s": "2", "job_timeout_s": "2", "resolve_timeout_s": "0.02"}
"""Where nothing more can come, waiting for it is only slow."""


async def exchange_size(rig, terminal):
    """Bytes each way of one payment without accidents."""
    faults = rig.simulator.cable.faults
    faults.cut_in = faults.cut_out = BIG
    assert isinstance(await terminal.pay(order("MEASURE")), Approved)
    size = BIG - faults.cut_in, BIG - faults.cut_out
    faults.cut_in = faults.cut_out = None
    return size


async def cut_and_go_on(rig, terminal, way, count, tally):
    """The line breaks; the same driver finds out."""
    attempt = f"{way}-{count}-GO"
    faults = rig.simulator.cable.faults
    setattr(faults, f"cut_{way}", count)
    outcome = await terminal.pay(order(attempt))
    setattr(faults, f"cut_{way}", None)
    await end_well(rig, terminal, attempt, outcome, tally, (way, count))


async def cut_and_kill(rig, terminal, way, count, tally):
    """The line breaks and the process is gone; a fresh driver finds out. Returns that one."""
    attempt = f"{way}-{count}-KILL"
    faults = rig.simulator.cable.faults
    setattr(faults, f"cut_{way}", count)
    paying = asyncio.create_task(terminal.pay(order(attempt)))
    # A turn of the loop at a time: a fault that has struck is no event.
    while not paying.done() and getattr(faults, f"cut_{way}"):  # noqa: ASYNC110
        await asyncio.sleep(0)
    paying.cancel()
    await asyncio.gather(paying, return_exceptions=True)
    setattr(faults, f"cut_{way}", None)
    fresh = await restarted(rig, terminal)
    outcome = await fresh.pay(order(attempt))
    await end_well(rig, fresh, attempt, outcome, tally, (way, count, "killed"))
    return fresh


async def killed_at_notes(rig, terminal, tally, *, cancelled=False):
    """The process is gone before and after each note of a payment (and of its reversal)."""

    async def work(driver, attempt):
        outcome = await driver.pay(order(attempt))
        if cancelled:
            return await driver.reverse(attempt)
        return outcome

    was = rig.memory.saves
    await work(terminal, f"NOTES-{cancelled}")
    notes = rig.memory.saves - was
    if terminal.tasks:
        await terminal.settle(f"NOTES-{cancelled}", None, by="Anna")
    for number in range(1, notes + 1):
        for side in ("before", "after"):
            attempt = f"NOTE-{number}-{side}-{cancelled}"
            setattr(rig.memory, f"die_{side}", rig.memory.saves + number)
            try:
                await work(terminal, attempt)
            except Killed:
                pass
            else:
                raise AssertionError(f"note {number} was never made")
            finally:
                rig.memory.die_before = rig.memory.die_after = None
            terminal = await restarted(rig, terminal)
            if cancelled:
                await undone(rig, terminal, attempt, tally, ("note", number, side))
                continue
            # First it is asked about: nothing may be charged by that.
            agree(rig, attempt, await terminal.status_of(attempt))
            outcome = await terminal.pay(order(attempt))
            await end_well(rig, terminal, attempt, outcome, tally, ("note", number, side))
    return terminal


async def undone(rig, terminal, attempt, tally, where):
    """A cancelled sale is given back once, by the terminal or as a task; or was never taken."""
    outcome = await terminal.reverse(attempt)
    taken = rig.books.taken(rig.name(attempt))
    tally.points += 1
    if isinstance(outcome, Unknown):
        tally.unknown.append(where)
        slip = Approval(amount_minor=taken[0].amount_minor) if taken else None
        await terminal.settle(attempt, slip, by="Anna")
        outcome = await terminal.reverse(attempt)
    if attempt in terminal.tasks:
        assert isinstance(outcome, Refused), outcome
        assert taken
        tally.outcomes["Task"] += 1
        await terminal.settle(attempt, None, by="Anna")
    else:
        assert isinstance(outcome, Done), (where, outcome)
        tally.outcomes[outcome.proof] += 1
        assert (outcome.proof == "reversed") == bool(taken), (where, outcome)
    if rig.reverses:
        assert len(rig.books.given_back()) == rig.given_back + bool(taken), (where, outcome)
        rig.given_back += bool(taken)
    assert terminal.unresolved == terminal.tasks == []


async def cut_reversal(rig, terminal, every, tally):
    """The line breaks at each byte of a reversal: the money comes back exactly once."""
    faults = rig.simulator.cable.faults
    assert isinstance(await terminal.pay(order("REVERSED")), Approved)
    faults.cut_in = faults.cut_out = BIG
    assert await terminal.reverse("REVERSED") == Done("reversed")
    size = {"in": BIG - faults.cut_in, "out": BIG - faults.cut_out}
    faults.cut_in = faults.cut_out = None
    rig.given_back = len(rig.books.given_back())
    for way in ("in", "out"):
        for count in range(1, size[way] + 1, every):
            attempt = f"UNDO-{way}-{count}"
            assert isinstance(await terminal.pay(order(attempt)), Approved)
            setattr(faults, f"cut_{way}", count)
            await terminal.reverse(attempt)
            setattr(faults, f"cut_{way}", None)
            await undone(rig, terminal, attempt, tally, (way, count))


async def cashier_leaves(rig, terminal, tally):
    """The standalone terminal's line is a cashier: each step she may not come to."""
    for step in ("before", "after"):
        for number in range(3):
            attempt = f"AWAY-{step}-{number}"
            rig.obey(f"away {step} 9")  # at the question, and when it is asked again
            outcome = await terminal.pay(order(attempt))
            await end_well(rig, terminal, attempt, outcome, tally, (step, number))
    for step in ("read", "paid"):
        attempt = f"KILLED-{step}"
        rig.obey("away after 9" if step == "paid" else "away before 9")
        paying = asyncio.create_task(terminal.pay(order(attempt)))
        rig.simulator.steps = []
        while step not in rig.simulator.steps:  # noqa: ASYNC110 - a list is no event
            await asyncio.sleep(0)
        paying.cancel()
        await asyncio.gather(paying, return_exceptions=True)
        terminal = await restarted(rig, terminal)
        outcome = await terminal.pay(order(attempt))
        await end_well(rig, terminal, attempt, outcome, tally, (step, "killed"))
    return terminal


async def prove(name, folder, *, every=1, offset=0):
    """All ways of one driver; tallies by way."""
    rig = RIGS[name](folder)
    if not rig.tells:
        PATIENCE.update(IMPATIENCE)
    if name == "standalone":
        PATIENCE["job_timeout_s"] = "0.2"
    terminal = await rig.start(**PATIENCE)
    await terminal.open()
    tallies, size, rig.given_back = {}, (0, 0), 0
    try:
        if name == "standalone":
            tally = tallies["cashier away"] = Tally()
            terminal = await cashier_leaves(rig, terminal, tally)
        else:
            size = await exchange_size(rig, terminal)
            for way, length in zip(("in", "out"), size, strict=True):
                go, kill = Tally(), Tally()
                for count in range(1 + offset % every, length + 1, every):
                    await cut_and_go_on(rig, terminal, way, count, go)
                    terminal = await cut_and_kill(rig, terminal, way, count, kill)
                tallies[f"{way}, going on"], tallies[f"{way}, killed"] = go, kill
        tally = tallies["killed at a note"] = Tally()
        terminal = await killed_at_notes(rig, terminal, tally)
        tally = tallies["killed while undone"] = Tally()
        rig.given_back = 1 if rig.reverses else 0
        terminal = await killed_at_notes(rig, terminal, tally, cancelled=True)
        if rig.reverses:
            tally = tallies["reversal cut"] = Tally()
            await cut_reversal(rig, terminal, every, tally)
        names = Counter(charge.name for charge in rig.books.taken())
        assert set(names.values()) == {1}, names.most_common(3)
    finally:
        await terminal.close()
        await rig.stop()
        PATIENCE.update(answer_timeout_s="2", job_timeout_s="2", resolve_timeout_s="2")
    return size, tallies


if __name__ == "__main__":
    command("tests.contract.terminal_cuts", prove, RIGS, WHAT, UNKNOWN_BECAUSE)
