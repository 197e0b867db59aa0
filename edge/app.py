"""One node, built and started in the order of this page, and stopped in reverse."""

import asyncio
import logging
import os
import secrets
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from functools import partial
from importlib.metadata import version
from pathlib import Path

import msgspec
import structlog
from aiohttp.http_exceptions import HttpProcessingError

from edge import folder
from edge.api.call import SCOPES, Node
from edge.api.server import Server
from edge.clock import Clock, has_rtc
from edge.config import Config, Listen
from edge.enrol import DATABASE
from edge.folder import Running
from edge.gateway import Gateway, Pairing
from edge.keys import NodeKey
from edge.link import tls
from edge.link.peers import Peers
from edge.link.stick import Stick
from edge.link.uplink import Uplink
from edge.memory import kept_small
from edge.store.connection import StoreError
from edge.store.store import Store
from edge.till.counter import Counter
from edge.upkeep import kept_tidy
from hw.device import Scan
from hw.discovery import Watch
from hw.events import Events
from hw.spooler import Spooler
from hw.supervisor import DeviceStatus, Supervisor
from sync.chain import INCARNATION_BITS
from sync.contract import token

_log = structlog.get_logger(__name__)


JOBS = "jobs.db"
"""What printers were asked to do; beside the journal, for it is no part of it."""


class NotEnrolled(Exception):
    """The folder is not a node's yet."""


@asynccontextmanager
async def running(config: Config) -> AsyncIterator[Running]:
    """Run a node; everything is up inside the block, and down after it.

    Raises:
        NotEnrolled: `karb init` has not been run in the data folder.
        StoreError: The database is gone, damaged, or a newer program's.
        OSError: The API's address is taken, or a file cannot be read.
    """
    data = config.data
    async with AsyncExitStack() as stack:
        store, clock = await stack.enter_async_context(opened(config))

        counter = Counter(
            [till.id for till in config.tills],
            store,
            clock,
            language=config.language,
            fresh=partial(secrets.token_hex, 8),
            labels=config.labels,
        )

        def now_ms() -> int:
            return clock.now().ms

        events = Events(secrets.token_hex(4))

        def scanned(scan: Scan) -> None:
            counter.scanned(scan)
            gateway.scanned(scan)

        def changed(status: DeviceStatus) -> None:
            counter.device_changed(status)
            gateway.changed(status)

        devices = Supervisor(config.devices, on_scan=scanned, on_change=changed)
        spooler = Spooler(data / JOBS, devices, now_ms=now_ms)
        pairing = Pairing(secrets.token_bytes, now_ms)
        gateway = Gateway(config, devices, spooler, events, pairing, now_ms=now_ms)
        spooler.listen(gateway.settled)
        devices.on_card, devices.on_drawer = gateway.touched, gateway.drawer_changed
        devices.memory = spooler.memory
        stack.push_async_callback(devices.close)
        stack.push_async_callback(counter.close)
        stack.push_async_callback(spooler.close)
        await spooler.start()
        if spooler.broken is None:
            counter.use(spooler, devices.printer)
            counter.equip(devices, gateway.sold)
        counter.show_on(devices.display)
        await devices.start()
        await counter.start()
        watch = Watch(devices.nudge)
        watch.start()
        stack.push_async_callback(watch.close)

        link = Uplink(
            data,
            config.central,
            store,
            clock,
            random=secrets.SystemRandom().random,
            incarnation=_incarnation,
            software=f"karb {version('karb')}",
        )
        link.from_checkpoint = config.lan is None and not config.peers
        peers = _peers(config, store, clock)
        admin = token.make("admin", secrets.token_bytes(token.SECRET_BYTES), SCOPES)
        server = Server(
            Node(
                config=config,
                store=store,
                clock=clock,
                counter=counter,
                devices=devices.statuses,
                gateway=gateway,
                link=link,
                peers=peers,
                stick=carrier(config, store, clock),
                random=secrets.token_bytes,
                version=version("karb"),
            ),
            admin,
        )
        port = await server.start(config.listen, config.tls_cert, config.tls_key)
        stack.push_async_callback(server.close)

        counter.asking.hears = lambda: (
            link.state.state == "live" or (peers is not None and peers.any_live)
        )
        await link.start()
        stack.push_async_callback(link.close)
        if peers is not None:
            await stack.enter_async_context(met(config, store, peers))

        await stack.enter_async_context(kept_small())
        await stack.enter_async_context(kept_tidy(store, clock))

        told = _tell(config, port, admin)
        stack.callback(folder.untell, data)
        yield told


@asynccontextmanager
async def met(config: Config, store: Store, peers: Peers) -> AsyncIterator[None]:
    """Speak with the store's other nodes."""
    async with AsyncExitStack() as stack:
        await peers.start(config.peers)
        stack.push_async_callback(peers.close)
        if config.lan is None:
            yield
            return
        from edge.link.discovery import Discovery, Who  # noqa: PLC0415 - few stores need it
        from edge.link.lan import LanServer  # noqa: PLC0415 - few stores need it

        found = partial(
            Discovery,
            peers,
            who=Who(store.key.node, store.store, config.name),
            host=config.lan.listen.host,
            interfaces=config.lan.interfaces,
        )
        lan = LanServer(config.data, peers)
        await lan.start(config.lan.listen, found if config.lan.discover else None)
        stack.push_async_callback(lan.close)
        yield


def carrier(config: Config, store: Store, clock: Clock) -> Stick:
    """Return what writes and reads the files that are carried by hand."""
    software = f"karb {version('karb')}"
    return Stick(config.data, store, clock, incarnation=_incarnation, software=software)


def _peers(config: Config, store: Store, clock: Clock) -> Peers | None:
    if config.lan is None and not config.peers:
        return None
    return Peers(
        config.data,
        store,
        clock,
        name=config.name,
        random=secrets.SystemRandom().random,
        incarnation=_incarnation,
        software=f"karb {version('karb')}",
    )


@asynccontextmanager
async def opened(config: Config) -> AsyncIterator[tuple[Store, Clock]]:
    """Open the store alone. The data folder must be `locked`.

    Raises:
        NotEnrolled: `karb init` has not been run in the data folder.
        StoreError: The database is gone, damaged, or a newer program's.
        OSError, ValueError: A file cannot be read.
    """
    data = config.data
    if not (data / tls.CERTIFICATE).exists():
        raise NotEnrolled(f"{data}: is no node yet; run karb init --data {data} first.")
    key = NodeKey.load(data / tls.KEY)
    _require_database(data / DATABASE)
    clock = Clock(rtc=config.clock == "rtc" or (config.clock == "auto" and has_rtc()))
    store = await Store.open(
        data / DATABASE,
        key,
        config.store,
        clock,
        incarnation=_incarnation(),
        machine=_machine(data),
    )
    try:
        yield store, clock
    finally:
        await store.close()


async def serve(config: Config, announce: Callable[[Running], None]) -> None:
    """Run a node until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    async with running(config) as told:
        announce(told)
        _log.info("node.running", address=told.address, store=config.store)
        await stop.wait()
        _log.info("node.stopping")


def log_to_stderr() -> None:
    """One JSON object a line, for journald and for people with jq; libraries' lines too."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(serializer=_as_json),
        ],
        logger_factory=structlog.WriteLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING)


class _Libraries(logging.Handler):
    """Tells what aiohttp and asyncio have to say in our own form."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            # Bytes that are no HTTP were answered with a 400; where they failed in the parser
            # helps nobody.
            _log.info("api.nonsense", reason=error.message)
        else:
            _log.warning(
                "library", logger=record.name, said=record.getMessage(), exc_info=record.exc_info
            )


def _require_database(path: Path) -> None:
    """A node has had a database since its enrolment: none there is a loss, not a beginning."""
    if not path.exists() or not path.stat().st_size:
        raise StoreError(
            f"{path}: the database is gone; put a backup of it in its place, or, if there is "
            "none, move the folder away and run karb init with a new code."
        )


def _tell(config: Config, port: int, admin: token.Token) -> Running:
    """Leave the address and the token of this run for the commands."""
    scheme = "http" if config.tls_cert is None else "https"
    told = Running(
        pid=os.getpid(),
        address=f"{scheme}://{Listen(config.listen.host, port)}",
        tls_cert=str(config.tls_cert or ""),
    )
    folder.tell(config.data, told, admin.text)
    return told


def _as_json(event: object, **_: object) -> str:
    return msgspec.json.encode(event, enc_hook=str).decode()


def _incarnation() -> int:
    return secrets.randbits(INCARNATION_BITS)


def _machine(data: Path) -> str:
    """What tells this machine and its disk from others; empty where they say nothing.

    A card that was cloned brings its machine-id along: the board and the card have
    numbers of their own, which everybody may read.
    """
    device = data.stat().st_dev
    disk = Path(f"/sys/dev/block/{os.major(device)}:{os.minor(device)}")
    told = [
        Path("/etc/machine-id"),
        Path("/proc/device-tree/serial-number"),
        *(disk / name for name in ("device/cid", "../device/cid", "device/wwid", "../device/wwid")),
    ]
    found = []
    for path in told:
        with suppress(OSError):
            found.append(path.read_bytes().strip(b"\0 \n").decode(errors="replace"))
    return " ".join(found)
