"""Karb at the edge: the store and its uplink, as `edge.app` puts them together."""

import itertools
import secrets
import sys
from pathlib import Path

import msgspec
import structlog
import uvloop

from edge.clock import Clock
from edge.enrol import DATABASE
from edge.keys import NodeKey
from edge.link import tls
from edge.link.uplink import Uplink
from edge.memory import settle
from edge.store.store import Store
from sync import facts
from sync.chain import INCARNATION_BITS, Fact
from tests.bench.peers import clerk


def incarnation() -> int:
    return secrets.randbits(INCARNATION_BITS)


async def main(data: Path, url: str) -> None:
    structlog.configure(logger_factory=structlog.WriteLoggerFactory(sys.stderr))
    clock = Clock()
    store = await Store.open(
        data / DATABASE,
        NodeKey.load(data / tls.KEY),
        "S1",
        clock,
        incarnation=incarnation(),
        machine="bench",
    )
    link = Uplink(
        data,
        url,
        store,
        clock,
        random=secrets.SystemRandom().random,
        incarnation=incarnation,
        software="karb bench",
    )
    await link.start()
    settle()  # as the program does soon after its start
    numbers = itertools.count(1)

    async def one(goods: clerk.Goods) -> None:
        event = bytes.fromhex(goods.id)
        body = facts.decode(Fact(next(numbers), 0, "sale", 1, event, goods.body))

        def work(unit):
            if unit.sale(event) is None:  # a till that got no answer asks again
                number = unit.next_number(goods.till)
                unit.append(msgspec.structs.replace(body, number=number, till=goods.till), event)

        await store.write(work)

    async def record(sales: str, first: int, last: int, tills: int, ack: str, form: str):
        goods = clerk.read(Path(sales), first, last, "packed")
        return await clerk.record(goods, tills, Path(ack), one)

    try:
        await clerk.serve({"record": record})
    finally:
        await link.close()
        await store.close()


if __name__ == "__main__":
    uvloop.run(main(Path(sys.argv[1]), sys.argv[2]))
