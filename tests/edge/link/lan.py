"""Nodes of a store in one process, on real sockets with real certificates."""

import asyncio
import contextlib
import random
import time
from itertools import count

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding

from central.config import Folder
from central.founding import create
from central.nodes.authority import Authority
from edge.clock import Clock
from edge.config import Listen
from edge.keys import NodeKey
from edge.link import tls
from edge.link.lan import LanServer
from edge.link.peers import Peers
from edge.store.store import Store
from tests.central.machine import request
from tests.edge.store.rig import selling

_lives, _events = count(1), count(1)


def founded(folder):
    folder.mkdir()
    create(Folder(folder), [])
    return Authority.load(Folder(folder))


class Node:
    """One node: files, store, neighbours, and the port where they call."""

    def __init__(self, folder, authority, number, store="S1"):
        self.data, self.authority, self.scope = folder / f"n{number}", authority, store
        self.data.mkdir()
        private = Ed25519PrivateKey.from_private_bytes(bytes([number + 1]) * 32)
        self.key = NodeKey.of(private)
        self.key.save(self.data / tls.KEY)
        csr = x509.load_pem_x509_csr(request(private).encode())
        self.certificate = authority.node_from(csr, store)
        self.write(self.certificate)
        self.name = f"K{number}"
        self.lan = None

    def write(self, certificate):
        pem = {tls.AUTHORITY: self.authority.certificate, tls.CERTIFICATE: certificate}
        for name, one in pem.items():
            (self.data / name).write_bytes(one.public_bytes(Encoding.PEM))

    @property
    def node(self):
        return self.key.node

    @property
    def url(self):
        return f"https://127.0.0.1:{self.port}"

    async def open(self):
        self.clock = Clock()
        self.store = await Store.open(
            self.data / "karb.sqlite", self.key, self.scope, self.clock, incarnation=next(_lives)
        )
        self.peers = Peers(
            self.data,
            self.store,
            self.clock,
            name=self.name,
            random=random.Random(1).random,
            incarnation=lambda: next(_lives),
            software="test",
        )
        self.lan = LanServer(self.data, self.peers)
        self.port = await self.lan.listen(Listen("127.0.0.1", 0))
        return self

    async def close(self):
        await self.peers.close()
        await self.lan.close()
        await self.store.close()

    async def sell(self):
        event = next(_events).to_bytes(16, "big")
        await self.store.write(selling(event, till=self.name))

    async def sales(self):
        return (await self.store.figures()).sales

    async def state_of(self, other):
        states = await self.peers.states()
        return next((s for s in states if s.node == other.node.hex()), None)


@contextlib.asynccontextmanager
async def nodes(folder, *stores):
    authority = founded(folder / "office")
    async with contextlib.AsyncExitStack() as stack:
        made = []
        for number, store in enumerate(stores):
            node = await Node(folder, authority, number, store).open()
            stack.push_async_callback(node.close)
            made.append(node)
        yield made


async def until(condition, seconds=20):
    end = time.monotonic() + seconds
    while not await condition():
        assert time.monotonic() < end, "it did not come about"
        await asyncio.sleep(0.02)
