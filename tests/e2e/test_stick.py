"""A store with no line at all: its facts go on a stick, and the answer comes back on it."""

import asyncio
import json
import shutil
import sqlite3
from pathlib import Path

import pytest

from edge.demo.link import LinkCutter
from tests.e2e.offices import HeadOffice
from tests.e2e.test_lan import PRICE, Till, free_port


@pytest.fixture
async def till(launcher, office, tmp_path):
    """Enrolled, and never online since; with a catalogue that came on a stick."""
    listed = tmp_path / "catalogue.csv"
    listed.write_text("indeks;nazwa;cena;vat\n5901234123457;Chleb;4,99;5\n", "utf-8")
    office.command("catalogue", "import", str(listed))
    wan = LinkCutter("127.0.0.1", office.port)
    made = Till(launcher, tmp_path / "K1", wan, free_port(), "K1")
    await made.enrol(office)
    wan.cut()
    made.settle()
    first = tmp_path / "first.karb"
    office.command("sync", "--to", str(first), "--store", "S1")
    said = command(made, "--from", first)
    assert said["writer"] == "central"
    made.start()
    assert made.status()["articles"] == 1
    yield made
    made.stop()
    await wan.close()


def command(node, *words, status=0):
    done = node.karb("sync", *words, "--json")
    assert done.returncode == status, f"{done.stdout} {done.stderr}"
    return json.loads(done.stdout)


async def test_there_and_back_while_everything_runs(office, till, sold, tmp_path):
    there, back = tmp_path / "there.karb", tmp_path / "back.karb"
    await asyncio.to_thread(till.sell, 5)
    assert till.status()["waiting"] >= 6
    told = await asyncio.to_thread(command, till, "--to", there)
    assert told["facts"] >= 6
    assert [path.name for path in tmp_path.glob("*.new")] == []
    assert list(till.data.glob("stick-*")) == []
    read = office.command("sync", "--from", str(there), "--to", str(back))
    assert (read["read"]["facts"], read["read"]["not_taken"]) == (6, [])
    assert len(sold()) == 5
    # Until the answer is back nothing is taken for granted: a lost stick costs nothing.
    again = await asyncio.to_thread(command, till, "--to", there)
    assert again["facts"] == told["facts"]
    await asyncio.to_thread(command, till, "--from", back)
    assert till.status()["waiting"] == 0
    # The same sticks again, and an older one after a newer: nothing doubles, nothing is undone.
    await asyncio.to_thread(till.sell, 2)
    newer, newest = tmp_path / "newer.karb", tmp_path / "newest.karb"
    await asyncio.to_thread(command, till, "--to", newer)
    office.command("sync", "--from", str(newer), "--to", str(newest))
    office.command("sync", "--from", str(there))
    await asyncio.to_thread(command, till, "--from", newest)
    for _ in range(2):
        await asyncio.to_thread(command, till, "--from", back)
        assert till.status()["waiting"] == 0
    assert len(sold()) == 7
    store = next(s for s in office.command("status")["stores"] if s["id"] == "S1")
    assert (store["sales"], store["total_minor"]) == (7, 7 * PRICE)
    # What a backup made safe is told on the next stick.
    office.command("backup", str(tmp_path / "backup.db"))
    office.command("sync", "--to", str(tmp_path / "safe.karb"), "--store", "S1")
    await asyncio.to_thread(command, till, "--from", tmp_path / "safe.karb")
    with sqlite3.connect(till.database) as db:
        assert db.execute("SELECT max(safe) FROM peers WHERE peer = 'central'").fetchone()[0] >= 8
    db.close()
    done = await asyncio.to_thread(till.karb, "journal", "verify")
    assert done.returncode == 0, done.stdout
    office.command("journal", "verify")


async def test_there_and_back_while_nothing_runs(office, till, tmp_path):
    there, back = tmp_path / "there.karb", tmp_path / "back.karb"
    await asyncio.to_thread(till.sell, 3)
    till.stop()
    office.stop()
    command(till, "--to", there)
    read = office.command("sync", "--from", str(there), "--to", str(back))
    assert read["read"]["facts"] == 4
    command(till, "--from", back)
    till.start()
    assert till.status()["waiting"] == 0


async def test_a_persons_key_is_locked_on_the_stick_and_open_at_head_office(office, till, tmp_path):
    there = tmp_path / "there.karb"
    sale = {
        "till": "K1",
        "cashier": "anna",
        "lines": [{"sku": "5901234123457", "quantity_milli": 1000, "unit_minor": PRICE}],
        "payments": [{"method": "cash", "amount_minor": PRICE}],
        "buyer": {"nip": "1234563218", "name": "Jan Kowalski"},
    }
    answer = till.ask("PUT", "/v1/sales/6f1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d11", sale, token=till.key)
    assert answer.status == 201, answer.body
    await asyncio.to_thread(command, till, "--to", there)
    with sqlite3.connect(till.database) as db:
        ((person, key),) = db.execute("SELECT person, key FROM person_keys").fetchall()
    db.close()
    office.command("sync", "--from", str(there))
    with sqlite3.connect(office.data / "ledger.db") as ledger:
        assert ledger.execute("SELECT person, key FROM person_keys").fetchall() == [(person, key)]
    ledger.close()
    assert key not in there.read_bytes()


DAMAGE = {
    "empty": (lambda _: b"", "empty"),
    "cut off": (lambda whole: whole[:-500], "cut off"),
    "flipped": (lambda whole: whole[:700] + bytes([whole[700] ^ 4]) + whole[701:], "damaged"),
    "foreign": (lambda _: b"\x89PNG\r\n" * 50, "no file of Karb"),
}


@pytest.mark.parametrize("damage", DAMAGE)
async def test_a_bad_stick_is_refused_on_both_sides_and_changes_nothing(
    office, till, tmp_path, damage
):
    change, words = DAMAGE[damage]
    there, back, bad = (tmp_path / name for name in ("there.karb", "back.karb", "bad.karb"))
    await asyncio.to_thread(till.sell, 2)
    await asyncio.to_thread(command, till, "--to", there)
    office.command("sync", "--to", str(back), "--store", "S1")
    bad.write_bytes(change(there.read_bytes()))
    before = office.dump()
    said = office.command("sync", "--from", str(bad), status=4)
    assert words in said["error"]
    assert "bad.karb" in said["error"]
    after = office.dump()
    assert {k: v for k, v in after.items() if k != "sticks"} == {
        k: v for k, v in before.items() if k != "sticks"
    }
    (shown,) = office.command("status")["refused_sticks"]
    assert (shown["file"], words in shown["reason"]) == ("bad.karb", True)
    assert "bad.karb" in office.karb("status").stdout
    bad.write_bytes(change(back.read_bytes()))
    before = till.dump()
    said = await asyncio.to_thread(command, till, "--from", bad, status=4)
    assert words in said["error"]
    assert str(bad) in said["error"]
    assert till.dump() == before


async def test_sticks_of_others_are_refused(office, launcher, till, tmp_path):
    there = tmp_path / "there.karb"
    await asyncio.to_thread(command, till, "--to", there)
    said = await asyncio.to_thread(command, till, "--to", Path("/nowhere/x.karb"), status=1)
    assert "/nowhere/x.karb: cannot be written" in said["error"]
    said = await asyncio.to_thread(command, till, status=2)
    other = HeadOffice(launcher, tmp_path / "other")
    other.command("init")
    other.command("store", "add", "S1", "--name", "x")
    assert "another chain" in other.command("sync", "--from", str(there), status=4)["error"]
    assert (
        "machine" in other.command("sync", "--to", str(there), "--store", "S1", status=4)["error"]
    )
    own = tmp_path / "own.karb"
    office.command("sync", "--to", str(own), "--store", "S1")
    assert "written here" in office.command("sync", "--from", str(own), status=4)["error"]
    office.command("node", "revoke", till.status()["node"], "--why", "stolen")
    assert "revoked" in office.command("sync", "--from", str(there), status=4)["error"]
    shutil.rmtree(other.data)
