"""Making a head office where there was none."""

import json

from cryptography.hazmat.primitives.serialization import Encoding

from central.config import Folder
from central.ledger.errors import LedgerUnavailable
from central.ledger.ledger import Ledger
from central.nodes.authority import Authority, write_secret


def create(folder: Folder, hosts: list[str]) -> Authority:
    """Make head office: keys, certificates, an empty ledger.

    Raises:
        LedgerUnavailable: The folder holds one already, or cannot be written.
    """
    try:
        folder.path.mkdir(parents=True, exist_ok=True, mode=0o700)
        with folder.locked():
            if folder.authority.exists() or folder.ledger.exists():
                raise LedgerUnavailable(
                    f"--data {str(folder.path)!r}: holds a head office already; "
                    "choose another folder, or run it: karb-central run."
                )
            write_secret(folder.hosts, json.dumps(hosts).encode())
            authority = Authority.create(folder)
            authority.serve(hosts)
            der = authority.node_certificate.public_bytes(Encoding.DER)
            Ledger.create(folder.ledger, authority.node_key, der)
    except OSError as error:
        raise LedgerUnavailable(f"--data {str(folder.path)!r}: {error.strerror}.") from error
    return authority
