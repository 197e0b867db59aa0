"""The data folder of a node: who holds it, and what a running node leaves in it.

Imports next to nothing: every command begins here.
"""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

import msgspec

LOCK = "lock"
RUN = "run.json"
ADMIN = "admin.token"


class AlreadyRunning(Exception):
    """Another process has this data folder."""


class Running(msgspec.Struct, frozen=True, kw_only=True):
    """What `run.json` tells the commands."""

    pid: int
    address: str
    """As http://127.0.0.1:8787."""

    tls_cert: str = ""
    """Of the API, if it is served over TLS."""


@contextmanager
def locked(data: Path, patience_s: float = 1.0) -> Iterator[None]:
    """Hold the data folder: one process at a time may open the database.

    Args:
        data: The folder.
        patience_s: How long to try; another command may just be looking (`is_locked`).

    Raises:
        AlreadyRunning: Another process has it.
        FileNotFoundError: There is no such folder.
    """
    with _lock_file(data) as file:
        until = time.monotonic() + patience_s
        while not _lock(file):
            if time.monotonic() >= until:
                raise AlreadyRunning(
                    f"{data}: another karb has it; stop that one, or give another --data."
                )
            time.sleep(0.02)
        yield


def is_locked(data: Path) -> bool:
    """Whether a process has the data folder now."""
    try:
        with locked(data, 0):
            return False
    except AlreadyRunning:
        return True
    except FileNotFoundError:
        return False


def _lock_file(data: Path) -> IO[bytes]:
    if not data.is_dir():
        raise FileNotFoundError(f"{data}: no such folder; run karb init first, or give --data.")
    return (data / LOCK).open("ab")


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def tell(data: Path, running: Running, admin: str) -> None:
    """Leave the address and the token of this run for the commands."""
    _write_private(data / ADMIN, admin.encode())
    _write_private(data / RUN, msgspec.json.encode(running))


def told(data: Path) -> tuple[Running, str]:
    """Return what the running node left.

    Raises:
        OSError, ValueError: It is not up yet, or just went.
    """
    running = msgspec.json.decode((data / RUN).read_bytes(), type=Running)
    return running, (data / ADMIN).read_text(encoding="ascii")


def untell(data: Path) -> None:
    """Take it away again."""
    for name in (RUN, ADMIN):
        (data / name).unlink(missing_ok=True)


def _write_private(path: Path, content: bytes) -> None:
    """Write a file that nobody else could read at any moment."""
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
        file.write(content)
    beside.replace(path)
