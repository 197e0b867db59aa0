"""`karb.toml` into frozen dataclasses: read once, every mistake named at once.

    name = "kasa-1"
    store = "KRK1"
    central = "https://centrala.example:8443"
    listen = "127.0.0.1:8787"
    language = "pl"
    clock = "auto"

    [lan]
    listen = "0.0.0.0:8788"

    [[peers]]
    url = "https://192.168.1.12:8788"

    [labels]
    29 = "TTTTVWWWWW"

    [[tills]]
    id = "T1"

    [[devices]]
    id = "printer"
    driver = "printer.escpos"
    url = "tcp:192.168.1.50:9100"
    till = "T1"
    [devices.options]
    columns = 42

Devices that the commands added stand in `devices.toml` beside it, in the same form: a program
that rewrote `karb.toml` would lose its comments. Both may be edited by hand.

Only `name`, `store` and `central` are needed; `karb init` writes them. With `[lan]` the
nodes of a store find each other and exchange directly; `[[peers]]` names those that
multicast does not reach. `[labels]` says what the shop's own scales put into the codes of a prefix
from 20 to 29 (`sync.rules.in_store`).
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from ipaddress import ip_address
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge import files
from hw.registry import DRIVERS, DeviceConfig, place
from sync.rules import in_store

FILE = "karb.toml"
DEVICES = "devices.toml"

ID = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,19}")
"""A till or a device: it stands in receipt series, addresses and logs."""

LANGUAGES = ("pl", "en")
SCHEMES = ("serial", "input", "tcp", "http", "https", "usb", "udp")
"""Words that places of devices begin with; drivers may know others."""

CLOCKS = ("auto", "rtc", "none")

_SECRET = re.compile(r"password|secret|token|key|pin$", re.IGNORECASE)
_MISSING: Any = object()


class BadConfig(Exception):
    """The file has mistakes; the message has one a line."""

    def __init__(self, path: Path, mistakes: list[str]) -> None:
        super().__init__("\n".join(f"{path}: {mistake}" for mistake in mistakes))
        self.mistakes = tuple(mistakes)


@dataclass(frozen=True, slots=True)
class Listen:
    """Where the API is served."""

    host: str
    port: int
    """0: any that is free."""

    @property
    def loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return ip_address(self.host).is_loopback if _is_ip(self.host) else self.host == "localhost"

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


@dataclass(frozen=True, slots=True)
class Till:
    """One place where a cashier sells."""

    id: str


@dataclass(frozen=True, slots=True)
class Lan:
    """Where the store's other nodes call."""

    listen: Listen

    discover: bool = True
    """Announce this node on the network, and look for others."""

    interfaces: tuple[str, ...] = ()
    """Addresses of this machine to do that on; none: all but loopback."""


DEFAULT_TILLS = (Till("T1"),)


@dataclass(frozen=True, slots=True, kw_only=True)
class Config:
    """Everything a person may decide about a node."""

    data: Path
    """Folder of the database, the keys and `karb.toml`."""

    name: str
    """What the installer calls the machine."""

    store: str
    central: str
    listen: Listen = Listen("127.0.0.1", 8787)
    tls_cert: Path | None = None
    """Chain in PEM; needed, with `tls_key`, to listen beyond this machine."""

    tls_key: Path | None = None
    language: str = "pl"
    """Of slips."""

    clock: str = "auto"
    """``rtc``: the machine keeps time while off, trust it; ``none``: it does not;
    ``auto``: trust it if it has a real-time clock."""

    lan: Lan | None = None
    peers: tuple[str, ...] = ()
    """Addresses of other nodes of the store."""

    origins: tuple[str, ...] = ()
    """Pages of other places that may use the API, as https://kasa.example."""

    labels: in_store.Patterns = field(default_factory=lambda: in_store.DEFAULT)
    """Prefix of a code to what stands in it."""

    tills: tuple[Till, ...] = DEFAULT_TILLS
    devices: tuple[DeviceConfig, ...] = ()
    added: frozenset[str] = frozenset()
    """Ids of the devices that stand in `devices.toml`."""


def parse_listen(text: str) -> Listen:
    """Read ``HOST:PORT`` or ``[IPV6]:PORT``.

    Raises:
        ValueError: It is neither.
    """
    host, colon, port = text.rpartition(":")
    bare = host.removeprefix("[").removesuffix("]")
    if colon and bare and (":" not in bare or host.startswith("[")) and port.isascii():
        number = int(port[:6]) if port.isdigit() else -1
        if 0 <= number < 1 << 16:
            return Listen(bare, number)
    raise ValueError(f"{text!r}: expected HOST:PORT, as 127.0.0.1:8787 or [::1]:8787")


def is_address(text: str) -> bool:
    """Whether head office can stand at this address."""
    try:
        parts = urlsplit(text)
        return parts.scheme == "https" and bool(parts.hostname) and parts.port != 0
    except ValueError:
        return False


def load(data: Path) -> Config:
    """Read `karb.toml` and `devices.toml` in the data folder.

    Raises:
        BadConfig: It is not there, no TOML, or has mistakes; all of them are named.
    """
    path = data / FILE
    try:
        table = _toml(path)
    except FileNotFoundError:
        raise BadConfig(path, ["not found; run karb init first, or give --data"]) from None
    try:
        added = _toml(data / DEVICES)
    except FileNotFoundError:
        added = {}
    return parse(table, data, added)


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise
    except (OSError, ValueError, RecursionError) as error:  # no TOML, no UTF-8, a vast number
        raise BadConfig(path, [f"cannot be read: {error}"]) from error


def parse(table: Mapping[str, Any], data: Path, added: Mapping[str, Any] | None = None) -> Config:
    """Check what TOML gave.

    Args:
        table: Of `karb.toml`.
        data: The node's folder.
        added: Of `devices.toml`.

    Raises:
        BadConfig: It has mistakes; all of them are named.
    """
    mistakes: list[str] = []
    root = _Table(table, "", mistakes)
    tills = tuple(Till(row.id()) for row in root.rows("tills", ("id",)))
    more = _Table(added or {}, f"{DEVICES}: ", mistakes)
    by_command = tuple(_device(row) for row in more.rows("devices", _DEVICE))
    more.unknown(("devices",))
    config = Config(
        data=data,
        name=root.text("name"),
        store=root.text("store"),
        central=_address(root),
        listen=_listen(root),
        tls_cert=root.path("tls_cert", data),
        tls_key=root.path("tls_key", data),
        language=root.choice("language", LANGUAGES),
        clock=root.choice("clock", CLOCKS),
        lan=_lan(root),
        peers=tuple(_peer(row) for row in root.rows("peers", ("url",))),
        origins=_origins(root),
        labels=_labels(root),
        tills=tills or DEFAULT_TILLS,
        devices=tuple(_device(row) for row in root.rows("devices", _DEVICE)) + by_command,
        added=frozenset(device.id for device in by_command),
    )
    root.unknown(_ROOT)
    _check_together(config, mistakes)
    if mistakes:
        raise BadConfig(data / FILE, mistakes)
    return config


def with_device(config: Config, device: DeviceConfig) -> Config:
    """Add a device, or configure one anew that a command added.

    Raises:
        BadConfig: What comes out is not allowed.
    """
    mistakes: list[str] = []
    row = _Table(_row(device), f"{DEVICES}: devices[{device.id}].", mistakes)
    row.unknown(_DEVICE)
    _device(row)
    others = tuple(one for one in config.devices if one.id != device.id)
    if device.id in {one.id for one in config.devices} - config.added:
        mistakes.append(f"devices: {device.id!r} stands in {FILE}; change it there")
    after = replace(config, devices=(*others, device), added=config.added | frozenset((device.id,)))
    _check_together(after, mistakes)
    if mistakes:
        raise BadConfig(config.data / DEVICES, mistakes)
    return after


def without_device(config: Config, id_: str) -> Config:
    """Remove a device that a command added.

    Raises:
        BadConfig: There is none, or a person wrote it in `karb.toml`.
    """
    if id_ not in config.added:
        known = any(one.id == id_ for one in config.devices)
        said = f"stands in {FILE}; remove it there" if known else "is no device of this node"
        raise BadConfig(config.data / DEVICES, [f"devices: {id_[:40]!r} {said}"])
    return replace(
        config,
        devices=tuple(one for one in config.devices if one.id != id_),
        added=config.added - {id_},
    )


def write_devices(config: Config) -> None:
    """Write `devices.toml`: whole, or not at all.

    Raises:
        OSError: It cannot be written; the file before stands.
    """
    lines = ["# Devices that karb devices added. May be edited while the node does not run."]
    for device in config.devices:
        if device.id not in config.added:
            continue
        row = _row(device)
        options = row.pop("options")
        lines += ["", "[[devices]]"]
        lines += [
            f"{key} = {'true' if value is True else _quoted(value)}" for key, value in row.items()
        ]
        if options:
            lines.append("[devices.options]")
            lines += [f"{_quoted(key)} = {_quoted(value)}" for key, value in options.items()]
    files.replace(config.data / DEVICES, ("\n".join(lines) + "\n").encode())


def _row(device: DeviceConfig) -> dict[str, Any]:
    row: dict[str, Any] = {"id": device.id, "driver": device.driver, "url": device.url}
    if device.till is not None:
        row["till"] = device.till
    if device.shared:
        row["shared"] = True
    if device.stand_in is not None:
        row["stand_in"] = device.stand_in
    return row | {"options": dict(device.options)}


def moved(config: Config, listen: str | None, cert: Path | None, key: Path | None) -> Config:
    """Let the command line win over the file.

    Raises:
        BadConfig: What comes out is not allowed.
    """
    mistakes: list[str] = []
    if listen is not None:
        try:
            config = replace(config, listen=parse_listen(listen))
        except ValueError as error:
            mistakes.append(f"--listen {error}")
    config = replace(config, tls_cert=cert or config.tls_cert, tls_key=key or config.tls_key)
    _check_together(config, mistakes)
    mistakes.extend(
        f"{name}: {path} is no file; expected one in PEM"
        for name, path in (("tls_cert", config.tls_cert), ("tls_key", config.tls_key))
        if path is not None and not path.is_file()
    )
    if mistakes:
        raise BadConfig(config.data / FILE, mistakes)
    return config


def masked(options: Mapping[str, str]) -> dict[str, str]:
    """Device options fit to be shown: secrets are stars."""
    return {name: "***" if _SECRET.search(name) else text for name, text in options.items()}


def first_file(name: str, store: str, central: str) -> str:
    """Return the text of a new node's `karb.toml`."""
    values = {"name": name, "store": store, "central": central}
    lines = [f"{key} = {_quoted(value)}" for key, value in values.items()]
    return "\n".join(
        (
            *lines,
            'listen = "127.0.0.1:8787"',
            'language = "pl"',
            "",
            "# [lan]",
            '# listen = "0.0.0.0:8788"',
            "",
            "[[tills]]",
            'id = "T1"',
            "",
            "# [[devices]]",
            '# id = "printer"',
            '# driver = "printer.escpos"',
            '# url = "tcp:192.168.1.50:9100"',
            '# till = "T1"',
            "",
        )
    )


_ROOT = (
    "name",
    "store",
    "central",
    "listen",
    "tls_cert",
    "tls_key",
    "language",
    "clock",
    "lan",
    "peers",
    "origins",
    "labels",
    "tills",
    "devices",
)
_DEVICE = ("id", "driver", "url", "till", "shared", "stand_in", "options")


class _Table:
    """A TOML table that collects mistakes instead of stopping at the first."""

    def __init__(self, table: Mapping[str, Any], where: str, mistakes: list[str]) -> None:
        self._table, self._where, self._mistakes = table, where, mistakes

    def wrong(self, key: str, expected: str) -> None:
        """Note a value that cannot be."""
        value = self._table.get(key, _MISSING)
        got = "nothing" if value is _MISSING else repr("***" if _SECRET.search(key) else value)
        self._mistakes.append(f"{self._where}{key}: expected {expected}, got {got}")

    def text(self, key: str, default: str = "") -> str:
        """A text that is not empty; needed if there is no default."""
        value = self._table.get(key, default)
        if isinstance(value, str) and value.strip():
            return value
        self.wrong(key, "a text")
        return default

    def id(self) -> str:
        """A name fit for receipts and addresses."""
        value = self._table.get("id")
        if isinstance(value, str) and ID.fullmatch(value):
            return value
        self.wrong("id", "1 to 20 letters, digits, dots and dashes")
        return ""

    def choice(self, key: str, known: tuple[str, ...]) -> str:
        """One of a few words; the first is the default."""
        value = self._table.get(key, known[0])
        if value not in known:
            self.wrong(key, " or ".join(known))
        return str(value)

    def path(self, key: str, base: Path) -> Path | None:
        """A file, beside `karb.toml` unless it is absolute."""
        return base / self.text(key) if key in self._table else None

    def rows(self, key: str, known: tuple[str, ...]) -> list["_Table"]:
        """An array of tables, their unknown keys noted."""
        value = self._table.get(key, [])
        if not isinstance(value, list) or not all(isinstance(row, dict) for row in value):
            self.wrong(key, f"tables written [[{key}]]")
            return []
        rows = [
            _Table(row, f"{self._where}{key}[{n}].", self._mistakes) for n, row in enumerate(value)
        ]
        for row in rows:
            row.unknown(known)
        return rows

    def table(self, key: str, known: tuple[str, ...]) -> "_Table | None":
        """A table, its unknown keys noted; None if it is not there."""
        value = self._table.get(key)
        if value is None:
            return None
        if not isinstance(value, dict):
            self.wrong(key, f"a table written [{key}]")
            return None
        table = _Table(value, f"{key}.", self._mistakes)
        table.unknown(known)
        return table

    def options(self) -> dict[str, str]:
        """A driver's settings; numbers and switches become the text drivers read."""
        value = self._table.get("options", {})
        if not isinstance(value, dict) or any(
            not isinstance(item, str | int | float) for item in value.values()
        ):
            self.wrong("options", "a table of texts and numbers")
            return {}
        return {name: _as_text(item) for name, item in value.items()}

    def unknown(self, known: tuple[str, ...]) -> None:
        """Note keys nobody reads: a typing error must not be ignored."""
        for key in self._table.keys() - set(known):
            near = get_close_matches(key, known, n=1)
            hint = f"did you mean {near[0]}?" if near else f"expected one of {', '.join(known)}"
            self._mistakes.append(f"{self._where}{key}: unknown; {hint}")

    def get(self, key: str) -> Any:
        """The value as TOML gave it."""
        return self._table.get(key)


def _as_text(value: str | float) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return str(value)


def _address(root: _Table) -> str:
    text = root.text("central")
    if text and not is_address(text):
        root.wrong("central", "an address as https://centrala.example:8443")
    return text.rstrip("/")


def _listen(table: _Table, default: str = "127.0.0.1:8787") -> Listen:
    text = table.text("listen", default)
    try:
        return parse_listen(text)
    except ValueError:
        table.wrong("listen", f"HOST:PORT, as {default} or [::1]:8787")
        return Listen("127.0.0.1", 0)


def _lan(root: _Table) -> Lan | None:
    table = root.table("lan", ("listen", "discover", "interfaces"))
    if table is None:
        return None
    listen = _listen(table, "0.0.0.0:8788")
    if not _is_ip(listen.host):
        table.wrong("listen", "an address of this machine and a port, as 0.0.0.0:8788")
    discover = table.get("discover")
    if discover is not None and not isinstance(discover, bool):
        table.wrong("discover", "true or false")
    interfaces = table.get("interfaces") or []
    if not isinstance(interfaces, list) or not all(
        isinstance(one, str) and _is_ip(one) for one in interfaces
    ):
        table.wrong("interfaces", 'addresses of this machine, as ["192.168.1.10"]')
        interfaces = []
    return Lan(listen, discover is not False, tuple(interfaces))


def _peer(row: _Table) -> str:
    text = row.text("url")
    if text and not is_address(text):
        row.wrong("url", "an address as https://192.168.1.12:8788")
    return text.rstrip("/")


def _is_ip(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _device(row: _Table) -> DeviceConfig:
    driver = row.text("driver")
    if driver and driver not in DRIVERS:
        near = get_close_matches(driver, DRIVERS, n=1)
        hint = f" (did you mean {near[0]}?)" if near else ""
        row.wrong("driver", f"one of {', '.join(DRIVERS)}{hint}")
    scheme = row.text("url").partition(":")[0]
    near = get_close_matches(scheme.lower(), SCHEMES, n=1)
    if scheme not in SCHEMES and near:
        row.wrong("url", f"a place as {near[0]}:… (did you mean {near[0]}?)")
    till = row.get("till")
    if till is not None and not isinstance(till, str):
        row.wrong("till", "the id of a till, or nothing for a device shared by all")
        till = None
    shared = row.get("shared")
    if shared not in (None, True, False):
        row.wrong("shared", "true for a device that every till may use")
    stand_in = row.get("stand_in")
    if stand_in is not None and not isinstance(stand_in, str):
        row.wrong("stand_in", "the id of a printer")
        stand_in = None
    return DeviceConfig(
        id=row.id(),
        driver=driver,
        url=row.text("url"),
        till=till,
        shared=shared is True,
        stand_in=stand_in,
        options=row.options(),
    )


def _origins(root: _Table) -> tuple[str, ...]:
    origins = root.get("origins") or []
    if not isinstance(origins, list) or not all(
        isinstance(one, str) and re.fullmatch(r"https?://[^/\s*]+", one) for one in origins
    ):
        root.wrong("origins", 'addresses of pages, as ["https://kasa.example"]; * is none')
        return ()
    return tuple(origins)


def _labels(root: _Table) -> in_store.Patterns:
    table = root.table("labels", tuple(map(str, range(20, 30))))
    patterns = dict(in_store.DEFAULT)
    if table is None:
        return patterns
    for prefix in map(str, range(20, 30)):
        pattern = table.get(prefix)
        try:
            if pattern is not None:
                patterns[prefix] = in_store.checked(prefix, str(pattern))
        except in_store.BadPattern as error:
            table.wrong(prefix, str(error).partition("expected ")[2].rstrip("."))
    return patterns


def _check_together(config: Config, mistakes: list[str]) -> None:
    """What only shows when all values are known."""
    tills = [till.id for till in config.tills]
    devices = [device.id for device in config.devices]
    for kind, ids in (("tills", tills), ("devices", devices)):
        twice = sorted({one for one in ids if one and ids.count(one) > 1})
        mistakes.extend(f"{kind}: id {one!r} is given twice; rename one" for one in twice)
    mistakes.extend(
        f"devices: {device.id!r} belongs to till {device.till!r}; expected one of "
        f"{', '.join(tills)}"
        for device in config.devices
        if device.till is not None and device.till not in tills
    )
    places: dict[str, str] = {}
    for device in config.devices:
        other = places.setdefault(place(device.url), device.id)
        if other != device.id:
            mistakes.append(
                f"devices: {device.id!r} and {other!r} are both at {device.url}; remove one"
            )
        mistakes.extend(_belongs(device, len(tills), devices))
    if (config.tls_cert is None) != (config.tls_key is None):
        mistakes.append("tls_cert and tls_key: expected both or neither")
    elif config.tls_cert is None and not config.listen.loopback:
        mistakes.append(
            f"listen: {config.listen} is reached from other machines and has no TLS; "
            "give --tls-cert and --tls-key, or listen on 127.0.0.1"
        )


def _belongs(device: DeviceConfig, tills: int, devices: list[str]) -> Iterator[str]:
    """Whose it is must be said where it could be somebody else's."""
    if device.shared and device.till is not None:
        yield f"devices: {device.id!r} has a till and is shared; expected one of the two"
    if device.shared and device.driver.startswith("scanner."):
        yield f"devices: {device.id!r} is a scanner, which serves one till; give it that till"
    elif device.till is None and not device.shared and tills > 1:
        yield f"devices: {device.id!r} has no till; expected till, or shared = true"
    if device.stand_in is not None and (
        device.stand_in not in devices or device.stand_in == device.id
    ):
        yield f"devices: {device.id!r} has stand-in {device.stand_in!r}; expected another device"


def _quoted(text: str) -> str:
    """A TOML basic string."""
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + "".join(char if char.isprintable() else " " for char in escaped) + '"'
