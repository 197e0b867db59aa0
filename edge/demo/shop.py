"""One shop in the demo: a node, a till with scanner and printer, a link that can be cut."""

import asyncio
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from uuid import NAMESPACE_URL, UUID, uuid5

import aiohttp

from edge.demo.cashier import Cashier
from edge.demo.goods import ShopGoods
from edge.demo.head_office import HOST, HeadOffice
from edge.demo.link import LinkCutter
from edge.demo.processes import KARB, DemoFailed, Kept, quiet_port, tell
from edge.demo.till_client import DELIVERY_LINES, Away, Order, Refused, Status, TillClient
from edge.enrol import DATABASE
from edge.link.tls import CERTIFICATE
from hw.scanner.simulator import ScannerSimulator

TILL = "K1"
SCANNER = "scanner"
CASHIERS = ("Anna", "Beata", "Celina", "Danuta", "Ewa", "Felicja", "Gabriela", "Halina")
CATALOGUE_S = 90.0

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


@dataclass(slots=True)
class Course:
    """How the evening goes in a shop, as far as it was seen."""

    sold: int = 0
    waiting: int = 0
    longest_backlog: int = 0
    """Facts that waited for the link at once."""

    wire_began: int = 0
    """Bytes on the wire before the first sale."""

    slips_waiting: int = 0


class Shop:
    """Everything that stands in one shop."""

    def __init__(
        self,
        folder: Path,
        goods: ShopGoods,
        office: HeadOffice,
        http: aiohttp.ClientSession,
        on_death: Callable[[str, int], None],
    ) -> None:
        """Prepare to live in a folder of its own."""
        self.goods, self.course = goods, Course()
        self.folder = folder / goods.id
        self.data = self.folder / "node"
        self.log = self.folder / "karb.log"
        self.link = LinkCutter(HOST, office.port)
        self.edge = Kept(
            f"{goods.id} edge", lambda _: (*KARB, "run", "--data", str(self.data)), self.log,
            on_death,
        )  # fmt: skip
        self._port, self._printer_port = quiet_port(), quiet_port()
        self.printer = Kept(
            f"{goods.id} printer", self._printer_command, self.folder / "printer.log", on_death
        )
        self.scanner = ScannerSimulator(self.folder / "scanner")
        self.till = TillClient(http, f"http://{HOST}:{self._port}", TILL)
        name = CASHIERS[goods.number % len(CASHIERS)]
        self.cashier = Cashier(name, self.till, self.scanner.scan, self.back)
        self._office = office

    @property
    def database(self) -> Path:
        """The node's."""
        return self.data / DATABASE

    @property
    def papers(self) -> list[Path]:
        """What the printer printed, a file for each of its lives."""
        return sorted(self.folder.glob("paper-*.jsonl"))

    async def install(self) -> None:
        """Enrol a machine, plug in its devices and take in the first delivery."""
        self.folder.mkdir()
        self.scanner.plug()
        central = f"https://{HOST}:{await self.link.start()}"
        await self._office.add_store(self.goods.id, self.goods.name)
        await self._enrol(central)
        (self.data / "karb.toml").write_text(
            _CONFIG.format(
                name=f"{self.goods.id}-1",
                store=self.goods.id,
                central=central,
                host=HOST,
                port=self._port,
                printer_port=self._printer_port,
                till=TILL,
                scanner=SCANNER,
                scanner_url=self.scanner.url,
            ),
            encoding="utf-8",
        )
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
        """Let go of the devices and of the line."""
        self.scanner.unplug()
        await self.link.close()

    async def tell(self, *words: str) -> dict[str, str]:
        """Give one of the node's commands."""
        told: dict[str, str] = await tell((*KARB, *words, "--data", str(self.data)), self.log)
        return told

    async def back(self) -> None:
        """Wait until the till can be worked at."""
        await self.till.back(SCANNER)

    async def stock_up(self, articles: int) -> None:
        """Wait for the catalogue, then record the delivery; safe to repeat.

        Raises:
            DemoFailed: The catalogue does not come.
        """
        delivery = iter(self.goods.delivery().items())
        parts = iter(lambda: dict(islice(delivery, DELIVERY_LINES)), {})
        with suppress(TimeoutError):
            async with asyncio.timeout(CATALOGUE_S):
                while (await self.status()).articles < articles:  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.1)
                for n, part in enumerate(parts):
                    document = uuid5(NAMESPACE_URL, f"{self.goods.ids[0]}/delivery/{n}")
                    while True:
                        try:
                            await self.till.deliver(document, part)
                            break
                        except Away:
                            await self.back()
                return
        raise DemoFailed(
            f"{self.goods.id}: expected {articles} articles from head office; see {self.log}."
        )

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
        """Hand an order over; tell whether the shop could."""
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

    async def sell_next(self) -> None:
        """Serve the next buyer."""
        course, goods = self.course, self.goods
        if course.sold == 0:
            course.wire_began = self.link.total_bytes
        basket = goods.baskets[course.sold]
        await self.cashier.sell(goods.ids[course.sold], basket, goods.due(basket))
        course.sold += 1

    async def _enrol(self, central: str) -> None:
        """Make the machine a node: each attempt with a code of its own."""
        certificate = self.data / CERTIFICATE
        trouble: DemoFailed | None = None
        for _ in range(5):
            if certificate.exists():
                return
            code = await self._office.code(self.goods.id)
            words = ("init", "--central", central, "--code", code, "--name", f"{self.goods.id}-1")
            try:
                await self.tell(*words)
            except DemoFailed as error:
                trouble = error
        if not certificate.exists():
            raise trouble or DemoFailed(f"{self.goods.id}: could not be enrolled; see {self.log}.")

    def _printer_command(self, life: int) -> tuple[str, ...]:
        keep = self.folder / f"paper-{life:03}.jsonl"
        listen = f"{HOST}:{self._printer_port}"
        return (
            sys.executable,
            "-m",
            "hw.escpos.simulator",
            "--listen",
            listen,
            "--keep",
            str(keep),
        )
