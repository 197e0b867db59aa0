"""`karb-central run`: the event loop, the log, and one line that says where it listens."""

import asyncio
import gc
import json
import logging
import sys

import structlog
import uvloop

from central import app
from central.config import Config


def run(config: Config, *, as_json: bool) -> None:
    """Run until told to stop; see `app.run` for what it raises."""
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
        runner.run(app.run(config, ready))
