"""Making, confirming and releasing promises, each inside one transaction of the ledger.

Head office promises from its own rights only (`promisable`), so a promise can never be
for a unit that somebody else was promised, whatever stores do meanwhile. All places of a
promise are held in the same transaction, or none. Quantities in thousandths (`_milli`).
"""

import hashlib
import secrets
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

import msgspec

from central.ledger import author, fences, promised, reading, shelves
from central.ledger.errors import Refused
from central.ledger.promised import Part
from central.ledger.unit import Unit
from central.stock import placing
from central.stock.request import PromiseRequest
from central.stock.shelf import Shelf
from sync.chain import EVENT_BYTES, StreamId
from sync.contract.problem import Mistake, mistake
from sync.facts import Body
from sync.facts.order import Ending, OrderPlaced, PromiseBroken, PromiseEnded, PromiseMade
from sync.facts.rights import CellLines, Move, RightsMoved, RightsWanted

DAY_MS = 24 * 3600 * 1000
ASK_EVERY_MS = 60_000
"""Of one article at one store central asks no more often than this."""

LOW_PARTS = 2
"""Central asks for more when it holds less than this part of a day's demand: a half."""


class BadPromise(Refused):
    """What is asked for cannot be; the mistakes say why."""

    def __init__(self, detail: str, *mistakes: Mistake) -> None:
        """Say it in one sentence, and name each mistake."""
        super().__init__(detail)
        self.mistakes = mistakes


class Conflict(Refused):
    """It contradicts what was promised, or how that ended."""


@dataclass(frozen=True, slots=True)
class NotPromised:
    """There is not enough to promise; nothing is held, and the refusal is counted."""

    mistakes: tuple[Mistake, ...]

    @property
    def detail(self) -> str:
        """Say it in one sentence."""
        return f"Not promised: {self.mistakes[0]} Nothing is held."


@dataclass(frozen=True, slots=True)
class Promised:
    """A promise as it stands."""

    parts: list[Part]
    new: bool = False


def promisable(unit: Unit, shelf: Shelf) -> int:
    """Return what central may promise anew of an article at a place.

    Its own right in this life, with what lives before it left once they are fenced and
    held to their end, less what left the place without a right. A life that was lost with
    a ledger and is not fenced yet counts for nothing, and while there is one nothing at all
    is promised of that place: what that life had promised there is not known.
    """
    if fences.lost_lives(unit.state.over, unit.state.own.node, shelf.store):
        return 0
    return shelf.spare(unit.state.own.stream(shelf.store))


def settleable(unit: Unit, part: Part) -> bool:
    """Whether central may end a promise: its own, or of a life that is closed and known."""
    if part.made_in == unit.state.own.stream(part.store):
        return True
    cells = list(part.lines)[:1]
    shelf = shelves.of_unit(unit, part.store, cells)[cells[0]]
    fence = shelf.fences.get(part.made_in)
    return fence is not None and fence.whole


# --- making --------------------------------------------------------------------------


def make(unit: Unit, request: PromiseRequest) -> Promised | NotPromised:
    """Promise what is asked; the same request again gives the same promise.

    Raises:
        Conflict: The id is of another request.
        BadPromise: An article or a store is not known.
    """
    root, asked = request.event, request.amounts()
    digest = hashlib.sha256(msgspec.json.encode(request)).digest()
    if parts := promised.of_promise(unit.connection, root):
        if not any(part.digest == digest for part in parts):
            raise Conflict(
                f"Promise {request.id}: exists with another body; a new promise needs a new id."
            )
        return Promised(parts)
    _check(unit, request, asked)
    by_store = shelves.of_cells(unit, list(asked))
    spare = {
        store: {sku: promisable(unit, shelf) for sku, shelf in there.items()}
        for store, there in by_store.items()
        if request.stores is None or store in request.stores
    }
    places = list(request.stores or placing.fullest(asked, spare))
    try:
        chosen = placing.choose(asked, spare, places, split=request.split)
    except placing.NotEnough as error:
        return _refuse(unit, request, by_store, error.had)
    expires_ms = unit.now_ms + request.expires_s * 1000
    template = PromiseMade(
        request.channel,
        unit.now_ms,
        expires_ms,
        CellLines.by_cell({}),
        digest,
        tuple(sorted(chosen)),
    )
    for store, amounts in sorted(chosen.items()):
        _hold(unit, store, root, template, amounts)
        for sku, milli in amounts.items():
            _ask_if_low(unit, by_store[store][sku], milli)
    return Promised(promised.of_promise(unit.connection, root), new=True)


def _check(unit: Unit, request: PromiseRequest, asked: Mapping[str, int]) -> None:
    known = shelves.known_articles(unit.connection, asked)
    mistakes = [
        mistake(
            f"lines[{n}].sku",
            line.sku,
            "an article of the catalogue",
            "import it, or correct the line",
        )
        for n, line in enumerate(request.lines)
        if line.sku not in known
    ]
    stores = set(reading.store_ids(unit.connection))
    mistakes += [
        mistake(f"stores[{n}]", store, "a store's id", "GET /v1/stores lists them")
        for n, store in enumerate(request.stores or ())
        if store not in stores
    ]
    if mistakes:
        raise BadPromise(f"Not promised: {mistakes[0]}", *mistakes)


def _hold(
    unit: Unit, store: str, event: bytes, template: PromiseMade, amounts: Mapping[str, int]
) -> None:
    """Write a promise of a store's and hold what it promises."""
    lines = CellLines.by_cell(dict(amounts))
    made = msgspec.structs.replace(template, lines=lines)
    author.write(unit, store, [(event, made), (event, RightsMoved(Move.HELD, lines))])


def _refuse(
    unit: Unit,
    request: PromiseRequest,
    by_store: Mapping[str, Mapping[str, Shelf]],
    had: Mapping[str, int],
) -> NotPromised:
    asked = request.amounts()
    mistakes = []
    for sku, there in had.items():
        short = asked[sku] - there
        elsewhere = 0
        for store, shelf_of in by_store.items():
            shelf = shelf_of.get(sku)
            if shelf is None:
                continue
            unused = shelf.unused(but=unit.state.own.stream(store))
            elsewhere += unused
            considered = request.stores is None or store in request.stores
            if not considered or not request.split:
                elsewhere += promisable(unit, shelf)
            if unused and considered:
                ask(unit, shelf, short)
        if not request.split:
            elsewhere = max(0, elsewhere - there)
        promised.refuse(unit, sku, asked[sku], short, elsewhere)
        at = " or ".join(request.stores or ()) or "any one place"
        mistakes.append(
            mistake(
                f"lines[{next(n for n, line in enumerate(request.lines) if line.sku == sku)}].sku",
                sku,
                f"at most {there} thousandths of it, asked were {asked[sku]}",
                "ask for less, "
                + ("name other stores" if request.stores else "allow split")
                + f", or wait: {elsewhere} more lie where head office holds no right"
                if elsewhere
                else f"ask for less: nothing more of it can be promised at {at}",
            )
        )
    return NotPromised(tuple(mistakes))


# --- ending --------------------------------------------------------------------------


def confirm(unit: Unit, root: bytes) -> Promised | Conflict:
    """Turn a promise into orders of its stores; confirmed again it is the same.

    Returns:
        Conflict: It is over: what is held is free now.

    Raises:
        Conflict: It was released, or has expired.
        Refused: A store of it has no node yet.
    """
    parts = promised.of_promise(unit.connection, root)
    open_ = [part for part in parts if part.ended is None and part.known]
    if not open_:
        ended = {part.ended for part in parts}
        if Ending.CONFIRMED in ended:
            return Promised(parts)
        raise Conflict(
            f"Promise: {_word(ended)}, and what it held is free; make a new one with a new id."
        )
    ours = unit.state.own.incarnation
    made_now = [part for part in open_ if part.made_in.incarnation == ours]
    chosen = made_now or open_
    late = [part for part in chosen if part.expires_ms <= unit.now_ms]
    if late:
        for part in chosen:
            if settleable(unit, part):
                end(unit, part, Ending.EXPIRED)
        return Conflict("Promise: expired, and what it held is free; make a new one.")
    for part in chosen:
        place(unit, part)
    return Promised(promised.of_promise(unit.connection, root))


def place(unit: Unit, part: Part) -> None:
    """Hand a promise to its store: an order, and the right to serve it.

    Raises:
        Refused: No node of the store can take it.
    """
    holder = home(unit, part.store)
    if holder is None:
        raise Refused(
            f"Store {part.store!r}: expected a node of it that has ever been heard, found none; "
            "enrol one, or release the promise."
        )
    lines = CellLines.by_cell({cell: line.milli for cell, line in part.lines.items()})
    # The order first: where only a part of this arrives, the store holds too much, not too little.
    told: list[tuple[bytes, Body]] = [
        (part.event, OrderPlaced(part.made_in, holder, part.channel, unit.now_ms, lines)),
        (part.event, RightsMoved(Move.FREED, lines)),
        (part.event, RightsMoved(Move.GIVEN, lines, holder)),
    ]
    author.write(unit, part.store, told)


def release(unit: Unit, root: bytes) -> Promised:
    """Free what a promise holds; released again it is the same.

    Raises:
        Conflict: It was confirmed: it is the store's order now.
    """
    parts = promised.of_promise(unit.connection, root)
    if any(part.ended is Ending.CONFIRMED for part in parts):
        raise Conflict("Promise: confirmed, so it is an order; the store cancels it.")
    for part in parts:
        if part.ended is None and part.known and settleable(unit, part):
            end(unit, part, Ending.RELEASED)
    return Promised(promised.of_promise(unit.connection, root))


def end(unit: Unit, part: Part, how: Ending, why: str = "") -> None:
    """End an open promise and free what it held."""
    lines = CellLines.by_cell({cell: line.milli for cell, line in part.lines.items()})
    author.write(
        unit,
        part.store,
        [
            (part.event, PromiseEnded(part.made_in, how, why)),
            (part.event, RightsMoved(Move.FREED, lines)),
        ],
    )


def elsewhere(
    unit: Unit, part: Part, missing: Mapping[str, int], *, ordered: bool
) -> list[Part] | None:
    """Promise at other places what one cannot serve; None: nobody can.

    Args:
        unit: The transaction.
        part: Of the promise, at the place that cannot.
        missing: What it cannot serve.
        ordered: It was confirmed: so is what stands in its place.
    """
    by_store = shelves.of_cells(unit, list(missing))
    spare = {
        store: {sku: promisable(unit, shelf) for sku, shelf in there.items()}
        for store, there in by_store.items()
        if store != part.store and (not ordered or home(unit, store))
    }
    try:
        chosen = placing.choose(missing, spare, placing.fullest(missing, spare), split=True)
    except placing.NotEnough as error:
        for cell in error.had:
            for store, there in by_store.items():
                if cell in there and store != part.store:
                    ask(unit, there[cell], missing[cell])
        return None
    template = PromiseMade(
        part.channel,
        unit.now_ms,
        part.expires_ms,
        CellLines.by_cell({}),
        part.digest,
        part.places,
        root=part.root,
        instead_of=part.event,
        instead_at=part.store,
    )
    found = []
    for store, amounts in sorted(chosen.items()):
        event = secrets.token_bytes(EVENT_BYTES)
        _hold(unit, store, event, template, amounts)
        (made,) = promised.of_order(unit.connection, store, event)
        if ordered:
            place(unit, made)
        found.append(made)
    return found


def give_up(unit: Unit, root: bytes, store: str, who: str, why: str) -> dict[str, int]:
    """Break what a store is short of and nobody serves instead; return what that is.

    Raises:
        Refused: Nothing of this promise is short there.
    """
    broken: dict[str, int] = {}
    for part, missing in promised.short(unit.connection):
        if part.root == root and part.store == store:
            lines = CellLines.by_cell(missing)
            author.write(unit, store, [(part.event, PromiseBroken(lines, who, why))])
            for cell, milli in missing.items():
                broken[cell] = broken.get(cell, 0) + milli
    if not broken:
        raise Refused(
            f"Promise at {store!r}: nothing of it is short there; GET /v1/exceptions lists what is."
        )
    return broken


# --- rights follow demand ------------------------------------------------------------


def _ask_if_low(unit: Unit, before: Shelf, milli: int) -> None:
    """Ask the store for more, where a day's demand would soon find nothing."""
    store, cell = before.store, before.cell
    own = unit.state.own.stream(store)
    remaining = before.spare(own) - milli
    demand = promised.promised_since(unit.connection, store, cell, unit.now_ms - DAY_MS)
    if remaining * LOW_PARTS < demand and before.unused(but=own):
        ask(unit, before, demand - remaining)


def ask(unit: Unit, shelf: Shelf, milli: int) -> bool:
    """Ask the holders of a place for rights; return whether now is the time to."""
    own = unit.state.own.stream(shelf.store)
    wanted = min(milli, shelf.unused(but=own))
    asked_ms = promised.asked_ms(unit.connection, own, shelf.cell)
    if wanted <= 0 or unit.now_ms - asked_ms < ASK_EVERY_MS:
        return False
    lines = CellLines.by_cell({shelf.cell: wanted})
    event = secrets.token_bytes(EVENT_BYTES)
    author.write(unit, shelf.store, [(event, RightsWanted(lines))])
    return True


def home(unit: Unit, store: str) -> StreamId | None:
    """Return who of a store takes orders: its first node's newest life; None: nobody yet."""
    closed = shelves.closed(unit, store)
    lives: dict[bytes, list[tuple[int, StreamId]]] = defaultdict(list)
    cursors = {**unit.state.cursors, **unit.cursors}
    for stream, cursor in cursors.items():
        if stream.scope == store and not cursor.frozen and stream not in closed:
            lives[stream.node].append((cursor.hlc, stream))
    for node in promised.enrolled(unit.connection, store):
        member = unit.state.members.get(node)
        if node in lives and node != unit.state.own.node and member and not member.revoked:
            return max(lives[node])[1]
    return None


def _word(ended: Iterable[Ending | None]) -> str:
    return "expired" if Ending.EXPIRED in set(ended) else "released"
