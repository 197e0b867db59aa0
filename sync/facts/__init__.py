"""What can happen in a shop: versioned bodies, written for ever.

One module a subject. A body is a frozen msgspec struct in array form; a field is
only ever added at the end, with a default, under a new version. `KINDS` names
every kind and version this program can read; others are kept and relayed.
"""

from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from sync.chain import Fact
from sync.errors import BadFact
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.catalogue import Articles, Prices, VatRates
from sync.facts.count import CountMarked, CountOpened, CountPosted, CountTaken
from sync.facts.deposit import DepositsTaken
from sync.facts.document import DocumentChanged, DocumentSettled, GenerationBegan
from sync.facts.hours import SaleHours
from sync.facts.node import (
    AppendedAgain,
    IncarnationBegan,
    NodeEnrolled,
    NodeRevoked,
    StoreDescribed,
    StreamClosed,
)
from sync.facts.order import (
    OrderAnswered,
    OrderPlaced,
    PromiseBroken,
    PromiseEnded,
    PromiseMade,
)
from sync.facts.person import PersonForgotten, Sealed, opens, sealed_in
from sync.facts.promotion import PromotionTold
from sync.facts.returned import SaleReturned
from sync.facts.rights import RightsMoved, RightsWanted, StockPolicy
from sync.facts.sale import PaymentSettled, Sale, SaleClosed, SaleFiscalised, SaleVoided
from sync.facts.shift import CashMoved, ShiftClosed, ShiftOpened
from sync.facts.staff import StaffActed, UserDescribed
from sync.facts.stock import GoodsMoved, GoodsReceived, TransferAnnounced

Body = (
    Articles
    | Prices
    | VatRates
    | PromotionTold
    | SaleHours
    | NodeEnrolled
    | NodeRevoked
    | IncarnationBegan
    | StoreDescribed
    | StreamClosed
    | AppendedAgain
    | GoodsReceived
    | GoodsMoved
    | TransferAnnounced
    | CountOpened
    | CountTaken
    | CountMarked
    | CountPosted
    | RightsMoved
    | RightsWanted
    | StockPolicy
    | PromiseMade
    | PromiseEnded
    | PromiseBroken
    | OrderPlaced
    | OrderAnswered
    | Sale
    | PaymentSettled
    | SaleFiscalised
    | SaleClosed
    | SaleVoided
    | SaleReturned
    | DepositsTaken
    | DocumentChanged
    | GenerationBegan
    | DocumentSettled
    | PersonForgotten
    | BasketRecalled
    | BasketEnded
    | UserDescribed
    | StaffActed
    | ShiftOpened
    | CashMoved
    | ShiftClosed
)

KINDS: dict[tuple[str, int], type[Body]] = {
    ("articles", 1): Articles,
    ("articles", 2): Articles,
    ("prices", 1): Prices,
    ("vat.rates", 1): VatRates,
    ("promotion", 1): PromotionTold,
    ("sale.hours", 1): SaleHours,
    ("node.enrolled", 1): NodeEnrolled,
    ("node.revoked", 1): NodeRevoked,
    ("node.began", 1): IncarnationBegan,
    ("store", 1): StoreDescribed,
    ("stream.closed", 1): StreamClosed,
    ("stream.again", 1): AppendedAgain,
    ("goods.received", 1): GoodsReceived,
    ("goods.moved", 1): GoodsMoved,
    ("transfer.announced", 1): TransferAnnounced,
    ("count.opened", 1): CountOpened,
    ("count.taken", 1): CountTaken,
    ("count.marked", 1): CountMarked,
    ("count.posted", 1): CountPosted,
    ("rights", 1): RightsMoved,
    ("rights.wanted", 1): RightsWanted,
    ("stock.policy", 1): StockPolicy,
    ("promise.made", 1): PromiseMade,
    ("promise.ended", 1): PromiseEnded,
    ("promise.broken", 1): PromiseBroken,
    ("order.placed", 1): OrderPlaced,
    ("order.answered", 1): OrderAnswered,
    ("sale", 1): Sale,
    ("sale.payment", 1): PaymentSettled,
    ("sale.fiscalised", 1): SaleFiscalised,
    ("sale.closed", 1): SaleClosed,
    ("sale.voided", 1): SaleVoided,
    ("sale.returned", 1): SaleReturned,
    ("deposits.taken", 1): DepositsTaken,
    ("document.changed", 1): DocumentChanged,
    ("document.began", 1): GenerationBegan,
    ("document.settled", 1): DocumentSettled,
    ("person.forgotten", 1): PersonForgotten,
    ("basket.recalled", 1): BasketRecalled,
    ("basket.ended", 1): BasketEnded,
    ("staff", 1): UserDescribed,
    ("staff.acted", 1): StaffActed,
    ("shift.opened", 1): ShiftOpened,
    ("shift.cash", 1): CashMoved,
    ("shift.closed", 1): ShiftClosed,
}
"""Kind and version to body. The names are in every journal: never change one."""

PERSONAL = frozenset({"sale", "document.changed", "document.began", "staff"})
"""Kinds whose bodies may hold something sealed."""

_NAMES = {body: name for name, body in KINDS.items()}
_DECODERS: dict[tuple[str, int], msgspec.msgpack.Decoder[Any]] = {
    name: msgspec.msgpack.Decoder(body) for name, body in KINDS.items()
}
_ENCODER = msgspec.msgpack.Encoder()
_BUYER: msgspec.msgpack.Decoder[Any] = msgspec.msgpack.Decoder(
    msgspec.defstruct(
        "MadeOut",
        [(name, Any if name == "buyer" else msgspec.Raw, None) for name in Sale.__struct_fields__],
        array_like=True,
    )
)
"""Reads whether a sale is made out to somebody, and passes over the rest of it."""


def readable() -> tuple[tuple[str, int], ...]:
    """Return the kinds and versions this program can apply, for the greeting."""
    return tuple(sorted(KINDS))


def kind_of(body: Body) -> tuple[str, int]:
    """Return the kind and version under which `body` is written."""
    return _NAMES[type(body)]


def encode(body: Body) -> bytes:
    """Return the bytes of a body, as hashed."""
    return _ENCODER.encode(body)


def decode(fact: Fact) -> Body | None:
    """Read a fact's body; None if this program does not know the kind or the version.

    Decided by the bytes alone, so every node quarantines the same facts.

    Raises:
        BadFact: The kind is known, and the body cannot be one.
    """
    decoder = _DECODERS.get((fact.kind, fact.version))
    if decoder is None:
        return None
    try:
        body: Body = decoder.decode(fact.body)
        reason = body.reason()
    except (msgspec.DecodeError, ValueError, RecursionError, BadFact) as error:
        raise BadFact(f"Fact {fact.seq}, {fact.kind} version {fact.version}: {error}") from error
    if reason:
        raise BadFact(f"Fact {fact.seq}, {fact.kind} version {fact.version}: {reason}")
    return body


def keys_that_open(facts: Iterable[Fact], keys: Mapping[bytes, bytes]) -> dict[bytes, bytes]:
    """Return those keys that open something they came with: the first one kept stays."""
    found: dict[bytes, bytes] = {}
    for fact in facts if keys else ():
        for sealed in _sealed(fact):
            key = keys.get(sealed.person)
            if key is not None and sealed.person not in found and opens(sealed, key):
                found[sealed.person] = key
    return found


def persons(facts: Iterable[Fact]) -> set[bytes]:
    """Return whose keys it takes to read all of some facts; unreadable ones name nobody."""
    return {sealed.person for fact in facts for sealed in _sealed(fact)}


def _sealed(fact: Fact) -> list[Sealed]:
    if fact.kind not in PERSONAL or (fact.kind == "sale" and not _made_out(fact.body)):
        return []
    try:
        body = decode(fact)
    except BadFact:
        return []
    return [] if body is None else list(sealed_in(body))


def _made_out(sale: bytes) -> bool:
    """Whether a sale may name its buyer. All that leave are asked, and hardly one does."""
    try:
        return _BUYER.decode(sale).buyer is not None
    except (msgspec.DecodeError, ValueError, RecursionError):
        return False  # nor can it be read as a whole
