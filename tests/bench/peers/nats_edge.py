"""A till on a JetStream leaf: publish with the sale's id, wait for the acknowledgement."""

import asyncio
import sys
from pathlib import Path

import clerk
import nats
from nats.js.api import StreamConfig


async def main(url: str) -> None:
    client = await nats.connect(url, max_reconnect_attempts=-1)
    stream = client.jetstream()

    async def found(keep_s: float):
        await stream.add_stream(
            StreamConfig(name="SALES", subjects=["sale.*"], duplicate_window=keep_s)
        )

    async def one(goods: clerk.Goods) -> None:
        await stream.publish(f"sale.{goods.till}", goods.body, headers={"Nats-Msg-Id": goods.id})

    async def record(sales: str, first: int, last: int, tills: int, ack: str, form: str):
        goods = clerk.read(Path(sales), first, last, form)
        return await clerk.record(goods, tills, Path(ack), one)

    await clerk.serve({"found": found, "record": record})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
