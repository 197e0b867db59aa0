"""Finding the store's nodes on the LAN, and being found: DNS-SD over multicast (RFC 6762, 6763).

What is announced is a hint and no more: who answers at an address, its certificate says.
"""

import asyncio
import contextlib
import re
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import ip_address
from typing import Protocol

import structlog
from zeroconf import IPVersion, ServiceStateChange, Zeroconf
from zeroconf import get_all_addresses as addresses_of_this_machine  # type: ignore[attr-defined]
from zeroconf.asyncio import AsyncServiceBrowser, AsyncServiceInfo, AsyncZeroconf

from edge.config import Listen
from sync.chain import NODE_BYTES
from sync.exchange.messages import OLDEST, PROTOCOL

SERVICE = "_karb._tcp.local."
LOOK_AGAIN_S = 30.0
"""How often the machine's own addresses are looked at: a cable may be plugged in late."""

_ASK_MS = 3000
_RANGE = re.compile(r"([0-9]{1,6})-([0-9]{1,6})")

_log = structlog.get_logger()


class Found(Protocol):
    """Who wants to hear of nodes (`edge.link.peers.Peers`)."""

    def found(self, node: bytes, name: str, urls: list[str]) -> None:
        """A node says that it is there."""

    def lost(self, node: bytes) -> None:
        """A node has said goodbye."""


@dataclass(frozen=True, slots=True)
class Who:
    """What a node announces."""

    node: bytes
    store: str
    name: str
    """What the installer called the machine."""

    speaks: tuple[int, int] = (OLDEST, PROTOCOL)
    """The oldest and the newest protocol understood."""


class Discovery:
    """Announces this node, and tells of the others of its store."""

    def __init__(
        self,
        peers: Found,
        port: int,
        who: Who,
        *,
        host: str,
        interfaces: Sequence[str] = (),
    ) -> None:
        """Prepare; `start` begins.

        Args:
            peers: Told of nodes.
            port: Where neighbours call.
            who: What is announced; only nodes of the same store are of interest.
            host: The address on which neighbours call; unspecified: all of this machine's.
            interfaces: Addresses of this machine to use; none: all but loopback.
        """
        self._peers, self._who = peers, who
        self._host, self._port, self._interfaces = host, port, list(interfaces)
        self._task: asyncio.Task[None] | None = None
        self._asking: set[asyncio.Task[None]] = set()
        self.working = False

    async def start(self) -> None:
        """Begin; a network that is not there yet is waited for."""
        self._task = asyncio.create_task(self._run(), name="discovery")

    async def close(self) -> None:
        """Say goodbye."""
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        told = ""
        while True:
            addresses = self._addresses()
            try:
                async with self._announced(addresses):
                    self.working, told = True, ""
                    while self._addresses() == addresses:  # noqa: ASYNC110 - nobody tells of a cable
                        await asyncio.sleep(LOOK_AGAIN_S)
            except OSError as error:
                if told != str(error):
                    _log.warning("discovery.failed", reason=str(error))
                told = str(error)
                await asyncio.sleep(LOOK_AGAIN_S)
            finally:
                self.working = False

    def _addresses(self) -> list[str]:
        if self._interfaces:
            return sorted(self._interfaces)
        if not ip_address(self._host).is_unspecified:
            return [self._host]
        return sorted(
            address
            for address in addresses_of_this_machine()
            if not ip_address(address).is_loopback
        )

    @contextlib.asynccontextmanager
    async def _announced(self, addresses: list[str]):  # type: ignore[no-untyped-def]  # noqa: ANN202 - a context manager
        if not addresses:
            raise OSError("this machine has no address")
        zeroconf = AsyncZeroconf(interfaces=addresses, ip_version=IPVersion.V4Only)
        browser = None
        try:
            properties = {
                "store": self._who.store,
                "node": self._who.node.hex(),
                "name": self._who.name[:60],
                "protocol": "{}-{}".format(*self._who.speaks),
            }
            await zeroconf.async_register_service(
                AsyncServiceInfo(
                    SERVICE,
                    f"{self._who.node.hex()}.{SERVICE}",
                    port=self._port,
                    properties=properties,
                    server=f"karb-{self._who.node.hex()[:12]}.local.",
                    parsed_addresses=addresses,
                )
            )
            browser = AsyncServiceBrowser(zeroconf.zeroconf, SERVICE, handlers=[self._changed])
            yield
        finally:
            for asking in self._asking:
                asking.cancel()
            await asyncio.gather(*self._asking, return_exceptions=True)
            if browser is not None:
                await browser.async_cancel()
            with contextlib.suppress(OSError):
                await zeroconf.async_unregister_all_services()
            await zeroconf.async_close()

    def _changed(
        self,
        zeroconf: Zeroconf,
        service_type: str,
        name: str,
        state_change: ServiceStateChange,
    ) -> None:
        del service_type
        node = _node(name)
        if node is None or node == self._who.node:
            return
        if state_change is ServiceStateChange.Removed:
            self._peers.lost(node)
            return
        asking = asyncio.create_task(self._ask(zeroconf, name, node))
        self._asking.add(asking)
        asking.add_done_callback(self._asking.discard)

    async def _ask(self, zeroconf: Zeroconf, name: str, node: bytes) -> None:
        info = AsyncServiceInfo(SERVICE, name)
        if not await info.async_request(zeroconf, _ASK_MS):
            return
        told = {key: value or "" for key, value in info.decoded_properties.items()}
        if (
            told.get("store") != self._who.store
            or told.get("node") != node.hex()
            or not _speaks(told.get("protocol", ""), self._who.speaks)
        ):
            return
        urls = [
            f"https://{Listen(address, info.port or 0)}"
            for address in info.parsed_addresses(IPVersion.V4Only)
        ]
        shown = "".join(c for c in told.get("name", "") if c.isprintable())
        _log.info("peer.found", node=node.hex(), urls=urls)
        self._peers.found(node, shown[:64], urls)


def _speaks(said: str, ours: tuple[int, int]) -> bool:
    """Whether a range of protocol versions, such as ``1-2``, has one of ours in it."""
    found = _RANGE.fullmatch(said)
    return found is not None and int(found[2]) >= ours[0] and int(found[1]) <= ours[1]


def _node(name: str) -> bytes | None:
    """Read a node's name out of that of its service."""
    try:
        node = bytes.fromhex(name.removesuffix(f".{SERVICE}"))
    except ValueError:
        return None
    return node if len(node) == NODE_BYTES else None
