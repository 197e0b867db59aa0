"""What POSNET's error numbers mean for a shop: in groups, by what a person should do.

Source: the table at the end of POT-I-DEV-37 (501 rows); rows not here get their number.
"""

from collections.abc import Mapping
from typing import NamedTuple

TOKEN_NOT_FOUND = 13
QUEUE_FULL = 14
BLOCKED_FOR_INTERFACE = 40
BUSY = 41
ZERO_REPORT = 382
REPORT_DUE = 383
NO_TRANSACTION = 2005
NOTHING_BEGUN = 2064

FRAME_ERRORS = frozenset(range(1, 16))
"""Told before the command was begun: whatever the frame was, it was not executed."""

NOTHING_TO_CANCEL = frozenset({NO_TRANSACTION, NOTHING_BEGUN})


class _Group(NamedTuple):
    numbers: frozenset[int]
    problem: str
    cure: str


_TEXTS: Mapping[int, tuple[str, str]] = {
    2000: (
        "the VAT rate is unknown to it or not in use",
        "Compare the VAT table of the printer with Karb's.",
    ),
    2010: ("the day's totals would overflow", "Print the daily report."),
    2041: ("a receipt of nothing", "Leave it out."),
    2096: ("the NIP has not ten digits", "Correct the buyer's NIP."),
    2101: ("its memory of article names is full", "Call the service."),
    2805: ("the total differs from what it added up", "Report this: Karb's sum is not its."),
    BUSY: ("another computer is using it", "Wait until that one has finished."),
    BLOCKED_FOR_INTERFACE: ("another computer is using it", "Wait until that one has finished."),
    QUEUE_FULL: ("its queue is full", "Wait a moment."),
    REPORT_DUE: ("yesterday's daily report was not printed", "Print the daily report first."),
    499: ("it speaks the old THERMAL protocol", "Choose the POSNET protocol in its menu."),
}

_GROUPS = (
    _Group(
        frozenset({2105, 2106}),
        "the article was sold at another VAT rate before, and may not go up again",
        "Give the article another fiscal name, or the rate it had.",
    ),
    _Group(
        frozenset({387, 388, 2036, 2098, *range(2900, 2931), *range(1000, 1080)}),
        "its memory does not allow a sale",
        "Call the service; sell on a reserve device.",
    ),
    _Group(
        frozenset({484, 488, 3733, 3735, 3929}),
        "its licence or certificate has run out",
        "Call the service; sell on a reserve device.",
    ),
    _Group(
        frozenset({460, 462, 2019, 2020, 2022, 2024, 2025, 2026}),
        "its clock is not right",
        "Compare the date on the printer; call the service if it is wrong.",
    ),
    _Group(
        frozenset({2005, 2038, 2060, 2062, 2064}),
        "it was in another state than expected",
        "Look at its display; finish or cancel what is open there.",
    ),
    _Group(
        frozenset(
            {2, 3, 10, 2006, 2007, 2008, 2009, 2054, 2063, 2801, 2802, 2803, 2804}
            | set(range(2806, 2810))
            | {2851, 2852, 2853}
            | set(range(1950, 1993))
        ),
        "it found the receipt wrong",
        "Report this with the receipt's lines.",
    ),
    _Group(
        frozenset(range(4250, 4278)) | {2034},
        "it cannot make an electronic receipt",
        "Print the receipt on paper.",
    ),
    _Group(FRAME_ERRORS, "the command reached it damaged", "Try again; check the cable."),
)

_MECHANISM: Mapping[int, tuple[str, str]] = {
    1: ("the cover is open", "Close the cover."),
    2: ("it does not reach its print mechanism", "Switch it off and on; call the service."),
    3: ("the cover is open", "Close the cover."),
    5: ("the paper has run out", "Load paper."),
    6: ("temperature or supply is out of bounds", "Let it cool; check the power supply."),
    7: ("the power dipped", "Check the power supply."),
    8: ("the cutter is stuck", "Clear the cutter."),
    9: ("the power supply is faulty", "Call the service."),
    10: ("the cover was open while cutting", "Close the cover."),
}

_DISPLAY: Mapping[int, tuple[str, str]] = {
    1: ("somebody is in its menu", "Leave the menu of the printer."),
    2: ("it waits for a key", "Look at its display and press the key it asks for."),
    3: ("it waits for a person", "Look at its display and clear the error."),
}


def explain(number: int) -> tuple[str, str]:
    """Problem and cure of an error number."""
    if number in _TEXTS:
        problem, cure = _TEXTS[number]
    else:
        problem, cure = next(
            ((group.problem, group.cure) for group in _GROUPS if number in group.numbers),
            ("it refused", "Look the number up in the printer's manual."),
        )
    return f"{problem} (error {number})", cure


def trouble(mechanism: int, display: int) -> tuple[str, str] | None:
    """Problem and cure behind `sprn pr` and `sdev ds`; None when it is ready."""
    if mechanism:
        unknown = (f"its mechanism reports {mechanism}", "Look at its display.")
        return _MECHANISM.get(mechanism, unknown)
    if display:
        return _DISPLAY.get(display, (f"it reports state {display}", "Look at its display."))
    return None
