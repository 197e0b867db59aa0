"""The thread that writes: whoever waits for it is answered, whatever becomes of it."""

import asyncio
import threading

import pytest

from central.ledger import reading, tokens
from central.ledger.errors import LedgerUnavailable, OutcomeUnknown
from central.ledger.ledger import Ledger, wall_ms
from central.nodes.authority import Authority
from tests.central.machine import sale


class StoppingClock:
    """The clock of a ledger; it fails from when it is told to."""

    stopped = False

    def __call__(self):
        if self.stopped:
            raise OSError("the clock stopped")
        return wall_ms()


class Gate:
    """A job that waits for us, so that others wait behind it."""

    def __init__(self, ledger):
        self._begun, self._open = threading.Event(), threading.Event()
        self.answer = ledger._writer.submit(self._work)
        assert self._begun.wait(10)

    def _work(self, _unit):
        self._begun.set()
        assert self._open.wait(10)

    def open(self):
        self._open.set()


@pytest.fixture
def stopping(folder):
    clock = StoppingClock()
    ledger = Ledger.open(folder.ledger, Authority.load(folder).node_key, clock)
    yield ledger, clock
    ledger.close()


def nothing(_unit):
    return None


async def test_a_failed_thread_leaves_nobody_waiting(stopping):
    ledger, clock = stopping
    gate = Gate(ledger)
    waiting = [asyncio.create_task(ledger.write(nothing)) for _ in range(3)]
    waiting.append(asyncio.create_task(ledger.take([])))
    waiting[0].cancel()
    await asyncio.sleep(0)
    clock.stopped = True
    gate.open()
    async with asyncio.timeout(10):
        done = await asyncio.gather(*waiting, return_exceptions=True)
        assert isinstance(done[0], asyncio.CancelledError)
        assert [type(error) for error in done[1:]] == [OutcomeUnknown] * 3
        assert "the clock stopped" in str(done[1])
        with pytest.raises(LedgerUnavailable, match="the clock stopped"):
            await asyncio.wrap_future(ledger.lost)
        clock.stopped = False  # it is not the clock any more that keeps it from writing
        with pytest.raises(LedgerUnavailable, match="the clock stopped"):
            await ledger.write(nothing)
        assert await ledger.read(reading.store_ids) == []


async def test_even_an_order_to_exit_is_told(desk):
    def work(_unit):
        raise SystemExit

    with pytest.raises(LedgerUnavailable, match="SystemExit"):
        await desk.ledger.write(work)
    assert desk.ledger.lost.done()


async def test_who_hangs_up_leaves_the_thread_alive(desk):
    writer = desk.member()
    writer.write(sale())
    gate = Gate(desk.ledger)

    async def waits_for(answer):
        await asyncio.wrap_future(answer)

    hung_up = [
        asyncio.create_task(waits_for(gate.answer)),  # in hand
        asyncio.create_task(desk.ledger.write(nothing)),  # in the queue
        asyncio.create_task(desk.ledger.take([])),
    ]
    await asyncio.sleep(0)
    for task in hung_up:
        task.cancel()
    await asyncio.gather(*hung_up, return_exceptions=True)
    gate.open()
    (outcome,) = await asyncio.to_thread(desk.take, writer.batch())
    assert outcome.fresh == 1
    assert not desk.ledger.lost.done()


def test_a_failed_commit_leaves_no_transaction_behind(desk):
    raw = desk.ledger._connection.connection.dbapi_connection
    raw.execute("PRAGMA foreign_keys = ON")
    raw.execute("CREATE TEMP TABLE parent (id INTEGER PRIMARY KEY)")
    raw.execute(
        "CREATE TEMP TABLE child (id INTEGER REFERENCES parent DEFERRABLE INITIALLY DEFERRED)"
    )

    def work(unit):
        tokens.keep(unit, bytes(32), "lost with its COMMIT", "read")
        unit.connection.exec_driver_sql("INSERT INTO child VALUES (1)")

    with pytest.raises(LedgerUnavailable, match="nothing was stored"):
        desk.write(work)
    desk.write(lambda unit: tokens.keep(unit, b"1" * 32, "kept", "read"))
    with desk.ledger._database.reading() as connection:
        assert tokens.scope(connection, bytes(32)) is None
        assert tokens.scope(connection, b"1" * 32) == "read"


async def test_a_closed_ledger_answers(folder):
    ledger = Ledger.open(folder.ledger, Authority.load(folder).node_key)
    ledger.close()
    with pytest.raises(LedgerUnavailable, match="closed"):
        await ledger.write(nothing)
