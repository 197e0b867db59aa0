"""Nodes of a store that meet: who calls, who is let in, and whose facts go where."""

import asyncio
from datetime import UTC, datetime, timedelta
from functools import partial

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from edge.config import Listen
from edge.link import carrier, lan, peers, tls
from edge.link.conversation import Conversation, neighbour
from edge.link.trust import PeerRefused, Trusted
from sync.chain import ALL
from sync.clock import Trust
from sync.facts.node import NodeRevoked
from tests.edge.link.lan import Node, founded, nodes, until


@pytest.fixture(autouse=True)
def impatient(monkeypatch):
    monkeypatch.setattr(peers, "PATIENCE_S", 0.2)
    monkeypatch.setattr(peers, "FIRST_WAIT_S", 0.1)


def live(one, two):
    async def check():
        states = [await one.state_of(two), await two.state_of(one)]
        return all(state is not None and state.state == "live" for state in states)

    return check


def has(node, n):
    async def check():
        return await node.sales() == n

    return check


async def test_two_that_dial_at_once_end_with_one_call_of_the_lower(tmp_path):
    async with nodes(tmp_path, "S1", "S1") as (one, two):
        await asyncio.gather(one.peers.start([two.url]), two.peers.start([one.url]))
        await until(live(one, two))
        await one.sell()
        await two.sell()
        await until(has(one, 2))
        await until(has(two, 2))

        async def settled():
            calls = [*one.peers._live.values(), *two.peers._live.values()]
            return [call.by_lower for call in calls] == [True, True]

        await until(settled)
        assert (await one.state_of(two)).name == "K1"
        assert (await two.state_of(one)).name == "K0"


@pytest.mark.parametrize("lower_dials", [True, False])
async def test_one_that_knows_the_way_is_enough(tmp_path, lower_dials):
    async with nodes(tmp_path, "S1", "S1") as made:
        lower, higher = sorted(made, key=lambda node: node.node)
        caller, called = (lower, higher) if lower_dials else (higher, lower)
        await called.peers.start()
        await caller.peers.start([called.url])
        await until(live(lower, higher))
        await called.sell()
        await until(has(caller, 1))
        await called.close()

        async def noticed():
            return (await caller.state_of(called)).state == "offline"

        await until(noticed)
        await caller.sell()
        await called.open()
        await called.peers.start([caller.url])  # on another port now: it has to call itself
        await until(has(called, 2))


async def test_a_stranger_s_facts_come_with_its_certificate(tmp_path):
    """One and two have met; three meets two only, and no fact has told anybody of anybody."""
    async with nodes(tmp_path, "S1", "S1", "S1") as (one, two, three):
        for node in (one, two, three):
            await node.peers.start()
        two.peers.found(one.node, "", [one.url])
        one.peers.found(two.node, "", [two.url])
        await until(live(one, two))
        await one.sell()
        await until(has(two, 1))
        await one.close()
        two.peers.found(three.node, "", [three.url])
        three.peers.found(two.node, "", [two.url])
        await until(live(two, three))
        await until(has(three, 1))
        assert (await three.store.verify()).sound
        assert await three.store.knows(one.node)
        away = await three.state_of(one)
        assert (away.state, away.waiting) == ("away", 3 + 1)  # lives, and a sale
        await one.open()
        await one.peers.start()


async def test_what_both_got_from_somebody_else_does_not_wait(tmp_path, monkeypatch):
    """Two says it holds three's facts before one has any; one then gets them from three."""
    monkeypatch.setattr(peers, "Conversation", partial(Conversation, relay_after_ms=600_000))
    async with nodes(tmp_path, "S1", "S1", "S1") as (one, two, three):
        for node in (one, two, three):
            await node.peers.start()
        two.peers.found(three.node, "", [three.url])
        three.peers.found(two.node, "", [two.url])
        await until(live(two, three))
        await three.sell()
        await until(has(two, 1))
        one.peers.found(two.node, "", [two.url])
        two.peers.found(one.node, "", [one.url])
        await until(live(one, two))
        assert await one.sales() == 0
        three.peers.found(one.node, "", [one.url])
        one.peers.found(three.node, "", [three.url])
        await until(has(one, 1))

        async def nothing_waits():
            pairs = ((a, b) for a in (one, two, three) for b in (one, two, three) if a is not b)
            return not any([(await a.state_of(b)).waiting for a, b in pairs])

        await until(nothing_waits, 5)


async def test_head_offices_word_goes_from_node_to_node(tmp_path):
    """One speaks with two, two with three; three alone has a link."""
    async with nodes(tmp_path, "S1", "S1", "S1") as (one, two, three):
        for node in (one, three):
            await node.peers.start()
        await two.peers.start([one.url, three.url])
        await until(live(one, two))
        await until(live(two, three))
        await one.sell()
        await until(has(three, 1))
        stream = one.store.stream
        (held,) = (head.seq for head in three.store.heads() if head.stream == stream)
        assert (await one.store.figures()).waiting == held
        three.store.note_peer({stream: held}, {stream: 1})  # as when head office has answered

        async def told():
            return (await one.store.figures()).waiting == 0

        await until(told)
        assert one.store.central_holds()[stream] == (held, 1)
        assert two.store.central_holds()[stream] == (held, 1)


async def test_the_address_of_ourselves_is_left_alone(tmp_path):
    async with nodes(tmp_path, "S1") as (one,):
        await one.peers.start([one.url])

        async def quiet():
            return not one.peers._targets

        await until(quiet)
        assert await one.peers.states() == []


async def test_who_stands_at_an_address_its_certificate_says_and_not_who_announced_it(tmp_path):
    async with nodes(tmp_path, "S1", "S1") as (one, two):
        await two.peers.start()
        await one.peers.start()
        one.peers.found(bytes(range(16)), "liar", [two.url])

        async def refused():
            (state,) = [s for s in await one.peers.states() if s.name == "liar"]
            return state.state == "refused" and "not the one announced" in state.last_error

        await until(refused)
        assert two.node not in one.peers._live


async def test_a_node_of_another_store_gets_nothing_however_it_asks(tmp_path):
    async with nodes(tmp_path, "S1", "S2") as (one, two):
        await one.sell()
        await one.peers.start()
        await two.peers.start([one.url])

        async def refused():
            return [s.state for s in await two.peers.states()] == ["refused"]

        await until(refused)
        context = tls.neighbour_context(two.data)
        talk = Conversation(two.store, two.clock, "test", neighbour(one.node))
        with pytest.raises(carrier.LinkRefused, match="of store S2, expected one of S1"):
            await carrier.exchange(two.peers._http, one.url, context, [talk.greet()])
        assert await two.sales() == 0


async def test_a_revoked_node_is_hung_up_on_and_not_let_in_again(tmp_path):
    async with nodes(tmp_path, "S1", "S1") as (one, two):
        await one.peers.start([two.url])
        await two.peers.start([one.url])
        await until(live(one, two))
        told = NodeRevoked(two.node, "stolen")
        for node in (one, two):
            await node.store.write(lambda unit: unit.root(one.node, ALL, one.key.public))
        await one.store.write(lambda unit: unit.append(told, bytes(16)))
        # Two hears of it as well, and goes on selling; nobody takes it any more.

        async def gone():
            return two.node not in one.peers._live

        await until(gone)
        await two.sell()
        with pytest.raises(PeerRefused, match="revoked"):
            await one.peers.trusted.neighbour(two.certificate.public_bytes(Encoding.DER))

        async def refused():
            state = await two.state_of(one)
            return state.state == "refused"

        await until(refused)
        assert await one.sales() == 0


async def test_one_request_carries_both_ways(tmp_path):
    async with nodes(tmp_path, "S1", "S1") as (one, two):
        for _ in range(3):
            await one.sell()
            await two.sell()
        await one.peers.start()
        await two.peers.start()
        context = tls.neighbour_context(one.data)
        der = two.certificate.public_bytes(Encoding.DER)
        await one.peers.introduce(await one.peers.trusted.neighbour(der), der)
        for _ in range(2):
            talk = one.peers._conversation(two.node)
            said = [talk.greet()]
            talk.assume()
            while (payload := await talk.next()) is not None:
                said.append(payload)
            for payload in await carrier.exchange(one.peers._http, two.url, context, said):
                await talk.take(payload)
        assert (await one.sales(), await two.sales()) == (6, 6)
        assert (await one.state_of(two)).waiting == 0
        for nonsense in ([], [b"\xff"], said[1:] or [b"\x00"]):
            with pytest.raises(carrier.LinkRefused):
                await carrier.exchange(one.peers._http, two.url, context, nonsense)


async def test_dates_are_judged_by_trusted_time_and_by_nothing_else(tmp_path):
    authority = founded(tmp_path / "office")
    node = await Node(tmp_path, authority, 0).open()
    other = Node(tmp_path, authority, 1)
    der = other.certificate.public_bytes(Encoding.DER)
    try:
        trusted = Trusted(node.data, node.store, node.clock)
        assert (await trusted.neighbour(der)).node == other.node
        late = datetime.now(UTC) + timedelta(days=200)
        node.clock.hear(Trust.CENTRAL, int(late.timestamp() * 1000))
        with pytest.raises(PeerRefused, match="valid until"):
            await trusted.neighbour(der)
        # What it wrote while its certificate was good can still be carried by others.
        assert trusted.author(der).node == other.node
        own = authority.node_certificate.public_bytes(Encoding.DER)
        for shown, words in ((None, "No certificate"), (b"x", "cannot be read"), (own, ".")):
            with pytest.raises(PeerRefused, match=words):
                await trusted.neighbour(shown)
    finally:
        await node.close()


async def test_a_neighbours_time_counts_only_if_it_has_one_and_nobody_better_has_spoken(tmp_path):
    async with nodes(tmp_path, "S1", "S1", "S1") as (one, two, three):

        async def greet(speaker, hearer):
            said = Conversation(speaker.store, speaker.clock, "t", neighbour(hearer.node))
            heard = Conversation(hearer.store, hearer.clock, "t", neighbour(speaker.node))
            heard.greet()
            await heard.take(said.greet())
            return hearer.clock.now().trust

        assert await greet(one, two) is Trust.NONE
        one.clock.hear(Trust.RTC, 1_900_000_000_000)
        assert await greet(one, two) is Trust.PEER
        assert two.clock.now().ms >= 1_900_000_000_000
        assert await greet(two, three) is Trust.NONE, "hearsay goes no further"
        three.clock.hear(Trust.CENTRAL, 1_800_000_000_000)
        assert await greet(one, three) is Trust.CENTRAL
        assert three.clock.now().ms < 1_900_000_000_000


async def test_a_renewed_certificate_is_shown_without_a_start(tmp_path):
    async with nodes(tmp_path, "S1", "S1") as (one, two):
        one.lan.renew()
        two.write(two.authority.node_from(_request(two), "S1"))
        two.lan.renew()
        await two.peers.start()
        await one.peers.start([two.url])
        await until(live(one, two))


def _request(node):
    from cryptography import x509  # noqa: PLC0415 - of use here only

    from tests.central.machine import request  # noqa: PLC0415 - of use here only

    return x509.load_pem_x509_csr(request(node.key.private).encode())


async def test_a_port_that_is_taken_is_tried_again_and_keeps_nobody_from_selling(
    tmp_path, monkeypatch
):
    monkeypatch.setattr(lan, "TRY_AGAIN_S", 0.05)
    async with nodes(tmp_path, "S1", "S1") as (one, two):
        late = lan.LanServer(one.data, one.peers)
        await late.start(Listen("127.0.0.1", two.port), None)

        async def told():
            return f"cannot listen on 127.0.0.1:{two.port}" in one.peers.lan

        await until(told)
        await one.sell()
        await two.lan.close()

        async def listens():
            return one.peers.lan == f"listening on 127.0.0.1:{two.port}"

        await until(listens)
        await late.close()


async def test_a_damaged_authority_keeps_nobody_from_selling(tmp_path, monkeypatch):
    monkeypatch.setattr(lan, "TRY_AGAIN_S", 0.05)
    async with nodes(tmp_path, "S1", "S1") as (one, two):
        (one.data / tls.AUTHORITY).write_bytes(b"?")
        late = lan.LanServer(one.data, one.peers)
        await late.start(Listen("127.0.0.1", 0), None)
        await one.peers.start([two.url])

        async def told():
            states = [state.last_error for state in await one.peers.states()]
            return tls.AUTHORITY in one.peers.lan and any(tls.AUTHORITY in why for why in states)

        await until(told)
        await one.sell()
        assert await one.sales() == 1
        await late.close()
