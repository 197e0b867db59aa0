"""A head office and a store's two nodes as processes, customers at four tills, a web shop.

Everybody who sells keeps what was acknowledged, asks again where no answer came, and at the
end knows what must be there: `judged` compares.
"""

import asyncio
import contextlib
import json
import shutil
import signal
import sqlite3
import time
from collections import Counter, defaultdict
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path
from uuid import UUID

import aiohttp

from edge.store.verify import verify_file
from tests.e2e.offices import HeadOffice
from tests.e2e.shops import PRICE, Till, free_port
from tests.processes.line import Line

SKU = "5901234123457"
PATIENCE_S = 90
"""How long after the last fault anything may wait; the longest pause of a link is 60 s."""

REPEAT = (429, 500, 502, 503, 504)
PER_SALE = 1000
WANTED = (1, 5, 40)
"""Pieces that a web customer wants: at times more than there is a right to."""

TRIES_S = 60

ASKED_AGAIN = 0.1
"""Share of the sales that are asked for again though they were answered."""


class Shop:
    """One world: its processes, its lines, and what was promised to its customers."""

    def __init__(self, launcher, folder, rng):
        self.launcher, self.folder, self.rng = launcher, folder, rng
        self.office = None
        self.nodes, self.lines = [], []
        self.faults = Counter()
        self.sold = {}
        """Sale → (till, series, number), as acknowledged."""

        self.delivered, self.promised, self.handed = {}, {}, {}
        self.wrong, self.lost, self.sent, self.answered = [], [], asyncio.Event(), asyncio.Event()
        self._closing, self._http, self._tasks = False, None, []

    @property
    def processes(self):
        return [self.office, *self.nodes]

    def faulted(self, what):
        self.faults[what] += 1

    # --- customers ------------------------------------------------------------------

    def open(self):
        """Let everybody in."""
        self._closing = False
        for node in self.nodes:
            for till in (f"{node.name}a", f"{node.name}b"):
                self._tasks.append(asyncio.create_task(self._till(node, till)))
            self._tasks.append(asyncio.create_task(self._deliveries(node)))
        self._tasks.append(asyncio.create_task(self._web()))
        self._tasks.append(asyncio.create_task(self._orders()))

    async def shut(self):
        """Let what is under way finish; nobody begins anything new."""
        self._closing = True
        try:
            async with asyncio.timeout(TRIES_S + PATIENCE_S):
                await asyncio.gather(*self._tasks)
        finally:
            for task in self._tasks:
                task.cancel()
            self._tasks = []

    async def _pause(self, most_s):
        await asyncio.sleep(self.rng.random() * most_s)

    async def _till(self, node, till):
        while not self._closing:
            await self.sell_once(node, till)
            await self._pause(0.05)

    async def sell_once(self, node, till):
        """Sell one article, and keep what was said of it."""
        uuid = self._uuid()
        body = {
            "till": till,
            "cashier": "anna",
            "lines": [{"sku": SKU, "quantity_milli": PER_SALE, "unit_minor": PRICE}],
            "payments": [{"method": "cash", "amount_minor": PRICE}],
        }
        answer = await self._insist(node, "PUT", f"/v1/sales/{uuid}", body, node.key, (200, 201))
        if answer is not None:
            self.sold[uuid] = (till, answer["receipt_series"], answer["receipt_number"])
            self.answered.set()
            if self.rng.random() < ASKED_AGAIN:
                # As a client does whose answer was lost; kills alone bring that about by luck.
                self.faulted("sales asked again")
                again = await self._insist(
                    node, "PUT", f"/v1/sales/{uuid}", body, node.key, (200, 201)
                )
                if again is not None and again != answer:
                    self.wrong.append(f"sale {uuid}: {answer}, and asked again {again}")

    async def _deliveries(self, node):
        while not self._closing:
            uuid, quantity = self._uuid(), 1000 * self.rng.randint(5, 20)
            body = {
                "kind": "goods_received",
                "lines": [{"sku": SKU, "quantity_milli": quantity}],
            }
            if await self._insist(node, "PUT", f"/v1/documents/{uuid}", body, node.key, (200, 201)):
                self.delivered[uuid] = quantity
            await self._pause(0.3)

    async def _web(self):
        office = self.office
        while not self._closing:
            uuid = self._uuid()
            quantity = 1000 * self.rng.choice(WANTED)
            body = {
                "id": uuid,
                "channel": "web",
                "lines": [{"sku": SKU, "quantity_milli": quantity}],
                "expires_s": 3600,
            }
            made = await self._insist(
                office, "POST", "/v1/promises", body, office.key, (200, 201), refused=(409,)
            )
            if made is not None:
                what = self.rng.choice(("confirm", "confirm", "release"))
                await self._pause(0.05)
                await self._insist(
                    office, "POST", f"/v1/promises/{uuid}/{what}", None, office.key, (200,)
                )
                self.promised[uuid] = (what, quantity)
            await self._pause(0.2)

    async def _orders(self):
        """Hand out what head office has ordered: at whichever node knows of it."""
        answers = {}
        while not self._closing:
            node = self.rng.choice(self.nodes)
            wanting = [u for u, (what, _) in self.promised.items() if what == "confirm"]
            waiting = [u for u in wanting if u not in self.handed]
            if waiting:
                uuid = self.rng.choice(waiting)
                id_ = answers.setdefault(uuid, self._uuid())
                body = {"id": id_, "answer": "handed", "who": "jan"}
                with contextlib.suppress(aiohttp.ClientError, TimeoutError, OSError):
                    status, told = await self.ask(
                        node, "POST", f"/v1/orders/{uuid}/answer", body, node.key
                    )
                    if status == 200:
                        self.handed[uuid] = self.promised[uuid][1]
                    elif status not in (404, 409, *REPEAT):
                        self.wrong.append(f"order {uuid}: {status} {told}")
            await self._pause(0.2)

    def _uuid(self):
        return str(UUID(bytes=self.rng.randbytes(16), version=4))

    async def _insist(self, at, method, path, body, token, good, *, refused=()):
        """Ask until there is an answer: no answer is neither yes nor no."""
        end = time.monotonic() + TRIES_S
        while time.monotonic() < end:
            try:
                status, told = await self.ask(at, method, path, body, token)
            except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
                self.faulted("requests without an answer")
                await asyncio.sleep(0.02)
                continue
            if status in good:
                return told
            if status in refused:
                self.faulted("promises refused")
                return None
            if status not in REPEAT:
                self.wrong.append(f"{method} {path}: {status} {told}")
                return None
            await asyncio.sleep(0.05)
        self.wrong.append(f"{method} {path}: no answer for {TRIES_S} s")
        return None

    async def ask(self, at, method, path, body, token):
        context = at.ssl if at is self.office else None
        self.sent.set()
        async with self._http.request(
            method,
            at.url + path,
            json=body,
            headers={"Authorization": f"Bearer {token}"},
            ssl=context or True,
            timeout=aiohttp.ClientTimeout(total=15),
        ) as answer:
            data = await answer.read()
            return answer.status, json.loads(data)

    async def status(self, node):
        """What a node says of itself; None where it says nothing."""
        try:
            return (await self.ask(node, "GET", "/v1/status", None, node.key))[1]
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError):
            return None

    # --- starting and ending ----------------------------------------------------------

    async def restart(self, who):
        """Start a process that is dead; it must come up."""
        await asyncio.to_thread(who.start)

    async def kill(self, who, how=signal.SIGKILL):
        await asyncio.to_thread(who.stop, how)

    # --- judging ----------------------------------------------------------------------

    def examined(self, node):
        """Judge the files that a dead node left: what it acknowledged is there, as it was told.

        Returns sentences on what is lost, doubled and corrupt.
        """
        copy = self.folder / "examined"
        shutil.rmtree(copy, ignore_errors=True)
        copy.mkdir()
        for name in (node.database.name, node.database.name + "-wal"):
            if (node.data / name).exists():
                shutil.copyfile(node.data / name, copy / name)
        path = copy / node.database.name
        found = defaultdict(list)
        own = {u: told for u, told in self.sold.items() if told[0].startswith(node.name)}
        with closing(sqlite3.connect(path)) as db:
            self._compare(db, "SELECT event, till, series, number FROM sales", own, found)
            counted(db, node.name, found)
        verdict = verify_file(path, copy=True)
        found["corrupt"] += [f"{node.name}: {line}" for line in verdict.findings]
        return found

    def _compare(self, db, query, told, found):
        there = {str(UUID(bytes=event)): tuple(row) for event, *row in db.execute(query)}
        for uuid, receipt in told.items():
            if uuid not in there:
                found["lost"].append(f"sale {uuid}, receipt {receipt}")
            elif there[uuid] != receipt:
                found["corrupt"].append(f"sale {uuid}: told {receipt}, found {there[uuid]}")

    async def supplied(self):
        """Wait until both nodes know what is sold."""
        async with asyncio.timeout(PATIENCE_S):
            for node in self.nodes:
                said = None
                while not said or not said["articles"]:
                    await asyncio.sleep(0.02)
                    said = await self.status(node)

    async def drained(self):
        """Wait until nothing waits anywhere; return what is stuck."""
        end = time.monotonic() + PATIENCE_S
        while time.monotonic() < end:
            said = [await self.status(node) for node in self.nodes]
            if all(s and s["waiting"] == 0 and s["sales"] == len(self.sold) for s in said):
                return []
            await asyncio.sleep(0.1)
        return [
            f"{node.name}: "
            + (
                f"{s['waiting']} wait, {s['sales']} of {len(self.sold)} sales, link {s['link']} "
                f"{s['exchange']['last_error']}, peers {[p['state'] for p in s['peers']]}"
                if s
                else "no answer"
            )
            for node, s in zip(self.nodes, said, strict=True)
        ]

    async def judged(self):
        """Judge the whole world after everything has healed."""
        found = defaultdict(list)
        found["corrupt"] += self.wrong
        found["lost"] += self.lost
        found["stuck"] += await self.drained()
        for node in self.nodes:
            await self.kill(node, signal.SIGTERM)
            for what, lines in self.examined(node).items():
                found[what] += lines
        status, figures = await self.ask(
            self.office, "GET", "/v1/promises/figures", None, self.office.key
        )
        if status != 200 or figures["oversold_milli"]:
            found["doubled"].append(f"rights: {figures}")
        done = await asyncio.to_thread(self.office.karb, "journal", "verify", "--json")
        if done.returncode != 0:
            found["corrupt"].append(f"head office: {done.stdout[:500]} {done.stderr[-500:]}")
        await self.kill(self.office, signal.SIGTERM)
        with closing(sqlite3.connect(self.office.data / "ledger.db")) as db:
            self._compare(db, "SELECT event, till, series, number FROM sales", self.sold, found)
            counted(db, "head office", found)
            self._sums(db, found)
        return found

    def _sums(self, db, found):
        rows = db.execute("SELECT event, lines, total_minor FROM sales").fetchall()
        sales, total = len(rows), sum(row[2] for row in rows)
        kept = db.execute("SELECT sales, total_minor FROM totals WHERE store = 'S1'").fetchone()
        if sales > len(self.sold):
            found["doubled"].append(f"head office: {sales} sales, {len(self.sold)} were made")
        if kept != (sales, total) or total != sales * PRICE:
            found["corrupt"].append(f"totals {kept}, expected {(sales, sales * PRICE)}")
        (physical,) = db.execute(
            "SELECT SUM(made - used - done - over) FROM rights WHERE cell = ?", (SKU,)
        ).fetchone()
        expected = (
            sum(self.delivered.values()) - PER_SALE * len(self.sold) - sum(self.handed.values())
        )
        if physical != expected:
            which = "lost" if physical > expected else "doubled"
            found[which].append(f"goods: {physical} there, expected {expected}")
        missing = {UUID(u).bytes for u in self.promised} - {
            root for (root,) in db.execute("SELECT root FROM promises")
        }
        found["lost"] += [f"promise {UUID(bytes=root)}" for root in missing]


def counted(db, who, found):
    """Receipts are numbered 1, 2, 3 …, in each series."""
    numbers = defaultdict(list)
    for series, number in db.execute("SELECT series, number FROM sales"):
        numbers[series].append(number)
    for series, there in numbers.items():
        if sorted(there) != list(range(1, len(there) + 1)):
            twice = [n for n, times in Counter(there).items() if times > 1]
            found["doubled" if twice else "corrupt"].append(
                f"{who}: receipts of {series} are not 1 to {len(there)}: {sorted(there)[-5:]}"
            )


@asynccontextmanager
async def trading(launcher, founded: Path, folder: Path, rng, nodes=2):
    """Nodes of S1 that know head office and each other; no customers yet."""
    shop = Shop(launcher, folder, rng)
    office = shop.office = HeadOffice.copy_of(launcher, founded, folder / "central")
    async with AsyncExitStack() as stack:
        stack.callback(office.stop, signal.SIGKILL)
        await asyncio.to_thread(office.start)
        office.ssl = office.context
        office.key = office.token("write")
        ports = [free_port(), free_port()]
        lan = Line("127.0.0.1", ports[1])
        stack.push_async_callback(lan.close)
        lan_port = await lan.start()
        for name, port, peers in (("K1", ports[0], [lan_port]), ("K2", ports[1], []))[:nodes]:
            wan = Line("127.0.0.1", office.port)
            stack.push_async_callback(wan.close)
            node = Till(launcher, folder / name, wan, port, name)
            stack.callback(node.stop, signal.SIGKILL)
            shop.nodes.append(await node.enrol(office))
            shop.lines.append(wan)
            node.settle(*peers)
        shop.lines.append(lan)
        shop._http = await stack.enter_async_context(
            aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=0))
        )
        for node in shop.nodes:
            await asyncio.to_thread(node.start)
        await shop.supplied()
        yield shop


def found_office(launcher, folder: Path):
    """Found a head office with the store S1, an article and a policy; copy it for each world."""
    made = HeadOffice(launcher, folder / "founded")
    made.command("init")
    made.command("store", "add", "S1", "--name", "Kraków")
    listed = folder / "catalogue.csv"
    listed.write_text(f"indeks;nazwa;cena;vat\n{SKU};Chleb;4,99;5\n", "utf-8")
    made.command("catalogue", "import", str(listed))
    made.command("stock", "policy", "set", "*", "--web-share", "30", "--floor", "0")
    return made.data
