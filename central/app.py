"""Running head office: `run` reads like a list and shuts down in reverse."""

import asyncio
import json
import os
import secrets
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any

import structlog

from central.api.access import ADMIN, Access
from central.api.server import Server, serve
from central.config import Config, Folder
from central.ledger.database import file_of
from central.ledger.ledger import wall_ms
from central.nodes.authority import write_secret
from central.office import Office, open_office
from central.stock import keeping
from sync.contract import token

_LOOK_S = 24 * 3600.0
_LOCK_S = 3.0
"""A command may hold the folder for a moment; it is worth waiting for."""

log = structlog.get_logger()


async def run(
    config: Config,
    ready: Callable[[str], None],
    stopping: Callable[[], None],
    now_ms: Callable[[], int] = wall_ms,
) -> None:
    """Run until SIGTERM or SIGINT, or until the ledger's writing thread fails.

    Args:
        config: What to run.
        ready: Told where it listens.
        stopping: Told that it begins to stop; there is a limit to how long that may take.
        now_ms: The clock of what is written.

    Raises:
        Busy: Another process holds the folder.
        LedgerUnavailable: The ledger cannot be opened, or not be written any more.
        UnknownDatabase: `--database` is of a kind this version does not take.
        OSError: The address is taken.
    """
    folder = config.folder
    stop = asyncio.Event()
    async with AsyncExitStack() as stack:
        stack.enter_context(folder.locked(_LOCK_S))
        office = await stack.enter_async_context(
            open_office(folder, file_of(config.database) if config.database else None, now_ms)
        )
        office.authority.serve(folder.read_hosts())
        admin = token.make(ADMIN, secrets.token_bytes(token.SECRET_BYTES), (ADMIN,))
        write_secret(folder.admin_token, admin.text.encode())
        stack.callback(folder.admin_token.unlink, missing_ok=True)
        server = serve(office, Access(office.ledger, admin, office.cookie_key), folder)
        stack.push_async_callback(server.stop)
        host, port = await server.start(config.host, config.port)
        url = f"https://{f'[{host}]' if ':' in host else host}:{port}"
        folder.run.write_text(json.dumps({"url": url, "pid": os.getpid()}))
        stack.callback(folder.run.unlink, missing_ok=True)
        works = (office.peers.keep(), keeping.keep(office.ledger), _renew(server, office, folder))
        for work in works:
            task = asyncio.create_task(work)
            stack.push_async_callback(_end, task)
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        ready(url)
        log.info("listening", url=url, node=office.ledger.own.node.hex())
        lost = asyncio.wrap_future(office.ledger.lost)
        stopped = asyncio.create_task(stop.wait())
        stack.push_async_callback(_end, stopped)
        await asyncio.wait((lost, stopped), return_when=asyncio.FIRST_COMPLETED)
        stopping()
        log.info("stopping")
        if lost.done():
            await lost


async def _renew(server: Server, office: Office, folder: Folder) -> None:
    """Look once a day whether the server certificate ages; new handshakes get the new one."""
    while True:
        await asyncio.sleep(_LOOK_S)
        if office.authority.serve(folder.read_hosts()):
            server.context.load_cert_chain(folder.server)


async def _end(task: "asyncio.Task[Any]") -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
