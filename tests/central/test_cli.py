"""The commands as a person runs them: processes, exit codes, what they print."""

import json
import shutil
import signal
import socket
import sqlite3
import subprocess
import sys
from contextlib import closing
from uuid import UUID

import pytest

from central.config import Busy, Folder
from central.ledger import documents
from sync.chain import ALL
from sync.enrolment import EnrolmentCode
from sync.facts.document import CUSTOMER, DocumentChanged
from sync.facts.person import Sealed
from tests.central.conftest import open_desk


def karb(*words, data=None, as_json=True, check=None):
    told = [sys.executable, "-m", "central", *map(str, words)]
    if data is not None:
        told += ["--data", str(data)]
    if as_json:
        told.append("--json")
    done = subprocess.run(told, capture_output=True, text=True, timeout=60, check=False)
    if check is not None:
        assert done.returncode == check, done.stdout + done.stderr
    assert "Traceback" not in done.stderr
    return done


def answer(*words, data):
    return json.loads(karb(*words, data=data, check=0).stdout)


class Running:
    """`karb-central run`."""

    def __init__(self, data, *more):
        self.process = subprocess.Popen(
            [
                sys.executable,
                "-m",
                "central",
                "run",
                "--data",
                str(data),
                "--json",
                "--listen",
                "127.0.0.1:0",
                *more,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def __enter__(self):
        self.url = json.loads(self.process.stdout.readline())["url"]
        return self

    def __exit__(self, *_):
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
        _, self.errors = self.process.communicate(timeout=30)


def test_a_head_office_from_nothing(tmp_path):
    data = tmp_path / "head office"
    made = answer("init", "--host", "Centrala.Example", data=data)
    assert made["hosts"] == ["centrala.example"]
    with Running(data) as running:
        assert running.url.startswith("https://127.0.0.1:")
        store = answer("store", "add", "KRK1", "--name", "Kraków", "--fiscal", data=data)
        assert store == {"store": "KRK1", "name": "Kraków", "changed": True}
        code = answer("enrol-code", "--store", "KRK1", data=data)["code"]
        assert EnrolmentCode.parse(code).authority.hex() == made["fingerprint"][:32]
        words = karb("token", "create", "--scope", "read", "--name", "x", data=data, as_json=False)
        assert words.stdout.startswith("karb_read_")
        assert json.loads((data / "run.json").read_text())["url"] == running.url
        assert (data / "admin.token").stat().st_mode & 0o777 == 0o600
        assert answer("backup", tmp_path / "copy.db", data=data)["facts"] == 3
        with pytest.raises(Busy, match="in use"), Folder(data).locked():
            pass
    assert running.process.returncode == 0
    assert not (data / "run.json").exists()
    assert not (data / "admin.token").exists()
    assert "KRK1" in karb("status", data=data, as_json=False, check=0).stdout


def test_the_ledger_survives_kill_9(made, tmp_path):
    data = shutil.copytree(made, tmp_path / "central")
    again = karb("init", data=data, check=1)
    assert "already" in json.loads(again.stdout)["error"]
    with Running(data) as running:
        answer("store", "add", "KRK1", "--name", "Kraków", data=data)
        running.process.kill()
        running.process.wait()
    assert (data / "run.json").exists()  # stale; the lock says so
    with Running(data):
        assert [row["id"] for row in answer("status", data=data)["stores"]] == ["KRK1"]


def test_a_catalogue_from_a_file(made, tmp_path):

    data = shutil.copytree(made, tmp_path / "central")
    good = tmp_path / "cennik.csv"
    good.write_bytes("sku;nazwa;vat;cena\nA;Masło;5;5,90\n".encode("cp1250"))
    told = karb("catalogue", "import", good, data=data, as_json=False, check=0)
    assert "1 articles" in told.stdout
    bad = tmp_path / "bad.csv"
    bad.write_text("sku;nazwa;vat;cena\nA;Masło;5;drogo\n")
    done = karb("catalogue", "import", bad, data=data, check=4)
    message = json.loads(done.stdout)["error"]
    assert all(word in message for word in ("row 2", "drogo", "zloty"))
    done = karb("catalogue", "import", tmp_path / "none.csv", data=data, check=2)
    assert "none.csv" in json.loads(done.stdout)["error"]


def test_promotions_from_a_file(made, tmp_path):
    data = shutil.copytree(made, tmp_path / "central")
    file = tmp_path / "promocje.json"
    row = {"id": "P1", "name": "-20%", "kind": "percent", "basis_points": 2000}
    file.write_text(json.dumps({"promotions": [row]}))
    told = karb("promotions", "import", file, data=data, as_json=False, check=0)
    assert "1 promotions new or changed" in told.stdout
    file.write_text(json.dumps({"promotions": [row | {"basis_points": 20_000}]}))
    done = karb("promotions", "import", file, data=data, check=4)
    assert "row 1, basis_points: got '20000'" in json.loads(done.stdout)["error"]


def test_hours_are_said_of_a_store_or_of_all(made, tmp_path):
    data = shutil.copytree(made, tmp_path / "central")
    karb("store", "add", "S1", "--name", "Sklep", data=data, check=0)
    night = ("hours", "set", "group:alkohole", "--forbid", "22:00-06:00")
    assert answer(*night, data=data)["changed"] is True
    assert answer(*night, data=data)["changed"] is False
    answer("hours", "set", "group:alkohole", "--store", "S1", data=data)
    answer(
        "hours",
        "set",
        "sku:A",
        "--store",
        "S1",
        "--forbid",
        "08:00-09:00",
        *("--days", "7"),
        data=data,
    )
    told = karb("hours", "list", data=data, as_json=False, check=0).stdout
    assert "group:alkohole at all stores: not sold 22:00-06:00." in told
    assert "group:alkohole at S1: sold at any hour." in told
    assert "sku:A at S1: not sold 08:00-09:00 (7)." in told
    for words, said in (
        (("group:alkohole", "--forbid", "22-6"), "expected them as 22:00-06:00"),
        (("alkohole",), "expected sku:"),
        (("sku:A", "--days", "x", "--forbid", "08:00-09:00"), "weekdays"),
        (("sku:A", "--days", "8", "--forbid", "08:00-09:00"), "1 to 7"),
        (("sku:A", "--store", "NIEMA"), "not known"),
    ):
        assert said in karb("hours", "set", *words, data=data, as_json=False, check=4).stderr


def test_transfers_are_listed(made, tmp_path):
    data = shutil.copytree(made, tmp_path / "central")
    assert answer("stock", "transfers", data=data) == {"transfers": []}
    told = karb("stock", "transfers", "--store", "KRK1", data=data, as_json=False, check=0)
    assert told.stdout == "No transfers yet.\n"


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("run", "--listen", "nonsense"), 2, "HOST:PORT"),
        (("run", "--database", "postgresql://u:secret@h/x"), 2, "SQLite only"),
        (("enrol-code", "--store", "NOPE"), 4, "store add"),
    ],
)
def test_a_refusal_names_the_value_and_the_cure(made, words, code, said):
    done = karb(*words, data=made, check=code)
    message = json.loads(done.stdout)["error"]
    assert said in message
    assert "secret" not in message


def test_wrong_usage_and_a_missing_folder(tmp_path):
    assert karb("store", "add", as_json=False).returncode == 2
    karb("init", "--host", "a b", data=tmp_path / "x", check=2)
    assert not (tmp_path / "x").exists()
    done = karb("status", data=tmp_path / "nowhere", check=1)
    assert "init" in json.loads(done.stdout)["error"]


def test_a_taken_address_is_said_so(made, tmp_path):

    data = shutil.copytree(made, tmp_path / "central")
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        done = karb("run", "--listen", f"127.0.0.1:{port}", data=data, check=1)
    assert str(port) in json.loads(done.stdout)["error"]


def test_a_damaged_journal_fails_the_command(made, tmp_path):

    data = shutil.copytree(made, tmp_path / "central")
    with closing(sqlite3.connect(data / "ledger.db")) as raw:
        raw.execute("UPDATE facts SET body = zeroblob(9) WHERE seq = 2")
        raw.commit()
    done = karb("journal", "verify", data=data, check=1)
    assert "fact 2 (node.enrolled" in json.loads(done.stdout)["faults"][0]
    done = karb("journal", "verify", data=data, as_json=False, check=1)
    assert "fact 2 (node.enrolled" in done.stderr


def test_a_customer_nobody_has_written_of_cannot_be_forgotten(folder):
    for wrong in ("6f1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d11", "Jan"):
        done = karb("customer", "forget", wrong, data=folder.path, check=4)
        assert "expected" in json.loads(done.stdout)["error"]


def test_forgetting_says_what_is_left_to_do_by_hand(folder):
    id_ = "6f1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d11"
    body = DocumentChanged(UUID(id_).bytes, CUSTOMER, b"", Sealed(b"p" * 16, bytes(12), bytes(16)))
    with open_desk(folder) as desk:
        desk.write(lambda unit: documents.tell(unit, ALL, [(body.document, body)]))
    told = karb("customer", "forget", id_, data=folder.path, as_json=False, check=0).stdout
    assert "is forgotten: 1 keys destroyed" in told
    assert ".keys files of earlier backups" in told
    assert answer("customer", "forget", id_, data=folder.path)["changed"] is False


def test_policies_and_what_waits(made, tmp_path):
    data = shutil.copytree(made, tmp_path / "central")
    goods = tmp_path / "cennik.csv"
    goods.write_text("sku;nazwa;vat;cena;grupa\nA;Masło;5;5,90;nabiał\n")
    karb("catalogue", "import", goods, data=data, check=0)
    answer("store", "add", "S1", "--name", "Sklep", data=data)
    said = answer(
        *("stock", "policy", "set", "A", "--store", "S1", "--mode", "strict"),
        *("--floor", "2,5", "--web-share", "30"),
        data=data,
    )
    assert said == {
        "store": "S1",
        "target": "sku:A",
        "mode": "strict",
        "floor_milli": 2500,
        "web_percent": 30,
        "changed": True,
    }
    karb("stock", "policy", "set", "*", "--web-share", "10", data=data, check=0)
    listed = karb("stock", "policy", "list", data=data, as_json=False, check=0).stdout
    assert "sku:A at S1: strict, floor 2.5, web share 30 %" in listed
    assert "* at all stores: lenient, floor 0, web share 10 %" in listed
    for words, code, told in (
        (("A", "--web-share", "101"), 4, "101"),
        (("A", "--floor", "-1"), 2, "--floor"),
        (("A", "--floor", "viele"), 2, "viele"),
        (("A", "--mode", "free"), 4, "free"),
        (("A", "--store", "S9"), 4, "S9"),
        (("B",), 4, "B"),
        (("group:mięso",), 4, "group:mięso"),
    ):
        done = karb("stock", "policy", "set", *words, data=data, check=code)
        assert told in json.loads(done.stdout)["error"]
    words = ("give-up", "x", "--store", "S1", "--who", "anna")
    assert "UUID" in json.loads(karb("promise", *words, data=data, check=4).stdout)["error"]
