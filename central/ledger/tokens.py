"""Tokens that were handed out, by their digests; the tokens themselves are kept nowhere."""

from sqlalchemy import Connection, insert, select

from central.ledger.tables import TOKENS
from central.ledger.unit import Unit
from sync.chain import ALL


def keep(unit: Unit, digest: bytes, name: str, scope: str) -> None:
    """Note a new token."""
    unit.connection.execute(
        insert(TOKENS).values(store=ALL, digest=digest, name=name, scope=scope, made_ms=unit.now_ms)
    )


def scope(connection: Connection, digest: bytes) -> str | None:
    """Return the scope of a token; None: it is not known."""
    return connection.execute(select(TOKENS.c.scope).where(TOKENS.c.digest == digest)).scalar()
