"""What the sales of one stream moved of its row of rights, worked out from its facts in order.

The same sum that `sync.merge.stock` describes, of sales alone: one written closed counts at
once, one written tendered with the first `SaleClosed` of its stream after it, and comes back
with the first `SaleVoided` after that. The first record of an event counts.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from sync.facts.sale import Sale, SaleClosed, SaleVoided, Stage


@dataclass(slots=True)
class Taken:
    """Of one stream."""

    twice: Collection[bytes]
    """Events that are recorded more than once."""

    rows: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    """Article to used, made (both in thousandths) and the time (ms) of the last that moved it."""

    closings: dict[bytes, tuple[int | None, int | None]] = field(default_factory=dict)
    """Event of a tendered sale to the numbers of the facts that closed and voided it."""

    _tendered: dict[bytes, dict[str, int]] = field(default_factory=dict)
    _seen: set[bytes] = field(default_factory=set)

    def add(self, seq: int, event: bytes, body: Sale | SaleClosed | SaleVoided) -> None:
        """Add the next fact of the stream."""
        if isinstance(body, Sale):
            self._record(event, body)
        elif event in self._tendered:
            closed, voided = self.closings.get(event, (None, None))
            if isinstance(body, SaleClosed) and closed is None:
                self.closings[event] = (seq, voided)
                if voided is None:
                    self._move(self._tendered[event], 1, 0, body.at_ms)
            elif isinstance(body, SaleVoided) and voided is None:
                self.closings[event] = (closed, seq)
                if closed is not None:
                    self._move(self._tendered[event], 0, 1, body.at_ms)

    def _record(self, event: bytes, body: Sale) -> None:
        if event in self.twice:
            if event in self._seen:
                return
            self._seen.add(event)
        if body.stage is Stage.CLOSED:
            self._move(body.lines.sums().by_sku, 1, 0, body.at_ms)
        else:
            self._tendered[event] = body.lines.sums().by_sku

    def _move(self, by_sku: Mapping[str, int], used: int, made: int, at_ms: int) -> None:
        for sku, milli in by_sku.items():
            before = self.rows.get(sku, (0, 0, 0))
            self.rows[sku] = (
                before[0] + used * milli,
                before[1] + made * milli,
                max(before[2], at_ms),
            )
