"""A store's machine as the tests need it: a key, a chain of facts, a certificate, no shop."""

import secrets
import shutil
import sqlite3
import ssl
import time
from collections.abc import Sequence
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass, field
from pathlib import Path

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from sync import facts
from sync.chain import Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.enrolment import EnrolAnswer, EnrolmentCode, EnrolRequest
from sync.exchange import wire
from sync.exchange.session import Session
from sync.facts import Body
from sync.facts.sale import Payment, Sale, SaleLine, SaleLines, Stage
from sync.facts.stock import GoodsReceived, ReceivedLine, ReceivedLines
from sync.identity import node_id, raw_public


def copied(made: Path, target: Path) -> Path:
    """Copy a head office, as if it had been made where the copy is: no life ends by that."""
    shutil.copytree(made, target)
    with closing(sqlite3.connect(target / "ledger.db")) as db:
        db.execute("DELETE FROM own WHERE name = 'place'")
        db.commit()
    (target / "ledger.db.life").unlink(missing_ok=True)
    return target


def request(key, name="till") -> str:
    """Return a signing request, PEM."""
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    csr = x509.CertificateSigningRequestBuilder().subject_name(subject).sign(key, None)
    return csr.public_bytes(Encoding.PEM).decode()


@dataclass
class Writer:
    """Makes one stream."""

    key: Ed25519PrivateKey
    store: str
    incarnation: int = 7
    facts: list[Fact] = field(default_factory=list)
    hashes: list[bytes] = field(default_factory=list)

    @property
    def stream(self) -> StreamId:
        return StreamId(node_id(raw_public(self.key.public_key())), self.incarnation, self.store)

    @property
    def head(self) -> Head:
        last = self.hashes[-1] if self.hashes else genesis(self.stream)
        return Head(self.stream, len(self.facts), last)

    def raw(self, kind: str, body: bytes, version: int = 1, event: bytes | None = None) -> Fact:
        now = int(time.time() * 1000)
        last = self.facts[-1].hlc if self.facts else 0
        fact = Fact(
            len(self.facts) + 1,
            max(last + 1, now << 16),
            kind,
            version,
            event or secrets.token_bytes(16),
            body,
        )
        self.hashes += extend(self.head.hash, [fact])
        self.facts.append(fact)
        return fact

    def write(self, body: Body, event: bytes | None = None) -> Fact:
        kind, version = facts.kind_of(body)
        return self.raw(kind, facts.encode(body), version, event)

    def batch(self, first: int = 1, last: int | None = None) -> Batch:
        last = len(self.facts) if last is None else last
        head = Head(self.stream, last, self.hashes[last - 1])
        return Batch(self.stream, self.facts[first - 1 : last], sign(self.key, head))


def sale(
    *lines: tuple[str, int, int],
    number: int = 1,
    stage: Stage = Stage.CLOSED,
    method="cash",
    **more,
) -> Sale:
    """A sale of (sku, quantity_milli, unit_minor)."""
    rows = tuple(SaleLine(*line, vat="23") for line in lines or (("A", 1000, 599),))
    total = sum(row.total_minor for row in rows)
    return Sale(
        stage,
        number,
        1_767_000_000_000 + number,
        2,
        SaleLines.of(rows),
        (Payment(method, total),),
        "T1",
        "anna",
        "1",
        20260131,
        **more,
    )


def delivery(*lines: tuple[str, int]) -> GoodsReceived:
    rows = tuple(ReceivedLine(*line) for line in lines)
    return GoodsReceived(1_767_000_000_000, 2, ReceivedLines.of(rows))


@dataclass
class Machine:
    """An enrolled node and its HTTP client."""

    writer: Writer
    answer: EnrolAnswer
    url: str
    context: ssl.SSLContext

    @property
    def certificate(self) -> x509.Certificate:
        return x509.load_pem_x509_certificate(self.answer.certificate.encode())

    @asynccontextmanager
    async def client(self):
        connector = aiohttp.TCPConnector(ssl=self.context)
        async with aiohttp.ClientSession(self.url, connector=connector) as client:
            yield client

    def session(self) -> Session:
        return Session(("", self.answer.store), facts.readable(), lambda _: True)

    async def post(self, payloads: Sequence[bytes]) -> tuple[int, bytes]:
        async with (
            self.client() as client,
            client.post(
                "/v1/exchange",
                data=wire.join(payloads),
                headers={"Content-Type": "application/octet-stream"},
                server_hostname="central.karb",
            ) as answer,
        ):
            return answer.status, await answer.read()

    async def exchange(self, *batches: Batch, vector: Sequence[Head] = (), keys=None):
        """One round trip; returns status, events or problem, and the session."""
        session = self.session()
        payloads = [session.hello(vector, None)]
        payloads += [session.send(batch, keys) for batch in batches]
        status, body = await self.post(payloads)
        if status != 200:
            return status, msgspec.json.decode(body), session
        return status, [session.receive(payload) for payload in wire.split(body)], session


def context_for(
    authority_pem: str, key=None, certificate_pem: str | None = None, tmp: Path | None = None
):
    context = ssl.create_default_context(cadata=authority_pem)
    if certificate_pem is not None:
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path = tmp / f"{secrets.token_hex(4)}.pem"
        path.write_bytes(pem + certificate_pem.encode())
        context.load_cert_chain(path)
    return context


async def ask_enrol(url: str, code: str, csr: str, name="till") -> tuple[int, bytes]:
    """Enrol as an edge does: fetch the authority unverified, check it, then trust it."""
    parsed = EnrolmentCode.parse(code)
    async with aiohttp.ClientSession(url) as client:
        async with client.get("/v1/authority", ssl=False) as answer:
            pem = await answer.text()
        assert parsed.vouches_for(x509.load_pem_x509_certificate(pem.encode()))
        async with client.post(
            "/v1/enrol",
            data=msgspec.json.encode(EnrolRequest(parsed.secret.hex(), csr, name)),
            headers={"Content-Type": "application/json"},
            ssl=context_for(pem),
            server_hostname="central.karb",
        ) as answer:
            return answer.status, await answer.read()


async def enrol(url: str, code: str, tmp: Path, *, key=None, incarnation=7) -> Machine:
    key = key or Ed25519PrivateKey.generate()
    status, body = await ask_enrol(url, code, request(key))
    assert status == 200, body
    answer = msgspec.json.decode(body, type=EnrolAnswer)
    return Machine(
        Writer(key, answer.store, incarnation),
        answer,
        url,
        context_for(answer.authority, key, answer.certificate, tmp),
    )
