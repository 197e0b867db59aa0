from contextlib import asynccontextmanager

import aiohttp
import pytest

from edge.api.call import SCOPES, Node
from edge.api.server import Server
from edge.config import Config, Listen
from edge.gateway import Gateway, Pairing
from edge.link.carrier import LinkUnreachable
from edge.link.stick import Stick
from edge.link.uplink import LinkState
from edge.till.counter import Counter
from hw.events import Events
from hw.spooler import Spooler
from hw.supervisor import Supervisor
from sync.contract import token
from tests.edge.till.shop import STORE, Times, enrolled, opened
from tests.edge.till.test_till import One


class NoLink:
    """A link that is down."""

    def __init__(self):
        self.state = LinkState("offline", 5, "no answer")

    async def sync_now(self):
        raise LinkUnreachable("Central did not answer.")


class Api:
    """A running API and a client with a token of each scope."""

    def __init__(self, url, tokens, client, node, times):
        self.url, self.tokens, self.client, self.node, self.times = url, tokens, client, node, times

    async def __call__(self, method, path, body=None, scope="sell", **more):
        headers = {"Authorization": f"Bearer {self.tokens[scope]}"} if scope else {}
        headers |= more.pop("headers", {})
        if body is not None:
            more["json"] = body
        async with self.client.request(method, self.url + path, headers=headers, **more) as reply:
            return Reply(reply.status, reply.headers, await reply.read())


class Reply:
    def __init__(self, status, headers, body):
        self.status, self.headers, self.body = status, headers, body

    @property
    def json(self):
        import json  # noqa: PLC0415

        return json.loads(self.body)

    def problem(self, status):
        """The problem document, checked to be one."""
        assert self.status == status, self.body
        assert self.headers["Content-Type"].startswith("application/problem+json")
        said = self.json
        assert said["status"] == status
        assert said["title"]
        assert said["detail"]
        return said


@asynccontextmanager
async def serving(folder, *, link=None, printer=None, settings=None):
    times = Times()
    key = enrolled(folder)
    async with opened(folder, times, key=key, settings=settings) as (store, clock):
        count = iter(range(1, 1 << 20))
        counter = Counter(["T1"], store, clock, language="pl", fresh=lambda: f"job{next(count)}")
        config = Config(
            data=folder,
            name="kasa-1",
            store=STORE,
            central="https://127.0.0.1:9",
            origins=("https://kasa.example",),
        )
        events = Events("run")

        def scanned(scan):
            gateway.scanned(scan)

        def changed(status):
            gateway.changed(status)

        devices = Supervisor((), on_scan=scanned, on_change=changed)
        printers = devices if printer is None else One(printer)
        spooler = Spooler(folder / "jobs.db", printers, now_ms=lambda: clock.now().ms)
        gateway = Gateway(
            config,
            devices,
            spooler,
            events,
            Pairing(lambda n: next(count).to_bytes(n, "big"), lambda: times.ms),
            now_ms=lambda: clock.now().ms,
            listen_s=0.01,
        )
        spooler.listen(gateway.settled)
        devices.on_card, devices.on_drawer = gateway.touched, gateway.drawer_changed
        devices.memory = spooler.memory
        counter.use(spooler, printers.printer)
        await spooler.start()
        await counter.start()
        node = Node(
            config=config,
            gateway=gateway,
            store=store,
            clock=clock,
            counter=counter,
            devices=list,
            link=link,
            stick=Stick(folder, store, clock, incarnation=lambda: 78, software="test"),
            random=lambda n: next(count).to_bytes(n, "big"),
            version="0",
        )
        admin = token.make("admin", bytes(20), SCOPES)
        tokens = {"admin": admin.text}
        for n, scope in enumerate(SCOPES[:-1], start=1):
            made = token.make(scope, bytes([n]) * 20, SCOPES)
            tokens[scope] = made.text
            if await store.token(made.digest) is None:
                await store.write(lambda unit, m=made, s=scope: unit.add_token(m.digest, s, s))
        server = Server(node, admin)
        port = await server.start(Listen("127.0.0.1", 0))
        async with aiohttp.ClientSession() as client:
            try:
                yield Api(f"http://127.0.0.1:{port}", tokens, client, node, times)
            finally:
                await server.close()
                await spooler.close()
                await counter.close()
                await devices.close()


@pytest.fixture
async def api(tmp_path):
    async with serving(tmp_path, link=NoLink()) as api:
        yield api
