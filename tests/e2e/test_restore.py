"""Yesterday's files put back under real programs, and what becomes of everything sold since."""

import json
import shutil
import signal
import sqlite3
import time
from contextlib import closing
from uuid import uuid4

import pytest

from tests.e2e.shops import Node

SALE = {
    "till": "K1",
    "cashier": "anna",
    "lines": [{"sku": "1", "quantity_milli": 1000, "unit_minor": 499}],
    "payments": [{"method": "cash", "amount_minor": 499}],
}


class Shop(Node):
    """`karb run` in an enrolled folder, and what it has sold."""

    def __init__(self, launcher, data):
        super().__init__(launcher, data)
        self.receipts = {}

    def enrol(self, office, store="S1"):
        done = self.karb("init", "--central", office.url, "--code", office.code(store))
        assert done.returncode == 0, done.stderr
        self.sell_token = self.token("sell")
        return self

    def sell(self, n=1):
        for _ in range(n):
            uuid = str(uuid4())
            answer = self.ask("PUT", f"/v1/sales/{uuid}", SALE, token=self.sell_token)
            assert answer.status == 201, answer.body
            told = json.loads(answer.body)
            self.receipts[uuid] = f"{told['receipt_series']}/{told['receipt_number']}"

    def status_node(self):
        with closing(sqlite3.connect(self.database)) as db:
            ((node,),) = db.execute("SELECT node FROM roots WHERE store = 'S1'")
        return node.hex()

    def status(self):
        done = self.karb("status", "--json")
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def until(self, condition, seconds=30):
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            told = self.status()
            if condition(told):
                return told
            time.sleep(0.1)
        raise AssertionError(f"{told} {self.process.stderr[-3000:]}")

    def drained(self):
        return self.until(lambda told: told["waiting"] == 0 and told["link"] == "live")

    def copy(self, target):
        """Copy the database as `cp` would, while it runs."""
        target.mkdir()
        for path in self.data.glob("karb.sqlite*"):
            shutil.copyfile(path, target / path.name)
        return target

    def restart(self):
        """End in order: the main file has everything then, the WAL nothing."""
        self.stop()
        return self.start()


@pytest.fixture
def shop(launcher, office, tmp_path):
    listed = tmp_path / "catalogue.csv"
    listed.write_text("indeks;nazwa;cena;vat\n1;Żurek;4,99;5\n", encoding="utf-8")
    office.command("catalogue", "import", str(listed))
    made = Shop(launcher, tmp_path / "shop").enrol(office).start()
    made.until(lambda told: told["articles"] == 1)
    yield made
    made.stop()


def central(office):
    """What head office has of S1: event to receipt, by plain sqlite3."""
    with closing(sqlite3.connect(f"file:{office.data}/ledger.db?mode=ro", uri=True)) as db:
        rows = db.execute("SELECT event, series, number FROM sales WHERE store = 'S1'").fetchall()
        streams = db.execute(
            "SELECT hex(node), incarnation, max(seq), count(*), count(DISTINCT seq) FROM facts "
            "WHERE store = 'S1' GROUP BY 1, 2"
        ).fetchall()
        forks = db.execute("SELECT count(*) FROM forks").fetchone()
        fences = db.execute(
            "SELECT closed_incarnation FROM fences WHERE store = 'S1' "
            "AND closed_node NOT IN (SELECT node FROM facts WHERE store = '')"
        ).fetchall()
    assert all(last == n == distinct for *_, last, n, distinct in streams), "no gap, no repeat"
    return {str(event.hex()): f"{series}/{number}" for event, series, number in rows}, forks, fences


def as_central_says(receipts):
    return {uuid.replace("-", ""): number for uuid, number in receipts.items()}


@pytest.mark.parametrize("how", ["cp over it", "another file", "whole folder", "karb restore"])
def test_yesterdays_copy_ends_with_every_fact_back_and_none_doubled(shop, office, tmp_path, how):
    shop.sell(5)
    shop.drained()
    if how == "karb restore":
        done = shop.karb("backup", tmp_path / "copy.db", "--json")
        assert done.returncode == 0, done.stderr
    else:
        if how == "cp over it":
            shop.restart()
        copy = shop.copy(tmp_path / "copy")
    shop.sell(30)  # enough that the WAL of today cannot have it all
    shop.restart()
    shop.sell(3)
    before = shop.drained()["lives"][-1]["stream"]
    shop.stop(signal.SIGKILL)
    if how == "karb restore":
        done = shop.karb("restore", tmp_path / "copy.db")
        assert done.returncode == 0, done.stderr
        assert "new life" in done.stdout
    else:
        if how != "cp over it":
            for path in shop.data.glob("karb.sqlite*"):
                path.unlink()
        for path in copy.iterdir():
            # Over it: the WAL of today is left lying beside the file of yesterday.
            if (
                how == "whole folder"
                or path.name == "karb.sqlite"
                or (how == "another file" and path.name.endswith("-wal"))
            ):
                shutil.copyfile(path, shop.data / path.name)
    shop.start()
    shop.sell(3)
    told = shop.until(lambda told: told["sales"] == 41 and told["waiting"] == 0)
    *former, now = told["lives"]
    assert now["stream"] != before
    (life,) = [life for life in former if life["stream"] == before]
    assert life["came_back"] >= 33
    assert life["missing"] == 0
    shop.until(lambda told: all(life["closed_at"] for life in told["lives"][:-1]))
    kept, forks, fences = central(office)
    assert kept == as_central_says(shop.receipts), "each sale once, under its printed number"
    assert len(set(kept.values())) == 41
    assert forks == (0,)
    assert len(fences) == 1
    done = shop.karb("journal", "verify")
    assert done.returncode == 0, done.stdout
    office.command("journal", "verify")


def test_head_offices_backup_put_back_gets_everything_from_the_stores(
    shop, office, tmp_path, launcher
):
    shop.sell(2)
    shop.drained()
    office.command("backup", tmp_path / "copy.db")
    unused = office.code("S1")
    shop.sell(4)
    office.command("store", "add", "S1", "--name", "Renamed")
    other = Shop(launcher, tmp_path / "other").enrol(office)
    office.command("node", "revoke", other.status_node(), "--why", "stolen")
    shop.drained()
    office.stop(signal.SIGKILL)
    told = office.command("restore", tmp_path / "copy.db")
    assert told["facts"] > 0
    office.start()
    shop.sell(1)
    shop.drained()
    end = time.monotonic() + 30
    while office.command("stream", "list")["streams"] and time.monotonic() < end:
        time.sleep(0.1)
    kept, forks, _ = central(office)
    assert kept == as_central_says(shop.receipts), "nothing lost, nothing doubled"
    assert forks == (0,)
    assert office.command("stream", "list")["streams"] == []
    names = [store["name"] for store in office.command("status")["stores"]]
    assert names == ["Renamed"], "what head office itself had said came back"
    revoked = {n["node"]: n["revoked"] for n in office.command("node", "list")["nodes"]}
    assert revoked == {shop.status_node(): False, other.status_node(): True}
    late = Shop(launcher, tmp_path / "late")
    done = late.karb("init", "--central", office.url, "--code", unused)
    assert done.returncode == 4
    office.command("journal", "verify")
