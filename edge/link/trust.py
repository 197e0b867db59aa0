"""Whom this node believes: certificates of its own head office, for its own store, not revoked.

No internet is needed for it. Dates are judged by trusted time, and not at all while there is
none; what head office has revoked is known from its facts.
"""

from pathlib import Path

from cryptography import x509

from edge.clock import Clock
from edge.link import tls
from edge.store.store import Store
from sync.chain import ALL
from sync.errors import BadIdentity
from sync.identity import Identity, judge
from sync.identity import certificate as read


class PeerRefused(Exception):
    """The other machine is none that this one exchanges with; says why, and the cure."""


class Trusted:
    """Judges certificates."""

    def __init__(self, data: Path, store: Store, clock: Clock) -> None:
        """Judge by the authority's certificate in a node's folder."""
        self._data, self._store, self._clock = data, store, clock
        self._authority: x509.Certificate | None = None

    @property
    def authority(self) -> x509.Certificate:
        """Head office's own certificate; read when it is needed, for no sale needs it.

        Raises:
            BadIdentity: It cannot be read.
        """
        if self._authority is None:
            self._authority = tls.certificate(self._data, tls.AUTHORITY)
        return self._authority

    def author(self, certificate: bytes) -> Identity:
        """Say who wrote facts, by a certificate (DER) that came with them.

        Dates are not judged: what was written while it was good stays good.

        Raises:
            BadIdentity: It is not of this head office and store.
        """
        identity = self._judged(certificate, None)
        if identity.store not in (ALL, self._store.store):
            raise BadIdentity(
                f"Certificate of node {identity.node.hex()}: of store {identity.store}, expected "
                f"{self._store.store}."
            )
        return identity

    async def neighbour(self, certificate: bytes | None) -> Identity:
        """Say which node of the store shows this certificate (DER).

        Raises:
            PeerRefused: It is no other node of this store, out of date, or revoked.
        """
        if not certificate:
            raise PeerRefused("No certificate: expected the node's own, given at enrolment.")
        now = self._clock.now()
        try:
            identity = self._judged(certificate, now.ms if now.trust else None)
        except BadIdentity as error:
            raise PeerRefused(str(error)) from error
        if identity.store != self._store.store:
            whose = f"of store {identity.store}" if identity.store else "head office's own"
            raise PeerRefused(
                f"Node {identity.node.hex()}: {whose}, expected one of {self._store.store}; "
                "look at the address."
            )
        await self.check(identity)
        return identity

    async def check(self, identity: Identity) -> None:
        """Look again whether a neighbour is still welcome.

        Raises:
            PeerRefused: It is not.
        """
        if await self._store.revoked(identity.node):
            raise PeerRefused(
                f"Node {identity.node.hex()}: revoked by head office; it needs a new key and a "
                "new enrolment code."
            )
        now = self._clock.now()
        if now.trust and now.ms > identity.not_after_ms:
            raise PeerRefused(
                f"Certificate of node {identity.node.hex()}: out of date; it is renewed when the "
                "node has a link to head office."
            )

    def _judged(self, certificate: bytes, now_ms: int | None) -> Identity:
        return judge(read(certificate), self.authority, now_ms)
