"""The barest writer: what a node in Python could reach here, with nothing of a shop in it.

The same two threads and the same hand-over as `edge.store.writer`, the same group commit,
and of a sale nothing but its fact's row: chained to the one before, the head signed in
bursts. No receipt number, no view, no check, no way back from an error.
"""

import asyncio
import os
import queue
import threading
import time
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from edge.store.connection import connect
from edge.store.journal import SIGN_EVERY_MS
from edge.store.writer import MAX_GROUP
from sync.chain import Fact, Head, StreamId, fact_hash, genesis, sign

CHECKPOINT_EVERY = 1000
"""Facts, as often as a node that sells without a pause."""


class Floor:
    """The writer."""

    def __init__(self, path: Path) -> None:
        """Open the file and start the thread."""
        self._db = connect(path)
        self._db.execute(
            "CREATE TABLE facts (place INTEGER PRIMARY KEY, hlc INTEGER, kind TEXT, "
            "version INTEGER, event BLOB, body BLOB, hash BLOB, signature BLOB)"
        )
        self._key = Ed25519PrivateKey.generate()
        stream = StreamId(bytes(16), 1, "S1")
        self._head = Head(stream, 0, genesis(stream))
        self._queue: queue.SimpleQueue[list | None] = queue.SimpleQueue()
        self._turn: list = []
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def write(self, body: bytes):
        """Return a future that is done when the fact is on disk."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        self._turn.append((body, future))
        if len(self._turn) == 1:
            loop.call_soon(self._hand_over)
        return future

    def _hand_over(self) -> None:
        turn, self._turn = self._turn, []
        self._queue.put(turn)

    async def close(self) -> None:
        """End the thread."""
        self._queue.put(None)
        await asyncio.to_thread(self._thread.join)

    def _run(self) -> None:
        execute, signed, since = self._db.execute, 0.0, 0
        while (group := self._queue.get()) is not None:
            while len(group) < MAX_GROUP and not self._queue.empty():
                group += self._queue.get_nowait() or []
            execute("BEGIN IMMEDIATE")
            for body, _ in group:
                seq = self._head.seq + 1
                fact = Fact(seq, seq << 16, "sale", 1, os.urandom(16), body)
                digest = fact_hash(self._head.hash, fact)
                self._head = Head(self._head.stream, seq, digest)
                execute(
                    "INSERT INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, NULL)",
                    (seq, fact.hlc, fact.kind, 1, fact.event, body, digest),
                )
            if time.monotonic() - signed > SIGN_EVERY_MS / 1000:
                signed = time.monotonic()
                execute(
                    "UPDATE facts SET signature = ? WHERE place = ?",
                    (sign(self._key, self._head), self._head.seq),
                )
            execute("COMMIT")
            group[0][1].get_loop().call_soon_threadsafe(_tell, [future for _, future in group])
            since += len(group)
            if since >= CHECKPOINT_EVERY:
                execute("PRAGMA wal_checkpoint(PASSIVE)").fetchone()
                since = 0
        self._db.close()


def _tell(futures) -> None:
    for future in futures:
        future.set_result(None)


async def per_s(floor: Floor, tills: int, bodies: list[bytes]) -> float:
    """Return facts per second of tills that write at once."""

    async def till(share):
        for body in share:
            await floor.write(body)

    share = len(bodies) // tills
    began = time.perf_counter()
    await asyncio.gather(*(till(bodies[n * share : (n + 1) * share]) for n in range(tills)))
    return share * tills / (time.perf_counter() - began)
