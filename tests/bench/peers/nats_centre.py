"""Asks the hub what has arrived."""

import asyncio
import sys

import clerk
import nats
from nats.js.api import (
    AckPolicy,
    ConsumerConfig,
    ExternalStream,
    StreamConfig,
    StreamSource,
)
from nats.js.errors import NotFoundError


async def main(url: str) -> None:
    client = await nats.connect(url, max_reconnect_attempts=-1, reconnect_time_wait=0.1)
    stream = client.jetstream()

    async def found(keep_s: float):
        source = StreamSource(name="SALES", external=ExternalStream(api="$JS.leaf.API"))
        await stream.add_stream(
            StreamConfig(name="CENTRAL", sources=[source], duplicate_window=keep_s)
        )

    async def count():
        try:
            return (await stream.stream_info("CENTRAL")).state.messages
        except NotFoundError:
            return 0

    async def ids():
        left = await count()
        config = ConsumerConfig(ack_policy=AckPolicy.NONE, headers_only=True)
        reader = await stream.pull_subscribe("", stream="CENTRAL", config=config)
        found: list[str] = []
        while len(found) < left:
            found += [
                message.headers["Nats-Msg-Id"] for message in await reader.fetch(500, timeout=5)
            ]
        await reader.unsubscribe()
        return found

    await clerk.serve({"found": found, "count": count, "ids": ids})


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
