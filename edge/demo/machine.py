"""One node of a shop in the demo: a till with scanner and printer, and lines that can be cut."""

import asyncio
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import aiohttp

from edge.demo.cashier import Cashier
from edge.demo.goods import ShopGoods
from edge.demo.head_office import HOST, HeadOffice
from edge.demo.link import LinkCutter
from edge.demo.processes import KARB, DemoFailed, Kept, quiet_port, tell
from edge.demo.till_client import Away, Order, Refused, Status, TillClient
from edge.enrol import DATABASE
from edge.link.tls import CERTIFICATE
from hw.scanner.simulator import ScannerSimulator

SCANNER = "scanner"
CASHIERS = ("Anna", "Beata", "Celina", "Danuta", "Ewa", "Felicja", "Gabriela", "Halina")

_CONFIG = """\
name = "{name}"
store = "{store}"
central = "{central}"
listen = "{host}:{port}"
language = "pl"

[[tills]]
id = "{till}"

[[devices]]
id = "{scanner}"
driver = "scanner.serial"
url = "{scanner_url}"
till = "{till}"

[[devices]]
id = "printer"
driver = "printer.escpos"
url = "tcp:{host}:{printer_port}"
till = "{till}"
"""

_LAN = """
[lan]
listen = "{host}:{port}"
discover = false
"""

_PEER = """
[[peers]]
url = "{url}"
"""


@dataclass(slots=True)
class Course:
    """How the evening goes at a node, as far as it was seen."""

    sold: int = 0
    waiting: int = 0
    longest_backlog: int = 0
    """Facts that waited for the link at once."""

    slips_waiting: int = 0


class Machine:
    """A node, its till and devices, its line to head office and its plug in the LAN."""

    def __init__(
        self,
        folder: Path,
        goods: ShopGoods,
        number: int,
        office: HeadOffice,
        http: aiohttp.ClientSession,
        on_death: Callable[[str, int], None],
    ) -> None:
        """Prepare to live in a folder of its own; `number` counts the shop's nodes from 1."""
        self.goods, self.course = goods, Course()
        self.name, self.till_id = f"{goods.id}-{number}", f"K{number}"
        self.folder = folder / self.name
        self.data = self.folder / "node"
        self.log = self.folder / "karb.log"
        self._port, self._printer_port, self._lan_port = (quiet_port() for _ in range(3))
        self.link = LinkCutter(HOST, office.port)
        self.plug = LinkCutter(HOST, self._lan_port)
        """What the shop's other nodes call it through."""

        self.edge = Kept(
            f"{self.name} edge", lambda _: (*KARB, "run", "--data", str(self.data)), self.log,
            on_death,
        )  # fmt: skip
        self.printer = Kept(
            f"{self.name} printer", self._printer_command, self.folder / "printer.log", on_death
        )
        self.scanner = ScannerSimulator(self.folder / "scanner")
        self.till = TillClient(http, f"http://{HOST}:{self._port}", self.till_id)
        who = CASHIERS[(goods.number + number - 1) % len(CASHIERS)]
        self.cashier = Cashier(who, self.till, self.scanner.scan, self.back)
        self._office = office
        self._central = ""

    @property
    def database(self) -> Path:
        """The node's."""
        return self.data / DATABASE

    @property
    def papers(self) -> list[Path]:
        """What the printer printed, a file for each of its lives."""
        return sorted(self.folder.glob("paper-*.jsonl"))

    async def plug_in(self) -> str:
        """Lay its lines; return where neighbours call."""
        self.folder.mkdir()
        self.scanner.plug()
        self._central = f"https://{HOST}:{await self.link.start()}"
        return f"https://{HOST}:{await self.plug.start()}"

    async def install(self, neighbours: Sequence[str]) -> None:
        """Enrol it, write what an installer would, and run it from now on.

        Args:
            neighbours: Where the shop's other nodes are called; none: it is alone.
        """
        await self._enrol()
        text = _CONFIG.format(
            name=self.name,
            store=self.goods.id,
            central=self._central,
            host=HOST,
            port=self._port,
            printer_port=self._printer_port,
            till=self.till_id,
            scanner=SCANNER,
            scanner_url=self.scanner.url,
        )
        if neighbours:
            text += _LAN.format(host=HOST, port=self._lan_port)
            text += "".join(_PEER.format(url=url) for url in neighbours)
        (self.data / "karb.toml").write_text(text, encoding="utf-8")
        told = await self.tell("token", "create", "--scope", "sell", "--name", self.cashier.name)
        self.till.token = told["token"]
        await self.start()

    async def start(self) -> None:
        """Switch everything on."""
        await self.printer.start()
        await self.edge.start()

    async def stop(self) -> None:
        """Switch everything off, the node first."""
        await self.edge.stop()
        await self.printer.stop()

    async def close(self) -> None:
        """Let go of the devices and of the lines."""
        self.scanner.unplug()
        await self.link.close()
        await self.plug.close()

    async def tell(self, *words: str) -> dict[str, str]:
        """Give one of the node's commands."""
        told: dict[str, str] = await tell((*KARB, *words, "--data", str(self.data)), self.log)
        return told

    async def sync(self) -> None:
        """Have what waits sent now; a look afterwards tells whether it was."""
        with suppress(DemoFailed):
            await self.tell("sync", "now")

    async def back(self) -> None:
        """Wait until the till can be worked at."""
        await self.till.back(SCANNER)

    async def deliver(self, document: UUID, goods: Mapping[str, int]) -> None:
        """Book a delivery, whatever dies meanwhile."""
        while True:
            try:
                await self.till.deliver(document, goods)
            except Away:
                await self.back()
            else:
                return

    async def status(self) -> Status:
        """Ask how the node is, until it answers."""
        while True:
            try:
                return await self.till.status()
            except Away:
                await asyncio.sleep(0.1)

    async def orders(self) -> tuple[Order, ...]:
        """List the orders that wait to be handed over; none while the node does not answer."""
        with suppress(Away):
            return await self.till.orders()
        return ()

    async def hand(self, order: str, answer: UUID) -> bool:
        """Hand an order over; tell whether the node could."""
        while True:
            try:
                await self.till.hand(order, answer, self.cashier.name)
            except Away:
                await self.back()
            except Refused:
                return False
            else:
                return True

    async def look(self) -> None:
        """See how the evening goes; what does not answer is looked at another time."""
        with suppress(Away, Refused):
            status = await self.till.status()
            course = self.course
            course.waiting = status.waiting
            course.longest_backlog = max(course.longest_backlog, status.waiting)
            course.slips_waiting = sum(
                status.slips.get(state, 0) for state in ("intended", "sending", "refused")
            )

    async def _enrol(self) -> None:
        """Make the machine a node: each attempt with a code of its own."""
        certificate = self.data / CERTIFICATE
        trouble: DemoFailed | None = None
        for _ in range(5):
            if certificate.exists():
                return
            code = await self._office.code(self.goods.id)
            words = ("init", "--central", self._central, "--code", code, "--name", self.name)
            try:
                await self.tell(*words)
            except DemoFailed as error:
                trouble = error
        if not certificate.exists():
            raise trouble or DemoFailed(f"{self.name}: could not be enrolled; see {self.log}.")

    def _printer_command(self, life: int) -> tuple[str, ...]:
        keep = self.folder / f"paper-{life:03}.jsonl"
        return (
            sys.executable,
            "-m",
            "hw.escpos.simulator",
            "--listen",
            f"{HOST}:{self._printer_port}",
            "--keep",
            str(keep),
        )
