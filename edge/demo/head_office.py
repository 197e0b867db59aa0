"""Head office in the demo: installed by its commands, kept running, asked over HTTPS."""

import asyncio
import shutil
import ssl
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

import aiohttp
import msgspec

from edge.demo.baskets import Article
from edge.demo.processes import CENTRAL, DemoFailed, Kept, quiet_port, tell

HOST = "127.0.0.1"
START_S = 60.0


class Received(msgspec.Struct, frozen=True):
    """What head office has of one store."""

    id: str
    sales: int
    lines: int
    quantity_milli: int
    total_minor: int
    quarantined: int


class _Status(msgspec.Struct, frozen=True):
    stores: tuple[Received, ...]


class HeadOffice:
    """One `karb-central run` and its folder."""

    def __init__(
        self,
        folder: Path,
        http: aiohttp.ClientSession,
        on_death: Callable[[str, int], None],
    ) -> None:
        """Prepare to live in a folder's `central`."""
        self.data = folder / "central"
        self.log = folder / "central.log"
        self.port = quiet_port()
        self.process = Kept("central", self._command, self.log, on_death)
        self._http = http
        self._token = self._page_token = ""
        self._context: ssl.SSLContext | None = None

    @property
    def address(self) -> str:
        """As browsers write it."""
        return f"https://{HOST}:{self.port}"

    @property
    def ledger(self) -> Path:
        """Its database."""
        return self.data / "ledger.db"

    @property
    def page(self) -> str:
        """The status page, with the token that opens it."""
        return f"{self.address}/login?token={self._page_token}"

    async def install(self) -> None:
        """Make it, and run it from now on."""
        while True:
            try:
                await self.tell("init", "--host", HOST)
                break
            except DemoFailed:
                if not self.ledger.exists():
                    raise
                shutil.rmtree(self.data)  # init was killed half-way: begin anew
        self._context = ssl.create_default_context(cafile=str(self.data / "authority.pem"))
        await self.start()
        self._token = await self._new_token("write", "web shop")
        self._page_token = await self._new_token("read", "visitor")

    async def _new_token(self, scope: str, name: str) -> str:
        return (await self.tell("token", "create", "--scope", scope, "--name", name))["token"]

    async def start(self) -> None:
        """Run it, and wait until it answers.

        Raises:
            DemoFailed: It does not.
        """
        await self.process.start()
        with suppress(TimeoutError):
            async with asyncio.timeout(START_S):
                while not await self._answers():  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
                return
        raise DemoFailed(f"Head office does not answer at {self.address}; see {self.log}.")

    async def import_catalogue(self, articles: tuple[Article, ...]) -> None:
        """Put goods on sale everywhere."""
        path = self.data.parent / "catalogue.json"
        path.write_bytes(msgspec.json.encode({"articles": articles}))
        await self.tell("catalogue", "import", str(path))

    async def share_with_web(self, percent: int) -> None:
        """Let head office promise a part of what comes in anywhere."""
        await self.tell("stock", "policy", "set", "*", "--web-share", str(percent))

    async def add_store(self, id_: str, name: str) -> None:
        """Say that there is a store."""
        await self.tell("store", "add", id_, "--name", name)

    async def code(self, store: str) -> str:
        """Make a code for one machine of a store."""
        return str((await self.tell("enrol-code", "--store", store))["code"])

    async def received(self) -> dict[str, Received]:
        """Ask what it has, by store; empty while it does not answer."""
        status, said = await self.ask("GET", "/v1/status")
        if status != 200:
            return {}
        return {row.id: row for row in msgspec.json.decode(said, type=_Status).stores}

    async def ask(self, method: str, path: str, body: Any = None) -> tuple[int, bytes]:
        """Ask its API; return status and body, status 0 where it does not answer."""
        try:
            async with self._http.request(
                method,
                f"{self.address}{path}",
                json=body,
                headers={"Authorization": f"Bearer {self._token}"},
                ssl=self._context or True,
                timeout=aiohttp.ClientTimeout(total=10),
            ) as answer:
                return answer.status, await answer.read()
        except (aiohttp.ClientError, OSError, TimeoutError):
            return 0, b""

    async def tell(self, *words: str) -> dict[str, str]:
        """Give one of its commands."""
        told: dict[str, str] = await tell((*CENTRAL, *words, "--data", str(self.data)), self.log)
        return told

    async def _answers(self) -> bool:
        with suppress(aiohttp.ClientError, OSError, TimeoutError):
            async with self._http.get(
                f"{self.address}/healthz", ssl=self._context or True
            ) as answer:
                return answer.status == 200
        return False

    def _command(self, _life: int) -> tuple[str, ...]:
        listen = f"{HOST}:{self.port}"
        return (*CENTRAL, "run", "--data", str(self.data), "--listen", listen)
