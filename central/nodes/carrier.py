"""Carrying conversations: one POST, or a WebSocket that stays.

`POST /v1/exchange`: payloads joined (`sync.exchange.wire.join`) both ways, one round
trip. `GET /v1/exchange/live`: a payload a binary message; news is pushed as it is
committed.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Sequence

import structlog
from aiohttp import WSCloseCode, WSMsgType, web

from central.ledger.errors import LedgerUnavailable
from central.ledger.ingest import Incoming, Outcome
from central.ledger.ledger import Ledger
from central.nodes.conversation import Conversation
from central.nodes.peers import Peers, Revoked
from sync.errors import RemoteProtocolError
from sync.exchange import wire
from sync.exchange.session import MAX_IN_FLIGHT, Greeted
from sync.identity import Identity

MAX_BODY = 16 << 20
"""Bytes of one POST."""

MAX_ANSWER = 4 << 20
"""Bytes of facts in one answer; the peer asks again."""

POLL_S = 2.0
"""How often a live connection looks up, woken or not: a net under the wake-ups."""

_HEARTBEAT_S = 20.0
_GOODBYE_S = 1.0
"""How long a peer has to answer our goodbye."""

log = structlog.get_logger()


async def exchange(ledger: Ledger, peers: Peers, peer: Identity, body: bytes) -> bytes:
    """Answer one POST: take in what it brings, then say what the peer lacks.

    Raises:
        RemoteProtocolError: The body, or a batch in it, is nonsense.
        LedgerUnavailable: Nothing could be stored.
    """
    payloads = deque(wire.split(body))
    if not payloads:
        raise RemoteProtocolError("An empty body: expected a greeting.")
    conversation = Conversation(ledger, peer, peers.introduced)
    greeted = await conversation.read(payloads.popleft())
    answer: list[bytes] = []
    outcomes = [outcome async for outcome in _take_all(conversation, payloads)]
    answer.append(conversation.hello())
    if isinstance(greeted, Greeted):
        answer += await conversation.compare(greeted)
    answer += conversation.settle(outcomes)
    if not outcomes:
        answer += conversation.news_of_safety()
    size = 0
    while size < MAX_ANSWER and (batch := await conversation.next_batch()) is not None:
        answer.append(batch)
        size += len(batch)
    joined = wire.join(answer)
    peers.heard(peer, bytes_in=len(body), bytes_out=len(joined))
    return joined


async def _take_all(conversation: Conversation, payloads: deque[bytes]) -> AsyncIterator[Outcome]:
    """Read payload after payload while the ones before are being stored."""
    waiting: deque[asyncio.Task[list[Outcome]]] = deque()
    try:
        while payloads:
            event = await conversation.read(payloads.popleft())
            if isinstance(event, Incoming):
                waiting.append(asyncio.create_task(conversation.ledger.take([event])))
            while len(waiting) >= MAX_IN_FLIGHT:
                for outcome in await waiting.popleft():
                    yield outcome
        while waiting:
            for outcome in await waiting.popleft():
                yield outcome
    finally:
        # What was handed over will be stored; nobody is told, and the peer sends it again.
        await asyncio.gather(*waiting, return_exceptions=True)


class Live:
    """One WebSocket: a task that reads, one that tells of what is stored, one that pushes."""

    def __init__(self, ledger: Ledger, peers: Peers, peer: Identity) -> None:
        """Prepare; `serve` does it."""
        self._ledger, self._peers, self._peer = ledger, peers, peer
        self._conversation = Conversation(ledger, peer, peers.introduced)
        self._socket = web.WebSocketResponse(
            heartbeat=_HEARTBEAT_S,
            timeout=_GOODBYE_S,
            compress=False,
            max_msg_size=wire.MAX_PAYLOAD,
            autoping=True,
        )
        self._stored: asyncio.Queue[asyncio.Task[list[Outcome]]] = asyncio.Queue(2 * MAX_IN_FLIGHT)
        self._news = ledger.published.listen(*self._conversation.scopes)

    async def serve(self, request: web.Request) -> web.WebSocketResponse:
        """Talk until one side ends it."""
        await self._socket.prepare(request)
        code: int = WSCloseCode.GOING_AWAY
        reason = "head office stops"
        tasks: list[asyncio.Task[None]] = []
        try:
            with self._peers.open(self._peer):
                await self._send([self._conversation.hello()])
                tasks = [
                    asyncio.create_task(work()) for work in (self._read, self._tell, self._push)
                ]
                done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                code, reason = _ending(done)
        finally:
            self._ledger.published.forget(self._news)
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            while not self._stored.empty():
                await asyncio.gather(self._stored.get_nowait(), return_exceptions=True)
            # A close frame has room for 123 bytes of reason.
            await self._socket.close(code=code, message=reason.encode()[:120])
        return self._socket

    async def hang_up(self) -> None:
        """End it: head office stops."""
        await self._socket.close(code=WSCloseCode.GOING_AWAY, message=b"head office stops")

    async def _read(self) -> None:
        async for message in self._socket:
            if message.type is not WSMsgType.BINARY:
                raise RemoteProtocolError("A text message: expected binary ones.")
            await self._take(message.data)
            del message  # thousands wait here; each would keep the last it has sent

    async def _take(self, payload: bytes) -> None:
        self._peers.heard(self._peer, bytes_in=len(payload))
        event = await self._conversation.read(payload)
        if isinstance(event, Incoming):
            self._peers.check(self._peer)
            await self._stored.put(asyncio.create_task(self._ledger.take([event])))
            return
        if isinstance(event, Greeted):
            await self._send(await self._conversation.compare(event))
        self._news.set()  # greeted, acknowledged or set back: more may be owed

    async def _tell(self) -> None:
        while True:
            waiting = [await self._stored.get()]
            while not self._stored.empty():
                waiting.append(self._stored.get_nowait())
            outcomes = [outcome for task in waiting for outcome in await task]
            await self._send(self._conversation.settle(outcomes))

    async def _push(self) -> None:
        while True:
            self._news.clear()
            self._peers.check(self._peer)
            if self._conversation.stale:
                return  # it connects again and says how far it is by now
            await self._send(self._conversation.news_of_safety())
            while (batch := await self._conversation.next_batch()) is not None:
                await self._send([batch])
            try:
                async with asyncio.timeout(POLL_S):
                    await self._news.wait()
            except TimeoutError:
                pass

    async def _send(self, payloads: Sequence[bytes]) -> None:
        for payload in payloads:
            self._peers.heard(self._peer, bytes_out=len(payload))
            await self._socket.send_bytes(payload)


def _ending(done: "set[asyncio.Task[None]]") -> tuple[int, str]:
    """Say why a conversation ended."""
    for task in done:
        error = task.exception()
        match error:
            case None:
                continue
            case RemoteProtocolError():
                return WSCloseCode.PROTOCOL_ERROR, str(error)
            case Revoked():
                return WSCloseCode.POLICY_VIOLATION, str(error)
            case LedgerUnavailable():
                return WSCloseCode.TRY_AGAIN_LATER, str(error)
            case ConnectionError():
                return WSCloseCode.ABNORMAL_CLOSURE, ""
            case _:
                log.error("exchange failed", exc_info=error)
                return WSCloseCode.INTERNAL_ERROR, "head office failed; its log names the reason"
    return WSCloseCode.OK, ""
