"""How the process ends: by itself when it cannot write any more, in seconds when told to."""

import json
import secrets
import signal
import socket
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from urllib.parse import urlsplit

from tests.central.machine import context_for, enrol
from tests.central.test_cli import answer, karb

SECONDS = 9
"""Longer than any of them may take, with room for a busy machine."""

PROGRAM = """
import sys, time
from pathlib import Path
from central.cli.serving import run
from central.config import Config, Folder
from central.ledger.ledger import wall_ms

data, flag, what = Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3]

def clock():
    if flag.exists():
        time.sleep(3600) if what == "stuck" else 1 / 0
    return wall_ms()

run(Config(Folder(data), "127.0.0.1", 0), as_json=True, now_ms=clock)
"""


class Office:
    """A running head office."""

    def __init__(self, process):
        self.process = process
        self.url = json.loads(process.stdout.readline())["url"]

    def told_to_end(self):
        """Tell it to end; return what it ended with, and its log."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(SECONDS), self.process.stderr.read()


@contextmanager
def office(*words):
    process = subprocess.Popen(
        [sys.executable, *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        yield Office(process)
    finally:
        process.kill()
        process.communicate()


def served(data):
    return office("-m", "central", "run", "--data", data, "--listen", "127.0.0.1:0", "--json")


def test_without_its_writing_thread_the_process_ends(folder, tmp_path):
    flag = tmp_path / "flag"
    with office("-c", PROGRAM, folder.path, flag, "raise") as running:
        answer("store", "add", "KRK1", "--name", "Kraków", data=folder.path)
        flag.touch()
        told = karb("store", "add", "KRK2", "--name", "Kraków 2", data=folder.path, check=1)
        assert "writing thread failed" in json.loads(told.stdout)["error"]
        assert running.process.wait(SECONDS) != 0
        assert "ZeroDivisionError" in running.process.stderr.read()
    assert not folder.run.exists()
    with served(folder.path):
        assert [row["id"] for row in answer("status", data=folder.path)["stores"]] == ["KRK1"]


def test_a_stuck_writing_thread_holds_nobody(folder, tmp_path):
    flag = tmp_path / "flag"
    with office("-c", PROGRAM, folder.path, flag, "stuck") as running:
        flag.touch()
        command = [sys.executable, "-m", "central", "store", "add", "X", "--name", "X"]
        with subprocess.Popen(
            [*command, "--data", str(folder.path)], stderr=subprocess.PIPE, text=True
        ) as waiting:
            time.sleep(1.5)  # it waits for an answer that will not come
            code, log = running.told_to_end()
            assert code == 1
            assert "not everything ended in time" in log
            waiting.terminate()


def connect(url, pem, machine=None, tmp=None):
    """Open a TLS connection that takes little at a time."""
    where = urlsplit(url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.connect((where.hostname, where.port))
    more = (machine.writer.key, machine.answer.certificate, tmp) if machine else ()
    return context_for(pem, *more).wrap_socket(raw, server_hostname="central.karb")


def ask(link, method, path, *headers):
    link.sendall(
        "\r\n".join([f"{method} {path} HTTP/1.1", "Host: central.karb", *headers, "", ""]).encode()
    )


async def test_sigterm_ends_it_with_stuck_peers(folder, tmp_path):
    data = folder.path
    rows = [f"{secrets.token_hex(15)};{secrets.token_urlsafe(80)};5;5,90\n" for _ in range(40_000)]
    sheet = tmp_path / "cennik.csv"
    sheet.write_text("sku;nazwa;vat;cena\n" + "".join(rows))
    answer("store", "add", "S1", "--name", "S1", data=data)
    answer("catalogue", "import", sheet, data=data)
    shown = answer("token", "create", "--scope", "read", "--name", "x", data=data)["token"]
    with served(data) as running, ExitStack() as stack:
        code = answer("enrol-code", "--store", "S1", data=data)["code"]
        machine = await enrol(running.url, code, tmp_path)
        pem = folder.authority.read_text()

        def link(*more):
            return stack.enter_context(connect(running.url, pem, *more))

        half = link(machine, tmp_path)  # half a body
        ask(
            half,
            "POST",
            "/v1/exchange",
            "Content-Type: application/octet-stream",
            "Content-Length: 100000",
        )
        half.sendall(b"half")
        page = link()  # a page nobody looks at
        ask(page, "GET", "/v1/status/events", f"Authorization: Bearer {shown}")
        assert page.recv(12) == b"HTTP/1.1 200"
        asking = link()  # questions whose answers nobody reads
        for _ in range(200):
            ask(asking, "GET", "/openapi.json")
        asleep = link(machine, tmp_path)  # a WebSocket, and a long catalogue it does not read
        ask(
            asleep,
            "GET",
            "/v1/exchange/live",
            "Upgrade: websocket",
            "Connection: Upgrade",
            "Sec-WebSocket-Version: 13",
            "Sec-WebSocket-Key: AAAAAAAAAAAAAAAAAAAAAA==",
        )
        assert asleep.recv(12) == b"HTTP/1.1 101"
        hello = machine.session().hello([], None)
        asleep.sendall(b"\x82\xfe" + len(hello).to_bytes(2, "big") + bytes(4) + hello)
        (store,) = answer("status", data=data)["stores"]
        assert store["online"]
        assert store["bytes_out"] > 100_000
        code, log = running.told_to_end()
        assert code == 0, log
        assert "Traceback" not in log
