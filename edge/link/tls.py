"""TLS to central: its certificate by head office's own authority, ours by our key."""

import ssl
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from sync.errors import BadIdentity

AUTHORITY = "authority.crt"
CENTRAL = "central.crt"
KEY = "node.key"
CERTIFICATE = "node.crt"

_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL (x509_vfy.h)."""


def client_context(data: Path, *, known: bool = True) -> ssl.SSLContext:
    """Return a context that trusts head office's authority and nobody else.

    Dates are not judged in the handshake: a Pi that woke up in 1970 has to reach
    central to learn the time at all. `sync.identity.judge` does it by trusted time.

    Args:
        data: Folder of the node.
        known: Show our certificate (False: we are about to get one).

    Raises:
        BadIdentity: The files cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_flags |= _NO_CHECK_TIME
    try:
        context.load_verify_locations(data / AUTHORITY)
        if known:
            context.load_cert_chain(data / CERTIFICATE, data / KEY)
    except OSError as error:
        names = (AUTHORITY, CERTIFICATE, KEY) if known else (AUTHORITY,)
        raise unreadable(data, *names) from error
    return context


def neighbour_context(data: Path) -> ssl.SSLContext:
    """Return a context to call a node of the store with: any name, but of this head office.

    Raises:
        BadIdentity: The files cannot be read.
    """
    context = client_context(data)
    context.check_hostname = False  # a node has no name but the one in its certificate
    return context


def server_context(data: Path) -> ssl.SSLContext:
    """Return a context in which nodes of this head office, and nobody else, can call.

    Raises:
        BadIdentity: The files cannot be read.
    """
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags |= _NO_CHECK_TIME
    try:
        context.load_verify_locations(data / AUTHORITY)
        context.load_cert_chain(data / CERTIFICATE, data / KEY)
    except OSError as error:
        raise unreadable(data, AUTHORITY, CERTIFICATE, KEY) from error
    return context


def certificate(data: Path, name: str = CERTIFICATE) -> x509.Certificate:
    """Read a certificate of the node's folder.

    Raises:
        BadIdentity: It cannot be read.
    """
    try:
        return x509.load_pem_x509_certificate((data / name).read_bytes())
    except (OSError, ValueError) as error:
        raise unreadable(data, name) from error


def der(certificate: x509.Certificate) -> bytes:
    """Return a certificate as it goes over the wire."""
    return certificate.public_bytes(Encoding.DER)


def unreadable(data: Path, *names: str) -> BadIdentity:
    """Say which files are no good, and the cure."""
    return BadIdentity(
        f"{data}: expected certificates and a key in {', '.join(names)}, which cannot be read "
        "or do not fit each other; put a backup in their place, or enrol this machine again."
    )


def unverified_context() -> ssl.SSLContext:
    """Return a context for the one request whose answer is checked by the code itself."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
