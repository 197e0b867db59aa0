"""A head office to test: made once, copied for each test, served on a real socket."""

import asyncio
import secrets
import threading
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import aiohttp
import msgspec
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from sqlalchemy import select

from central import orders
from central.api.access import Access
from central.api.server import Server, serve
from central.config import Folder
from central.founding import create
from central.ledger import author
from central.ledger.ingest import Incoming
from central.ledger.ledger import Ledger
from central.ledger.tables import SALES, TOTALS, VIEWS
from central.nodes.authority import Authority
from central.office import Office, open_office
from central.stock import keeping
from sync.contract import token
from sync.facts.node import NodeEnrolled, StoreDescribed
from sync.identity import Identity, raw_public
from tests.central.machine import Machine, Writer, context_for, copied, enrol, request


@pytest.fixture(autouse=True)
def no_leaked_threads():
    before = set(threading.enumerate())
    yield
    left = [
        thread.name
        for thread in set(threading.enumerate()) - before
        if thread.is_alive() and thread.name.startswith("ledger")
    ]
    assert not left


@pytest.fixture(scope="session")
def made(tmp_path_factory) -> Path:
    """A head office nobody touches; copy it."""
    path = tmp_path_factory.mktemp("made") / "central"
    create(Folder(path), ["central.example"])
    return path


@pytest.fixture
def folder(made, tmp_path) -> Folder:
    return Folder(copied(made, tmp_path / "central"))


@dataclass
class Lab:
    """A head office that is served."""

    office: Office
    url: str
    admin: str
    tmp: Path
    server: Server

    @property
    def ledger(self) -> Ledger:
        return self.office.ledger

    async def order(self, order) -> dict:
        return await self.office.carry_out(order)

    async def store(self, store="S1", **more) -> str:
        await self.order(orders.StoreAdd(store, more.pop("name", f"Shop {store}"), **more))
        return store

    async def code(self, store="S1", minutes=15) -> str:
        return (await self.order(orders.EnrolCode(store, minutes)))["code"]

    async def machine(self, store="S1", **more) -> Machine:
        await self.store(store)
        return await enrol(self.url, await self.code(store), self.tmp, **more)

    async def token(self, scope="read") -> str:
        return (await self.order(orders.TokenCreate(scope, "test")))["token"]

    async def ask(self, method, path, *, token=None, server_hostname="central.karb", **more):
        pem = (self.office.authority.folder.authority).read_text()
        headers = dict(more.pop("headers", {}))
        if token:
            headers["Authorization"] = f"Bearer {token}"
        connector = aiohttp.TCPConnector(ssl=context_for(pem))
        async with (
            aiohttp.ClientSession(self.url, connector=connector) as client,
            client.request(
                method,
                path,
                headers=headers,
                allow_redirects=False,
                server_hostname=server_hostname,
                **more,
            ) as answer,
        ):
            return answer, await answer.read()

    async def json(self, path, *, status=200, token=None, **more):
        answer, body = await self.ask("GET", path, token=token or await self.token(), **more)
        assert answer.status == status, body
        return msgspec.json.decode(body)


@asynccontextmanager
async def serving(folder: Folder, tmp: Path):
    async with open_office(folder) as office:
        office.authority.serve(folder.read_hosts())
        admin = token.make("admin", secrets.token_bytes(20), ("admin",))
        server = serve(office, Access(office.ledger, admin, office.cookie_key), folder)
        host, port = await server.start("127.0.0.1", 0)
        works = (office.peers.keep(), keeping.keep(office.ledger))
        tasks = [asyncio.create_task(work) for work in works]
        try:
            yield Lab(office, f"https://{host}:{port}", admin.text, tmp, server)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
            await server.stop()
            await asyncio.sleep(0)


@pytest.fixture
async def lab(folder, tmp_path):
    async with serving(folder, tmp_path) as lab:
        yield lab


@dataclass
class Desk:
    """A ledger without a server, and machines that are certified in it."""

    folder: Folder
    ledger: Ledger
    authority: Authority

    def write(self, work):
        return self.ledger._writer.submit(work).result(20)

    def take(self, *batches, keys=None, peer=None):

        listed = [
            Incoming.of(batch, keys or {}, peer or self.identity(batch.stream)) for batch in batches
        ]
        return self.ledger._writer.take(listed).result(20)

    def identity(self, stream):

        key = self.keys.get(stream.node)
        return Identity(
            node=stream.node,
            store=stream.scope,
            public_key=raw_public(key.public_key()) if key else bytes(32),
            serial=1,
            not_before_ms=0,
            not_after_ms=1 << 60,
        )

    def __post_init__(self):
        self.keys = {}

    def member(self, store="S1", incarnation=7) -> Writer:

        key = Ed25519PrivateKey.generate()
        csr = x509.load_pem_x509_csr(request(key).encode())
        der = self.authority.node_from(csr, store).public_bytes(Encoding.DER)
        writer = Writer(key, store, incarnation)
        self.keys[writer.stream.node] = key
        told = [
            (secrets.token_bytes(16), StoreDescribed(store, f"Shop {store}")),
            (secrets.token_bytes(16), NodeEnrolled(writer.stream.node, store, der)),
        ]
        self.write(lambda unit: author.write(unit, store, told))
        return writer

    def rows(self, table, *order):

        with self.ledger._database.reading() as connection:
            return [tuple(row) for row in connection.execute(select(table).order_by(*order))]

    def views(self):
        """Every view, as values: numbers drawn from the feed do not count."""

        found = {table.name: sorted(self.rows(table)) for table in VIEWS}
        found[SALES.name] = sorted((row[0], *row[2:6], *row[7:]) for row in found[SALES.name])
        found[TOTALS.name] = [row for row in found[TOTALS.name] if any(row[1:])]
        return found


@contextmanager
def open_desk(folder: Folder):
    authority = Authority.load(folder)
    desk = Desk(folder, Ledger.open(folder.ledger, authority.node_key), authority)
    try:
        yield desk
    finally:
        desk.ledger.close()


@pytest.fixture
def desk(folder):
    with open_desk(folder) as desk:
        yield desk


@pytest.fixture
def new_desk(made):
    """Open a desk for each example of a property; in memory, for nothing here is about disks."""
    memory = Path("/dev/shm")

    @contextmanager
    def new():
        with TemporaryDirectory(dir=memory if memory.is_dir() else None) as tmp:
            folder = Folder(copied(made, Path(tmp) / "central"))
            with open_desk(folder) as desk:
                yield desk

    return new
