"""Who a node is: its Ed25519 key, and the certificate head office gave it.

Keys are made and certificates issued elsewhere (that needs randomness); here
they are named, read and judged. The certificate names the node and its store
as URIs in the subject alternative name (RFC 5280, 4.2.1.6).
"""

from dataclasses import dataclass
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from sync.chain import NODE_BYTES
from sync.errors import BadIdentity

CENTRAL_HOST = "central.karb"
"""The name in central's server certificate; nodes ask for it whatever address they dial."""

NODE_URI = "urn:karb:node:"
STORE_URI = "urn:karb:store:"


def node_id(public_key: bytes) -> bytes:
    """Return a node's 16-byte name: the first half of SHA-256 of its raw public key."""
    return sha256(b"karb.node.1" + public_key).digest()[:NODE_BYTES]


def raw_public(key: Ed25519PublicKey) -> bytes:
    """Return the 32 raw bytes of a public key."""
    return key.public_bytes(Encoding.Raw, PublicFormat.Raw)


def fingerprint(certificate: x509.Certificate) -> bytes:
    """Return SHA-256 of the certificate's DER form."""
    return sha256(certificate.public_bytes(Encoding.DER)).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Identity:
    """What a certificate says of its holder."""

    node: bytes
    store: str
    """The only scope the node may write; `chain.ALL` for central, which may write any."""

    public_key: bytes
    """32 raw bytes, Ed25519."""

    serial: int
    not_before_ms: int
    not_after_ms: int

    def may_read(self, scope: str) -> bool:
        """Whether the node may ask for facts of `scope`."""
        return scope in ("", self.store) or not self.store

    def may_write(self, scope: str) -> bool:
        """Whether facts of `scope` may be authored by this node."""
        return not self.store or scope == self.store


def certificate(der: bytes) -> x509.Certificate:
    """Read a certificate that somebody sent.

    Raises:
        BadIdentity: It is none.
    """
    try:
        return x509.load_der_x509_certificate(der)
    except (ValueError, x509.InvalidVersion) as error:
        raise BadIdentity(f"Certificate of {len(der)} bytes: cannot be read ({error}).") from error


def read(certificate: x509.Certificate) -> Identity:
    """Read a node's certificate, without judging it.

    Raises:
        BadIdentity: It names no node, or another than its key makes, or its key is no Ed25519.
    """
    try:
        key = certificate.public_key()
    except (ValueError, UnsupportedAlgorithm) as error:
        raise BadIdentity(f"Certificate: its key cannot be read ({error}).") from error
    if not isinstance(key, Ed25519PublicKey):
        raise BadIdentity("Certificate: expected an Ed25519 key; enrol the node again.")
    try:
        names = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        uris = names.get_values_for_type(x509.UniformResourceIdentifier)
    except x509.ExtensionNotFound:
        uris = []
    except (ValueError, x509.DuplicateExtension, x509.UnsupportedGeneralNameType) as error:
        raise BadIdentity(f"Certificate: its names cannot be read ({error}).") from error
    nodes = [uri.removeprefix(NODE_URI) for uri in uris if uri.startswith(NODE_URI)]
    stores = [uri.removeprefix(STORE_URI) for uri in uris if uri.startswith(STORE_URI)]
    raw = raw_public(key)
    if nodes != [node_id(raw).hex()] or len(stores) > 1:
        raise BadIdentity(
            f"Certificate {certificate.serial_number:x}: names node {nodes or 'none'}, "
            f"its key is node {node_id(raw).hex()}; enrol the node again."
        )
    return Identity(
        node=node_id(raw),
        store=stores[0] if stores else "",
        public_key=raw,
        serial=certificate.serial_number,
        not_before_ms=int(certificate.not_valid_before_utc.timestamp() * 1000),
        not_after_ms=int(certificate.not_valid_after_utc.timestamp() * 1000),
    )


def judge(
    certificate: x509.Certificate, authority: x509.Certificate, now_ms: int | None
) -> Identity:
    """Read a certificate and check that `authority` issued it and that it is in date.

    Args:
        certificate: The node's.
        authority: Head office's own.
        now_ms: Trusted time; None while there is none, and dates are then not judged.

    Raises:
        BadIdentity: It is somebody else's, out of date, or unreadable.
    """
    try:
        certificate.verify_directly_issued_by(authority)
    except (InvalidSignature, ValueError, TypeError) as error:
        raise BadIdentity(
            f"Certificate {certificate.serial_number:x}: not issued by this head office."
        ) from error
    identity = read(certificate)
    if now_ms is not None and not identity.not_before_ms <= now_ms <= identity.not_after_ms:
        raise BadIdentity(
            f"Certificate of node {identity.node.hex()}: valid until "
            f"{certificate.not_valid_after_utc:%Y-%m-%d %H:%M} UTC; "
            "renew it with a new enrolment code."
        )
    return identity
