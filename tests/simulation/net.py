"""Lines between machines: late, lossy, one-way, cut; the carriers' real code at both ends.

What is replaced is the sockets: an end is what aiohttp would give. A line keeps the order
of what it carries, unless a fault says otherwise; one that has lost something breaks soon.
"""

import asyncio
import contextlib
from collections import deque
from types import SimpleNamespace

import aiohttp
import msgspec
from aiohttp import WSMessage, WSMsgType

import central.nodes.carrier as office_carrier
import edge.enrol
from central.ledger import checkpoint
from central.ledger.errors import LedgerUnavailable, Refused
from central.nodes.peers import Revoked
from edge.link import lan, peers, uplink
from edge.link.carrier import LinkRefused, LinkUnreachable, LiveRefused
from edge.link.trust import PeerRefused
from sync.checkpoint import keys_packed
from sync.enrolment import RenewAnswer, RenewRequest
from sync.errors import SyncError
from tests.simulation.loop import HERE, Dice

OFFICE = "sim://office"
PATIENCE_S = 10.0
"""After so long without an answer a caller gives up."""

DEAF_S = (12.0, 25.0)
"""How long a line may say nothing before its heartbeat ends it."""

ABNORMAL = 1006


class Socket:
    """One end of a line."""

    def __init__(self, **_):
        self.closed, self.close_code = False, None
        self._inbox, self._waiter = deque(), None
        self.line = self.certificate = None
        self.opened = asyncio.Event()

    async def prepare(self, request):
        request.attach(self)

    def get_extra_info(self, _name):
        return SimpleNamespace(getpeercert=lambda _der: self.certificate)

    async def send_bytes(self, payload):
        if self.closed:
            raise ConnectionResetError("closed")
        self.line.carry(self, payload)

    async def close(self, *, code=1000, message=b""):
        del message
        if not self.closed:
            self.line.end(code, self)

    def hear(self, payload):
        if not self.closed:
            self._inbox.append(payload)
            self._wake()

    def ended(self, code):
        if not self.closed:
            self.closed, self.close_code = True, code
            self._wake()

    def _wake(self):
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    def __aiter__(self):
        return self

    async def __anext__(self):
        while not self._inbox:
            if self.closed:
                raise StopAsyncIteration
            self._waiter = asyncio.get_running_loop().create_future()
            await self._waiter
        return WSMessage(WSMsgType.BINARY, self._inbox.popleft(), None)


class Line:
    """Two ends, and what is on its way between them."""

    def __init__(self, link, caller, called):
        self.link, self.ends = link, (caller, called)
        self.loop = asyncio.get_running_loop()
        caller.line = called.line = self
        caller.opened.set()
        self._last = [0.0, 0.0]
        link.lines[self] = None

    def carry(self, sender, payload):
        """Take a payload on its way."""
        link, rng = self.link, self.link.dice
        at = self.ends.index(sender)
        link.world.happened["messages"] += 1
        draw = rng.random() if link.evil else 1.0
        if draw < link.evil:
            what = rng.choice(("dropped", "repeated", "reordered", "garbled"))
            link.world.count(what)
            if what == "dropped":
                self._doom()
                return
            if what == "repeated":
                self._deliver(at, payload)
            elif what == "reordered":
                self._deliver(at, payload, late_s=rng.random() * 2, in_order=False)
                return
            else:  # a flipped bit does not get past TLS, which drops the line
                self.loop.call_later(link.delay(), self.end, ABNORMAL)
                return
        self._deliver(at, payload)

    def _deliver(self, at, payload, *, late_s=0.0, in_order=True):
        due = self.loop.time() + self.link.delay() + late_s
        if in_order:
            # Of two that are due at once a heap does not say which comes first.
            self._last[at] = due = max(due, self._last[at] + 1e-6)
        self.loop.call_at(due, self._arrive, at, payload)

    def _arrive(self, at, payload):
        if self not in self.link.lines:
            return
        if self.link.deaf[at] or not self.link.up:
            self.loop.call_later(0.5, self._arrive, at, payload)  # sent again until it breaks
            return
        self.ends[1 - at].hear(payload)

    def _doom(self):
        self.loop.call_later(self.link.dice.random() * 5, self.end, ABNORMAL)

    def end(self, code, by=None):
        """Close both ends, the other one a little later."""
        if self.link.lines.pop(self, self) is self:
            return
        for end in self.ends:
            if end is by or by is None:
                end.ended(code)
            else:
                self.loop.call_later(self.link.delay(), end.ended, code)


class Link:
    """The way from one machine to another, and what is the matter with it."""

    def __init__(self, world, ends, *, far):
        self.world, self.ends = world, ends
        self.dice = Dice(world.seed, *ends)
        self.slow_s = self.dice.choice((0.02, 0.05, 0.3)) if far else 0.002
        self.up, self.deaf, self.evil = True, [False, False], 0.0
        self.sockets = True
        """Whether it carries WebSockets, and not only requests."""

        self.lines = {}

    def delay(self):
        return self.slow_s * (0.5 + self.dice.random())

    def cut(self):
        """Cut it; who speaks notices at once."""
        self.up = False
        self.hang_up()

    def impair(self, *ends):
        """Let nothing from these ends come through; it takes a while to be noticed."""
        for end in ends:
            self.deaf[end] = True
        wait = self.dice.uniform(*DEAF_S)
        asyncio.get_running_loop().call_later(wait, self._heartbeat)

    def _heartbeat(self):
        if any(self.deaf):
            self.hang_up()

    def heal(self):
        self.up, self.deaf, self.evil, self.sockets = True, [False, False], 0.0, True

    def hang_up(self):
        for line in list(self.lines):
            line.end(ABNORMAL)


class Request:
    """A request that comes in over a line, as the servers see it."""

    def __init__(self, link, caller, certificate):
        self.link, self.caller = link, caller
        self.headers = {"Upgrade": "websocket"}
        tls = SimpleNamespace(getpeercert=lambda _der: certificate)
        self.transport = SimpleNamespace(get_extra_info=lambda _name: tls)

    def attach(self, socket):
        Line(self.link, self.caller, socket)


async def _reach(url):
    """Come to a machine, or say why not."""
    me = HERE.get()
    world, rng = me.world, me.dice
    name = url.removeprefix("sim://").split("/")[0]
    other = world.machines.get(name)
    link = world.link(me, other) if other else None
    if link is None or not link.up or other.off or not other.serving:
        await asyncio.sleep(rng.random() * 0.2)
        raise LinkUnreachable(f"{name}: no answer; selling goes on.")
    if any(link.deaf):
        await asyncio.sleep(PATIENCE_S)
        raise LinkUnreachable(f"{name}: it took too long.")
    await asyncio.sleep(2 * link.delay())
    if not link.up or other.off or not other.serving:
        raise LinkUnreachable(f"{name}: it hung up.")
    return me, other, link


@contextlib.asynccontextmanager
async def live_socket(_client, url, _context, _heartbeat):
    """Stand in for `edge.link.carrier.live_socket`."""
    me, other, link = await _reach(url)
    if not link.sockets:
        raise LiveRefused(f"{url}: no live link.")
    socket = Socket()
    request = Request(link, socket, me.certificate_der())
    try:
        serving = other.answer_live(request, me)
    except (Revoked, PeerRefused) as error:
        raise LinkRefused(str(error)) from error
    task = other.spawn(serving)
    try:
        opened = asyncio.ensure_future(socket.opened.wait())
        await asyncio.wait([opened, task], return_when=asyncio.FIRST_COMPLETED)
        opened.cancel()
        if socket.line is None:
            raise LinkRefused(f"{url}: would not ({task!r}).")
        socket.certificate = other.certificate_der()
        yield socket
    finally:
        await socket.close() if socket.line is not None else None


async def _post(url, answering):
    """Make a request: it may be lost, or its answer, or arrive twice."""
    me, other, link = await _reach(url)
    rng = me.dice
    if rng.random() < link.evil:
        me.world.count("dropped")
        raise LinkUnreachable(f"{url}: it hung up.")
    if rng.random() < link.evil:
        me.world.count("repeated")
        other.spawn(_ignored(answering(other, me)))
    task = other.spawn(answering(other, me))
    await asyncio.wait([task], timeout=PATIENCE_S)
    if not task.done() or task.cancelled():
        raise LinkUnreachable(f"{url}: it took too long.")
    if rng.random() < link.evil or not link.up or any(link.deaf):
        me.world.count("dropped")
        task.exception()
        raise LinkUnreachable(f"{url}: the answer broke off.")
    try:
        return task.result()
    except (Revoked, Refused, SyncError) as error:
        raise LinkRefused(str(error)) from error
    except LedgerUnavailable as error:
        raise LinkUnreachable(str(error)) from error


async def _ignored(answering):
    with contextlib.suppress(Exception):
        await answering


async def exchange(_client, url, _context, payloads):
    """Stand in for `edge.link.carrier.exchange`."""
    body = office_carrier.wire.join(payloads)

    async def answering(office, me):
        peer = office.peers.identify(me.certificate_der())
        return await office_carrier.exchange(office.ledger, office.peers, peer, body)

    return office_carrier.wire.split(await _post(url, answering))


async def request(_client, _method, url, _context, *, data=b"", headers=None):
    """Stand in for `edge.link.carrier.request`: certificates and keys come by it."""
    del headers
    if not data:
        return await _keys(url)
    asked = msgspec.json.decode(data, type=RenewRequest)

    async def answering(office, me):
        peer = office.peers.identify(me.certificate_der())
        return msgspec.json.encode(RenewAnswer(await office.enrolment.renew(peer, asked.csr)))

    return await _post(url, answering)


async def download(_client, url, _context, target, most):
    """Stand in for `edge.link.carrier.download`: a checkpoint comes by it."""

    async def answering(office, me):
        peer = office.peers.identify(me.certificate_der())
        made = await office.checkpoints.of(peer.store)
        with made.parts:
            return b"".join(made.chunks())

    content = await _post(url, answering)
    assert len(content) <= most
    HERE.get().world.count("checkpoints begun from")
    target.write_bytes(content)
    return len(content)


async def _keys(url):
    async def answering(office, me):
        peer = office.peers.identify(me.certificate_der())
        return keys_packed(
            await office.ledger.read(lambda db: checkpoint.person_keys(db, peer.store))
        )

    return await _post(url, answering)


class _Client:
    """Stands in for an HTTP client, which nothing here has a use for."""

    def __init__(self, **_):
        pass

    async def close(self):
        pass


def install():
    """Put these lines under the carriers; for the life of this process."""
    sockets = SimpleNamespace(WebSocketResponse=Socket, Response=dict)
    office_carrier.web = lan.web = sockets
    uplink.live_socket = peers.live_socket = live_socket
    uplink.exchange, uplink.request, edge.enrol.request = exchange, request, request
    uplink.download = download
    no_tls = {"client_context": lambda *_, **__: None, "neighbour_context": lambda *_: None}
    for module in (uplink, peers, edge.enrol):
        module.tls = SimpleNamespace(**{**vars(module.tls), **no_tls})
    aiohttp.ClientSession = _Client
