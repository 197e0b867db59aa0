"""What became of a receipt whose answer was lost, judged from what the printer tells. Pure.

The ladder, best witness first:

1. `rpt`: the answer itself, as given to the token of `trend`;
2. `strns`: the transaction is still open, so it was not finished;
3. `scnt`: receipts finished since the baseline that was noted before `trinit`;
4. `eclastdocnoget`: the last receipt in the protected memory, which neither a daily report
   nor a reset of its working memory takes back.

A witness that contradicts another is no proof: a person decides. A finished receipt adds 1
to `bn`, a cancelled one 1 to `bc`; a daily report sets both to 0 and adds 1 to `rd`
(measured on a real printer by fiskaltrust's recordings).
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Literal, TypeAlias

Verdict: TypeAlias = Literal["issued", "nothing", "open", "contradiction"]
"""`open`: cancel it, and nothing has happened."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Count:
    """`scnt` and `eclastdocnoget ty0`."""

    reports: int
    """`rd`"""

    receipts: int
    """`bn`, since the last daily report."""

    cancelled: int
    """`bc`, since then."""

    last: int
    """`bt`: number of the last receipt, finished or cancelled."""

    document: int
    """The last receipt in the protected memory; grows for ever."""

    def note(self) -> Mapping[str, int]:
        """To be kept."""
        return asdict(self)


Answer: TypeAlias = Literal["ok", "error", "none"]
"""What `rpt` gave: the answer to this very command, an error number to it, or no such token."""


def judge(base: Count, now: Count, *, answer: Answer, is_open: bool, shared: bool) -> Verdict:
    """What became of the receipt whose `trend` may have been sent.

    Args:
        base: Noted before `trinit`.
        now: Asked after the loss.
        answer: What `rpt` gave.
        is_open: `strns` or `scomm` says that a transaction is open.
        shared: Another computer prints on this device too, so a counter that moved need
            not have been moved by us.
    """
    same_day = base.reports == now.reports
    more = now.receipts - base.receipts
    grown = now.document - base.document
    if (same_day and more < 0) or grown < 0 or now.reports < base.reports:
        return "contradiction"
    if same_day and bool(more) != bool(grown):
        return "contradiction"
    if is_open:
        # A transaction that is open now cannot be the one that was answered as finished.
        return "contradiction" if answer == "ok" or (grown and not shared) else "open"
    if answer == "ok":
        return "issued" if grown and (shared or not same_day or more == 1) else "contradiction"
    if not grown:
        return "nothing"
    if answer == "error":
        return "nothing" if shared else "contradiction"
    if shared or not same_day or more != 1:
        return "contradiction"
    return "issued"
