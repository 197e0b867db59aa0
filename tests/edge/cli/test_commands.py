"""The commands as processes: what a person types, and what a script reads."""

import json
import os
import shutil
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import contextmanager

import pytest
import trustme

from edge.config import first_file
from edge.enrol import DATABASE
from sync.enrolment import EnrolmentCode
from tests.edge.till.shop import STORE, enrolled, opened

NOWHERE = "https://127.0.0.1:9"
SALE = "/v1/sales/7b1f0d3e-5f0c-4b0e-9d55-0a1b2c3d4e5f"
BODY = {
    "till": "K1",
    "cashier": "anna",
    "lines": [{"sku": "MLEKO", "quantity_milli": 2000, "unit_minor": 389}],
    "payments": [{"method": "cash", "amount_minor": 1000}],
}


def karb(*words, code=0):
    """Run a command to its end; its standard output, decoded where it is JSON."""
    done = subprocess.run(
        [sys.executable, "-m", "edge", *map(str, words)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={key: text for key, text in os.environ.items() if key != "KARB_DATA"},
    )
    assert done.returncode == code, (words, done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr
    return json.loads(done.stdout) if "--json" in words else done.stdout + done.stderr


@contextmanager
def running(data, *more):
    """A node as a process; yields it and where it listens."""
    command = [sys.executable, "-m", "edge", "run", "--data", str(data), "--json"]
    with subprocess.Popen(
        [*command, "--listen", "127.0.0.1:0", *more],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            line = process.stdout.readline()
            assert line, process.stderr.read()
            yield process, json.loads(line)["address"]
        finally:
            process.kill()
            process.communicate()


def stop(process):
    process.send_signal(signal.SIGTERM)
    _, log = process.communicate(timeout=20)
    assert process.returncode == 0, log
    assert all(json.loads(line)["event"] for line in log.splitlines())


def http(method, url, token, body=None):
    request = urllib.request.Request(
        url,
        method=method,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}", "Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request, timeout=20) as reply:
        return reply.status, json.load(reply)


@pytest.fixture
async def node(tmp_path):
    """The folder of an enrolled node with a catalogue, not running."""
    data = tmp_path / "node"
    key = enrolled(data)
    async with opened(data, key=key):
        pass
    (data / "karb.toml").write_text(first_file("kasa-1", STORE, NOWHERE), encoding="utf-8")
    return data


def test_a_node_sells_is_killed_and_goes_on(node):
    with running(node) as (process, url):
        told = json.loads((node / "run.json").read_bytes())
        assert (told["pid"], told["address"]) == (process.pid, url)
        assert (node / "admin.token").stat().st_mode & 0o777 == 0o600
        made = karb(
            "token", "create", "--scope", "sell", "--name", "kasa", "--data", node, "--json"
        )
        token = made["token"]
        assert http("PUT", url + SALE, token, BODY)[0] == 201
        before = http("GET", url + SALE, token)
        said = karb("status", "--data", node, "--json")
        assert (said["store"], said["sales"], said["link"]) == (STORE, 1, "offline")
        assert "1, articles 5" in karb("status", "--data", node)
        assert karb("sync", "now", "--data", node, "--json", code=3)["exit"] == 3
        assert "another karb" in karb("run", "--data", node, code=4)
        assert karb("journal", "verify", "--data", node, "--json")["sound"] is True
        process.kill()
        process.wait()
    with running(node) as (process, url):
        assert http("GET", url + SALE, token) == before
        assert http("PUT", url + SALE, token, BODY)[0] == 200
        stop(process)
    assert not (node / "run.json").exists()
    assert not (node / "admin.token").exists()
    assert "not running" in karb("status", "--data", node, code=3)


def test_what_can_be_done_while_nothing_runs(node):
    told = karb("status", "--data", node, "--json", code=3)
    assert "karb run" in told["error"]
    karb("sync", "now", "--data", node, code=3)
    text = karb("token", "create", "--scope", "read", "--name", "kiosk", "--data", node).strip()
    assert text.startswith("karb_read_")
    assert karb("journal", "verify", "--data", node, "--json")["sound"] is True
    with running(node) as (process, url):
        assert http("GET", url + "/v1/status", text)[0] == 200
        with pytest.raises(urllib.error.HTTPError) as refused:
            http("PUT", url + SALE, text, BODY)
        assert refused.value.code == 403
        refused.value.close()
        stop(process)


def test_a_flipped_bit_in_a_copy_is_found_and_its_fact_named(node, tmp_path):
    copy = tmp_path / "copy.sqlite"
    shutil.copy(node / DATABASE, copy)
    assert karb("journal", "verify", "--file", copy, "--json")["sound"] is True
    content = bytearray(copy.read_bytes())
    at = content.rindex(b"Woda niegazowana")
    while (found := content.find(b"Woda niegazowana")) >= 0:
        content[found] ^= 1
    assert at > 0
    copy.write_bytes(content)
    told = karb("journal", "verify", "--file", copy, "--json", code=1)
    assert not told["sound"]
    assert any("fact" in finding.lower() for finding in told["findings"])
    karb("journal", "verify", "--file", tmp_path / "none", code=1)


def test_over_tls_the_commands_still_find_it(node, tmp_path):
    authority = trustme.CA()
    served = authority.issue_cert("sklep.example", "127.0.0.1")
    cert, key = tmp_path / "cert.pem", tmp_path / "key.pem"
    served.cert_chain_pems[0].write_to_path(cert)
    served.private_key_pem.write_to_path(key)
    with running(node, "--tls-cert", cert, "--tls-key", key) as (process, url):
        assert url.startswith("https://")
        assert karb("status", "--data", node, "--json")["store"] == STORE
        stop(process)


def test_wrong_use_is_told_with_the_cure(node, tmp_path):
    create = ("token", "create", "--data", node)
    karb(*create, "--scope", "sell", code=2)
    assert "read, sell, print" in karb(*create, "--scope", "admin", "--name", "x", code=2)
    karb(*create, "--scope", "sell", "--name", "", code=2)
    assert "--tls-cert" in karb("run", "--data", node, "--listen", "0.0.0.0:0", code=2)
    assert "karb init" in karb("run", "--data", tmp_path, code=2)
    with (node / "karb.toml").open("a", encoding="utf-8") as file:
        file.write("\n[[device]]\n")
    assert "did you mean devices?" in karb("run", "--data", node, code=2)


def test_enrolment_that_cannot_be(node, tmp_path):
    code = EnrolmentCode(secret=bytes(10), authority=bytes(16)).text
    init = ("init", "--central", NOWHERE, "--code")
    assert "code" in karb(*init, "x", "--data", tmp_path / "new", code=4)
    told = karb(*init, code, "--data", tmp_path / "new", "--json", code=3)
    assert told["exit"] == 3
    assert "already" in karb(*init, code, "--data", node, code=4)
