"""Processes that are told what to do, killed and counted; where the peers are installed."""

import asyncio
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
from pathlib import Path

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
PEERS = ROOT / ".peers"
PYTHON = PEERS / "venv" / "bin" / "python"
MODULES = PEERS / "node_modules"

FLUSHES = "fsync,fdatasync,sync_file_range,msync"
"""System calls that wait for a disk; `O_DSYNC` writes are looked for in `open`s besides."""


class NotHere(Exception):
    """A peer that cannot be had on this machine, and why."""


def install() -> dict[str, str]:
    """Install the peers apart from the product; return what could not be had, and why."""
    PEERS.mkdir(exist_ok=True)
    missing = {}
    wanted = HERE / "requirements.txt"
    stamp = PEERS / "venv" / "ready.txt"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        try:
            _run(sys.executable, "-m", "venv", "--clear", str(PEERS / "venv"))
            _run(str(PYTHON), "-m", "pip", "install", "-q", "-r", str(wanted))
            stamp.write_text(wanted.read_text())
        except (subprocess.CalledProcessError, OSError) as error:
            missing["pip"] = f"pip install -r {wanted.name} failed ({error})"
    wanted = HERE / "package.json"
    stamp = PEERS / "npm.json"
    if not stamp.exists() or stamp.read_text() != wanted.read_text():
        try:
            shutil.copy(wanted, PEERS / "package.json")
            _run("npm", "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(PEERS))
            stamp.write_text(wanted.read_text())
        except (subprocess.CalledProcessError, OSError) as error:
            missing["npm"] = f"npm install failed ({error})"
    return missing


def _run(*words: str) -> None:
    subprocess.run(words, check=True, stdout=subprocess.DEVNULL)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


async def reachable(port: int, seconds: float = 20) -> None:
    """Wait until somebody listens."""
    async with asyncio.timeout(seconds):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                await asyncio.sleep(0.02)
            else:
                writer.close()
                return


class Process:
    """A program of the contest; with `trace` its flushes are written to a file as they happen."""

    def __init__(self, *words: object, log: Path, trace: Path | None = None, cwd=None) -> None:
        strace = ["strace", "-f", "-qq", "-e", f"trace={FLUSHES}", "-o", str(trace)]
        self._words = [*(strace if trace else []), *map(str, words)]
        self._log, self._cwd = log, cwd
        self._child: asyncio.subprocess.Process | None = None

    async def start(self) -> None:
        with self._log.open("a") as log:
            self._child = await asyncio.create_subprocess_exec(
                *self._words,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                cwd=self._cwd or ROOT,
                limit=1 << 26,
                start_new_session=True,
            )

    async def ready(self) -> None:
        """Wait for its first word."""
        line = await asyncio.wait_for(self._child.stdout.readline(), 60)
        if not line:
            raise RuntimeError(f"{self._words[:3]}: ended; see {self._log}")

    def tell(self, do: str, **more: object) -> None:
        self._child.stdin.write((json.dumps({"do": do, **more}) + "\n").encode())

    async def answer(self):
        line = await self._child.stdout.readline()
        if not line:
            raise RuntimeError(f"{self._words[:3]}: ended; see {self._log}")
        return json.loads(line)

    async def ask(self, do: str, **more: object):
        self.tell(do, **more)
        return await self.answer()

    async def end(self, how: int = signal.SIGTERM) -> None:
        """End it and what it has started; with SIGKILL there and then."""
        if self._child is None:
            return
        child, self._child = self._child, None
        if child.returncode is None:
            os.killpg(child.pid, how)
            try:
                await asyncio.wait_for(child.wait(), 10)
            except TimeoutError:
                os.killpg(child.pid, signal.SIGKILL)
                await child.wait()
