"""Enrolment codes that were handed out, by their digests."""

from dataclasses import dataclass

from sqlalchemy import delete, insert, select, update

from central.ledger.tables import CODES
from central.ledger.unit import Unit


@dataclass(frozen=True, slots=True)
class Code:
    """One code."""

    store: str
    digest: bytes
    expires_ms: int
    used_by: bytes | None
    """The node that came with it."""


def keep(unit: Unit, code: Code) -> None:
    """Note a new code."""
    unit.connection.execute(
        insert(CODES).values(
            store=code.store,
            digest=code.digest,
            expires_ms=code.expires_ms,
            used_by=code.used_by,
        )
    )


def forget(unit: Unit, before_ms: int) -> None:
    """Forget codes that expired before a time."""
    unit.connection.execute(delete(CODES).where(CODES.c.expires_ms < before_ms))


def find(unit: Unit, digest: bytes) -> Code | None:
    """Return a code; None: it is not one of ours, or was forgotten."""
    row = unit.connection.execute(select(CODES).where(CODES.c.digest == digest)).first()
    return None if row is None else Code(row.store, row.digest, row.expires_ms, row.used_by)


def use(unit: Unit, code: Code, node: bytes) -> None:
    """Note which node came with a code."""
    unit.connection.execute(
        update(CODES)
        .where(CODES.c.store == code.store, CODES.c.digest == code.digest)
        .values(used_by=node)
    )
