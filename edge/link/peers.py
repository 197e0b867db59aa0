"""The other nodes of the store: who calls whom, and one conversation with each.

Of two nodes the one with the lower name dials. The other dials too if it has not been called
for a while: it may be the only one that knows the way. Should both succeed at once, the call
of the lower one stays.
"""

import asyncio
import contextlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import structlog
from aiohttp import WSCloseCode

from edge.clock import Clock
from edge.link import tls
from edge.link.carrier import LinkRefused, LinkUnreachable, live_socket
from edge.link.conversation import Conversation, neighbour
from edge.link.live import Socket, speak
from edge.link.trust import PeerRefused, Trusted
from edge.store.connection import StoreDamaged
from edge.store.lives import GreetAgain, NewLifeNeeded
from edge.store.store import Store
from sync.errors import RemoteProtocolError, SyncError
from sync.exchange import wire
from sync.identity import Identity

_log = structlog.get_logger()

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 30.0
PATIENCE_S = 3.0
"""How long the node with the greater name waits to be called before it dials itself."""

HEARTBEAT_S = 10.0
KEEP_PEER_S = 5.0
MAX_ANSWER = 4 << 20
"""Bytes of facts in one answer to a request; the peer asks again."""

CALLED_ALREADY = 4001
"""Close code: the call of the node with the lower name stands."""


class _Ourselves(Exception):
    """The address leads back here."""


@dataclass(slots=True)
class PeerState:
    """What the status page says of a neighbour."""

    node: str = ""
    """In hexadecimal; empty while nobody has answered at its address."""

    name: str = ""
    address: str = ""
    state: str = "connecting"
    """``live``, ``connecting``, ``offline``, ``refused``, or ``away``: known to
    head office, and no way to it is known here."""

    heard_ms: int | None = None
    waiting: int = 0
    """Facts it has not acknowledged to us."""

    last_error: str = ""
    bytes_out: int = 0
    bytes_in: int = 0


@dataclass(slots=True)
class _Call:
    """A live conversation."""

    socket: Socket
    by_lower: bool
    """The node with the lower name dialled."""

    ended: asyncio.Event = field(default_factory=asyncio.Event)


@dataclass(slots=True)
class _Target:
    """An address, or several of one machine, to be dialled."""

    urls: list[str]
    node: bytes | None
    state: PeerState


class Peers:
    """Speaks with every node of the store that can be reached."""

    def __init__(
        self,
        data: Path,
        store: Store,
        clock: Clock,
        *,
        name: str,
        random: Callable[[], float],
        incarnation: Callable[[], int],
        software: str,
    ) -> None:
        """Prepare; `start` begins.

        Args:
            data: Folder of the node, for its certificate.
            store: What is to be carried.
            clock: Hears the neighbours' time.
            name: What the installer called this machine.
            random: 0 to 1, for the jitter.
            incarnation: 40 fresh random bits, should a new life be needed.
            software: What we call ourselves.
        """
        self._data, self._store, self._clock = data, store, clock
        self._name, self._software = name, software
        self._random, self._incarnation = random, incarnation
        self.trusted = Trusted(data, store, clock)
        self.lan = ""
        """Where neighbours call, or why they cannot; empty: nowhere."""

        self._http: aiohttp.ClientSession | None = None
        self._live: dict[bytes, _Call] = {}
        self._met: dict[bytes, PeerState] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._targets: dict[str, _Target] = {}

    async def start(self, urls: Iterable[str] = ()) -> None:
        """Begin to dial the addresses that are given for good."""
        self._http = aiohttp.ClientSession(auto_decompress=False)
        self._tasks[""] = asyncio.create_task(self._keep(), name="peers kept")
        for url in urls:
            self._begin(url, _Target([url], None, PeerState(address=url)))

    async def close(self) -> None:
        """Hang up everywhere; nothing is lost by that."""
        for task in self._tasks.values():
            task.cancel()
        for call in list(self._live.values()):
            await _hang_up(call.socket, WSCloseCode.GOING_AWAY, "this node stops")
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)
        if self._http is not None:
            await self._http.close()

    def found(self, node: bytes, name: str, urls: list[str]) -> None:
        """Take note of where a node says it is; its certificate will have to agree."""
        key = node.hex()
        known = self._targets.get(key)
        if node == self._store.key.node or (known and known.urls == urls):
            return
        self.lost(node)
        state = self._met.setdefault(node, PeerState(key, name))
        state.address = urls[0] if urls else ""
        self._begin(key, _Target(urls, node, state))

    def lost(self, node: bytes) -> None:
        """Dial a node no more that has said goodbye; a call under way goes on."""
        self._targets.pop(node.hex(), None)
        task = self._tasks.pop(node.hex(), None)
        if task is not None and node not in self._live:
            task.cancel()

    @property
    def any_live(self) -> bool:
        """Whether a neighbour would hear us now."""
        return bool(self._live)

    async def states(self) -> list[PeerState]:
        """Return how it stands with each node of the store, met or only heard of."""
        heads = [head for head in self._store.heads() if head.stream.scope == self._store.store]
        members = await self._store.members()
        states = {state.node or state.address: state for state in self._met.values()}
        for target in self._targets.values():
            if target.node is None:
                states.setdefault(target.state.address, target.state)
        for node, (name, _) in members.items():
            state = states.setdefault(node.hex(), PeerState(node.hex(), state="away"))
            state.name = state.name or name
        for state in states.values():
            held = self._store.peer_holds(state.node)
            state.waiting = sum(max(0, h.seq - held.get(h.stream, 0)) for h in heads)
        return sorted(states.values(), key=lambda state: (state.name, state.node, state.address))

    async def answer(self, identity: Identity, body: bytes) -> bytes:
        """Answer one request of a neighbour: take in what it brings, say what it lacks.

        Raises:
            RemoteProtocolError: The body is nonsense.
        """
        payloads = wire.split(body)
        if not payloads:
            raise RemoteProtocolError("An empty body: expected a greeting.")
        state = self._state(identity.node)
        talk = self._conversation(identity.node, relay_after_ms=0)
        said = [talk.greet()]
        state.bytes_in += len(body)
        state.heard_ms = self._clock.now().ms
        try:
            for payload in payloads:
                said += await talk.take(payload)
            said += await talk.news()
            size = 0
            while size < MAX_ANSWER and (batch := await talk.next()) is not None:
                said.append(batch)
                size += len(batch)
        except NewLifeNeeded as need:
            await self._begin_life(need)
            raise RemoteProtocolError("This node begins a new life; ask again.") from need
        except GreetAgain as again:
            raise RemoteProtocolError(f"{again} Ask again.") from again
        state.bytes_out += sum(map(len, said))
        return wire.join(said)

    async def introduce(self, identity: Identity, certificate: bytes) -> None:
        """Take a neighbour's certificate for an introduction: its facts can be verified now."""
        await self._store.introduce(identity, certificate)

    async def hold(self, identity: Identity, socket: Socket, dialled_by: bytes) -> None:
        """Speak with a neighbour until one of us ends it.

        Raises:
            LinkUnreachable: The link broke, or another call of the two of us stands.
            PeerRefused: It is not welcome any more.
            RemoteProtocolError, StoreDamaged: As `Conversation`.
        """
        node, own = identity.node, self._store.key.node
        if node == own:  # an address that leads back here; who dialled finds out, too
            return
        call = _Call(socket, dialled_by == min(own, node))
        before = self._live.get(node)
        if before is not None and before.by_lower and not call.by_lower:
            await _hang_up(socket, CALLED_ALREADY, "called already")
            raise LinkUnreachable(f"{node.hex()[:12]}: called us already.")
        self._live[node] = call
        if before is not None:
            await _hang_up(before.socket, CALLED_ALREADY, "called again")
        state = self._state(node)
        talk = self._conversation(node)

        def heard() -> None:
            state.heard_ms = self._clock.now().ms
            if state.state != "live" or not state.name:
                state.name = talk.peer_name or state.name
                state.state, state.last_error = "live", ""
                _log.info("peer.live", node=state.node, name=state.name)

        woken = self._store.watch()
        try:
            await speak(
                socket,
                talk,
                woken,
                state,
                heard=heard,
                check=lambda: self.trusted.check(identity),
            )
        except NewLifeNeeded as need:
            await self._begin_life(need)
        except GreetAgain as again:
            _log.info("peer.greet_again", node=state.node, reason=str(again))
        finally:
            self._store.forget(woken)
            if self._live.get(node) is call:
                del self._live[node]
                self._lost(state, "offline", "hung up")
            call.ended.set()

    def _conversation(self, node: bytes, **more: int) -> Conversation:
        return Conversation(
            self._store,
            self._clock,
            self._software,
            neighbour(node),
            name=self._name,
            trusted=self.trusted,
            **more,
        )

    def _state(self, node: bytes) -> PeerState:
        return self._met.setdefault(node, PeerState(node.hex()))

    def _begin(self, key: str, target: _Target) -> None:
        self._targets[key] = target
        self._tasks[key] = asyncio.create_task(self._dial(target), name=f"peer {key}")

    async def _dial(self, target: _Target) -> None:
        """Call one machine again and again, unless it is the one that calls."""
        wait = FIRST_WAIT_S
        while True:
            while target.node is not None and (call := self._live.get(target.node)):
                await call.ended.wait()
                wait = FIRST_WAIT_S
            if target.node is not None and target.node < self._store.key.node:
                await asyncio.sleep(PATIENCE_S * (1 + self._random()))
                if target.node in self._live:
                    continue
            for url in target.urls:
                try:
                    await self._call(target, url)
                    wait = FIRST_WAIT_S
                except _Ourselves:
                    self._targets = {k: t for k, t in self._targets.items() if t is not target}
                    return
                except LinkUnreachable as error:
                    self._lost(target.state, "offline", str(error))
                except (LinkRefused, PeerRefused, SyncError, StoreDamaged) as error:
                    self._lost(target.state, "refused", str(error))
                except Exception as error:  # noqa: BLE001 - a bug must not end the neighbourhood
                    _log.exception("peer.bug")
                    self._lost(target.state, "offline", f"{type(error).__name__}: {error}")
            await asyncio.sleep(wait * self._random())
            wait = min(wait * 2, LONGEST_WAIT_S)

    async def _call(self, target: _Target, url: str) -> None:
        context = tls.neighbour_context(self._data)
        assert self._http is not None  # noqa: S101 - `start` made it
        async with live_socket(self._http, url, context, HEARTBEAT_S) as socket:
            identity = await self._met_at(target, url, socket.get_extra_info("ssl_object"))
            await self.hold(identity, socket, self._store.key.node)
        reason = f"{url}: hung up ({socket.close_code})"
        if socket.close_code == WSCloseCode.POLICY_VIOLATION:
            raise LinkRefused(f"{reason}: this node may not exchange; ask head office.")
        raise LinkUnreachable(f"{reason}.")

    async def _met_at(self, target: _Target, url: str, tls_end: object) -> Identity:
        """Say who answered; before that nothing is said to it."""
        shown = tls_end.getpeercert(True) if tls_end is not None else None  # type: ignore[attr-defined]
        identity = await self.trusted.neighbour(shown)
        if identity.node == self._store.key.node:
            raise _Ourselves
        if target.node not in (None, identity.node):
            raise PeerRefused(f"{url}: is node {identity.node.hex()[:12]}, not the one announced.")
        if target.node is None or target.state is not self._state(identity.node):
            target.node, target.state = identity.node, self._state(identity.node)
            target.state.address = url
        await self.introduce(identity, shown or b"")
        return identity

    async def _begin_life(self, need: NewLifeNeeded) -> None:
        if need.stream == self._store.stream:  # nobody else has begun it meanwhile
            _log.warning("life.began", cause=str(need))
            await self._store.begin_life(self._incarnation(), str(need))

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_PEER_S)
            await self._store.keep_peer()

    def _lost(self, state: PeerState, word: str, why: str) -> None:
        if state.state == "live" and state.node and bytes.fromhex(state.node) in self._live:
            return  # another call stands
        if state.state != word or state.last_error != why:
            _log.info("peer.lost", node=state.node, address=state.address, state=word, reason=why)
        state.state, state.last_error = word, why


async def _hang_up(socket: Socket, code: int, why: str) -> None:
    """Close, without waiting for an answer that may never come."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(1):
            await socket.close(code=code, message=why.encode())
