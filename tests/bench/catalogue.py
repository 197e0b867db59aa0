"""A catalogue of 100,000 articles, and one price change to 1,000 stores that are online.

    python -m tests.bench.catalogue [--articles 100000] [--edges 1000] [--changes 10]

Head office is its own process, on a real socket with TLS. The simulated edges live in this
process, on the same two cores: each has its certificate, its TLS session and its WebSocket,
and reads what arrives as a node does; it keeps nothing. The fresh node is a real one.
"""

import argparse
import asyncio
import contextlib
import json
import random
import resource
import secrets
import ssl
import tempfile
import time
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from central.config import Folder
from central.ledger import author
from central.ledger.ledger import Ledger
from central.nodes.authority import Authority
from edge.clock import Clock
from edge.enrol import DATABASE
from edge.keys import NodeKey
from edge.link import tls
from edge.link.uplink import Uplink
from edge.store.store import Store
from sync import facts
from sync.chain import ALL
from sync.exchange.session import Greeted, Received, Session
from sync.facts.node import NodeEnrolled, StoreDescribed
from tests.bench.central_ingest import command, cpu_of, running
from tests.bench.memory import rss_mb
from tests.central.machine import request

ARTICLES = 100_000
EDGES = 1000
CHANGES = 10
FRESH = "S-fresh"


def sheet(articles: int, more: int = 0) -> bytes:
    """A spreadsheet of made-up articles, each with a name and a barcode of its own."""
    lines = ["sku;nazwa;vat;cena;ean;grupa"]
    for n in range(articles):
        code = f"590{n:09}"
        digits = sum(int(d) * (3 if at % 2 else 1) for at, d in enumerate(code))
        lines.append(
            f"SKU{n:06};Artykuł testowy numer {n} mała paczka;{('23', '8', '5')[n % 3]};"
            f"{(100 + n * 7 % 9000 + more) / 100:.2f};{code}{-digits % 10};Grupa {n % 200}"
        )
    return "\n".join(lines).encode()


@dataclass
class Till:
    """A store's machine: its key and its certificate."""

    store: str
    key: Ed25519PrivateKey
    certificate: x509.Certificate
    heard: list[float] = field(default_factory=list)


def certify(data: Path, stores: list[str]) -> list[Till]:
    """Enrol machines without a conversation each, while head office does not run."""
    folder = Folder(data)
    authority = Authority.load(folder)
    ledger = Ledger.open(folder.ledger, authority.node_key)
    tills = []
    try:
        for store in stores:
            key = Ed25519PrivateKey.generate()
            csr = x509.load_pem_x509_csr(request(key).encode())
            certificate = authority.node_from(csr, store)
            tills.append(Till(store, key, certificate))
            der = certificate.public_bytes(Encoding.DER)
            told = [
                (secrets.token_bytes(16), StoreDescribed(store, store)),
                (secrets.token_bytes(16), NodeEnrolled(NodeKey.of(key).node, store, der)),
            ]
            ledger._writer.submit(
                lambda unit, store=store, told=told: author.write(unit, store, told)
            ).result()
    finally:
        ledger.close()
    return tills


async def send(url: str, data: Path, token: str, content: bytes) -> float:
    """Import a catalogue over HTTPS; return the seconds."""
    context = ssl.create_default_context(cafile=str(data / "authority.pem"))
    began = time.perf_counter()
    async with (
        aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context)) as client,
        client.post(
            f"{url}/v1/catalogue",
            data=content,
            headers={"Authorization": f"Bearer {token}", "Content-Type": "text/csv"},
            server_hostname="central.karb",
            timeout=aiohttp.ClientTimeout(total=600),
        ) as answer,
    ):
        assert answer.status == 200, await answer.text()
    return time.perf_counter() - began


async def begin(url: str, data: Path, folder: Path, till: Till, last: str, *, plain: bool):
    """Start a fresh node; return the seconds until it can sell the last article, and its MB."""
    folder.mkdir()
    key = NodeKey.of(till.key)
    key.save(folder / tls.KEY)
    (folder / tls.CERTIFICATE).write_bytes(till.certificate.public_bytes(Encoding.PEM))
    (folder / tls.AUTHORITY).write_bytes((data / "authority.pem").read_bytes())
    central = NodeKey.load(data / "node.key")
    clock = Clock()
    store = await Store.open(folder / DATABASE, key, till.store, clock, incarnation=plain + 1)
    await store.write(lambda unit: unit.root(central.node, ALL, central.public))
    link = Uplink(
        folder, url, store, clock, random=random.random, incarnation=lambda: 9, software="bench"
    )
    link.from_checkpoint = not plain
    began = time.perf_counter()
    await link.start()
    try:
        while True:
            article = await store.article(last, 10**13)
            if article is not None and article.unit_minor is not None:
                break
            await asyncio.sleep(0.01)
        took = time.perf_counter() - began
        assert any(map(store.base, [head.stream for head in store.heads()])) is not plain
    finally:
        await link.close()
        await store.close()
    return took, (folder / DATABASE).stat().st_size / 1e6


async def listen(url: str, data: Path, till: Till, folder: Path, ready: asyncio.Event, left: list):
    """Hold a live link as an edge does, and note when facts arrive."""
    context = ssl.create_default_context(cafile=str(data / "authority.pem"))
    key = folder / f"{till.store}.key"
    NodeKey.of(till.key).save(key)
    pem = folder / f"{till.store}.pem"
    pem.write_bytes(till.certificate.public_bytes(Encoding.PEM))
    context.load_cert_chain(pem, key)
    key.unlink()
    pem.unlink()
    session = Session((till.store, ALL), facts.readable(), lambda _: True)
    async with (
        aiohttp.ClientSession() as client,
        client.ws_connect(
            f"{url}/v1/exchange/live",
            ssl=context,
            server_hostname="central.karb",
            compress=0,
            timeout=aiohttp.ClientWSTimeout(ws_close=1),
        ) as socket,
    ):
        greeted = session.receive(await socket.receive_bytes())
        assert isinstance(greeted, Greeted)
        # It says that it has all there is: only news is to come.
        await socket.send_bytes(session.hello(greeted.vector.values(), None))
        left.append(till)
        if len(left) == EDGES_WANTED[0]:
            ready.set()
        async for message in socket:
            event = session.receive(message.data)
            if isinstance(event, Received) and event.batch.stream.scope == ALL:
                till.heard.append(time.perf_counter())
                stream = event.batch.stream
                await socket.send_bytes(session.acknowledge({stream: event.batch.last}, {}))


EDGES_WANTED = [EDGES]


async def push(url, data, token, tills, folder, changes, pid):
    """Change a price some times.

    Returns:
        How long each edge waited for each, and head office's CPU for each of these (s).
    """
    ready, left = asyncio.Event(), []
    EDGES_WANTED[0] = len(tills)
    tasks = []
    for at in range(0, len(tills), 50):  # a listening socket's queue is short
        tasks += [
            asyncio.create_task(listen(url, data, till, folder, ready, left))
            for till in tills[at : at + 50]
        ]
        while len(left) < len(tasks):
            await asyncio.sleep(0.05)
            for task in tasks:
                if task.done():
                    task.result()
    await ready.wait()
    await asyncio.sleep(3)
    waits = []
    cpu = cpu_of(pid)
    try:
        for n in range(changes):
            for till in tills:
                till.heard.clear()
            began = time.perf_counter()
            await send(url, data, token, sheet(1, more=50 + n))
            end = began + 60
            while not all(till.heard for till in tills) and time.perf_counter() < end:  # noqa: ASYNC110 - waits for a thousand
                await asyncio.sleep(0.05)
            waits += [(till.heard[0] if till.heard else end) - began for till in tills]
            await asyncio.sleep(0.5)
        cpu = cpu_of(pid) - cpu
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    return sorted(waits), cpu / len(waits)


async def measure(articles: int, edges: int, changes: int):
    """Yield what, figure and ratio."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(hard, 8192)), hard))
    with contextlib.ExitStack() as stack:
        name = stack.enter_context(tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()))
        folder = Path(name)
        data = folder / "central"
        command(data, "init")
        tills = certify(data, [FRESH, *(f"S{n}" for n in range(edges))])
        token = command(data, "token", "create", "--scope", "write", "--name", "b")["token"]
        url, pid = stack.enter_context(running(data, None))
        took = await send(url, data, token, sheet(articles))
        yield (
            f"import of {articles:,} articles at head office, CSV over HTTPS",
            f"{took:.1f} s, {articles / took:,.0f} articles/s",
            f"head office then has {rss_mb(pid):.0f} MB",
        )
        one = [await send(url, data, token, sheet(1, more=10 + n)) for n in range(5)]
        yield (
            f"import of one changed row into {articles:,}",
            f"{sorted(one)[2] * 1000:.0f} ms (median of 5)",
            "",
        )
        last = f"SKU{articles - 1:06}"
        fresh, size = await begin(url, data, folder / "a", tills[0], last, plain=False)
        again, _ = await begin(url, data, folder / "b", tills[0], last, plain=False)
        plain, plain_size = await begin(url, data, folder / "c", tills[0], last, plain=True)
        yield (
            f"fresh node ready to sell {articles:,} articles, from a checkpoint",
            f"{fresh:.1f} s, {size:.0f} MB of database; the next one {again:.1f} s",
            "aim 10 s",
        )
        yield (
            "the same by exchanging facts",
            f"{plain:.1f} s, {plain_size:.0f} MB of database",
            f"{plain / again:.1f} times a checkpoint",
        )
        waits, cpu = await push(url, data, token, tills[1:], folder, changes, pid)
        yield (
            f"one price to {edges:,} live edges, WebSocket over TLS on loopback, {changes} times",
            (
                f"p50 {waits[len(waits) // 2] * 1000:.0f} ms, "
                f"p99 {waits[len(waits) * 99 // 100] * 1000:.0f} ms, "
                f"slowest {waits[-1] * 1000:.0f} ms"
            ),
            (
                f"aim p99 1000 ms; some {cpu * 1e6:.0f} us of head office's CPU an edge, "
                f"{rss_mb(pid):.0f} MB"
            ),
        )


def run(articles: int = ARTICLES, edges: int = EDGES, changes: int = CHANGES):
    """Yield what, figure and ratio."""

    async def rows():
        return [row async for row in measure(articles, edges, changes)]

    yield from uvloop.run(rows())


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--articles", type=int, default=ARTICLES)
    parser.add_argument("--edges", type=int, default=EDGES)
    parser.add_argument("--changes", type=int, default=CHANGES)
    asked = parser.parse_args()
    for row in run(asked.articles, asked.edges, asked.changes):
        print(json.dumps(row, ensure_ascii=False))
