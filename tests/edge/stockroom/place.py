"""A store of two nodes and head office, on real files, with one true time."""

import contextlib
import itertools

from edge.clock import Clock
from edge.stockroom import counting, documents
from edge.stockroom.request import CountLineRequest, CountPostRequest, CountRequest
from edge.store.store import Store
from edge.till.pricing import Draft
from edge.till.selling import write
from sync.chain import ALL
from sync.facts.catalogue import Article, ArticleColumns, Articles
from sync.facts.node import StoreDescribed
from sync.facts.sale import Payment, SaleLine, Stage
from tests.edge.store.rig import NOW, key

SKUS = ("a", "b", "c")
ARTICLES = tuple(
    Article(sku, sku, sku, "szt", "5", (f"59{sku}",), group=group)
    for sku, group in zip(SKUS, ("nabiał", "nabiał", "inne"), strict=True)
)
NODES = sorted((key(0), key(1)), key=lambda one: one.node)
"""The first one is the home of the place: it has the lowest name."""

CENTRAL = key(9)


class Place:
    """Two nodes of one store and central; `now` is the time on every clock."""

    def __init__(self, home, other, central):
        self.home, self.other, self.central = home, other, central
        self.nodes = (home, other)

    async def meet(self, *nodes):
        """Carry everything everywhere, until nobody lacks anything."""
        nodes = nodes or (self.home, self.other, self.central)
        moved = True
        while moved:
            moved = False
            for giver, taker in itertools.permutations(nodes, 2):
                moved |= await self.carry(giver, taker)

    async def carry(self, giver, taker):
        """Carry what one lacks of what another has; return whether it lacked anything."""
        moved = False
        for head in giver.heads():
            held = {h.stream: h.seq for h in taker.heads()}.get(head.stream, 0)
            if held < head.seq and (found := await giver.batch(head.stream, held)) is not None:
                await taker.receive(*found)
                moved = True
        return moved

    async def physical(self, node, sku):
        found = await node.stock(sku)
        return found.quantity_milli if found else 0

    async def sound(self):
        for node in (self.home, self.other, self.central):
            assert (await node.verify()).findings == []


@contextlib.asynccontextmanager
async def place(folder, *told, scope="S1"):
    ticks = itertools.count(NOW, 3)
    async with contextlib.AsyncExitStack() as stack:
        nodes = []
        for number, one in enumerate((*NODES, CENTRAL)):
            (folder / str(number)).mkdir()
            node = await Store.open(
                folder / str(number) / "karb.sqlite",
                one,
                scope,
                Clock(lambda: next(ticks), lambda: 0),
                incarnation=number + 1,
            )
            stack.push_async_callback(node.close)
            nodes.append(node)
        for node in nodes:
            for other in NODES:
                await node.write(lambda u, o=other: u.root(o.node, scope, o.public))
            await node.write(lambda u: u.root(CENTRAL.node, ALL, CENTRAL.public))
        bodies = (StoreDescribed(scope, "Sklep"), Articles(1, ArticleColumns.of(ARTICLES)), *told)
        for n, body in enumerate(bodies):
            await nodes[2].write(lambda u, b=body, n=n: u.append(b, bytes([200 + n]) * 16))
        made = Place(*nodes)
        await made.meet()
        yield made


def event(number):
    return number.to_bytes(16, "big")


def selling(number, sku, milli, *, till, stage=Stage.CLOSED, method="cash"):
    draft = Draft(
        till=till,
        cashier="anna",
        lines=(SaleLine(sku, milli, 1000, unit="szt", vat="23"),),
        payments=(Payment(method, milli),),
    )
    return lambda unit: write(unit, event(number), draft, stage=stage, fingerprint=b"")


def recording(number, request):
    return lambda unit: documents.record(unit, event(number), request)


def opening(number, **more):
    return lambda unit: counting.open_sheet(unit, event(number), CountRequest(name="Spis", **more))


def counting_line(number, sku, milli, attempt=1):
    request = CountLineRequest(counted_milli=milli, attempt=attempt)
    return lambda unit: counting.count(unit, event(number), sku, request)


def posting_of(number, **more):
    return lambda unit: counting.post(unit, event(number), CountPostRequest(**more))


def telling(number):
    return lambda unit: counting.answer(unit, event(number))
