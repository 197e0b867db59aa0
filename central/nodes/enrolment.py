"""One-time codes and what they buy: a certificate for a key made on a store's machine."""

import secrets
from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from central.ledger import author, codes, reading
from central.ledger.errors import Refused
from central.ledger.ledger import Ledger
from central.ledger.unit import Unit
from central.nodes.authority import Authority, node_of, read_request
from sync.enrolment import SECRET_BYTES, EnrolAnswer, EnrolRequest
from sync.facts.node import NodeEnrolled
from sync.identity import Identity

MAX_MINUTES = 7 * 24 * 60
MAX_NAME = 100
_REMEMBER_MS = 30 * 24 * 3600 * 1000
"""Used and expired codes are kept this long, to be able to say what is the matter."""

_CURE = "ask head office for a new one (karb-central enrol-code)"


class CodeRefused(Refused):
    """The code buys nothing: unknown, expired or used."""


class NodeRefused(Refused):
    """The machine may not be what it asks to be."""


@dataclass(frozen=True, slots=True)
class Enrolment:
    """Hands out codes and certificates."""

    ledger: Ledger
    authority: Authority

    async def new_code(self, store: str, minutes: int) -> str:
        """Return a new code for a store, good once.

        Raises:
            Refused: There is no such store, or the minutes are out of bounds.
        """
        if not 1 <= minutes <= MAX_MINUTES:
            raise Refused(f"--minutes {minutes}: expected 1 to {MAX_MINUTES}.")
        secret = secrets.token_bytes(SECRET_BYTES)

        def work(unit: Unit) -> None:
            _store(unit, store)
            codes.forget(unit, unit.now_ms - _REMEMBER_MS)
            expires_ms = unit.now_ms + minutes * 60_000
            codes.keep(unit, codes.Code(store, sha256(secret).digest(), expires_ms, None))

        await self.ledger.write(work)
        return self.authority.code(secret).text

    async def enrol(self, request: EnrolRequest) -> EnrolAnswer:
        """Trade a code and a signing request for a certificate.

        The same key may come again with its code while that lasts: the answer may
        have been lost on the way.

        Raises:
            CodeRefused: The code is unknown, expired or used.
            BadRequest: The signing request cannot be granted.
            NodeRefused: The key was revoked, or is another store's.
        """
        csr = read_request(request.csr)
        try:
            digest = sha256(bytes.fromhex(request.secret)).digest()
        except ValueError as error:
            raise CodeRefused(f"Enrolment code: its secret is not hexadecimal; {_CURE}.") from error
        node = node_of(csr)
        certificate, row = await self.ledger.write(
            lambda unit: self._grant(unit, digest, csr, node, request.name[:MAX_NAME])
        )
        return EnrolAnswer(
            certificate=_pem(certificate),
            authority=_pem(self.authority.certificate),
            central=_pem(self.authority.node_certificate),
            **row,
        )

    def _grant(
        self, unit: Unit, digest: bytes, csr: x509.CertificateSigningRequest, node: bytes, name: str
    ) -> tuple[x509.Certificate, dict[str, str]]:
        code = codes.find(unit, digest)
        if code is None:
            raise CodeRefused(f"Enrolment code: not one of ours, or long gone; {_CURE}.")
        if code.used_by is not None and code.used_by != node:
            raise CodeRefused(f"Enrolment code: used already, by another machine; {_CURE}.")
        if code.expires_ms <= unit.now_ms:
            minutes = (unit.now_ms - code.expires_ms) // 60_000
            raise CodeRefused(f"Enrolment code: expired {minutes} minutes ago; {_CURE}.")
        member = unit.state.members.get(node)
        if node == unit.state.own.node or (member and member.store != code.store):
            raise NodeRefused(
                f"Node {node.hex()}: is {member.store if member else 'central'!r}'s; "
                "remove the key from the machine and enrol again."
            )
        if member and member.revoked:
            raise NodeRefused(
                f"Node {node.hex()}: its key was revoked; remove it from the machine, "
                "then enrol again: a new key will be made."
            )
        row = _store(unit, code.store)
        codes.use(unit, code, node)
        return self._certify(unit, csr, node, code.store, name), row

    async def renew(self, identity: Identity, pem: str) -> str:
        """Return a new certificate (PEM) for a node that still has a good one.

        Raises:
            BadRequest: The signing request cannot be granted.
            NodeRefused: It shows another key, or the node was revoked just now.
        """
        csr = read_request(pem)
        if node_of(csr) != identity.node:
            raise NodeRefused(
                f"csr: of node {node_of(csr).hex()}, the certificate is of {identity.node.hex()}; "
                "a new key needs a new enrolment code."
            )

        def work(unit: Unit) -> x509.Certificate:
            member = unit.state.members.get(identity.node)
            if reading.revoked(unit.connection, identity.store, identity.node):
                raise NodeRefused(f"Node {identity.node.hex()}: revoked.")
            name = member.name if member else ""
            return self._certify(unit, csr, identity.node, identity.store, name)

        return _pem(await self.ledger.write(work))

    def _certify(
        self,
        unit: Unit,
        csr: x509.CertificateSigningRequest,
        node: bytes,
        store: str,
        name: str,
    ) -> x509.Certificate:
        made = self.authority.node_from(csr, store)
        told = NodeEnrolled(node, store, made.public_bytes(Encoding.DER), name)
        author.write(unit, store, [(secrets.token_bytes(16), told)])
        return made


def _store(unit: Unit, store: str) -> dict[str, str]:
    found = reading.store(unit.connection, store)
    if found is None:
        known = reading.store_ids(unit.connection)
        raise Refused(
            f"Store {store!r}: not known; expected one of {', '.join(known[:20]) or 'none yet'}; "
            "add it with karb-central store add."
        )
    return {
        "store": store,
        "store_name": found.name,
        "zone": found.zone,
        "currency": found.currency,
    }


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()
