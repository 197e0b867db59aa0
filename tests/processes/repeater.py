"""Stands between a node and head office as TLS's other end, and repeats what it carries.

It holds both ends' keys, as no thief has: what is tried here is that a request which arrives
twice, at once or much later, changes nothing.
"""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

import aiohttp
import msgspec
from aiohttp import web

from edge.link import tls
from sync.exchange import shred, wire
from sync.exchange.messages import Facts
from tests.e2e.shops import PRICE as SOLD_AT

HOST = "central.karb"
MOST = 16 << 20
PRICE, CHEAPER = msgspec.msgpack.encode(SOLD_AT), msgspec.msgpack.encode(SOLD_AT - 1)


class Repeater:
    """Listens with head office's certificate; calls head office with the node's."""

    def __init__(self, office, data, rng):
        self.office, self.data, self.rng = office, data, rng
        self.repeated = self.tampered = self.believed = 0
        self._old, self._http = [], None

    async def carry(self, request):
        """Carry one exchange, some of it more than once; return one of its answers."""
        body = await request.read()
        self._old.append(body)
        bodies = [body] * self.rng.randint(1, 3)
        if self.rng.random() < 0.5:
            bodies.append(self.rng.choice(self._old))
        self.rng.shuffle(bodies)
        self.repeated += len(bodies) - 1
        await self._tamper(body)
        answers = await asyncio.gather(*map(self._post, bodies))
        own = [answer for sent, answer in zip(bodies, answers, strict=True) if sent == body]
        status, kind, data = self.rng.choice(own)
        return web.Response(status=status, content_type=kind, body=data)

    async def _tamper(self, body):
        """Send a copy first in which a price is another: nobody signed that."""
        said = [wire.decode(payload) for payload in wire.split(body)]
        facts = [message for message in said if isinstance(message, Facts)]
        if not facts:
            return
        bodies = facts[-1].body or shred.assemble(facts[-1].column, len(facts[-1].event) // 16)
        worse = [one.replace(PRICE, CHEAPER) for one in bodies]
        if worse == bodies:
            return
        spoilt = msgspec.structs.replace(facts[-1], body=worse, column=None)
        said[said.index(facts[-1])] = spoilt
        status, _, _ = await self._post(wire.join(map(wire.encode, said)))
        self.tampered += 1
        self.believed += status == 200

    async def _post(self, body):
        async with self._http.post(
            f"{self.office.url}/v1/exchange",
            data=body,
            headers={"Content-Type": "application/octet-stream"},
            ssl=tls.client_context(self.data),
            server_hostname=HOST,
        ) as answer:
            return answer.status, answer.content_type, await answer.read()

    @asynccontextmanager
    async def listening(self):
        """Yield the port."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.office.data / "server.pem")
        context.load_verify_locations(self.office.data / "authority.pem")
        context.verify_mode = ssl.CERT_OPTIONAL
        app = web.Application(client_max_size=MOST)
        app.router.add_post("/v1/exchange", self.carry)
        runner = web.AppRunner(app, shutdown_timeout=1)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context)
        async with aiohttp.ClientSession() as self._http:
            await site.start()
            try:
                yield runner.addresses[0][1]
            finally:
                with suppress(asyncio.CancelledError):
                    await runner.cleanup()
