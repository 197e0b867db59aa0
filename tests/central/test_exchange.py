"""The exchange over real TLS: one POST, and the WebSocket that stays."""

import asyncio
import gc
import io
import struct

import msgspec
import pytest
from aiohttp import WSMsgType

from central import orders
from central.ledger.ingest import Incoming
from central.ledger.tables import CONTACTS, FACTS
from sync.chain import Head
from sync.exchange import wire
from sync.exchange.session import Acknowledged, ForkSeen, Greeted, Received, Resynced
from sync.facts.person import Buyer, seal
from tests.central.machine import Writer, enrol, sale
from tests.central.test_enrolment import rows


def kinds(events):
    return [type(event) for event in events]


async def test_one_round_trip_brings_and_takes(lab):
    machine = await lab.machine()
    machine.writer.write(sale())
    status, events, _ = await machine.exchange(machine.writer.batch())
    assert status == 200
    assert kinds(events)[:2] == [Greeted, Acknowledged]
    assert events[1].stored == {machine.writer.stream: 1}
    received = [event.batch for event in events if isinstance(event, Received)]
    assert [batch.stream.scope for batch in received] == ["", "S1"]
    assert events[0].hello.time_ms
    vector = [Head(b.stream, b.last, b.facts and _hash(events, b)) for b in received]
    status, events, _ = await machine.exchange(vector=[machine.writer.head, *vector])
    assert kinds(events) == [Greeted]
    contact = (await lab.json("/v1/status"))["stores"][0]
    assert contact["bytes_in"] > 0
    assert contact["bytes_out"] > 0
    assert contact["heard_ms"]


def _hash(events, batch):
    return events[0].vector[batch.stream].hash


async def test_a_gap_is_answered_with_where_we_are(lab):
    machine = await lab.machine()
    for number in range(1, 4):
        machine.writer.write(sale(number=number))
    _, events, _ = await machine.exchange(machine.writer.batch(3))
    resynced = [event for event in events if isinstance(event, Resynced)]
    assert {head.seq for head in resynced[0].vector.values()} == {0}


async def test_what_came_before_its_turn_is_asked_for_again(lab):
    machine = await lab.machine()
    for number in range(1, 4):
        machine.writer.write(sale(number=number))
    _, events, _ = await machine.exchange(machine.writer.batch(2), machine.writer.batch(1, 1))
    (resynced,) = (event for event in events if isinstance(event, Resynced))
    assert [head.seq for head in resynced.vector.values()] == [1]


async def test_a_clone_is_told_of_its_fork(lab):
    machine = await lab.machine()
    machine.writer.write(sale(number=1))
    await machine.exchange(machine.writer.batch())
    clone = Writer(machine.writer.key, "S1")
    clone.write(sale(("Z", 1000, 1)))
    clone.write(sale(("Z", 1000, 1), number=2))
    _, events, _ = await machine.exchange(vector=[Head(clone.stream, 1, clone.hashes[0])])
    assert [event.seq for event in events if isinstance(event, ForkSeen)] == [1]
    _, events, _ = await machine.exchange(clone.batch())
    assert [event.seq for event in events if isinstance(event, ForkSeen)] == [1]
    status = (await lab.json("/v1/status"))["stores"][0]
    assert [stream["frozen"] for stream in status["streams"]] == [True]
    assert status["sales"] == 1
    machine.writer = Writer(machine.writer.key, "S1", incarnation=8)
    machine.writer.write(sale(number=1))
    _, events, _ = await machine.exchange(machine.writer.batch())
    assert events[1].stored == {machine.writer.stream: 1}


async def problem(lab, machine, payloads, status, words):
    before = await rows(lab, FACTS)
    got, body = await machine.post(payloads)
    assert got == status, body
    told = msgspec.json.decode(body)
    assert told["status"] == status
    assert words in told["detail"]
    assert await rows(lab, FACTS) == before
    return told


async def test_nonsense_is_a_problem_and_changes_nothing(lab):
    machine = await lab.machine()
    writer = machine.writer
    for number in range(1, 4):
        writer.write(sale(number=number))

    def hello():
        session = machine.session()
        return session, session.hello([], None)

    session, first = hello()
    spoilt = msgspec.structs.replace(writer.batch(), signature=bytes(64))
    told = await problem(lab, machine, [first, session.send(spoilt)], 400, "number 3 is not signed")
    assert str(writer.stream) in told["detail"]
    session, first = hello()
    await problem(lab, machine, [first, first], 400, "Hello")
    await problem(lab, machine, [], 400, "empty")
    await problem(lab, machine, [b"\x00junk"], 400, "Message")
    await problem(lab, machine, [b"\x09junk"], 400, "starts with")
    session, first = hello()
    session.scopes = ("", "S2")
    other = machine.session()
    other.scopes = ("", "S2")
    await problem(lab, machine, [other.hello([], None)], 403, "S2")
    foreign = Writer(writer.key, "S2")
    foreign.write(sale())
    session, first = hello()
    await problem(lab, machine, [first, session.send(foreign.batch())], 403, "S1")


async def test_cut_off_and_oversized_bodies_are_problems(lab):
    machine = await lab.machine()
    session = machine.session()
    body = wire.join([session.hello([], None)])

    async def post(data, kind="application/octet-stream"):
        async with (
            machine.client() as client,
            client.post(
                "/v1/exchange",
                data=data,
                headers={"Content-Type": kind},
                server_hostname="central.karb",
            ) as answer,
        ):
            return answer.status, await answer.json(content_type="application/problem+json")

    assert (await post(body[:-1]))[0] == 400
    assert (await post(body + b"\x00"))[0] == 400
    assert (await post(struct.pack(">I", 1 << 30)))[0] == 413
    assert (await post(io.BytesIO(bytes((16 << 20) + 1))))[0] == 413
    assert (await post(body, "application/json"))[0] == 415


async def test_without_a_certificate_nothing_is_exchanged(lab):
    for method, path in (("POST", "/v1/exchange"), ("GET", "/v1/exchange/live")):
        answer, _ = await lab.ask(method, path)
        assert answer.status == 401


async def test_a_revoked_node_is_out_at_once(lab):
    machine = await lab.machine()
    machine.writer.write(sale())
    async with (
        machine.client() as client,
        client.ws_connect("/v1/exchange/live", server_hostname="central.karb") as socket,
    ):
        await socket.send_bytes(machine.session().hello([], None))
        await socket.receive_bytes()
        await lab.order(orders.NodeRevoke(machine.writer.stream.node.hex(), "stolen"))
        async with asyncio.timeout(5):
            while (message := await socket.receive()).type is WSMsgType.BINARY:
                pass
        assert message.data == 1008
        assert "revoked" in message.extra
    assert (await machine.exchange(machine.writer.batch()))[0] == 403


class Talk:
    """One side of a live conversation."""

    def __init__(self, machine, socket):
        self.machine, self.socket, self.session = machine, socket, machine.session()

    async def hello(self, vector=()):
        await self.socket.send_bytes(self.session.hello(vector, None))
        return await self.next(Greeted)

    async def next(self, kind):
        async with asyncio.timeout(10):
            while True:
                event = self.session.receive(await self.socket.receive_bytes())
                if isinstance(event, kind):
                    return event


def live(client):
    return client.ws_connect("/v1/exchange/live", server_hostname="central.karb")


async def test_a_live_link_that_waits_keeps_nothing_of_what_it_brought(lab):
    machine = await lab.machine()
    async with machine.client() as client, live(client) as socket:
        talk = Talk(machine, socket)
        await talk.hello()
        for number in range(1, 6):
            machine.writer.write(sale(number=number))
        await socket.send_bytes(talk.session.send(machine.writer.batch()))
        while (await talk.next(Acknowledged)).stored.get(machine.writer.stream) != 5:
            pass
        await lab.ledger.write(lambda _: None)  # what the writing thread holds is its last job
        gc.collect()
        assert not [kept for kept in gc.get_objects() if isinstance(kept, Incoming)]


async def test_a_live_link_carries_both_ways(lab):
    machine = await lab.machine()
    async with machine.client() as client, live(client) as socket:
        talk = Talk(machine, socket)
        greeted = await talk.hello()
        assert machine.writer.stream not in greeted.vector
        for number in range(1, 11):
            machine.writer.write(sale(number=number))
            await socket.send_bytes(talk.session.send(machine.writer.batch(number, number)))
        stored = 0
        while stored < 10:
            stored = (await talk.next(Acknowledged)).stored.get(machine.writer.stream, stored)
        status = (await lab.json("/v1/status"))["stores"][0]
        assert (status["online"], status["sales"]) == (True, 10)
        await lab.order(orders.StoreAdd("S1", "New name"))
        while True:
            told = (await talk.next(Received)).batch
            if told.facts[-1].kind == "store" and b"New name" in told.facts[-1].body:
                break
        await lab.order(orders.Backup(str(lab.tmp / "copy.db")))
        assert (await talk.next(Acknowledged)).safe[machine.writer.stream] == 10
    async with asyncio.timeout(5):
        while lab.office.peers.live(machine.writer.stream.node):  # noqa: ASYNC110 - nobody else needs to be told when a link ends
            await asyncio.sleep(0)


async def test_central_speaks_of_its_own_first(lab):
    one = await lab.machine()
    two = await enrol(lab.url, await lab.code(), lab.tmp)
    for number in range(1, 4):
        one.writer.write(sale(number=number))
    await one.exchange(one.writer.batch())
    async with two.client() as client, live(client) as socket:
        talk = Talk(two, socket)
        await talk.hello()
        authors = [(await talk.next(Received)).batch.stream.node for _ in range(3)]
    own = lab.ledger.own.node
    assert authors == [own, own, one.writer.stream.node]


async def test_nonsense_closes_the_live_link_with_its_reason(lab):
    machine = await lab.machine()
    machine.writer.write(sale())
    before = await rows(lab, FACTS)
    for spoil in ("text", "junk", "signature"):
        async with machine.client() as client, live(client) as socket:
            talk = Talk(machine, socket)
            await talk.hello()
            if spoil == "text":
                await socket.send_str("hello?")
            elif spoil == "junk":
                await socket.send_bytes(b"\x07\x07")
            else:
                batch = msgspec.structs.replace(machine.writer.batch(), signature=bytes(64))
                await socket.send_bytes(talk.session.send(batch))
            async with asyncio.timeout(5):
                while (message := await socket.receive()).type is WSMsgType.BINARY:
                    pass
            assert (message.type, message.data) == (WSMsgType.CLOSE, 1002)
            assert message.extra
    assert await rows(lab, FACTS) == before


async def test_an_oversized_message_closes_the_live_link(lab):
    machine = await lab.machine()
    async with machine.client() as client, live(client) as socket:
        await Talk(machine, socket).hello()
        await socket.send_bytes(bytes(wire.MAX_PAYLOAD + 1))
        async with asyncio.timeout(5):
            while (message := await socket.receive()).type is WSMsgType.BINARY:
                pass
        assert message.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.ERROR)


async def test_a_persons_key_travels_beside_and_is_passed_on(lab):
    one = await lab.machine()
    two = await enrol(lab.url, await lab.code(), lab.tmp)
    person, key = b"p" * 16, b"k" * 32
    sealed = seal(Buyer("5260250274", "Jan Kowalski"), person, key, b"n" * 12)
    one.writer.write(sale(buyer=sealed))
    session = one.session()
    payloads = [session.hello([], None), session.send(one.writer.batch(), {person: key})]
    assert (await one.post(payloads))[0] == 200
    page = await lab.json("/v1/sales?store=S1")
    assert page["sales"][0]["buyer"] == {"nip": "5260250274", "name": "Jan Kowalski"}
    _, events, _ = await two.exchange()
    (relayed,) = [
        event
        for event in events
        if isinstance(event, Received) and event.batch.stream == one.writer.stream
    ]
    assert relayed.keys == {person: key}
    assert b"Kowalski" not in b"".join(fact.body for fact in relayed.batch.facts)


async def test_counts_outlive_a_restart(lab):
    machine = await lab.machine()
    await machine.exchange()
    await lab.office.peers.flush()
    (row,) = await rows(lab, CONTACTS)
    assert row.bytes_in > 0
    assert row.heard_ms > 0


@pytest.mark.parametrize("stores", [2])
async def test_stores_do_not_see_each_other(lab, stores):
    one, two = await lab.machine("S1"), await lab.machine("S2")
    one.writer.write(sale())
    await one.exchange(one.writer.batch())
    _, events, _ = await two.exchange()
    scopes = {event.batch.stream.scope for event in events if isinstance(event, Received)}
    assert scopes == {"", "S2"}
    assert one.writer.stream not in events[0].vector
