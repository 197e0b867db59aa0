"""Shifts at a till: opened with a float, counted blind, closed with a Z that stays.

Money is an int in grosz (`_minor`). Each works inside one unit and may be asked again: the same
id is the same thing.
"""

from dataclasses import dataclass
from uuid import UUID

from edge.store.shifts import OpenShift
from edge.store.unit import Unit
from edge.till.business_day import business_day
from edge.till.errors import Conflict, NotFound, NotPossible
from sync.facts.shift import CashMoved, Drawer, ShiftClosed, ShiftOpened

SERIES = "{till} shift"
"""Of the numbers of shifts; a blank stands in no till's id, so no receipts share it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Move:
    """Cash that goes into the drawer or out of it."""

    event: bytes
    drawer: Drawer
    amount_minor: int
    why: str
    cashier: str


def begin(unit: Unit, till: str, shift: bytes, cashier: str, float_minor: int) -> OpenShift:
    """Open a shift.

    Raises:
        Conflict: The till is in another one, or the id is a shift that is over.
        TillTaken: The till belongs to another node.
    """
    there = unit.shift(till)
    if there is not None and there.shift == shift:
        return there
    if there is not None:
        raise Conflict(
            f"Till {till!r}: expected in no shift, it is in {there.number} of {there.cashier}.",
            "Close that one first.",
        )
    if unit.report(shift) is not None:
        raise Conflict(f"Shift {UUID(bytes=shift)}: is over.", "Give every shift an id of its own.")
    unit.claim_till(till)
    now = unit.now
    number = unit.next_number(SERIES.format(till=till))
    day = business_day(now.ms, unit.settings)
    unit.begin_shift(
        shift, ShiftOpened(till, number, cashier, float_minor, now.ms, int(now.trust), day)
    )
    return opened(unit, till)


def opened(unit: Unit, till: str) -> OpenShift:
    """Return the shift that a till is in.

    Raises:
        NotPossible: It is in none.
    """
    found = unit.shift(till)
    if found is None:
        raise NotPossible(f"Till {till!r}: expected in a shift, it is in none.", "Open one.")
    return found


def move(unit: Unit, till: str, asked: Move) -> OpenShift:
    """Note that cash moved.

    Raises:
        NotPossible: The till is in no shift, or there is not so much in the drawer.
        Conflict: The id is another move.
    """
    shift, now = opened(unit, till), unit.now
    body = CashMoved(
        shift.shift,
        till,
        int(asked.drawer),
        asked.amount_minor,
        asked.why,
        asked.cashier,
        now.ms,
        int(now.trust),
    )
    there = unit.cash_moved(shift.shift, asked.event)
    if there is not None:
        same = (there.drawer, there.amount_minor, there.why, there.cashier)
        if same != (body.drawer, body.amount_minor, body.why, body.cashier):
            raise Conflict(
                f"Move {UUID(bytes=asked.event)}: this id is another one, of "
                f"{there.amount_minor} grosz.",
                "Give every move an id of its own.",
            )
        return shift
    if asked.drawer is not Drawer.IN:
        inside = unit.shift_totals(shift).expected_minor
        if asked.amount_minor > inside:
            raise NotPossible(
                f"{asked.amount_minor} grosz out of the drawer: expected at most what is in it.",
                "Count again.",
                field="/amount_minor",
            )
    unit.append(body, asked.event)
    return shift


def close(unit: Unit, till: str, shift: bytes, cashier: str, counted_minor: int) -> ShiftClosed:
    """Close a shift with what was counted; asked again, give the same Z whatever is counted.

    Raises:
        NotFound: The till is not in this shift.
    """
    report = unit.report(shift)
    if report is not None:
        return report
    there = unit.shift(till)
    if there is None or there.shift != shift:
        raise NotFound(
            f"Shift {UUID(bytes=shift)}: expected the one that till {till!r} is in.",
            "Look at the till again.",
        )
    now = unit.now
    made = ShiftClosed(
        till,
        there.number,
        cashier,
        counted_minor,
        unit.shift_totals(there),
        there.opened_ms,
        now.ms,
        int(now.trust),
    )
    unit.end_shift(shift, made)
    return made
