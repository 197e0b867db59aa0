"""Head office: carries out what a person orders, and answers what a program asks.

Everything here works the same whether a server runs around it or a command opened
the ledger for a moment.
"""

import asyncio
import secrets
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import msgspec

from central import VERSION, orders
from central.catalogue import hours, promotions, rates
from central.catalogue.importer import parse
from central.catalogue.publish import Published, publish
from central.config import STORE, Folder
from central.ledger import (
    assortment,
    author,
    contacts,
    documents,
    fences,
    papers,
    reading,
    tokens,
    upkeep,
)
from central.ledger.errors import Refused
from central.ledger.ledger import Ledger, wall_ms
from central.ledger.unit import Unit
from central.nodes.authority import Authority
from central.nodes.enrolment import Enrolment
from central.nodes.peers import Peers
from central.nodes.stick import Stick
from central.stock import desk
from sync.contract import token
from sync.facts.node import NodeRevoked, StoreDescribed

SCOPES = ("read", "write")
MAX_NAME = 100


@dataclass(frozen=True, slots=True)
class Office:
    """What head office is made of."""

    ledger: Ledger
    authority: Authority
    peers: Peers
    enrolment: Enrolment
    cookie_key: bytes = field(repr=False)
    """Signs browsers' sessions."""

    async def carry_out(self, order: orders.Order) -> dict[str, Any]:  # noqa: C901, PLR0912 - one case an order
        """Do what is ordered; return what to tell.

        Raises:
            Refused: It cannot be done; nothing was stored.
            LedgerUnavailable: Nothing was stored.
        """
        match order:
            case orders.StoreAdd():
                return await self._add_store(order)
            case orders.EnrolCode():
                code = await self.enrolment.new_code(order.store, order.minutes)
                return {"store": order.store, "code": code, "minutes": order.minutes}
            case orders.TokenCreate():
                return await self._create_token(order)
            case orders.CatalogueImport():
                kind = "application/json" if order.name.lower().endswith(".json") else "text/csv"
                return msgspec.to_builtins(  # type: ignore[no-any-return]
                    await self.import_catalogue(order.content, kind, order.name_width)
                )
            case orders.PromotionsImport():
                return msgspec.to_builtins(  # type: ignore[no-any-return]
                    await self.import_promotions(order.content)
                )
            case orders.VatSet():
                return await self._set_vat(order)
            case orders.HoursSet():
                return await self.ledger.write(lambda unit: hours.publish(unit, order))
            case orders.HoursList():
                return {"hours": hours.shown(await self.ledger.read(assortment.sale_hours))}
            case orders.VatList():
                return {"rates": rates.shown(await self.ledger.read(assortment.vat_table))}
            case orders.Status():
                return msgspec.to_builtins(await self.status())  # type: ignore[no-any-return]
            case orders.StockTransfers():
                return {"transfers": msgspec.to_builtins(await self.transfers(order.store or None))}
            case orders.NodeList():
                return {"nodes": msgspec.to_builtins(await self.nodes())}
            case orders.NodeRevoke():
                return await self._revoke(order)
            case orders.CustomerForget():
                return await self._forget(order)
            case orders.Backup():
                return await upkeep.backup(self.ledger, order.file)
            case orders.Sync():
                return await self._sync(order)
            case orders.StreamList():
                return await self._open_lives()
            case orders.StreamClose():
                stream = await self.ledger.write(
                    lambda unit: fences.order(unit, order.stream, order.why[:500], order.successor)
                )
                return {"stream": str(stream)}
            case orders.JournalVerify():
                return await upkeep.verify(self.ledger)
            case _:
                return await desk.carry_out(self.ledger, order)

    async def _sync(self, order: orders.Sync) -> dict[str, Any]:
        stick = Stick(self.ledger, self.authority, self.peers)
        told: dict[str, Any] = {"read": None, "written": None}
        store = order.store
        if order.source:
            told["read"] = await stick.read(Path(order.source))
            store = store or told["read"]["store"]
        if order.target:
            if not store:
                raise Refused("--store: expected the id of the store the stick is for.")
            told["written"] = await stick.write(Path(order.target), store)
        return told

    async def _open_lives(self) -> dict[str, Any]:
        def work(unit: Unit) -> list[dict[str, Any]]:
            return [
                {
                    "stream": str(stream),
                    "facts": unit.cursor(stream).head.seq,
                    "own": stream.node == unit.state.own.node,
                    "waits_for": [node.hex() for node in fences.missing(unit, stream)],
                }
                for stream in sorted(unit.state.over)
            ]

        return {"streams": await self.ledger.write(work)}

    async def _add_store(self, order: orders.StoreAdd) -> dict[str, Any]:
        if not STORE.fullmatch(order.id):
            raise Refused(
                f"Store {order.id!r}: expected 1 to 40 letters, digits, dots, dashes and "
                "underscores, beginning with a letter or digit."
            )
        name = order.name.strip()
        if not 0 < len(name) <= MAX_NAME:
            raise Refused(f"--name {order.name!r}: expected 1 to {MAX_NAME} characters.")
        try:
            ZoneInfo(order.zone)
        except (ZoneInfoNotFoundError, ValueError, OSError) as error:
            raise Refused(
                f"--zone {order.zone!r}: expected an IANA time zone such as Europe/Warsaw."
            ) from error
        told = StoreDescribed(order.id, name, order.zone, "PLN", _nip(order.nip), order.fiscal)

        def work(unit: Unit) -> bool:
            before = reading.store(unit.connection, order.id)
            if before == told:
                return False
            author.write(unit, order.id, [(secrets.token_bytes(16), told)])
            papers.announce(unit, [order.id])
            return True

        changed = await self.ledger.write(work)
        return {"store": order.id, "name": name, "changed": changed}

    async def _set_vat(self, order: orders.VatSet) -> dict[str, Any]:
        told = rates.read(order.code, order.rate, order.since)
        return await self.ledger.write(lambda unit: rates.publish(unit, told))

    async def _create_token(self, order: orders.TokenCreate) -> dict[str, Any]:
        name = order.name.strip()
        if not 0 < len(name) <= MAX_NAME:
            raise Refused(f"--name {order.name!r}: expected 1 to {MAX_NAME} characters.")
        try:
            made = token.make(order.scope, secrets.token_bytes(token.SECRET_BYTES), SCOPES)
        except token.BadToken as error:
            raise Refused(str(error)) from error
        await self.ledger.write(lambda unit: tokens.keep(unit, made.digest, name, made.scope))
        return {"token": made.text, "scope": made.scope, "name": name}

    async def _revoke(self, order: orders.NodeRevoke) -> dict[str, Any]:
        members = self.ledger.published.members
        prefix = order.node.lower()
        found = [
            member
            for member in members.values()
            if prefix and member.node.hex().startswith(prefix) and member.store
        ]
        if len(found) != 1:
            raise Refused(
                f"Node {order.node!r}: expected the name of one node, this fits {len(found)}; "
                "karb-central node list shows them."
            )
        (member,) = found
        if member.revoked:
            return {"node": member.node.hex(), "store": member.store, "changed": False}
        told = NodeRevoked(member.node, order.why[:500])
        await self.ledger.write(
            lambda unit: author.write(unit, member.store, [(secrets.token_bytes(16), told)])
        )
        return {"node": member.node.hex(), "store": member.store, "changed": True}

    async def _forget(self, order: orders.CustomerForget) -> dict[str, Any]:
        try:
            customer = UUID(order.customer)
        except ValueError as error:
            raise Refused(
                f"Customer {order.customer[:40]!r}: expected a UUID, as the store shows it."
            ) from error
        keys, changed = await self.ledger.write(
            lambda unit: documents.forget(unit, customer.bytes, order.why[:500])
        )
        if not keys:
            raise Refused(
                f"Customer {customer}: expected one that a store has written of, found none; "
                "look at the id, or forget again when the store was heard."
            )
        return {"customer": str(customer), "keys": keys, "changed": changed}

    async def import_catalogue(
        self, data: bytes, content_type: str, name_width: int | None = None
    ) -> Published:
        """Take in a catalogue: all of it, or nothing.

        Args:
            data: The file.
            content_type: As HTTP says it.
            name_width: Characters of a fiscal name, remembered; None: as last said.

        Raises:
            BadImport: Something is wrong with it; the mistakes are named.
        """
        width = await self.ledger.read(assortment.name_width) if name_width is None else name_width
        rows = await asyncio.to_thread(parse, data, content_type, width)

        def work(unit: Unit) -> Published:
            if name_width is not None:
                assortment.keep_name_width(unit.connection, name_width)
            return publish(unit, rows, width)

        return await self.ledger.write(work)

    async def import_promotions(self, data: bytes) -> promotions.PromotionsPublished:
        """Take in promotions: all of them, or nothing.

        Raises:
            BadImport: Something is wrong with the file; the mistakes are named.
        """
        read = await asyncio.to_thread(promotions.parse, data)
        return await self.ledger.write(lambda unit: promotions.publish(unit, read))

    async def transfers(self, store: str | None = None) -> "list[papers.Transfer]":
        """Return what stores sent each other, and what of it arrived."""
        return await self.ledger.read(lambda connection: papers.transfers(connection, store))

    async def status(self) -> "reading.Status":
        """Return how things stand."""
        return await self.ledger.read(
            lambda connection: reading.status(connection, self.seen(), wall_ms(), VERSION)
        )

    async def stores(self) -> "list[reading.Store]":
        """Return every store."""
        return await self.ledger.read(lambda connection: reading.stores(connection, self.seen()))

    async def nodes(self) -> "list[reading.Node]":
        """Return every certified machine."""
        return await self.ledger.read(lambda connection: reading.nodes(connection, self.seen()))

    def seen(self) -> reading.Seen:
        """Return what this process knows besides the database."""
        published = self.ledger.published
        return reading.Seen(
            {
                key: (contact.heard_ms, contact.bytes_in, contact.bytes_out)
                for key, contact in self.peers.contacts().items()
            },
            {member.node for member in published.members.values() if self.peers.live(member.node)},
            published.all_scopes(),
            self.ledger.own,
            published.over,
        )


@asynccontextmanager
async def open_office(
    folder: Folder, database: Path | None = None, now_ms: Callable[[], int] = wall_ms
) -> AsyncIterator[Office]:
    """Open head office without a server; the caller holds `folder.locked()`.

    Args:
        folder: Where it lives.
        database: Its ledger, if that is not in the folder.
        now_ms: The clock of what is written.

    Raises:
        LedgerUnavailable: It was never made, or cannot be read.
    """
    authority = Authority.load(folder)
    ledger = await asyncio.to_thread(
        Ledger.open, database or folder.ledger, authority.node_key, now_ms
    )
    try:
        peers = Peers(ledger, authority.certificate, await ledger.read(contacts.load))
        yield Office(
            ledger, authority, peers, Enrolment(ledger, authority), authority.secret("cookie")
        )
        await peers.flush()
    finally:
        await asyncio.to_thread(ledger.close)


def _nip(text: str) -> str:
    if not text:
        return ""
    from stdnum.exceptions import ValidationError  # noqa: PLC0415 - of use in this command only
    from stdnum.pl import nip  # noqa: PLC0415 - of use in this command only

    try:
        return str(nip.validate(text))
    except ValidationError as error:
        raise Refused(f"--nip {text!r}: expected a Polish NIP of ten digits ({error}).") from error
