"""`karb-central run`: the event loop, the log, and one line that says where it listens."""

import asyncio
import gc
import json
import logging
import os
import sys
import threading
from collections.abc import Callable

import structlog
import uvloop
from aiohttp.http_exceptions import HttpProcessingError

from central import app
from central.config import Config
from central.ledger.ledger import wall_ms

GRACE_S = 6.0
"""How long stopping may take. A process that is killed loses nothing that was acknowledged."""

log = structlog.get_logger()


def run(config: Config, *, as_json: bool, now_ms: Callable[[], int] = wall_ms) -> None:
    """Run until told to stop; see `app.run` for what it takes and raises."""
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso"),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer()
            if as_json
            else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty()),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(logging.INFO),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    logging.basicConfig(handlers=[_Libraries()], level=logging.WARNING)

    def ready(url: str) -> None:
        line = json.dumps({"url": url}) if as_json else f"Head office listens at {url}"
        print(line, flush=True)  # noqa: T201 - the answer

    # Facts come in by the hundred thousand and form no cycles: the collector's usual zeal
    # cost a third of the ingest rate (measured). What is loaded by now stays for ever.
    gc.freeze()
    gc.set_threshold(100_000, 20, 50)
    # The writing thread lets go of the interpreter while SQLite works, and must get it back soon.
    sys.setswitchinterval(0.0005)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(app.run(config, ready, _limit, now_ms))


def _limit() -> None:
    """End the process in a while, whatever still hangs: a thread that copies, a peer, a disk."""
    timer = threading.Timer(GRACE_S, _give_up)
    timer.daemon = True
    timer.start()


def _give_up() -> None:
    log.error("not everything ended in time; ending all the same", seconds=GRACE_S)
    os._exit(1)


class _Libraries(logging.Handler):
    """Tells what aiohttp and asyncio have to say in our own form."""

    def emit(self, record: logging.LogRecord) -> None:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, HttpProcessingError):
            # Bytes that are no HTTP were answered with a 400; where they failed in the parser
            # helps nobody.
            log.info("no http", reason=error.message)
        else:
            log.warning(
                "library", logger=record.name, said=record.getMessage(), exc_info=record.exc_info
            )
