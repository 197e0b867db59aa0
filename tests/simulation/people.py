"""What people do all day: cashiers, storekeepers, buyers on the web, and head office.

Each act runs on the machine where it is done, and may be cut off at any await. What was
answered is noted in `judge.Truth`; a refusal is an answer, too.
"""

from functools import partial
from uuid import UUID

from central.ledger import author
from central.ledger import documents as office_documents
from central.ledger.errors import LedgerError
from central.stock import policy, promising
from central.stock.request import PromiseLine, PromiseRequest
from edge.stockroom import counting, documents, orders
from edge.stockroom.orders import AnswerRequest
from edge.stockroom.request import (
    CountLineRequest,
    CountPostRequest,
    CountRequest,
    GoodsReceivedRequest,
    MovedLineRequest,
    ReceivedLineRequest,
    ReturnedRequest,
    TransferInRequest,
    TransferOutRequest,
    WrittenOffRequest,
)
from edge.store.connection import StoreError
from edge.store.unit import PersonKey
from edge.till import customers, parking, selling, stages
from edge.till.basket import Basket, Item, Scanned, step
from edge.till.errors import TillError
from edge.till.parking import Park, Recall
from edge.till.pricing import priced
from edge.till.request import LineRequest, PaymentRequest, SaleRequest
from sync.chain import ALL
from sync.errors import NotAllowed
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices
from sync.merge.profile import Profile, profile
from tests.simulation.founding import SKUS

REFUSALS = (TillError, StoreError, NotAllowed, LedgerError)


def act(world):
    """Let somebody do something."""
    rng = world.rng
    if rng.random() < 0.22:
        if not world.office.serving:
            return
        what = rng.choices(*zip(*AT_OFFICE, strict=True))[0]
        world.office.spawn(_done(world, what, world.office))
        return
    up = [node for node in world.nodes if node.serving]
    if not up:
        return
    node = rng.choice(up)
    what = rng.choices(*zip(*IN_STORE, strict=True))[0]
    if node.old and what.__name__ in TOO_NEW:
        return
    node.spawn(_done(world, what, node))


async def _done(world, what, machine):
    world.count(what.__name__)
    try:
        await what(world, machine)
    except REFUSALS as error:
        world.count(f"refused: {type(error).__name__}")


def _lines(world, kind, most=3):
    skus = world.rng.sample(SKUS, world.rng.randint(1, most))
    return tuple(kind(sku=sku, quantity_milli=world.rng.randint(1, 4) * 1000) for sku in skus)


def _sale(world, node, method):
    lines = tuple(
        LineRequest(sku=line.sku, quantity_milli=line.quantity_milli, unit_minor=500)
        for line in _lines(world, MovedLineRequest)
    )
    total = sum(line.quantity_milli // 1000 * 500 for line in lines)
    return SaleRequest(
        till=node.till,
        cashier="anna",
        lines=lines,
        payments=(PaymentRequest(method=method, amount_minor=total),),
        approved_by=world.rng.choice(("", "kier")),
    )


# --- in a store -------------------------------------------------------------------------


async def sell(world, node):
    """A cash sale; sometimes asked for again, as a client does that had no answer."""
    event, request = world.event(), _sale(world, node, "cash")

    def work(unit, *, ask):
        return selling.record(unit, event, request, ask=ask)

    recorded = await node.counter.asking.write(work)
    world.truth.sold(node, recorded)
    if world.rng.random() < 0.1:
        again = await node.counter.asking.write(work)
        world.truth.same(recorded, again)


async def sell_in_stages(world, node):
    """A sale by card: tendered, and decided a little later."""
    event, request = world.event(), _sale(world, node, "card")

    def tender(unit, *, ask):
        draft = priced(unit, request, None)
        return stages.tender(unit, event, draft, b"\0" * 32, ask=ask)

    recorded = await node.counter.asking.write(tender)
    world.truth.sold(node, recorded)
    if world.rng.random() < 0.7:
        await decide(world, node)


async def decide(world, node):
    """Whatever waits for a person is decided."""
    for sale, _ in await node.counter.waiting():
        if sale.body.till == node.till and not sale.settled:
            approved = world.rng.random() < 0.7
            view = await node.counter.decide(sale.event, 0, approved=approved, by="anna")
            world.truth.decided(sale.event, view.stage)


async def receive(world, node):
    """A delivery; sometimes two nodes of the store record the same one."""
    event = world.event()
    request = GoodsReceivedRequest(lines=_lines(world, ReceivedLineRequest, most=5))
    if world.rng.random() < 0.2:
        for other in world.neighbours(node):
            if other.serving:
                other.spawn(_receive_too(world, other, event, request))
                break
    await node.store.write(partial(_record, event=event, request=request))
    world.truth.recorded(node, event)


async def _receive_too(world, node, event, request):
    try:
        await node.store.write(partial(_record, event=event, request=request))
    except REFUSALS:
        return
    world.count("received on two nodes")


def _record(unit, *, event, request):
    return documents.record(unit, event, request)


async def write_off(world, node):
    request = WrittenOffRequest(
        lines=_lines(world, MovedLineRequest, 2), reason="broken", approved_by="kier"
    )
    event = world.event()
    await node.store.write(partial(_record, event=event, request=request))
    world.truth.recorded(node, event)


async def take_back(world, node):
    request = ReturnedRequest(lines=_lines(world, MovedLineRequest, 1))
    event = world.event()
    await node.store.write(partial(_record, event=event, request=request))
    world.truth.recorded(node, event)


async def send(world, node):
    others = sorted({other.scope for other in world.nodes} - {node.scope})
    if not others:
        return
    request = TransferOutRequest(
        lines=_lines(world, MovedLineRequest, 2),
        to_store=world.rng.choice(others),
        approved_by="kier",
    )
    event = world.event()
    await node.store.write(partial(_record, event=event, request=request))
    world.truth.recorded(node, event)


async def arrive(world, node):
    """Book what is announced; another node may have booked it, unheard of here."""
    coming, _ = await node.store.transfers()
    for view in coming[:1]:
        lines = tuple(
            MovedLineRequest(sku=sku, quantity_milli=milli) for sku, milli in view.amounts.items()
        )
        request = TransferInRequest(
            lines=lines, from_store=view.place, transfer=UUID(bytes=view.event)
        )
        event = world.event()
        await node.store.write(partial(_record, event=event, request=request))
        world.truth.recorded(node, event)


async def count_goods(world, node):
    event = world.event()
    milli = world.rng.randrange(40) * 1000

    def work(unit):
        counting.open_sheet(unit, event, CountRequest(name="Spis"))
        counting.count(unit, event, world.rng.choice(SKUS), CountLineRequest(counted_milli=milli))

    await node.store.write(work)
    world.truth.sheets.append((node.scope, event))


async def post_counts(world, node):
    for scope, event in list(world.truth.sheets):
        if scope == node.scope:
            await node.store.write(lambda u, e=event: counting.post(u, e, CountPostRequest()))
            world.truth.sheets.remove((scope, event))


async def answer_order(world, node):
    placed = [order for order in await node.store.orders() if order.left]
    if not placed:
        return
    order = world.rng.choice(placed)
    request = AnswerRequest(
        id=str(UUID(bytes=world.event())),
        answer=world.rng.choice(("picked", "handed", "handed", "short", "cancelled")),
        who="ola",
    )
    await node.store.write(lambda unit: orders.answer(unit, order.event, request))
    world.count(f"orders {request.answer}")


def _basket(world):
    items = [
        Item(sku=sku, name=sku.title(), unit="szt", vat="5", unit_minor=500)
        for sku in world.rng.sample(SKUS, 2)
    ]
    filled, _ = step(Basket(), *(Scanned(item=item) for item in items))
    return filled


def _basket_id(world, node):
    return node.scope.encode().ljust(15, b"/") + bytes([world.rng.randrange(3)])


async def park(world, node):
    basket = _basket(world)
    asked = Park(basket=_basket_id(world, node), cashier="anna", note="")
    await node.store.write(lambda unit: parking.park(unit, node.till, basket, asked))


async def recall(world, node):
    asked = Recall(
        basket=_basket_id(world, node),
        recall=world.event(),
        cashier="ola",
        take_over=world.rng.random() < 0.3,
    )
    recalled, _ = await node.store.write(lambda unit: parking.recall(unit, node.till, asked))
    if world.rng.random() < 0.6:

        def let_go(unit):
            parking.check(unit, recalled)
            parking.end(unit, recalled, b"")

        await node.store.write(let_go)


async def edit_customer(world, node):
    rng = world.rng
    id_ = bytes(15) + bytes([rng.randrange(3)])
    history, document, _ = await node.store.document(id_)
    there = profile(document.value) if document and history.live else Profile()
    fields = {name: getattr(there, name) for name in there.__struct_fields__}
    fields[rng.choice(("name", "phone", "email", "notes"))] = f"{rng.randrange(100)}"
    key = PersonKey(rng.randbytes(16), rng.randbytes(32), rng.randbytes(12))
    await node.store.write(lambda unit: customers.write(unit, id_, Profile(**fields), key))


# --- at head office ---------------------------------------------------------------------


async def promise(world, office):
    rng = world.rng
    lines = tuple(
        PromiseLine(sku, rng.randint(1, 3) * 1000) for sku in rng.sample(SKUS, rng.randint(1, 2))
    )
    request = PromiseRequest(
        id=str(UUID(bytes=world.event())),
        channel="web",
        lines=lines,
        expires_s=rng.choice((5, 30, 900)),
        split=rng.random() < 0.5,
    )
    made = await office.ledger.write(lambda unit: promising.make(unit, request))
    if isinstance(made, promising.Promised):
        world.truth.promises.append(request.event)
    else:
        world.count("promises refused")


async def confirm(world, office):
    if world.truth.promises:
        root = world.rng.choice(world.truth.promises[-6:])
        await office.ledger.write(lambda unit: promising.confirm(unit, root))


async def release(world, office):
    if world.truth.promises:
        root = world.rng.choice(world.truth.promises[-6:])
        await office.ledger.write(lambda unit: promising.release(unit, root))


async def change_price(world, office):
    world.truth.revision += 1
    revision = world.truth.revision
    price = Price(world.rng.choice(SKUS), world.rng.randrange(100, 900))
    body = Prices(revision, PriceColumns.of((price,)))
    told = [(world.event(), body)]
    await office.ledger.write(lambda unit: author.write(unit, ALL, told))


async def change_article(world, office):
    world.truth.revision += 1
    sku = world.rng.choice(SKUS)
    named = Article(sku, f"{sku.title()} {world.truth.revision}", sku, "szt", "5", ())
    body = Articles(world.truth.revision, ArticleColumns.of((named,)))
    told = [(world.event(), body)]
    await office.ledger.write(lambda unit: author.write(unit, ALL, told))


async def change_policy(world, office):
    rng = world.rng
    asked = {
        "store": None,
        "mode": rng.choice(("strict", "lenient")),
        "floor_milli": rng.choice((0, 2000)),
        "web_percent": rng.choice((0, 30, 60)),
    }
    target = rng.choice(("*", *SKUS))
    await office.ledger.write(lambda unit: policy.set_policy(unit, target, **asked))


async def forget_customer(world, office):
    id_ = bytes(15) + bytes([world.rng.randrange(3)])
    await office.ledger.write(lambda unit: office_documents.forget(unit, id_, "asked"))


IN_STORE = (
    (sell, 30),
    (sell_in_stages, 6),
    (decide, 2),
    (receive, 14),
    (write_off, 3),
    (take_back, 3),
    (send, 4),
    (arrive, 5),
    (count_goods, 4),
    (post_counts, 3),
    (answer_order, 6),
    (park, 4),
    (recall, 4),
    (edit_customer, 5),
)
AT_OFFICE = (
    (promise, 12),
    (confirm, 6),
    (release, 2),
    (change_price, 3),
    (change_article, 2),
    (change_policy, 2),
    (forget_customer, 0.5),
)
TOO_NEW = frozenset({"count_goods", "post_counts", "park", "recall", "answer_order"})
"""What a program of three versions ago cannot do."""
