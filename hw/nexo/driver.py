"""`terminal.nexo`: an Adyen terminal on the local network; `url` is `https://host:8443/nexo`.

Options beside those of every terminal (`hw.terminal`): `poi_id` (the terminal, such as
`P400Plus-123456789`; needed), `sale_id` (this till; the device's id), `key_file` (a file
only Karb may read, holding the passphrase of the shared key; needed), `key_id` and
`key_version` (of that key, as in Adyen's customer area; needed), `ca_file` (Adyen's root
certificate; needed for `https:`), `slow_answer_s` (120) until an order counts as unanswered.

The shared key proves which terminal answers, and that nobody on the way changed it. The
certificate proves that it is one of Adyen's; its name is not compared, as it is none that
a network knows. Each message has a connection of its own: one that broke must not be sent
again by a library.
"""

import asyncio
import secrets
import ssl
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import aiohttp

from hw.answer import read_answer
from hw.device import PaymentTerminal
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.memory import Memory
from hw.nexo import codec
from hw.nexo.sealed import VECTOR, SharedKey, seal, unseal
from hw.payment import Answer, Attempt, Availability, Totals
from hw.registry import DeviceConfig, positive
from hw.terminal import Terminal, wire_id

_OPTIONS = (
    "poi_id",
    "sale_id",
    "key_file",
    "key_id",
    "key_version",
    "ca_file",
    "slow_answer_s",
    "poll_s",
)
LARGEST = 1 << 20
"""Bytes of an answer; a receipt's text is in it."""


class NexoTerminal(Terminal):
    """One terminal, by messages."""

    can_refund = can_reverse = True

    def __init__(self, config: DeviceConfig, memory: Memory | None = None) -> None:
        super().__init__(config, memory, options=_OPTIONS)
        self._url = config.url
        self._options = config.options
        self._poi_id = config.options.get("poi_id", "")
        self._sale_id = config.options.get("sale_id", config.id)
        self._slow_answer_s = positive(config, "slow_answer_s", 120.0)
        self._poll_s = positive(config, "poll_s", 15.0)
        self._key: SharedKey | None = None
        self._client: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """See `Device.open`."""
        self._check()
        parts = urlsplit(self._url)
        if parts.scheme not in {"http", "https"} or not parts.hostname:
            raise DeviceMisconfigured(
                f"Device URL {self._url!r}: expected https://host:8443/nexo.",
                cure="Write https://192.168.1.70:8443/nexo, for example.",
            )
        async with self._lock:
            await self._read()
            if self._key is None:
                self._key = await asyncio.to_thread(self._derive)
            if self._client is None:
                self._client = self._new_client(parts.scheme == "https")
            try:
                await self._diagnosis()
                await self._start()
            except BaseException:
                await self.close()
                raise

    async def lost(self) -> HwError:
        """See `Device.lost`. There is no connection to lose: the terminal is asked now and then."""
        while True:
            await asyncio.sleep(self._poll_s)
            if self._lock.locked():  # an order in progress asks by itself
                continue
            try:
                await self._diagnosis()
            except HwError as error:
                return error

    async def close(self) -> None:
        """See `Device.close`."""
        client, self._client = self._client, None
        if client is not None:
            await client.close()

    async def abort(self, attempt: str) -> None:
        """See `PaymentTerminal.abort`. Its answer has no body."""
        if attempt not in self.unresolved:
            return
        body = {
            "AbortReason": "MerchantAbort",
            "MessageReference": codec.reference("Payment", self._sale_id, _service(attempt)),
        }
        try:
            await self._post(self._sealed("Abort", _once(), body), self._answer_timeout_s)
        except HwError:
            return

    async def availability(self) -> Availability:
        """See `PaymentTerminal.availability`: what the terminal says of its host."""
        return codec.read_availability((await self._diagnosis()).DiagnosisResponse)

    async def reconcile(self) -> Totals | None:
        """See `PaymentTerminal.reconcile`: counted, the batch stays open [M]."""
        body = {"TotalDetails": ["SaleID"]}
        return codec.read_totals((await self._call("GetTotals", body)).GetTotalsResponse)

    async def _reach(self) -> str:
        if self._client is None:
            raise DeviceUnavailable(f"Terminal {self.id} is not connected.", cure="Open it first.")
        return self._poi_id

    async def _order(self, attempt: Attempt) -> Answer:
        category, body = codec.order(attempt.intent, _now())
        service = _service(attempt.intent.attempt)
        reply = await self._call(
            category, body, service=service, timeout_s=min(self._slow_answer_s, self._job_timeout_s)
        )
        told = reply.PaymentResponse or reply.ReversalResponse
        return codec.read_payment(told, attempt.intent)

    async def _ask(self, attempt: Attempt) -> Answer:
        category = "Reversal" if attempt.intent.kind == "reversal" else "Payment"
        service = _service(attempt.intent.attempt)
        reply = await self._call(
            "TransactionStatus", codec.question(category, self._sale_id, service)
        )
        return codec.read_status(reply.TransactionStatusResponse, attempt.intent, service)

    @property
    def _reachable(self) -> bool:
        return self._client is not None

    async def _diagnosis(self) -> codec.Reply:
        return await self._call("Diagnosis", {"HostDiagnosisFlag": True})

    async def _call(
        self,
        category: str,
        body: dict[str, Any],
        *,
        service: str | None = None,
        timeout_s: float | None = None,
    ) -> codec.Reply:
        """One message and its answer.

        Raises:
            DeviceUnavailable: The answer did not come, or is none.
        """
        service = service or _once()
        told = await self._post(
            self._sealed(category, service, body), timeout_s or self._answer_timeout_s
        )
        plain = unseal(self._shared_key(), codec.RESPONSE, told)
        return codec.read_reply(plain, service=service, sale_id=self._sale_id, poi_id=self._poi_id)

    def _sealed(self, category: str, service: str, body: dict[str, Any]) -> bytes:
        header = codec.Header(
            MessageCategory=category,
            MessageType="Request",
            SaleID=self._sale_id,
            POIID=self._poi_id,
            ServiceID=service,
        )
        plain = codec.message(codec.REQUEST, header, f"{category}Request", body)
        outside = codec.header_json(header)
        nonce = secrets.token_bytes(VECTOR)
        return seal(self._shared_key(), codec.REQUEST, outside, plain, nonce)

    async def _post(self, data: bytes, timeout_s: float) -> bytes:
        """Send, once.

        Raises:
            DeviceUnavailable: No whole answer.
            DeviceMisconfigured: It is none of the terminals that are trusted; nothing was sent.
        """
        problem = "expected an answer"
        try:
            async with self._opened().post(
                self._url,
                data=data,
                headers={"Content-Type": "application/json"},
                timeout=aiohttp.ClientTimeout(total=timeout_s),
                allow_redirects=False,
            ) as response:
                if response.status == 200:
                    return await read_answer(response, LARGEST)
                problem = f"expected HTTP 200 and an answer, got {response.status}"
        except aiohttp.ClientConnectorCertificateError:
            raise DeviceMisconfigured(
                f"Terminal {self.id} at {self._url}: expected a certificate signed by "
                f"{self._options.get('ca_file')}, got another.",
                cure="Make sure that it is the terminal; download Adyen's root certificate again.",
            ) from None
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            problem = f"expected an answer within {timeout_s:g} s, got {type(error).__name__}"
        except ValueError as error:
            problem = f"expected an answer to be believed, got {error}"
        raise DeviceUnavailable(
            f"Terminal {self.id} at {self._url}: {problem}.",
            cure="Look at its display; check its network and the shared key.",
        )

    def _check(self) -> None:
        for name in ("poi_id", "key_file", "key_id", "key_version"):
            if not self._options.get(name):
                raise DeviceMisconfigured(
                    f"Device {self.id}: option {name} is missing.",
                    cure="Copy it from Adyen's customer area.",
                )
        if not self._options["key_version"].isdecimal():
            raise DeviceMisconfigured(
                f"Device {self.id}: option key_version is "
                f"{self._options['key_version']!r}; expected a whole number.",
                cure="Copy it from Adyen's customer area.",
            )

    def _derive(self) -> SharedKey:
        path = Path(self._options["key_file"])
        try:
            passphrase = path.read_text(encoding="utf-8").strip()
        except OSError as error:
            raise DeviceMisconfigured(
                f"Terminal {self.id}: key_file {path}: expected to read it, got {error.strerror}.",
                cure="Put the passphrase of the shared key there, readable for Karb alone.",
            ) from error
        version = int(self._options["key_version"])
        return SharedKey.derive(self._options["key_id"], version, passphrase)

    def _new_client(self, tls: bool) -> aiohttp.ClientSession:  # noqa: FBT001 - of the URL
        context: ssl.SSLContext | bool = True
        if tls:
            if not self._options.get("ca_file"):
                raise DeviceMisconfigured(
                    f"Terminal {self.id}: option ca_file is missing; expected Adyen's root "
                    "certificate.",
                    cure="Download it from Adyen's documentation.",
                )
            try:
                context = ssl.create_default_context(cafile=self._options["ca_file"])
            except OSError as error:
                raise DeviceMisconfigured(
                    f"Terminal {self.id}: ca_file {self._options['ca_file']!r}: expected a "
                    f"certificate, got {error}.",
                    cure="Download Adyen's root certificate again.",
                ) from error
            context.check_hostname = False
        return aiohttp.ClientSession(connector=aiohttp.TCPConnector(ssl=context, force_close=True))

    def _opened(self) -> aiohttp.ClientSession:
        if self._client is None:
            raise DeviceUnavailable(f"Terminal {self.id} is not connected.", cure="Open it first.")
        return self._client

    def _shared_key(self) -> SharedKey:
        if self._key is None:
            raise DeviceUnavailable(f"Terminal {self.id} is not connected.", cure="Open it first.")
        return self._key


def _service(attempt: str) -> str:
    """ServiceID of an order: the same whenever it is asked about."""
    return wire_id(attempt, 10)


def _once() -> str:
    """ServiceID of a question; capitals, so it is none of an order."""
    return "".join(secrets.choice("ABCDEFGHIJKLMNOPQRSTUVWXYZ") for _ in range(10))


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")


_: type[PaymentTerminal] = NexoTerminal
