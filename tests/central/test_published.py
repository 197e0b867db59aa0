"""Who is woken when the ledger moves, and what is packed once for all who wait for it."""

import asyncio
import secrets

from central.ledger import author
from central.ledger.published import Published
from central.ledger.unit import Cursor
from sync.chain import ALL, Head, StreamId, genesis
from sync.facts.catalogue import Price, PriceColumns, Prices
from sync.facts.node import StoreDescribed


def stream(scope):
    return StreamId(bytes(16), 1, scope)


def moved(*scopes):
    return {
        stream(scope): Cursor(Head(stream(scope), 1, genesis(stream(scope))), 1, 0, frozen=False)
        for scope in scopes
    }


async def told(published, moved_scopes=(), over=None):
    """Which of three listeners a change wakes: of store S1 and all, of S2 and all, of anything."""
    listeners = [published.listen(ALL, "S1"), published.listen(ALL, "S2"), published.listen()]
    published.update(moved(*moved_scopes), None, over)
    await asyncio.sleep(0)
    for listener in listeners:
        published.forget(listener)
    return [listener.is_set() for listener in listeners]


async def test_who_listens_is_woken_for_its_scopes():
    published = Published({}, {})
    assert await told(published, ["S1"]) == [True, False, True]
    assert await told(published, ["S2"]) == [False, True, True]
    assert await told(published, [ALL]) == [True, True, True]
    assert await told(published, ["S3"]) == [False, False, True]
    assert not published._listeners


async def test_a_stream_that_is_over_wakes_its_scope():
    published = Published({}, {})
    over = {stream("S1"): frozenset()}
    assert await told(published, over=over) == [True, False, True]
    assert await told(published, over=over) == [False, False, True], "nothing new"
    heard = {stream("S1"): frozenset([bytes(16)])}
    assert await told(published, over=heard) == [True, False, True]
    assert await told(published, over={}) == [True, False, True]
    assert await told(published, over={stream(ALL): frozenset()}) == [True, True, True]


async def test_a_batch_of_all_stores_is_packed_once_and_anew_when_the_stream_moves(lab):
    def tell(revision):
        body = Prices(revision, PriceColumns.of((Price("A", revision),)))
        return lambda unit: author.write(unit, ALL, [(secrets.token_bytes(16), body)])

    ledger = lab.ledger
    head = await ledger.write(tell(1))
    first, again = await asyncio.gather(
        *(ledger.packed(head.stream, head.seq - 1, 0) for _ in range(2))
    )
    assert again is first
    assert await ledger.packed(head.stream, head.seq - 1, 1) != first, "called otherwise"
    await ledger.write(tell(2))
    longer = await ledger.packed(head.stream, head.seq - 1, 0)
    assert longer[0].last == head.seq + 1
    described = StoreDescribed("S1", "S1")
    own = await ledger.write(
        lambda unit: author.write(unit, "S1", [(secrets.token_bytes(16), described)])
    )
    one, two = [await ledger.packed(own.stream, own.seq - 1, 0) for _ in range(2)]
    assert one == two
    assert one is not two, "a store's own is read for each"
