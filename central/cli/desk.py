"""Where a command's order goes: into the running process, or straight into the ledger."""

import asyncio
import http.client
import json
import ssl
import sys
import time
from typing import Any
from urllib.parse import urlsplit

import msgspec

from central.catalogue.importer import BadImport
from central.config import Busy, Folder
from central.ledger.errors import LedgerError, Refused
from central.orders import Order

TIMEOUT_S = 600
PATIENCE_S = 5.0


class NotReachable(Exception):
    """A process holds the ledger, and does not answer."""


class Failed(Exception):
    """The running process could not do it."""


def ask(folder: Folder, order: Order) -> dict[str, Any]:
    """Have an order carried out.

    Raises:
        Refused: It cannot be done; nothing was stored.
        LedgerError: The ledger cannot be used.
        NotReachable: The running process does not answer.
        Failed: The running process failed.
    """
    if not folder.authority.exists():
        raise LedgerError(
            f"--data {str(folder.path)!r}: holds no head office; run karb-central init first."
        )
    until = time.monotonic() + PATIENCE_S
    while True:
        try:
            with folder.locked():
                return asyncio.run(_alone(folder, order))
        except Busy:
            pass
        try:
            return _remote(folder, order)
        except NotReachable:
            # Who holds the folder may be starting, or be another command that is soon done.
            if time.monotonic() >= until:
                raise
            time.sleep(0.1)


async def _alone(folder: Folder, order: Order) -> dict[str, Any]:
    import structlog  # noqa: PLC0415 - not needed to ask a running process

    from central.office import open_office  # noqa: PLC0415 - not needed to ask a running process

    # What is logged on the way is no answer.
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))
    async with open_office(folder) as office:
        try:
            return await office.carry_out(order)
        except BadImport as error:
            raise Refused("\n".join([str(error), *map(str, error.mistakes)])) from error


def _remote(folder: Folder, order: Order) -> dict[str, Any]:
    try:
        where = urlsplit(json.loads(folder.run.read_text())["url"])
        shown = folder.admin_token.read_text().strip()
        context = ssl.create_default_context(cafile=str(folder.authority))
    except (OSError, ValueError, KeyError) as error:
        raise NotReachable(
            f"A karb-central holds {folder.path} and is not serving (yet); try again, or stop it."
        ) from error
    context.check_hostname = False  # whatever it listens on: our own authority signed it
    link = http.client.HTTPSConnection(
        where.hostname or "", where.port, timeout=TIMEOUT_S, context=context
    )
    try:
        link.request(
            "POST",
            "/v1/orders",
            msgspec.json.encode(order),
            {"Authorization": f"Bearer {shown}", "Content-Type": "application/json"},
        )
        answer = link.getresponse()
        body = answer.read()
    except (OSError, http.client.HTTPException) as error:
        raise NotReachable(
            f"The karb-central at {where.netloc} does not answer: {error}."
        ) from error
    finally:
        link.close()
    told: dict[str, Any] = json.loads(body)
    if answer.status == 200:
        return told
    detail = _detail(told)
    if answer.status < 500:
        raise Refused(detail)
    raise Failed(detail)


def _detail(told: dict[str, Any]) -> str:
    lines = [str(told.get("detail", "no reason given"))]
    lines += [
        f"{item['where']}: got {item['value']!r}, expected {item['expected']}"
        + (f"; {item['cure']}." if item.get("cure") else ".")
        for item in told.get("errors", [])
    ]
    return "\n".join(lines)
