"""The node's own key: made here, never leaves the machine."""

from dataclasses import dataclass
from pathlib import Path

from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from edge import files
from sync.identity import node_id, raw_public

_CURE = "put a backup of it in its place, or enrol this machine again in another folder"


@dataclass(frozen=True, slots=True)
class NodeKey:
    """An Ed25519 key and the name it makes."""

    private: Ed25519PrivateKey
    public: bytes
    """32 raw bytes."""

    node: bytes
    """16 bytes, see `sync.identity.node_id`."""

    @classmethod
    def of(cls, private: Ed25519PrivateKey) -> "NodeKey":
        """Name a key."""
        public = raw_public(private.public_key())
        return cls(private, public, node_id(public))

    @classmethod
    def load(cls, path: Path) -> "NodeKey":
        """Read the key of an enrolled node.

        Raises:
            FileNotFoundError: The node was never enrolled.
            ValueError: The file is no Ed25519 key.
        """
        try:
            private = load_pem_private_key(path.read_bytes(), password=None)
        except (ValueError, TypeError, UnsupportedAlgorithm) as error:
            raise ValueError(f"{path}: no key can be read from it; {_CURE}.") from error
        if not isinstance(private, Ed25519PrivateKey):
            raise ValueError(f"{path}: expected an Ed25519 key; {_CURE}.")  # noqa: TRY004 - a wrong file, not a wrong call
        return cls.of(private)

    def save(self, path: Path) -> None:
        """Write the key, readable by its owner only, on disk before this returns."""
        text = self.private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        files.create(path, text, 0o600)
        files.sync_names(path.parent)
