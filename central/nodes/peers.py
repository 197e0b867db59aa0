"""Who is at the other end: judged at every exchange, counted, and let go when revoked."""

import asyncio
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace

from cryptography import x509

from central.ledger import contacts
from central.ledger.contacts import Contact, ContactKey
from central.ledger.errors import LedgerUnavailable
from central.ledger.ledger import Ledger, wall_ms
from sync.errors import BadIdentity
from sync.identity import Identity, judge
from sync.identity import certificate as read

_FLUSH_S = 2.0


class NoCertificate(Exception):
    """The peer showed no client certificate."""


class Revoked(Exception):
    """The peer's node was revoked, or its certificate is no good."""


class Peers:
    """The nodes that talk to us."""

    def __init__(
        self,
        ledger: Ledger,
        authority: x509.Certificate,
        known: Mapping[ContactKey, Contact],
        now_ms: Callable[[], int] = wall_ms,
    ) -> None:
        """Start from what `ledger.contacts` has kept."""
        self._ledger, self._authority, self._now_ms = ledger, authority, now_ms
        self._judged: dict[bytes, Identity] = {}
        self._contacts = dict(known)
        self._dirty: set[ContactKey] = set()
        self._live: dict[bytes, int] = {}

    def identify(self, certificate: bytes | None) -> Identity:
        """Say whose certificate (DER) this is.

        Raises:
            NoCertificate: There is none.
            Revoked: It is out of date, somebody else's, or the node was revoked.
        """
        if certificate is None:
            raise NoCertificate(
                "No client certificate: expected the node's own, given at enrolment."
            )
        now = self._now_ms()
        identity = self._judged.get(certificate)
        if identity is None or not identity.not_before_ms <= now <= identity.not_after_ms:
            try:
                identity = judge(read(certificate), self._authority, now)
            except BadIdentity as error:
                raise Revoked(str(error)) from error
            if not identity.store:
                raise Revoked("The certificate is head office's own: expected a node's.")
            if len(self._judged) > 10_000:
                self._judged.clear()
            self._judged[certificate] = identity
        self.check(identity)
        return identity

    def introduced(self, certificate: bytes) -> Identity | None:
        """Say whose certificate (DER) came with facts; None if it is none of ours.

        Dates are not judged: what was written while it was good stays good.
        """
        try:
            return judge(read(certificate), self._authority, None)
        except BadIdentity:
            return None

    def check(self, identity: Identity) -> None:
        """Look again whether a peer is still welcome.

        Raises:
            Revoked: It is not.
        """
        member = self._ledger.published.members.get(identity.node)
        if member is not None and member.revoked:
            raise Revoked(
                f"Node {identity.node.hex()}: revoked by head office; "
                "it needs a new key and a new enrolment code."
            )
        if self._now_ms() > identity.not_after_ms:
            raise Revoked(f"Certificate of node {identity.node.hex()}: out of date; renew it.")

    def heard(
        self,
        identity: Identity,
        *,
        bytes_in: int = 0,
        bytes_out: int = 0,
        at_ms: int | None = None,
    ) -> None:
        """Count what went over the wire, or came by hand and was said at `at_ms`."""
        key = (identity.store, identity.node)
        contact = self._contacts.setdefault(key, Contact())
        if bytes_in:
            now = self._now_ms()
            contact.heard_ms = now if at_ms is None else max(contact.heard_ms, min(at_ms, now))
        contact.bytes_in += bytes_in
        contact.bytes_out += bytes_out
        self._dirty.add(key)

    def contacts(self) -> Mapping[ContactKey, Contact]:
        """Return what was heard, by store and node."""
        return self._contacts

    def live(self, node: bytes) -> bool:
        """Whether a WebSocket of the node is open."""
        return node in self._live

    @contextmanager
    def open(self, identity: Identity) -> Iterator[None]:
        """Note that a WebSocket is open."""
        self._live[identity.node] = self._live.get(identity.node, 0) + 1
        try:
            yield
        finally:
            self._live[identity.node] -= 1
            if not self._live[identity.node]:
                del self._live[identity.node]

    async def keep(self) -> None:
        """Write the counts now and then, until cancelled."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            with suppress(LedgerUnavailable):  # told where it happens; the next turn writes more
                await self.flush()

    async def flush(self) -> None:
        """Write the counts.

        Raises:
            LedgerUnavailable: They could not be written; they are kept for the next time.
        """
        if not self._dirty:
            return
        rows = {key: replace(self._contacts[key]) for key in self._dirty}
        self._dirty = set()
        try:
            await self._ledger.write(lambda unit: contacts.keep(unit, rows))
        except LedgerUnavailable:
            self._dirty |= rows.keys()
            raise
