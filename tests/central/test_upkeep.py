"""Migrations, verification, backup: what keeps the ledger trustworthy."""

import sqlite3
from contextlib import closing

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext

from central.ledger import author, journal, upkeep
from central.ledger.database import Database, file_of, migrate
from central.ledger.errors import LedgerUnavailable, Refused, UnknownDatabase
from central.ledger.ingest import Fork, Incoming, Stored
from central.ledger.ledger import Ledger
from central.ledger.tables import METADATA
from central.nodes.authority import Authority
from sync.facts.node import StoreDescribed
from sync.facts.person import Buyer, seal
from tests.central.machine import Writer, delivery, sale


def test_the_migrations_make_the_tables(desk):
    with desk.ledger._database.reading() as connection:
        context = MigrationContext.configure(connection)
        assert compare_metadata(context, METADATA) == []


def test_a_ledger_of_a_newer_program_is_left_alone(folder):
    with closing(sqlite3.connect(folder.ledger)) as raw:
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
    before = folder.ledger.read_bytes()
    with pytest.raises(LedgerUnavailable, match="newer"):
        Ledger.open(folder.ledger, Authority.load(folder).node_key)
    assert folder.ledger.read_bytes() == before


def test_what_is_no_database_is_said_so(tmp_path, folder):
    path = tmp_path / "x.db"
    path.write_bytes(b"not a database, not at all" * 100)
    with pytest.raises(LedgerUnavailable, match="not a database"):
        Ledger.open(path, Authority.load(folder).node_key)
    (tmp_path / "empty.db").touch()
    for name in ("none.db", "empty.db"):
        with pytest.raises(LedgerUnavailable, match=f"{name}: gone; put a backup"):
            Ledger.open(tmp_path / name, Authority.load(folder).node_key)


@pytest.mark.parametrize(
    "url",
    ["postgresql://u:secret@h/db", "mysql://h/db", "sqlite://", "nonsense", "sqlite:///:memory:"],
)
def test_other_databases_are_refused(url):
    with pytest.raises(UnknownDatabase) as caught:
        file_of(url)
    assert "secret" not in str(caught.value)


def test_migrating_twice_is_nothing(folder):
    database = Database(folder.ledger)
    connection = database.open()
    migrate(connection)
    connection.close()
    database.close()


async def run(call):
    return await call


def fill(desk):
    writer = desk.member()
    for number in range(1, 6):
        writer.write(sale(number=number))
    desk.take(writer.batch(1, 3), writer.batch(4, 5))
    return writer


async def test_a_sound_journal_is_found_sound(desk):
    fill(desk)
    told = await upkeep.verify(desk.ledger)
    assert told["faults"] == []
    assert (told["streams"], told["facts"]) == (3, 2 + 2 + 5)


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE rights SET used = used + 1", "View rights"),
        ("UPDATE totals SET lines = lines + 1", "View totals"),
        ("UPDATE sales SET change = change + 9", ""),
        ("DELETE FROM sales WHERE sale = 1", "View sales"),
    ],
)
async def test_views_that_no_fact_says_are_found(desk, statement, words):
    fill(desk)
    path = desk.folder.ledger
    desk.ledger.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute(statement)
        raw.commit()
    desk.ledger = Ledger.open(path, desk.authority.node_key)
    faults = (await upkeep.verify(desk.ledger))["faults"]
    assert bool(faults) == bool(words)
    assert words in " ".join(faults)
    assert not list(path.parent.glob("verify-*"))


async def damaged(desk, statement, *values):
    path = desk.folder.ledger
    desk.ledger.close()
    with closing(sqlite3.connect(path)) as raw:
        assert raw.execute(statement, values).rowcount == 1
        raw.commit()
    desk.ledger = Ledger.open(path, desk.authority.node_key)
    return (await upkeep.verify(desk.ledger))["faults"]


@pytest.mark.parametrize("column", ["body", "hash", "event", "hlc", "kind"])
@pytest.mark.parametrize("seq", [1, 3, 5])
async def test_a_flipped_bit_is_found_and_its_fact_named(desk, column, seq):
    writer = fill(desk)
    fact = writer.facts[seq - 1]
    value = {
        "body": fact.body,
        "hash": writer.hashes[seq - 1],
        "event": fact.event,
        "hlc": fact.hlc ^ 4,
        "kind": "sald",
    }[column]
    if isinstance(value, bytes):
        value = value[:-1] + bytes([value[-1] ^ 1])
    faults = await damaged(
        desk,
        f"UPDATE facts SET {column} = ? WHERE store = 'S1' AND node = ? AND seq = ?",
        value,
        writer.stream.node,
        seq,
    )
    named = [fault for fault in faults if f"fact {seq} " in fault]
    assert len(named) == 1
    assert str(writer.stream) in named[0]
    if column != "event":
        assert fact.event.hex() in named[0]
    assert not [fault for fault in faults if "does not make" in fault and fault not in named]


@pytest.mark.parametrize(
    ("statement", "words"),
    [
        ("UPDATE facts SET signature = zeroblob(64) WHERE node = ? AND seq = 3", "not signed"),
        ("UPDATE facts SET signature = NULL WHERE node = ? AND seq = 5", "not signed"),
        ("DELETE FROM facts WHERE node = ? AND seq = 2", "expected fact 2, found 3"),
        ("DELETE FROM facts WHERE node = ? AND seq = 5", "ends at fact 4, expected 5"),
        ("UPDATE streams SET seq = 4 WHERE node = ?", "expected 4"),
    ],
)
async def test_missing_and_unsigned_facts_are_named(desk, statement, words):
    writer = fill(desk)
    faults = await damaged(desk, statement, writer.stream.node)
    assert words in " ".join(faults)


async def test_a_flipped_bit_in_the_file_is_found(desk, tmp_path):
    writer = fill(desk)
    path = desk.folder.ledger
    desk.ledger.close()
    with closing(sqlite3.connect(path)) as raw:
        raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    content = bytearray(path.read_bytes())
    at = content.find(writer.facts[2].body)
    assert at > 0
    content[at + 20] ^= 0x10
    path.write_bytes(content)
    desk.ledger = Ledger.open(path, desk.authority.node_key)
    faults = (await upkeep.verify(desk.ledger))["faults"]
    assert "fact 3 (sale" in faults[0]


async def test_a_backup_is_whole_and_makes_its_facts_safe(desk, tmp_path):
    writer = fill(desk)
    writer.write(delivery(("A", 1000)))
    copy = tmp_path / "copy.db"
    told = await upkeep.backup(desk.ledger, str(copy))
    assert told["facts"] == 9
    assert copy.stat().st_mode & 0o777 == 0o600
    assert [path.name for path in tmp_path.glob("copy*")] == ["copy.db"]
    assert desk.ledger.published.cursors("S1")[writer.stream].safe == 5
    desk.take(writer.batch(6))
    assert desk.ledger.published.cursors("S1")[writer.stream].safe == 5
    with pytest.raises(Refused, match="exists"):
        await upkeep.backup(desk.ledger, str(copy))
    with closing(Ledger.open(copy, desk.authority.node_key)) as restored:
        assert (await upkeep.verify(restored))["faults"] == []
        own, before = restored.own, desk.ledger.own
        assert (own.node, own.incarnation != before.incarnation) == (before.node, True)
        # What the restored ledger has lost of its old life comes back from a store.
        lost = desk.write(
            lambda unit: author.write(unit, "S1", [(b"e" * 16, StoreDescribed("S1", "Renamed"))])
        )
        with desk.ledger._database.reading() as connection:
            batch = journal.batch_after(connection, before.stream("S1"), 2)
        (outcome,) = restored._writer.take(
            [Incoming.of(batch, {}, desk.identity(writer.stream))]
        ).result(10)
        assert outcome == Stored(lost, 1)
        first = restored.published.cursors("")[own.stream("")].head
        with restored._database.reading() as connection:
            (began,) = journal.batch_after(connection, own.stream(""), 0).facts
        assert (first.seq, began.kind) == (1, "node.began")


def test_a_fork_of_central_itself_begins_a_new_life(desk):
    key, stream = desk.ledger.own.key, desk.ledger.own.stream("")
    other = Writer(key, "", stream.incarnation)
    other.write(sale())
    (outcome,) = desk.take(other.batch(), peer=desk.identity(stream))
    assert isinstance(outcome, Fork)
    told = [(b"e" * 16, StoreDescribed("", "x"))]
    with pytest.raises(LedgerUnavailable, match="new life"):
        desk.write(lambda unit: author.write(unit, "", told))
    desk.ledger.close()
    desk.ledger = Ledger.open(desk.folder.ledger, desk.authority.node_key)
    assert desk.ledger.own.incarnation != stream.incarnation
    desk.member("S9")


async def test_a_backup_keeps_keys_of_persons_apart(desk, tmp_path):

    writer = desk.member()
    person, key = b"p" * 16, b"key of a person, 32 bytes long!!"
    writer.write(sale(buyer=seal(Buyer("", "Jan"), person, key, b"n" * 12)))
    desk.take(writer.batch(), keys={person: key})
    copy = tmp_path / "copy.db"
    await upkeep.backup(desk.ledger, str(copy))
    assert key not in copy.read_bytes()
    assert key in (tmp_path / "copy.db.keys").read_bytes()
