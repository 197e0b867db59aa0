"""Enrolment: making this machine a node of head office, and keeping it one.

Whatever is interrupted here leaves either no node or a whole one: the certificate
is the last file written.
"""

import secrets
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

from edge import files
from edge.clock import Clock
from edge.config import FILE, first_file, is_address
from edge.keys import NodeKey
from edge.link import tls
from edge.link.carrier import LinkRefused, LinkUnreachable, request
from edge.store.store import Store
from sync.chain import ALL, INCARNATION_BITS
from sync.enrolment import (
    EnrolAnswer,
    EnrolmentCode,
    EnrolRequest,
    RenewAnswer,
    RenewRequest,
)
from sync.errors import BadIdentity
from sync.identity import judge

DATABASE = "karb.sqlite"


class EnrolRefused(LinkRefused):
    """Head office, or the code itself, said no; nothing was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Enrolled:
    """What the machine is now."""

    node: bytes
    store: str
    store_name: str
    zone: str
    currency: str


async def enrol(data: Path, central: str, code: str, name: str) -> Enrolled:
    """Make `data` the folder of a node.

    Args:
        data: A folder; made if it is not there, refused if it is a node's already.
        central: URL of head office.
        code: The one-time code.
        name: What to call this machine there.

    Raises:
        EnrolRefused: The code, the address or the folder is wrong; says what to do.
        LinkUnreachable: Head office did not answer.
    """
    if not is_address(central):
        raise EnrolRefused(f"Central {central!r}: expected an address like https://host:8443.")
    if (data / tls.CERTIFICATE).exists():
        raise EnrolRefused(f"{data}: is a node's already; take another folder.")
    try:
        parsed = EnrolmentCode.parse(code)
    except BadIdentity as error:
        raise EnrolRefused(str(error)) from error
    data.mkdir(parents=True, exist_ok=True, mode=0o700)
    _put_aside(data)
    key = NodeKey.of(Ed25519PrivateKey.from_private_bytes(secrets.token_bytes(32)))
    central = central.rstrip("/")
    async with aiohttp.ClientSession() as client:
        authority = await _authority(client, central, parsed)
        files.replace(data / tls.AUTHORITY, authority)
        said = await _asking(
            client,
            f"{central}/v1/enrol",
            data,
            EnrolRequest(secret=parsed.secret.hex(), csr=_csr(key), name=name),
            known=False,
        )
    answer, certificate, node_of_central = answered(said)
    root = x509.load_pem_x509_certificate(authority)
    try:
        ours = judge(certificate, root, None)
        head_office = judge(node_of_central, root, None)
    except BadIdentity as error:
        raise EnrolRefused(str(error)) from error
    if ours.node != key.node or ours.store != answer.store:
        raise EnrolRefused("Head office certified another machine than this one; try again.")
    key.save(data / tls.KEY)
    files.replace(data / tls.CENTRAL, answer.central.encode())
    store = await Store.open(
        data / DATABASE,
        key,
        answer.store,
        Clock(),
        incarnation=secrets.randbits(INCARNATION_BITS),
    )
    try:
        await store.write(lambda unit: unit.root(head_office.node, ALL, head_office.public_key))
    finally:
        await store.close()
    if not (data / FILE).exists():  # a person may have written one before
        files.replace(data / FILE, first_file(name, answer.store, central).encode())
    files.replace(data / tls.CERTIFICATE, answer.certificate.encode())
    return Enrolled(
        node=key.node,
        store=answer.store,
        store_name=answer.store_name,
        zone=answer.zone,
        currency=answer.currency,
    )


async def renew(client: aiohttp.ClientSession, data: Path, central: str) -> None:
    """Ask for the next certificate for the same key, while the present one holds.

    Raises:
        LinkUnreachable, LinkRefused: As `request`.
    """
    key = NodeKey.load(data / tls.KEY)
    said = await _asking(client, f"{central}/v1/renew", data, RenewRequest(csr=_csr(key)))
    answer, certificate = renewed(said)
    ours = judge(certificate, tls.certificate(data, tls.AUTHORITY), None)
    if ours.node != key.node:
        raise LinkRefused("Central renewed another machine's certificate; nothing was changed.")
    files.replace(data / tls.CERTIFICATE, answer.certificate.encode())


def answered(said: bytes) -> tuple[EnrolAnswer, x509.Certificate, x509.Certificate]:
    """Read the answer to an enrolment: it, our certificate, and head office's own.

    Raises:
        EnrolRefused: It is no such answer.
    """
    try:
        answer = msgspec.json.decode(said, type=EnrolAnswer)
        ours = x509.load_pem_x509_certificate(answer.certificate.encode())
        return answer, ours, x509.load_pem_x509_certificate(answer.central.encode())
    except (ValueError, x509.InvalidVersion, msgspec.DecodeError, RecursionError) as error:
        raise EnrolRefused(
            f"Head office answers what cannot be read ({error}); is it of another version?"
        ) from error


def renewed(said: bytes) -> tuple[RenewAnswer, x509.Certificate]:
    """Read the answer to a renewal: it, and our new certificate.

    Raises:
        LinkRefused: It is no such answer.
    """
    try:
        answer = msgspec.json.decode(said, type=RenewAnswer)
        return answer, x509.load_pem_x509_certificate(answer.certificate.encode())
    except (ValueError, x509.InvalidVersion, msgspec.DecodeError, RecursionError) as error:
        raise LinkRefused(
            f"Central renews with what cannot be read ({error}); is it of another version?"
        ) from error


async def _authority(client: aiohttp.ClientSession, central: str, code: EnrolmentCode) -> bytes:
    pem = await request(client, "GET", f"{central}/v1/authority", tls.unverified_context())
    try:
        authority = x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise EnrolRefused(f"{central}: answers, but is no head office of Karb.") from error
    if not code.vouches_for(authority):
        raise EnrolRefused(
            f"{central}: not the head office that made this code; check the address."
        )
    return pem


async def _asking(
    client: aiohttp.ClientSession,
    url: str,
    data: Path,
    body: EnrolRequest | RenewRequest,
    *,
    known: bool = True,
) -> bytes:
    try:
        return await request(
            client,
            "POST",
            url,
            tls.client_context(data, known=known),
            data=msgspec.json.encode(body),
            headers={"Content-Type": "application/json"},
        )
    except LinkRefused as error:
        raise EnrolRefused(str(error)) from error


def _csr(key: NodeKey) -> str:
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, key.node.hex())])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject)
    return builder.sign(key.private, None).public_bytes(Encoding.PEM).decode()


def _put_aside(data: Path) -> None:
    """Move what an attempt that was cut off left behind; never delete a database."""
    found = [data / tls.KEY, *data.glob(f"{DATABASE}*")]
    found = [path for path in found if path.exists()]
    if found:
        aside = data / f"abandoned-{secrets.token_hex(4)}"
        aside.mkdir()
        for path in found:
            path.rename(aside / path.name)


__all__ = ["DATABASE", "EnrolRefused", "Enrolled", "LinkUnreachable", "enrol", "renew"]
