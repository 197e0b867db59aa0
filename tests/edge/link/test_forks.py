"""What nodes make of a position that does not go with theirs: damage, or truly two branches."""

import pytest

from edge.link.conversation import Conversation, neighbour
from edge.store.lives import GreetAgain, NewLifeNeeded
from tests.edge.store import rig
from tests.edge.store.test_base import stream_of

AUTHOR = rig.key(5)


async def talk(one, other):
    """Let two nodes talk until both are silent; who has to greet again hangs up, and does."""
    for _ in range(6):
        sides = [
            Conversation(me, rig.clock(), "test", neighbour(you.key.node), relay_after_ms=0)
            for me, you in ((one, other), (other, one))
        ]
        boxes = [[sides[1].greet()], [sides[0].greet()]]
        try:
            while any(boxes):
                for at, side in enumerate(sides):
                    said, boxes[at] = boxes[at], []
                    for payload in said:
                        boxes[1 - at] += await side.take(payload)
                    while (batch := await side.next()) is not None:
                        boxes[1 - at].append(batch)
                    boxes[1 - at] += await side.news()
        except GreetAgain:
            continue
        return
    raise AssertionError("They greet each other for ever.")


async def holding(store, first, last):
    stream, _, hashes, batch = stream_of(AUTHOR, 9)
    await store.write(lambda unit: unit.root(AUTHOR.node, "S1", AUTHOR.public))
    await store.receive(batch(first, last), {})
    return stream, hashes


def flipped(store, stream, seq):
    def work(unit):
        place = unit._journal.row(stream).id << 40 | seq
        unit._db.execute("UPDATE facts SET hash = zeroblob(32) WHERE place = ?", (place,))

    return store.write(work)


@pytest.mark.parametrize(("seq", "others"), [(9, 9), (6, 6), (9, 4), (6, 9), (3, 9)])
async def test_a_hash_that_flipped_freezes_nothing_and_comes_again(tmp_path, seq, others):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with rig.opened(tmp_path / "one") as one:
        stream, hashes = await holding(one, 1, 9)
        await flipped(one, stream, seq)
    async with (
        rig.opened(tmp_path / "one") as one,
        rig.opened(tmp_path / "other", number=1) as other,
    ):
        await holding(other, 1, others)
        await talk(one, other)
        for store in (one, other):
            assert store.frozen() == set()
        if seq in (9, others):  # else nobody was told of that number
            assert (await one.verify()).sound
        if others == 9:
            assert next(head for head in one.heads() if head.stream == stream).hash == hashes[-1]


async def test_a_peer_that_disagrees_about_our_own_stream_ends_a_damaged_life(tmp_path):
    for name in ("one", "other"):
        (tmp_path / name).mkdir()
    async with rig.opened(tmp_path / "one") as one:
        await one.write(rig.selling(b"a" * 16))
        batch, _ = await one.batch(one.stream, 0)
        head = one.heads()[0].seq
        await flipped(one, one.stream, head)
    async with (
        rig.opened(tmp_path / "one") as one,
        rig.opened(tmp_path / "other", number=1) as other,
    ):
        await other.write(lambda unit: unit.root(one.key.node, "S1", one.key.public))
        await other.receive(batch, {})
        with pytest.raises(NewLifeNeeded):
            await talk(one, other)
        assert other.frozen() == set()
