"""When to speak with central: live while it can be had, by timer while not, woken by a sale.

Retry is a timer with full jitter and a cap (Brooker, *Exponential Backoff and
Jitter*, 2015); a new sale or a command wakes it early, but never more than once a
second, so that a dead link costs nothing.
"""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import structlog

from edge.clock import Clock
from edge.enrol import renew
from edge.link import tls
from edge.link.carrier import (
    LinkRefused,
    LinkUnreachable,
    LiveRefused,
    download,
    exchange,
    live_socket,
    request,
)
from edge.link.conversation import Conversation
from edge.link.live import speak
from edge.link.trust import Trusted
from edge.store.connection import StoreDamaged
from edge.store.lives import GreetAgain, NewLifeNeeded
from edge.store.store import Store
from sync.checkpoint import keys_unpacked
from sync.errors import SyncError

_log = structlog.get_logger()

FIRST_WAIT_S = 0.1
"""Most lines that break are back at once."""

GROWTH = 1.5
"""Of the longest wait, with each attempt that failed: with full jitter a line that was gone for
some seconds is found again, on average, after a third of them; with doubling after two thirds."""

LONGEST_WAIT_S = 60.0
QUIET_S = 1.0
"""Least time between two attempts, however many sales knock."""

HEARTBEAT_S = 15.0
KEEP_PEER_S = 5.0
RENEW_AT = 2 / 3
"""Part of a certificate's life after which the next one is asked for."""

SYNC_ROUNDS = 1000

MAX_CHECKPOINT = 1 << 30
"""Bytes of a checkpoint: above it, facts are exchanged instead."""


@dataclass(slots=True)
class LinkState:
    """What the status page says of the link."""

    state: str = "connecting"
    """``live``, ``polling``, ``connecting``, ``offline`` or ``refused``."""

    since_ms: int = 0
    last_error: str = ""
    attempts: int = 0
    """Since it was last live."""

    next_attempt_ms: int | None = None
    bytes_out: int = 0
    bytes_in: int = 0
    """Payloads, before TLS and framing."""


class Uplink:
    """The one task that speaks with central."""

    def __init__(
        self,
        data: Path,
        central: str,
        store: Store,
        clock: Clock,
        *,
        random: Callable[[], float],
        incarnation: Callable[[], int],
        software: str,
    ) -> None:
        """Prepare; `start` begins to speak.

        Args:
            data: Folder of the node, for its certificate.
            central: URL of head office.
            store: What is to be carried.
            clock: Hears central's time.
            random: 0 to 1, for the jitter.
            incarnation: 40 fresh random bits, should a new life be needed.
            software: What we call ourselves.
        """
        self._data, self._central, self._store, self._clock = data, central, store, clock
        self._random, self._incarnation, self._software = random, incarnation, software
        self._trusted = Trusted(data, store, clock)
        self.state = LinkState(since_ms=clock.now().ms)
        self._woken = store.watch()
        self._task: asyncio.Task[None] | None = None
        self._http: aiohttp.ClientSession | None = None
        self._one_at_a_time = asyncio.Lock()
        self.from_checkpoint = True
        """Whether a fresh node begins from one; not where others on the LAN may have no line but
        ours: they need every fact from us."""
        self._tried_checkpoint = False
        self._heard = False
        """Central has told in this run how far it holds our streams."""

    async def start(self) -> None:
        """Begin to speak."""
        self._http = aiohttp.ClientSession(auto_decompress=False)
        self._task = asyncio.create_task(self._run(), name="uplink")

    async def close(self) -> None:
        """Stop in the middle of whatever it is; nothing is lost by that."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        if self._http is not None:
            await self._http.close()

    async def sync_now(self) -> int:
        """Exchange until nothing waits, by one-shot requests; return how many facts went up.

        Raises:
            LinkUnreachable: Central did not answer.
            LinkRefused: Central answered, and would not.
        """
        before = (await self._store.figures()).waiting
        await self._begin_if_fresh()
        async with self._one_at_a_time:
            for _ in range(SYNC_ROUNDS):
                try:
                    if not await self._one_shot():
                        break
                except NewLifeNeeded as need:
                    await self._begin_life(need)
                except GreetAgain:
                    continue
        await self._store.keep_peer()
        return before - (await self._store.figures()).waiting

    async def _run(self) -> None:
        wait = FIRST_WAIT_S
        while True:
            self._woken.clear()  # what is sold from here on is tried again for
            try:
                await self._renew_if_due()
                await self._begin_if_fresh()
                await self._speak()
            except NewLifeNeeded as need:
                await self._begin_life(need)
                wait = FIRST_WAIT_S
            except GreetAgain as why:
                _log.info("link.greet_again", reason=str(why))
                wait = FIRST_WAIT_S
            except LinkUnreachable as error:
                self._lost("offline", str(error))
            except (LinkRefused, SyncError, StoreDamaged) as error:
                self._lost("refused", str(error))
            except Exception as error:  # noqa: BLE001 - see below
                # The link must outlive its own bugs: a till that sells and is never heard of
                # again is the one thing that must not happen.
                _log.exception("link.bug")
                self._lost("offline", f"{type(error).__name__}: {error}")
            if not self.state.attempts:  # it was live
                wait = FIRST_WAIT_S
            await self._pause(wait * self._random())
            wait = min(wait * GROWTH, LONGEST_WAIT_S)

    async def _begin_life(self, need: NewLifeNeeded) -> None:
        if need.stream == self._store.stream:  # nobody else has begun it meanwhile
            _log.warning("life.began", cause=str(need))
            await self._store.begin_life(self._incarnation(), str(need))

    async def _begin_if_fresh(self) -> None:
        """Begin from head office's checkpoint, while there is nothing here but our own facts.

        One that cannot be had or used, for whatever reason, is no loss: the exchange brings
        every fact.

        Raises:
            StoreError: It could not be stored.
        """
        async with self._one_at_a_time:
            if not self.from_checkpoint or self._tried_checkpoint or not self._store.fresh:
                return
            file = self._data / "checkpoint.partial"
            try:
                context = tls.client_context(self._data)
                url = f"{self._central}/v1/checkpoint"
                size = await download(self._client, url, context, file, MAX_CHECKPOINT)
                packed = await request(self._client, "GET", f"{url}/keys", context)
                self._tried_checkpoint = True
                opened = await self._store.begin_from(file, keys_unpacked(packed))
                _log.info("checkpoint.begun_from", bytes=size, streams=len(opened.cuts))
            except LinkUnreachable as error:
                _log.info("checkpoint.not_had", reason=str(error))
            except (SyncError, LinkRefused, OSError) as error:
                self._tried_checkpoint = True
                _log.warning("checkpoint.refused", reason=str(error))
            finally:
                file.unlink(missing_ok=True)

    async def _pause(self, seconds: float) -> None:
        seconds = max(seconds, 0.05)
        self.state.attempts += 1
        self.state.next_attempt_ms = self._clock.now().ms + int(seconds * 1000)
        if seconds > QUIET_S:
            await asyncio.sleep(QUIET_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(seconds - QUIET_S):
                    await self._woken.wait()
        else:
            await asyncio.sleep(seconds)
        self.state.next_attempt_ms = None

    async def _speak(self) -> None:
        """Speak live until that ends, or exchange once where live cannot be had."""
        try:
            await self._live()
        except LiveRefused as refusal:
            await self.sync_now()
            if self.state.state != "polling":
                self.state.since_ms = self._clock.now().ms
            self.state.state, self.state.last_error = "polling", str(refusal)

    async def _live(self) -> None:
        """Speak over one WebSocket until it ends."""
        talk = self._talk()
        context = tls.client_context(self._data)
        async with live_socket(self._client, self._central, context, HEARTBEAT_S) as socket:
            keeper = asyncio.create_task(self._keep())
            try:
                await speak(
                    socket,
                    talk,
                    self._woken,
                    self.state,
                    heard=self._up,
                    turn=self._one_at_a_time,
                )
            finally:
                keeper.cancel()
                await asyncio.gather(keeper, return_exceptions=True)
        reason = f"central closed the link ({socket.close_code})"
        if socket.close_code == aiohttp.WSCloseCode.POLICY_VIOLATION:
            raise LinkRefused(f"{reason}: this node may not exchange; ask head office.")
        raise LinkUnreachable(f"{reason}.")

    def _talk(self, **more: Any) -> Conversation:
        return Conversation(self._store, self._clock, self._software, trusted=self._trusted, **more)

    async def _one_shot(self) -> bool:
        """Exchange once over POST; return whether another round would carry more."""
        talk = self._talk(relay_after_ms=0)
        if self._heard:
            # After a crash what we remember of central may be old: then ask before sending.
            talk.assume()
        payloads = [talk.greet()]
        while (payload := await talk.next()) is not None:
            payloads.append(payload)
        self.state.bytes_out += sum(map(len, payloads))
        context = tls.client_context(self._data)
        got_facts = False
        for payload in await exchange(self._client, self._central, context, payloads):
            self.state.bytes_in += len(payload)
            heads = self._store.heads()
            await talk.take(payload)
            got_facts = got_facts or heads != self._store.heads()
        self._heard = True
        return got_facts or talk.lacks > 0

    async def _keep(self) -> None:
        while True:
            await asyncio.sleep(KEEP_PEER_S)
            await self._store.keep_peer()

    async def _renew_if_due(self) -> None:
        certificate = tls.certificate(self._data)
        now = self._clock.now()
        begins, ends = certificate.not_valid_before_utc, certificate.not_valid_after_utc
        if now.trust and datetime.fromtimestamp(now.ms / 1000, UTC) > begins + RENEW_AT * (
            ends - begins
        ):
            await renew(self._client, self._data, self._central)

    @property
    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            raise LinkUnreachable("The link was not started.")
        return self._http

    def _up(self) -> None:
        if self.state.state == "live":
            return
        _log.info("link.live", attempts=self.state.attempts)
        self._heard = True
        self.state.state, self.state.last_error, self.state.attempts = "live", "", 0
        self.state.since_ms = self._clock.now().ms

    def _lost(self, state: str, why: str) -> None:
        if self.state.state != state or self.state.last_error != why:
            _log.warning("link.lost", state=state, reason=why)
        if self.state.state != state:
            self.state.since_ms = self._clock.now().ms
        self.state.state, self.state.last_error = state, why
