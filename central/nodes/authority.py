"""The certificate authority: its keys, and the three kinds of certificate it issues.

The root is ECDSA P-256, for browsers do not take Ed25519; nodes, central's own too,
have Ed25519 keys, for those sign streams. Keys never leave the folder, mode 0600.
"""

import ipaddress
import os
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from central.config import Folder
from central.ledger.errors import LedgerUnavailable, Refused
from sync.enrolment import EnrolmentCode
from sync.identity import CENTRAL_HOST, NODE_URI, STORE_URI, fingerprint, node_id, raw_public

AUTHORITY_YEARS = 20
SERVER_DAYS = 397
"""The most that browsers take."""

NODE_DAYS = 90
_LEEWAY = timedelta(hours=1)
"""Certificates begin a little in the past: a store's clock may be slow."""

_Key = ec.EllipticCurvePrivateKey | Ed25519PrivateKey
_T = TypeVar("_T")
_PublicKey = ec.EllipticCurvePublicKey | Ed25519PublicKey


class BadRequest(Refused):
    """A certificate signing request that cannot be granted."""


@dataclass(frozen=True, slots=True)
class Authority:
    """Head office's root, and central's own node key."""

    folder: Folder
    certificate: x509.Certificate
    key: ec.EllipticCurvePrivateKey
    node_certificate: x509.Certificate
    node_key: Ed25519PrivateKey

    @classmethod
    def create(cls, folder: Folder) -> "Authority":
        """Make keys and certificates, and write them."""
        key = ec.generate_private_key(ec.SECP256R1())
        node_key = Ed25519PrivateKey.generate()
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, f"Karb {secrets.token_hex(4)}")])
        root = (
            _builder(name, name, key.public_key(), timedelta(days=365 * AUTHORITY_YEARS))
            .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
            .add_extension(_usage(signs_certificates=True), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False
            )
            .sign(key, hashes.SHA256())
        )
        node = node_id(raw_public(node_key.public_key()))
        own = _issue(
            (root, key),
            "central",
            node_key.public_key(),
            [x509.UniformResourceIdentifier(NODE_URI + node.hex())],
            timedelta(days=365 * AUTHORITY_YEARS - 1),
        )
        write_secret(folder.authority_key, _pem(key))
        write_secret(folder.node_key, _pem(node_key))
        write_secret(folder.authority, root.public_bytes(Encoding.PEM))
        write_secret(folder.node, own.public_bytes(Encoding.PEM))
        return cls(folder, root, key, own, node_key)

    @classmethod
    def load(cls, folder: Folder) -> "Authority":
        """Read what `create` wrote.

        Raises:
            LedgerUnavailable: A file is missing or of another kind.
        """
        key = _read(folder.authority_key, lambda pem: load_pem_private_key(pem, None))
        node_key = _read(folder.node_key, lambda pem: load_pem_private_key(pem, None))
        root = _read(folder.authority, x509.load_pem_x509_certificate)
        own = _read(folder.node, x509.load_pem_x509_certificate)
        if not isinstance(key, ec.EllipticCurvePrivateKey) or not isinstance(
            node_key, Ed25519PrivateKey
        ):
            raise LedgerUnavailable(f"Keys in {folder.path}: of another kind than init makes.")
        return cls(folder, root, key, own, node_key)

    def code(self, secret: bytes) -> EnrolmentCode:
        """Return the code for a secret."""
        return EnrolmentCode(secret=secret, authority=fingerprint(self.certificate)[:16])

    def secret(self, purpose: str) -> bytes:
        """Return a secret of this head office's own, the same at every start."""
        return HKDF(hashes.SHA256(), 32, None, b"karb." + purpose.encode()).derive(
            self.node_key.private_bytes_raw()
        )

    def node_from(self, csr: x509.CertificateSigningRequest, store: str) -> x509.Certificate:
        """Certify a node of a store, from a request that `read_request` has read."""
        key = csr.public_key()
        assert isinstance(key, Ed25519PublicKey)  # noqa: S101 - for the type checker: read_request saw to it
        node = node_id(raw_public(key)).hex()
        return _issue(
            (self.certificate, self.key),
            f"node {node[:12]}",
            key,
            [
                x509.UniformResourceIdentifier(NODE_URI + node),
                x509.UniformResourceIdentifier(STORE_URI + store),
            ],
            timedelta(days=NODE_DAYS),
            # Nodes of a store call each other, too. No certificate of a node can pass for head
            # office's: it has no host's name in it.
            ExtendedKeyUsageOID.CLIENT_AUTH,
            ExtendedKeyUsageOID.SERVER_AUTH,
        )

    def serve(self, hosts: Iterable[str]) -> bool:
        """Make a server certificate if there is none, or it is past two thirds of its life.

        Returns:
            Whether a new one was made.
        """
        wanted = [x509.DNSName(CENTRAL_HOST), x509.DNSName("localhost")]
        names: list[x509.GeneralName] = [*wanted]
        for host in ["127.0.0.1", "::1", *hosts]:
            name = _general_name(host)
            if name not in names:
                names.append(name)
        if _good_for_long(self.folder.server, names, self.certificate):
            return False
        key = ec.generate_private_key(ec.SECP256R1())
        made = _issue(
            (self.certificate, self.key),
            CENTRAL_HOST,
            key.public_key(),
            names,
            timedelta(days=SERVER_DAYS),
            ExtendedKeyUsageOID.SERVER_AUTH,
        )
        # One file, replaced whole: a key and a certificate that do not match serve nobody.
        write_secret(self.folder.server, made.public_bytes(Encoding.PEM) + _pem(key))
        return True


def read_request(pem: str) -> x509.CertificateSigningRequest:
    """Read a signing request and check that its sender holds an Ed25519 key.

    Raises:
        BadRequest: It is unreadable, of another key, or not signed by its key.
    """
    try:
        csr = x509.load_pem_x509_csr(pem.encode())
        key = csr.public_key()
        good = csr.is_signature_valid
    except (ValueError, TypeError, InvalidSignature) as error:
        raise BadRequest("csr: expected a PEM certificate signing request.") from error
    except Exception as error:
        # `cryptography` raises UnsupportedAlgorithm and its like for keys it does not know.
        raise BadRequest(
            f"csr: expected an Ed25519 key, got one of another kind ({error})."
        ) from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadRequest(f"csr: expected an Ed25519 key, got {type(key).__name__}; make a new one.")
    if not good:
        raise BadRequest("csr: its signature was not made by its key; make a new request.")
    return csr


def node_of(csr: x509.CertificateSigningRequest) -> bytes:
    """Return the name of the node whose key a request shows."""
    key = csr.public_key()
    assert isinstance(key, Ed25519PublicKey)  # noqa: S101 - for the type checker: read_request saw to it
    return node_id(raw_public(key))


def write_secret(path: Path, content: bytes) -> None:
    """Write a file only its owner may read, whole or not at all; on disk before this returns."""
    partial = path.with_name(path.name + ".new")
    partial.unlink(missing_ok=True)
    descriptor = os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)  # else a power cut may take the name away again
    finally:
        os.close(folder)


def _read(path: Path, load: Callable[[bytes], _T]) -> _T:
    try:
        return load(path.read_bytes())
    except (ValueError, TypeError, UnsupportedAlgorithm, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else "not what init wrote"
        raise LedgerUnavailable(
            f"{path}: {why}; put a backup of it in its place. Where there never was a head "
            "office, run karb-central init."
        ) from error


def _issue(
    issuer: tuple[x509.Certificate, ec.EllipticCurvePrivateKey],
    common_name: str,
    key: _PublicKey,
    names: list[x509.GeneralName] | list[x509.UniformResourceIdentifier],
    life: timedelta,
    *purposes: x509.ObjectIdentifier,
) -> x509.Certificate:
    root, root_key = issuer
    life = min(life, root.not_valid_after_utc - datetime.now(UTC))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])
    builder = (
        _builder(subject, root.subject, key, life)
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_usage(signs_certificates=False), critical=True)
        .add_extension(x509.SubjectAlternativeName(names), critical=False)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key), critical=False)
        .add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()),
            critical=False,
        )
    )
    if purposes:
        builder = builder.add_extension(x509.ExtendedKeyUsage(purposes), critical=False)
    return builder.sign(root_key, hashes.SHA256())


def _builder(
    subject: x509.Name, issuer: x509.Name, key: _PublicKey, life: timedelta
) -> x509.CertificateBuilder:
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _LEEWAY)
        .not_valid_after(now + life)
    )


def _usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=signs_certificates,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _good_for_long(path: Path, names: list[x509.GeneralName], root: x509.Certificate) -> bool:
    try:
        made = x509.load_pem_x509_certificate(path.read_bytes())
        made.verify_directly_issued_by(root)
        has = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    except (OSError, ValueError, InvalidSignature, TypeError, x509.ExtensionNotFound):
        return False
    life = made.not_valid_after_utc - made.not_valid_before_utc
    return list(has) == names and datetime.now(UTC) < made.not_valid_before_utc + life * 2 / 3


def _pem(key: _Key) -> bytes:
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
