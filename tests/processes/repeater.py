"""Stands between a node and head office as TLS's other end, and repeats what it carries.

It holds both ends' keys, as no thief has: what is tried here is that a request which arrives
twice, at once or much later, changes nothing.
"""

import asyncio
import ssl
from contextlib import asynccontextmanager, suppress

import aiohttp
from aiohttp import web

from edge.link import tls

HOST = "central.karb"
MOST = 16 << 20


class Repeater:
    """Listens with head office's certificate; calls head office with the node's."""

    def __init__(self, office, data, rng):
        self.office, self.data, self.rng = office, data, rng
        self.repeated = 0
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
        answers = await asyncio.gather(*map(self._post, bodies))
        own = [answer for sent, answer in zip(bodies, answers, strict=True) if sent == body]
        status, kind, data = self.rng.choice(own)
        return web.Response(status=status, content_type=kind, body=data)

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
        runner = web.AppRunner(app)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, ssl_context=context, shutdown_timeout=1)
        async with aiohttp.ClientSession() as self._http:
            await site.start()
            try:
                yield runner.addresses[0][1]
            finally:
                with suppress(asyncio.CancelledError):
                    await runner.cleanup()
