"""What a hostile user has: raw sockets, any bytes, and a look at the tables afterwards."""

import http.client
import json
import socket
import sqlite3
import ssl
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import urlsplit

LEAKS = ("Traceback", 'File "', "site-packages", ".py", "sqlite3.", "SELECT ", "0x7f")
"""What no answer may show."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    status: int
    headers: http.client.HTTPMessage
    body: bytes

    @property
    def json(self):
        return json.loads(self.body)

    def problem(self, status, *words):
        """Check that this is a whole problem document that names `words`; return it."""
        assert self.status == status, (self.status, self.body[:500])
        assert self.headers.get_content_type() == "application/problem+json"
        told = self.json
        assert told["status"] == status
        assert told["title"]
        assert told["detail"].endswith((".", "?")), told["detail"]
        assert told.keys() <= {"type", "title", "status", "detail", "instance", "errors"}
        for mistake in told.get("errors", ()):
            assert {"where", "value", "expected"} <= mistake.keys()
            assert mistake["expected"]
        text = self.body.decode()
        assert len(text) < 40_000
        for word in words:
            assert str(word) in text, (word, text)
        for leak in LEAKS:
            assert leak not in text, text
        return told


def ask(url, method, path, body=None, *, token=None, headers=(), context=None, kind=True):
    """Make one request on a connection of its own."""
    parts = urlsplit(url)
    if parts.scheme == "https":
        link = http.client.HTTPSConnection(parts.hostname, parts.port, timeout=30, context=context)
    else:
        link = http.client.HTTPConnection(parts.hostname, parts.port, timeout=30)
    said = dict(headers)
    if token is not None:
        said["Authorization"] = f"Bearer {token}"
    if body is not None and not isinstance(body, bytes | bytearray) and not hasattr(body, "read"):
        body = json.dumps(body).encode()
    if body is not None and kind:
        said.setdefault("Content-Type", "application/json")
    with closing(link):
        link.request(method, path, body, said)
        reply = link.getresponse()
        return Answer(reply.status, reply.headers, reply.read())


@contextmanager
def connected(url, context=None):
    """A bare connection."""
    parts = urlsplit(url)
    with socket.create_connection((parts.hostname, parts.port), timeout=30) as bare:
        if context is None:
            yield bare
        else:
            with context.wrap_socket(bare, server_hostname="central.karb") as wrapped:
                yield wrapped


def raw(url, data, context=None):
    """Send bytes as they are; return everything that comes until the other side closes."""
    with connected(url, context) as link:
        link.sendall(data)
        return rest(link)


def rest(link):
    """Everything that still comes."""
    got = b""
    try:
        while part := link.recv(65536):
            got += part
    except (ConnectionError, ssl.SSLError):
        pass
    return got


def dump(path: Path, *without):
    """Every row of every table, by SQLite itself, without writing anything."""
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as db:
        tables = [
            name
            for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'table'")
            if name not in without
        ]
        found = {
            name: sorted(db.execute(f"SELECT * FROM {name}").fetchall(), key=repr)
            for name in sorted(tables)
        }
    if "meta" in found:  # a node counts its commits, those that change nothing too
        found["meta"] = [row for row in found["meta"] if row[0] != "turn"]
    return found


def resident_kib(pid):
    """Most memory a process has ever held (VmHWM)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM"):
            return int(line.split()[1])
    raise AssertionError("no VmHWM")


def words(done, code):
    """Check how a command ended and that it said it plainly; return what it said."""
    said = done.stdout + done.stderr
    assert done.returncode == code, (done.returncode, said)
    assert "Traceback" not in said, said
    assert ".py" not in said, said
    return said
