"""The application: one literal table of routes, one socket, TLS with optional client keys."""

import ssl
from dataclasses import dataclass

from aiohttp import web

from central.api.access import ADMIN, Access
from central.api.contract import openapi
from central.api.machines import Machines, json, read_json
from central.api.pages import Pages
from central.api.promises import Promises
from central.api.questions import Questions
from central.api.refusals import Handler, refusals
from central.config import Folder
from central.office import Office
from central.orders import Order

MAX_ORDER = 48 << 20
"""Bytes of one order; a catalogue travels in one."""

MAX_FORM = 4096
"""Bytes of a form; whoever sends one has shown nothing yet. Other bodies have their own caps."""


_NO_CHECK_TIME = 0x200000
"""X509_V_FLAG_NO_CHECK_TIME of OpenSSL (x509_vfy.h)."""

_FINISH_S = 1.5
"""How long what is being answered may take when head office stops; then as long to give up."""


@dataclass(frozen=True, slots=True)
class Server:
    """What is served; `start` opens the socket."""

    runner: web.AppRunner
    machines: Machines
    pages: Pages
    context: ssl.SSLContext

    async def start(self, host: str, port: int) -> tuple[str, int]:
        """Listen; return where.

        Raises:
            OSError: The address is taken, or not this machine's.
        """
        await self.runner.setup()
        site = web.TCPSite(self.runner, host, port, ssl_context=self.context)
        await site.start()
        bound = self.runner.addresses[0]
        return str(bound[0]), int(bound[1])

    async def stop(self) -> None:
        """End conversations, finish what is being answered, close the socket."""
        self.pages.stop()
        await self.machines.hang_up()
        await self.runner.cleanup()


def serve(office: Office, access: Access, folder: Folder) -> Server:
    """Build the application."""
    machines, questions, pages = Machines(office), Questions(office), Pages(office, access)
    promises = Promises(office)
    description = openapi()

    def guarded(scope: str, handler: Handler) -> Handler:
        async def guard(request: web.Request) -> web.StreamResponse:
            await access.demand(request, scope)
            return await handler(request)

        return guard

    async def order(request: web.Request) -> web.Response:
        return json(await office.carry_out(await read_json(request, Order, MAX_ORDER)))  # type: ignore[arg-type]

    async def health(_request: web.Request) -> web.Response:
        return json({"status": "ok"})

    async def described(_request: web.Request) -> web.Response:
        return web.Response(body=description, content_type="application/json")

    app = web.Application(middlewares=[refusals], client_max_size=MAX_FORM)
    app.on_response_prepare.append(_name_no_versions)
    app.add_routes(
        [
            web.get("/", pages.status),
            web.get("/login", pages.login),
            web.post("/login", pages.enter),
            web.post("/logout", pages.leave),
            web.get("/web/{name}", pages.file),
            web.get("/healthz", health),
            web.get("/openapi.json", described),
            web.get("/v1/stores", guarded("read", questions.stores)),
            web.get("/v1/status", guarded("read", questions.status)),
            web.get("/v1/status/events", guarded("read", pages.events)),
            web.get("/v1/stock", guarded("read", questions.stock)),
            web.get("/v1/transfers", guarded("read", questions.transfers)),
            web.get("/v1/returns", guarded("read", questions.returns)),
            web.get("/v1/counts", guarded("read", questions.counts)),
            web.get("/v1/sales", guarded("read", questions.sales)),
            web.get("/v1/quarantine", guarded("read", questions.quarantine)),
            web.get("/v1/customers/{uuid}", guarded("read", questions.customer)),
            web.get("/v1/parked", guarded("read", questions.parked)),
            web.get("/v1/exceptions", guarded("read", questions.exceptions)),
            web.get("/v1/waiting", guarded("read", questions.waiting)),
            web.post("/v1/promises", guarded("write", promises.make)),
            web.get("/v1/promises/figures", guarded("read", promises.figures)),
            web.get("/v1/promises/{id}", guarded("read", promises.show)),
            web.post("/v1/promises/{id}/confirm", guarded("write", promises.confirm)),
            web.post("/v1/promises/{id}/release", guarded("write", promises.release)),
            web.get("/v1/stock/policies", guarded("read", promises.policies)),
            web.post("/v1/stock/policies", guarded("write", promises.set_policy)),
            web.post("/v1/catalogue", guarded("write", questions.catalogue)),
            web.post("/v1/quotes", guarded("read", questions.quote)),
            web.post("/v1/promotions", guarded("write", questions.promotions)),
            web.get("/v1/authority", machines.authority),
            web.post("/v1/enrol", machines.enrol),
            web.post("/v1/renew", machines.renew),
            web.post("/v1/exchange", machines.exchange),
            web.get("/v1/exchange/live", machines.live),
            web.get("/v1/checkpoint", machines.checkpoint),
            web.get("/v1/checkpoint/keys", machines.checkpoint_keys),
            web.post("/v1/orders", guarded(ADMIN, order)),
        ]
    )
    runner = web.AppRunner(
        app,
        access_log=None,
        handle_signals=False,
        shutdown_timeout=_FINISH_S,
        auto_decompress=False,  # packed bodies are refused, so none can be a bomb
    )
    return Server(runner, machines, pages, tls(folder))


async def _name_no_versions(_request: web.Request, response: web.StreamResponse) -> None:
    """Say what this is, and not which Python and which libraries it runs on."""
    response.headers["Server"] = "karb-central"


def tls(folder: Folder) -> ssl.SSLContext:
    """Return the context of the one port: client certificates are optional here."""
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=str(folder.authority))
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.verify_mode = ssl.CERT_OPTIONAL
    # `peers` judges the dates at each exchange and says what is the matter; a handshake that
    # breaks off would tell the store nothing.
    context.verify_flags |= _NO_CHECK_TIME
    context.load_cert_chain(folder.server)
    return context
