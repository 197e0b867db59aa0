"""Packaging that buyers bring back, and machines' vouchers for it. In a unit of work.

A voucher is a right that the node makes whose machine wrote it, and that is spent whole: two
tills cannot both redeem it, and a node that cannot get the right from the one that has it
refuses. A machine belongs to one node: a code told to two nodes would be two vouchers.
Money is an int in grosz (`_minor`).
"""

from dataclasses import dataclass
from hashlib import sha256
from uuid import UUID

import msgspec

from edge.stockroom.asking import Short
from edge.store.unit import Unit
from edge.till.business_day import business_day, day_text, rfc3339
from edge.till.errors import BadDeposit, BeyondRight, Conflict, UnknownArticle
from edge.till.request import DepositsRequest, VoucherRequest
from edge.till.selling import digest, shift_of
from sync.chain import EVENT_BYTES
from sync.facts.deposit import DepositsTaken, PackagingLine, Voucher
from sync.merge import rights
from sync.rules.deposit import VOUCHER


class PackagingAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Some pieces of one packaging."""

    sku: str
    name: str
    pieces: int
    deposit_minor: int


class VoucherTaken(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher that was redeemed."""

    code: str
    amount_minor: int


class DepositsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was brought back, and where its deposit went."""

    uuid: str
    at: str
    """RFC 3339, UTC."""

    business_day: str
    till: str
    cashier: str
    lines: tuple[PackagingAnswer, ...]
    vouchers: tuple[VoucherTaken, ...]
    total_minor: int
    applied_minor: int
    """Pays for `sale`, by a payment of the method ``deposit``."""

    paid_minor: int
    """Out of the drawer."""

    sale: str | None


class VoucherAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A voucher that may be redeemed."""

    code: str
    left_minor: int
    """What this node may redeem of it: all, or nothing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Taken:
    """A take-back as it stands in the journal."""

    event: bytes
    body: DepositsTaken
    new: bool


def cell(code: str) -> str:
    """Return the cell of a voucher."""
    return rights.cell(VOUCHER, code)


def issue(unit: Unit, code: str, request: VoucherRequest) -> bool:
    """Take note of a voucher that a machine of this node wrote; return whether it is new.

    Raises:
        Conflict: The code was told with another amount.
    """
    name = cell(code)
    told = unit.holder.brought(name)
    if not told:
        event = sha256(b"karb.voucher.1" + code.encode()).digest()[:EVENT_BYTES]
        unit.holder.make(event, {name: request.amount_minor})
    elif told != request.amount_minor:
        raise Conflict(
            f"Voucher {code!r}: told before with {told} grosz, now with {request.amount_minor}.",
            "Give every voucher a code of its own.",
        )
    return not told


def record(unit: Unit, event: bytes, request: DepositsRequest, *, ask: bool = False) -> Taken:
    """Record a take-back; the same request under the same event gives the same answer.

    Raises:
        Short: The right to a voucher may be elsewhere, and `ask` says that others may be asked.
        BeyondRight: A voucher is spent, or not known here.
        UnknownArticle: A line names none, or one without a deposit.
        Conflict: The event is something else.
        BadDeposit: It cannot be true.
    """
    fingerprint = digest(request)
    found = unit.deposits(event)
    if found is not None:
        if found.digest is None or found.digest == fingerprint:
            return Taken(event=event, body=found.body, new=False)
        raise Conflict(
            f"Take-back {UUID(bytes=event)}: this id is another one.", "Give each an id of its own."
        )
    if unit.sale(event) is not None or unit.document(event) is not None:
        raise Conflict(
            f"Take-back {UUID(bytes=event)}: this id is a sale or a document.",
            "Give each an id of its own.",
        )
    vouchers = _vouchers(unit, request, ask=ask)
    lines = tuple(
        _line(unit, line.sku, line.pieces, f"/lines/{n}/sku")
        for n, line in enumerate(request.lines)
    )
    brought = sum(line.pieces * line.deposit_minor for line in lines)
    brought += sum(voucher.amount_minor for voucher in vouchers)
    if request.applied_minor > brought or (request.sale is None) is not (not request.applied_minor):
        raise BadDeposit(
            f"Applied {request.applied_minor} grosz of {brought}: expected at most all of it, and "
            "the sale it pays for.",
            "Give the sale's id and what of the deposit pays for it, or neither.",
            field="/applied_minor",
        )
    now = unit.now
    body = DepositsTaken(
        now.ms,
        int(now.trust),
        business_day(now.ms, unit.settings),
        request.till,
        request.cashier,
        request.shift or shift_of(unit, request.till),
        lines,
        vouchers,
        request.applied_minor,
        brought - request.applied_minor,
        request.sale.bytes if request.sale else b"",
    )
    try:
        unit.append(body, event)
    except ValueError as error:
        raise BadDeposit(f"Take-back: {error}.", "Bring something.", field="/lines") from error
    if vouchers:
        unit.holder.use(event, {cell(one.code): one.amount_minor for one in vouchers})
    unit.note_deposits(event, fingerprint)
    return Taken(event=event, body=body, new=True)


def answer(event: bytes, body: DepositsTaken) -> DepositsAnswer:
    """Tell all of a take-back."""
    return DepositsAnswer(
        uuid=str(UUID(bytes=event)),
        at=rfc3339(body.at_ms),
        business_day=day_text(body.business_day),
        till=body.till,
        cashier=body.cashier,
        lines=tuple(
            PackagingAnswer(
                sku=line.sku, name=line.name, pieces=line.pieces, deposit_minor=line.deposit_minor
            )
            for line in body.lines
        ),
        vouchers=tuple(
            VoucherTaken(code=one.code, amount_minor=one.amount_minor) for one in body.vouchers
        ),
        total_minor=body.total_minor,
        applied_minor=body.applied_minor,
        paid_minor=body.paid_minor,
        sale=str(UUID(bytes=body.sale)) if body.sale else None,
    )


def _vouchers(unit: Unit, request: DepositsRequest, *, ask: bool) -> tuple[Voucher, ...]:
    codes = tuple(dict.fromkeys(request.vouchers))
    held = {code: unit.holder.right(cell(code)) for code in codes}
    short = [code for code in codes if held[code] <= 0]
    if short and ask and not all(unit.holder.spent(cell(code)) for code in short):
        raise Short({cell(code): 1 for code in short})
    if short:
        raise BeyondRight(
            f"Voucher {short[0]!r}: expected one that a machine of this store wrote and nobody has "
            "redeemed; the right to it is not here.",
            "Look whether it was redeemed before, or take it to the till beside the machine.",
            field=f"/vouchers/{request.vouchers.index(short[0])}",
        )
    return tuple(Voucher(code, held[code]) for code in codes)


def _line(unit: Unit, code: str, pieces: int, field: str) -> PackagingLine:
    article = unit.article(code, unit.now.ms)
    if article is None or article.deposit_minor <= 0:
        what = "found none" if article is None else f"{article.sku!r} has no deposit"
        raise UnknownArticle(
            f"Packaging {code!r}: expected that of an article with a deposit, {what}.",
            "Look at the mark on it; packaging without one is not taken back for money.",
            field=field,
        )
    name = article.listed_name or article.fiscal_name
    return PackagingLine(article.sku, name, pieces, article.deposit_minor)
