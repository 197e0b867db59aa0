"""The folder head office lives in, and how it is to run."""

import fcntl
import json
import os
import re
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from ipaddress import ip_address
from pathlib import Path

HOST = re.compile(
    r"(?=.{1,253}$)[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?(\.[A-Za-z0-9]([A-Za-z0-9-]*[A-Za-z0-9])?)*"
)
STORE = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,39}")
"""A store's id: it stands in addresses, certificates and stream names."""

_LOCK_STEP_S = 0.05

DEFAULT_LISTEN = "127.0.0.1:8443"


class BadConfig(Exception):
    """A value given by a person cannot be used; the message says why and what to do."""


class Busy(Exception):
    """Another process holds the folder."""


@dataclass(frozen=True, slots=True)
class Folder:
    """What stands where in `--data DIR`."""

    path: Path

    @property
    def authority(self) -> Path:
        """The authority's certificate, PEM: what everybody trusts."""
        return self.path / "authority.pem"

    @property
    def authority_key(self) -> Path:
        """Its key, mode 0600."""
        return self.path / "authority.key"

    @property
    def node(self) -> Path:
        """Central's node certificate, PEM."""
        return self.path / "node.pem"

    @property
    def node_key(self) -> Path:
        """Its Ed25519 key, mode 0600: signs central's streams."""
        return self.path / "node.key"

    @property
    def server(self) -> Path:
        """Certificate and key of the TLS server, mode 0600; made again when it ages."""
        return self.path / "server.pem"

    @property
    def hosts(self) -> Path:
        """Names the server certificate has besides `central.karb` and localhost."""
        return self.path / "hosts.json"

    @property
    def ledger(self) -> Path:
        """The database, unless `--database` names another."""
        return self.path / "ledger.db"

    @property
    def lock(self) -> Path:
        """Locked by the one process that has the ledger open."""
        return self.path / "lock"

    @property
    def run(self) -> Path:
        """Where the running process listens."""
        return self.path / "run.json"

    @property
    def admin_token(self) -> Path:
        """What the commands show the running process, mode 0600; new at each start."""
        return self.path / "admin.token"

    def read_hosts(self) -> list[str]:
        """Return the names given at init."""
        hosts: list[str] = json.loads(self.hosts.read_text())
        return hosts

    @contextmanager
    def locked(self, wait_s: float = 0.0) -> Iterator[None]:
        """Hold the folder: exactly one process opens the ledger.

        Args:
            wait_s: How long to wait for another process to let go of it.

        Raises:
            Busy: Another process does.
            BadConfig: The folder is not one `init` has made.
        """
        try:
            descriptor = os.open(self.lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise BadConfig(
                f"--data {str(self.path)!r}: {error.strerror}; run karb-central init first."
            ) from error
        until = time.monotonic() + wait_s
        while not _try_lock(descriptor):
            if time.monotonic() >= until:
                os.close(descriptor)
                raise Busy(f"{self.path} is in use by another karb-central; stop it first.")
            time.sleep(_LOCK_STEP_S)
        try:
            yield
        finally:
            os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


@dataclass(frozen=True, slots=True)
class Config:
    """How `karb-central run` runs."""

    folder: Folder
    host: str
    port: int
    """0: any that is free."""

    database: str | None = None
    """An SQLAlchemy URL; None: `Folder.ledger`."""


def parse_listen(text: str) -> tuple[str, int]:
    """Read ``HOST:PORT``, ``[::1]:PORT`` included.

    Raises:
        BadConfig: It is something else.
    """
    host, colon, port = text.rpartition(":")
    host = host.removeprefix("[").removesuffix("]")
    if not colon or not host or not port.isascii() or not port.isdigit() or int(port[:6]) > 65535:
        raise BadConfig(f"--listen {text!r}: expected HOST:PORT, such as {DEFAULT_LISTEN}.")
    try:
        ip_address(host)
    except ValueError:
        if not HOST.fullmatch(host):
            raise BadConfig(
                f"--listen {text!r}: {host!r} is no host name and no address."
            ) from None
    return host, int(port)


def check_host(text: str) -> str:
    """Check a name for the server certificate.

    Raises:
        BadConfig: It is neither a host name nor an address.
    """
    try:
        return str(ip_address(text))
    except ValueError:
        if HOST.fullmatch(text):
            return text.lower()
    raise BadConfig(f"--host {text!r}: expected a host name or an IP address, without a port.")
