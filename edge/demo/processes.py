"""Programs of the demo: one kept alive for as long as it is wanted, or run once.

Whatever dies is started again, whoever killed it. Children live in sessions of their
own, so that Ctrl-C reaches the demo alone, and end with it where `setpriv` is there.
"""

import asyncio
import os
import random
import shutil
import signal
import socket
import sys
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

import msgspec

FAILED = 1
NOT_REACHABLE = 3
"""Exit status of `karb` and `karb-central`: what they ask does not answer yet."""

KARB = (sys.executable, "-m", "edge")
CENTRAL = (sys.executable, "-m", "central")

STOP_S = 15.0
COMMAND_S = 60.0
TRIES = 60
MAX_FAILURES = 3

_QUIET_PORTS = range(20_000, 32_000)
"""Below those that outgoing connections take by themselves: a program that died finds its
port free when it comes back."""


class DemoFailed(Exception):
    """The demo cannot go on; the message says what was expected."""


class Kept:
    """One program, started again whenever it ends, between `start` and `stop`."""

    def __init__(
        self,
        name: str,
        command: Callable[[int], Sequence[str]],
        log: Path,
        on_death: Callable[[str, int], None] = lambda _name, _code: None,
    ) -> None:
        """Prepare.

        Args:
            name: For people.
            command: Makes the command of its first, second, … life.
            log: Gets what it says, of all lives.
            on_death: Told of each life that ended unasked, with the exit status.
        """
        self.name, self.log = name, log
        self.lives = 0
        self._command, self._on_death = command, on_death
        self._process: asyncio.subprocess.Process | None = None
        self._watch: asyncio.Task[None] | None = None

    @property
    def pid(self) -> int | None:
        """Of the life that runs now."""
        process = self._process
        return process.pid if process is not None and process.returncode is None else None

    async def start(self) -> None:
        """Run it from now on."""
        await self._spawn()
        self._watch = asyncio.create_task(self._revive(), name=f"keeper of {self.name}")

    def kill(self) -> None:
        """End this life as a power cut would."""
        if self.pid is not None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signal.SIGKILL)

    async def stop(self) -> None:
        """Ask it to end, and make it if it does not. Harmless when repeated."""
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.cancel()
            await asyncio.gather(watch, return_exceptions=True)
        process = self._process
        if process is None or process.returncode is not None:
            return
        try:
            process.terminate()
            async with asyncio.timeout(STOP_S):
                await process.wait()
        except (TimeoutError, ProcessLookupError):
            pass
        finally:  # also where the demo itself is told to hurry
            self.kill()
        await process.wait()

    async def _spawn(self) -> None:
        with self.log.open("ab") as log:
            self._process = await _start(self._command(self.lives), log, log)
        self.lives += 1

    async def _revive(self) -> None:
        wait_s = 0.1
        while True:
            began = time.monotonic()
            if self._process is not None:
                code = await self._process.wait()
                self._on_death(self.name, code)
            wait_s = 0.1 if time.monotonic() - began > 3 else min(2 * wait_s, 2.0)
            await asyncio.sleep(wait_s)
            await self._spawn()


async def tell(command: Sequence[str], log: Path) -> Any:
    """Run a command with ``--json`` and return what it answers.

    One that was killed, or finds nobody answering yet, is given again; so is one that
    failed, a few times: whom it spoke with may have been killed.

    Raises:
        DemoFailed: It refused or failed; the message has its words.
    """
    failures = 0
    for _ in range(TRIES):
        code, said = await _run((*command, "--json"), log)
        if code == 0:
            return msgspec.json.decode(said) if said.strip() else {}
        failures += code == FAILED
        if (code > 0 and code not in (FAILED, NOT_REACHABLE)) or failures > MAX_FAILURES:
            words = said.decode(errors="replace").strip() or f"see {log}"
            raise DemoFailed(f"{_shown(command)}: exit status {code}: {words}")
        await asyncio.sleep(0.25)
    raise DemoFailed(f"{_shown(command)}: expected an answer after {TRIES} tries; see {log}.")


def quiet_port() -> int:
    """Return a port of this machine that nobody has and nobody is given by chance."""
    for port in random.SystemRandom().sample(_QUIET_PORTS, 200):
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
    raise DemoFailed("No free port from 20000 to 31999: expected one; end other programs.")


async def _run(command: Sequence[str], log: Path) -> tuple[int, bytes]:
    with log.open("ab") as errors:
        process = await _start(command, asyncio.subprocess.PIPE, errors)
        try:
            async with asyncio.timeout(COMMAND_S):
                said, _ = await process.communicate()
        except BaseException:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
    return process.returncode or 0, said


async def _start(
    command: Sequence[str], out: int | IO[bytes], errors: IO[bytes]
) -> asyncio.subprocess.Process:
    leash = ("setpriv", "--pdeathsig", "TERM") if shutil.which("setpriv") else ()
    return await asyncio.create_subprocess_exec(
        *leash,
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=out,
        stderr=errors,
        start_new_session=True,
        env={**os.environ, "PYTHONSAFEPATH": "1", "PYTHONFAULTHANDLER": "1"},
    )


def _shown(command: Sequence[str]) -> str:
    """A command for people, without its secrets."""
    words = ["***" if before == "--code" else word for before, word in _pairs(command)]
    return " ".join(words).replace(sys.executable, "python")


def _pairs(words: Sequence[str]) -> list[tuple[str, str]]:
    return list(zip(("", *words), words, strict=False))
