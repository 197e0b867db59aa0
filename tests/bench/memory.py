"""Resident memory of a whole edge node with 20,000 articles after 10,000 sales over HTTP."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from pathlib import Path

import aiohttp
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edge.clock import Clock
from edge.enrol import DATABASE
from edge.keys import NodeKey
from edge.link import tls
from edge.store.store import Store
from sync.chain import ALL
from sync.facts.catalogue import Article, ArticleColumns, Articles, Price, PriceColumns, Prices

ARTICLES = 20_000
SALES = 10_000
LIMIT_MB = 80
CLIENTS = 8

_CONFIG = """
name = "bench"
store = "S1"
central = "https://127.0.0.1:9"
[[tills]]
id = "T1"
"""
_PRINTER = """
[[devices]]
id = "printer"
driver = "printer.escpos"
url = "tcp:{address}"
till = "T1"
"""


def rss_mb(pid):
    """Return a process's resident set, MB."""
    for line in Path(f"/proc/{pid}/status").read_text(encoding="ascii").splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) / 1024
    return 0.0


def _certify(folder: Path, key: NodeKey):
    """Stand in for enrolment: a certificate of nobody's, since the link stays down here."""
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key.node.hex())])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.private.public_key())
        .serial_number(1)
        .not_valid_before(now)
        .not_valid_after(now + dt.timedelta(days=90))
        .sign(key.private, None)
    )
    for file in (tls.CERTIFICATE, tls.AUTHORITY, tls.CENTRAL):
        (folder / file).write_bytes(certificate.public_bytes(Encoding.PEM))


async def _stock_up(folder: Path):
    key = NodeKey.of(Ed25519PrivateKey.generate())
    key.save(folder / tls.KEY)
    _certify(folder, key)
    store = await Store.open(folder / DATABASE, key, "S1", Clock(), incarnation=1)
    for start in range(0, ARTICLES, 500):
        skus = [str(n) for n in range(start, start + 500)]
        rows = [Article(s, f"Artykuł numer {s}", f"ARTYKUL {s}", "szt", "23", (s,)) for s in skus]

        def work(unit, skus=skus, rows=rows):
            unit.root(key.node, ALL, key.public)
            unit.append(Articles(1, ArticleColumns.of(tuple(rows))), os.urandom(16))
            prices = tuple(Price(sku, 100 + int(sku) % 900) for sku in skus)
            unit.append(Prices(1, PriceColumns.of(prices)), os.urandom(16))

        await store.write(work)
    await store.close()


async def _sell(address: str, token: str):
    rng = random.Random(1)
    left = iter(range(SALES))
    headers = {"Authorization": f"Bearer {token}"}

    async def client(http):
        for _ in left:
            skus = [rng.randrange(ARTICLES) for _ in range(9)]
            prices = [100 + sku % 900 for sku in skus]
            body = {
                "till": "T1",
                "cashier": "anna",
                "lines": [
                    {"sku": str(sku), "quantity_milli": 1000, "unit_minor": price}
                    for sku, price in zip(skus, prices, strict=True)
                ],
                "payments": [{"method": "cash", "amount_minor": sum(prices)}],
            }
            url = f"{address}/v1/sales/{uuid.UUID(int=rng.getrandbits(128))}"
            async with http.put(url, json=body, headers=headers) as answer:
                assert answer.status == 201, await answer.text()

    async with aiohttp.ClientSession() as http:
        await asyncio.gather(*(client(http) for _ in range(CLIENTS)))


def _measure(folder: Path, printer: str | None):
    config = _CONFIG + (_PRINTER.format(address=printer) if printer else "")
    (folder / "karb.toml").write_text(config, encoding="utf-8")
    karb = [sys.executable, "-m", "edge"]
    made = subprocess.run(
        [*karb, "token", "create", "--data", folder, "--scope", "sell", "--name", "b", "--json"],
        check=True,
        capture_output=True,
    )
    token = json.loads(made.stdout)["token"]
    with (folder / "log").open("ab") as log:
        node = subprocess.Popen(
            [*karb, "run", "--data", folder, "--listen", "127.0.0.1:0"],
            stdout=subprocess.PIPE,
            stderr=log,
        )
    try:
        node.stdout.readline()
        address = json.loads((folder / "run.json").read_text())["address"]
        time.sleep(3)
        before = rss_mb(node.pid)
        began = time.perf_counter()
        uvloop.run(_sell(address, token))
        rate = SALES / (time.perf_counter() - began)
        return before, rss_mb(node.pid), rate
    finally:
        node.send_signal(signal.SIGTERM)
        node.wait(20)
        node.stdout.close()


@contextlib.contextmanager
def _printer():
    simulator = subprocess.Popen(
        [sys.executable, "-m", "hw.escpos.simulator", "--listen", "127.0.0.1:0"],
        stdout=subprocess.PIPE,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    try:
        yield simulator.stdout.readline().strip()
    finally:
        simulator.terminate()
        simulator.wait(10)
        simulator.stdout.close()


def run():
    """Yield what, figure and ratio."""
    for title, device in (("no device", None), ("an ESC/POS printer", _printer)):
        with (
            tempfile.TemporaryDirectory(prefix=".bench-", dir=Path.cwd()) as name,
            contextlib.ExitStack() as stack,
        ):
            folder = Path(name)
            uvloop.run(_stock_up(folder))
            address = stack.enter_context(device()) if device else None
            before, after, rate = _measure(folder, address)
        yield (
            f"edge node, 20,000 articles, {title}: at start / after 10,000 sales over HTTP",
            f"{before:.0f} MB / {after:.0f} MB ({rate:,.0f} sales/s over HTTP meanwhile)",
            f"{after / LIMIT_MB:.2f} of the limit of {LIMIT_MB} MB",
        )
