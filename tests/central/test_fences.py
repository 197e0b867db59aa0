"""Streams that are over are closed once, when every node was heard or a person says so."""

import secrets
import shutil

import pytest

from central import orders
from central.ledger import author, fences, upkeep
from central.ledger.errors import Refused
from central.ledger.ingest import Fork, Incoming
from central.ledger.ledger import Ledger
from central.ledger.tables import CODES, FENCES, FORKS
from sync.chain import Head, StreamId
from sync.facts.node import IncarnationBegan, NodeRevoked
from tests.central.machine import Writer, sale


def lived(desk, store="S1", sales=3):
    writer = desk.member(store)
    for number in range(1, sales + 1):
        writer.write(sale(number=number))
    desk.take(writer.batch())
    return writer


def follows(desk, writer, incarnation=8, seq=None):
    """The node's next life, which says how far it knew the one before."""
    after = Writer(writer.key, writer.store, incarnation)
    seq = len(writer.facts) if seq is None else seq
    after.write(IncarnationBegan(writer.stream, seq, writer.hashes[seq - 1], "other file"))
    desk.take(after.batch())
    return after


def greet(desk, writer, *heads):
    scopes = ("", writer.store)
    vector = {head.stream: head for head in heads}
    return desk.write(lambda unit: fences.heard(unit, writer.stream.node, vector, scopes))


def closed(desk):
    return {
        StreamId(row[1], row[2], row[0]): (row[3], StreamId(row[5], row[6], row[0]))
        for row in desk.rows(FENCES)
        if row[1] != desk.ledger.own.node
    }


def test_a_fence_waits_for_every_node_of_the_store_and_names_the_first_life(desk):
    writer, other = lived(desk), desk.member("S1")
    first, second = follows(desk, writer, 8), follows(desk, writer, 9)
    greet(desk, first, first.head, second.head)
    assert closed(desk) == {}
    assert list(desk.ledger.published.over) == [writer.stream]
    greet(desk, other)
    assert closed(desk) == {writer.stream: (3, first.stream)}
    greet(desk, other)
    assert len(closed(desk)) == 1, "written once"
    assert not desk.ledger.published.over


def test_what_a_node_holds_beyond_is_waited_for(desk):
    writer, other = lived(desk), desk.member("S1")
    for number in (4, 5):
        writer.write(sale(number=number))
    life = follows(desk, writer, seq=3)
    greet(desk, life)
    greet(desk, other, writer.head)
    assert closed(desk) == {}
    desk.take(writer.batch(4), peer=desk.identity(other.stream))
    assert closed(desk) == {writer.stream: (5, life.stream)}


def test_of_two_branches_the_one_that_is_here_holds(desk):
    writer = lived(desk)
    clone = Writer(writer.key, "S1", 7, writer.facts[:2], writer.hashes[:2])
    for number in (3, 4, 5):
        clone.write(sale(("Z", 1000, 1), number=number))
    life = follows(desk, clone)
    greet(desk, life, clone.head)
    assert closed(desk) == {}, "five is more than three: is it more of ours?"
    (fork,) = desk.take(clone.batch(3))
    assert isinstance(fork, Fork)
    assert fork.seq == 3
    assert closed(desk) == {writer.stream: (3, life.stream)}
    assert not desk.ledger.published.cursors("S1")[writer.stream].frozen
    assert len(desk.rows(FORKS)) == 1
    writer.write(sale(number=4))
    (beyond,) = desk.take(writer.batch(4))
    assert beyond == Fork(writer.stream, 4, b"", writer.hashes[3])
    assert desk.ledger.published.cursors("S1")[writer.stream].head.seq == 3


def test_where_branches_part_before_the_batch_it_is_asked_for_from_the_beginning(desk):
    writer = lived(desk)
    clone = Writer(writer.key, "S1", 7, writer.facts[:1], writer.hashes[:1])
    for number in (2, 3, 4):
        clone.write(sale(("Z", 1000, 1), number=number))
    (gap,) = desk.take(clone.batch(3))
    assert gap.head.seq == 0
    (fork,) = desk.take(clone.batch())
    assert fork.seq == 2


def test_a_node_that_is_revoked_is_waited_for_no_more(desk):
    writer, other = lived(desk), desk.member("S1")
    life = follows(desk, writer)
    greet(desk, life)
    assert closed(desk) == {}
    told = [(secrets.token_bytes(16), NodeRevoked(other.stream.node, "lost"))]
    desk.write(lambda unit: author.write(unit, "S1", told))
    assert closed(desk) == {writer.stream: (3, life.stream)}


def test_a_person_closes_a_stream_whoever_was_not_heard(desk):
    writer, other = lived(desk), lived(desk)
    with pytest.raises(Refused, match="no later life"):
        desk.write(lambda unit: fences.order(unit, str(writer.stream), "dead"))
    with pytest.raises(Refused, match="this fits 0"):
        desk.write(lambda unit: fences.order(unit, "nonsense", "dead"))
    desk.write(lambda unit: fences.order(unit, str(writer.stream), "dead", str(other.stream)))
    assert closed(desk) == {writer.stream: (3, other.stream)}
    with pytest.raises(Refused, match="closed already, at 3"):
        desk.write(lambda unit: fences.order(unit, str(writer.stream), "dead"))


async def test_a_restored_ledger_promises_nothing_until_its_lost_lives_are_closed(desk, tmp_path):
    writer = lived(desk)
    copy = tmp_path / "copy.db"
    await upkeep.backup(desk.ledger, str(copy))
    before = desk.ledger.own.stream("S1")
    told = [(secrets.token_bytes(16), NodeRevoked(b"n" * 16, "stolen"))]
    head = desk.write(lambda unit: author.write(unit, "S1", told))
    with desk.ledger._database.reading() as connection:
        lost = upkeep.journal.batch_after(connection, before, head.seq - 1)
    desk.ledger.close()
    restored = upkeep.restore(copy, desk.folder.ledger)
    assert restored["facts"] > 0
    desk.ledger = Ledger.open(desk.folder.ledger, desk.authority.node_key)
    own = desk.ledger.own
    assert own.incarnation != before.incarnation
    waiting = fences.lost_lives(desk.ledger.published.over, own.node, "S1")
    assert waiting == [before]
    greet(desk, writer, writer.head, head)
    assert fences.lost_lives(desk.ledger.published.over, own.node, "S1") == [before]
    (outcome,) = desk.ledger._writer.take(
        [Incoming.of(lost, {}, desk.identity(writer.stream))]
    ).result(10)
    assert outcome.fresh == 1
    assert fences.lost_lives(desk.ledger.published.over, own.node, "S1") == []
    (fence,) = [row for row in desk.rows(FENCES) if row[0] == "S1"]
    assert fence[3] == head.seq


def test_a_plain_copy_in_place_is_a_new_life_too(desk, tmp_path):
    lived(desk)
    before = desk.ledger.own.incarnation
    path = desk.folder.ledger
    desk.ledger.close()
    shutil.copyfile(path, tmp_path / "copy")
    desk.ledger = Ledger.open(path, desk.authority.node_key)
    assert desk.ledger.own.incarnation == before, "an ordinary start is none"
    lived(desk, "S2")
    desk.ledger.close()
    shutil.copyfile(tmp_path / "copy", path)
    desk.ledger = Ledger.open(path, desk.authority.node_key)
    assert desk.ledger.own.incarnation != before


def test_a_store_that_knows_more_of_centrals_life_ends_it_at_once(desk):
    writer, own = lived(desk), desk.ledger.own
    ahead = Head(own.stream("S1"), 99, bytes(32))
    assert greet(desk, writer, ahead) == "peer knew more"


async def test_codes_made_before_a_restore_buy_nothing(lab, tmp_path):
    await lab.store("S1")
    await lab.code("S1")
    copy = tmp_path / "copy.db"
    await lab.order(orders.Backup(str(copy)))
    ledger = Ledger.open(copy, lab.ledger.own.key)
    with ledger._database.reading() as connection:
        assert [row.expires_ms for row in connection.execute(CODES.select())] == [0]
    ledger.close()


async def test_orders_name_what_is_waited_for(lab):
    assert (await lab.order(orders.StreamList()))["streams"] == []
    with pytest.raises(Refused, match="stream list"):
        await lab.order(orders.StreamClose("abc", "dead"))
