"""Customers as programs ask for them; nothing of a forgotten one can be told."""

from uuid import UUID

import msgspec
from sqlalchemy import Connection

from central.ledger import documents
from central.ledger.errors import Forgotten, NotFound
from sync.chain import ALL
from sync.facts.document import CUSTOMER
from sync.merge.profile import Profile, profile


class Customer(Profile, frozen=True, kw_only=True):
    """A profile, merged from what every store wrote."""

    uuid: str
    unusable: int = 0
    """Changes that cannot be what they say."""


def customer(connection: Connection, id_: bytes) -> Customer:
    """Return a customer.

    Raises:
        Forgotten: The key was destroyed.
        NotFound: Nobody has written of this customer, or the key has not come.
    """
    if documents.is_forgotten(connection, id_):
        raise Forgotten(f"Customer {UUID(bytes=id_)}: forgotten; the key was destroyed.")
    found = documents.history(connection, ALL, id_)
    keys = documents.keys_of(connection, documents.persons(connection, id_))
    there = found.open(keys.get) if found.kind == CUSTOMER else None
    if there is None:
        raise NotFound(
            f"Customer {UUID(bytes=id_)}: expected one whose profile can be read here, found "
            "none; look at the id, or ask again when its store was heard."
        )
    return Customer(
        uuid=str(UUID(bytes=id_)),
        unusable=len(there.unusable),
        **msgspec.structs.asdict(profile(there.value)),
    )
