"""The NoviAPI printer behind the simulator: requests stored, confirmed, executed. Pure.

Stored requests and their fate are kept over a loss of power; a reset of the working memory
forgets them all, and a daily report those from before the report before it. The error
numbers of failed requests are POSNET's here: NoviApi 1.0.4 does not list its own [M].
"""

import hashlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from hw.fiscal import LETTERS
from hw.fiscal_machine import Draft, FiscalMachine, MachineRefuses, Sold
from hw.noviapi.codec import Body, State, decimal, money, scaled
from hw.posnet.refusals import explain

TOKEN_LIFE = timedelta(minutes=20)
TOKENS_PER_HOUR = 10

MAX_ANSWERED = 64
"""Answered questions about itself that it remembers [M]."""

_PAYMENTS = {
    "cash": "GOTÓWKA",
    "card": "KARTA",
    "cheque": "CZEK",
    "coupon": "BON",
    "credit": "KREDYT",
    "transfer": "PRZELEW",
    "mobile": "MOBILNA",
    "voucher": "VOUCHER",
    "account": "KONTO",
    "other": "INNA",
}


class NotThere(Exception):
    """No such request: 404."""


class Invalid(Exception):
    """The body is not as described: 400."""


class Conflict(Exception):
    """Not while something else waits: 409."""


class TooMany(Exception):
    """No more tokens this hour: 429. The argument is when there are again."""


@dataclass(slots=True)
class Request:
    """One order and its fate."""

    id: str
    kind: str
    body: Body
    report: int
    """Daily reports when it was stored."""

    state: State = "STORED"
    memory_id: int | None = None
    error: tuple[int, str] | None = None
    response: Body = field(default_factory=dict)


class NoviapiMachine:
    """One printer; up to ten computers order from it."""

    def __init__(self, module: FiscalMachine) -> None:
        self.module = module
        self.paper_out = False
        self.paper_low = False
        """It does not tell."""

        self.cover_open = False
        self.lines_left: int | None = None
        self.requests: dict[str, Request] = {}
        self.token = ""
        self.expires = module.now()
        self._given: list[datetime] = []
        self._count = 0
        self._work: Mapping[str, Callable[[Request], None]] = {
            "receipt": self._receipt,
            "daily_report": self._daily_report,
            "status": self._status,
        }

    @property
    def trouble(self) -> Body:
        """The `device` of a check."""
        if not (self.paper_out or self.cover_open):
            return {"status": "OK"}
        code, words = (1037, "Brak papieru") if self.paper_out else (1038, "Otwarta pokrywa")
        return {"status": "ERROR", "error": {"code": code, "description": words}}

    def new_token(self) -> Body:
        """`GET /token`.

        Raises:
            TooMany: Ten were given within an hour; the one in use is void too.
        """
        now = self.module.now()
        self._given = [t for t in self._given if now - t < timedelta(hours=1)]
        if len(self._given) >= TOKENS_PER_HOUR:
            self.token = ""
            raise TooMany((self._given[0] + timedelta(hours=1)).isoformat(timespec="seconds"))
        self._given.append(now)
        return self._give(now)

    def refreshed(self, token: str) -> Body | None:
        """`PATCH /token`; None: it is not the last one given."""
        return self._give(self.module.now()) if token and token == self.token else None

    def knows(self, token: str) -> bool:
        """Whether orders with this token are taken."""
        return bool(token) and token == self.token and self.module.now() < self.expires

    def post(self, kind: str, body: object) -> Request:
        """Store an order; nothing is done yet.

        Raises:
            Invalid: It is not as described.
            Conflict: A report while unconfirmed orders wait, or an order while one waits.
        """
        if not isinstance(body, dict) or not isinstance(body.get(kind), dict):
            raise Invalid(f"{kind} : Required")
        if kind == "receipt":
            _check_receipt(body["receipt"])
        waiting = [r for r in self.requests.values() if r.state in {"STORED", "QUEUED", "PENDING"}]
        if kind == "daily_report" and any(r.kind != "status" for r in waiting):
            raise Conflict("Stored requests in queue")
        if kind == "receipt" and any(
            r.kind == "daily_report" and r.state != "STORED" for r in waiting
        ):
            raise Conflict("Daily report awaited")
        self._count += 1
        seed = f"{self.module.unique_number} {self._count}".encode()
        request = Request(
            hashlib.blake2b(seed, digest_size=16).hexdigest(), kind, body, self.module.reports
        )
        self.requests[request.id] = request
        answered = [r.id for r in self.requests.values() if r.kind == "status" and r.response]
        for old in answered[:-MAX_ANSWERED]:
            del self.requests[old]
        return request

    def find(self, kind: str, number: str) -> Request:
        """An order by its id.

        Raises:
            NotThere: None of this kind.
        """
        request = self.requests.get(number)
        if request is None or request.kind != kind:
            raise NotThere(number)
        return request

    def confirm(self, kind: str, number: str) -> Request:
        """`PUT`: it is to be done. Once, however often it is confirmed.

        Raises:
            NotThere: None of this kind.
        """
        request = self.find(kind, number)
        if request.state == "STORED":
            request.state = "QUEUED"
        return request

    def delete(self, kind: str, number: str) -> None:
        """Forget an order that is not being done.

        Raises:
            NotThere: None of this kind.
            Conflict: It is being done, or done.
        """
        if self.find(kind, number).state not in {"STORED", "QUEUED"}:
            raise Conflict("Request in progress")
        del self.requests[number]

    def empty_queue(self) -> None:
        """Forget all that was not confirmed."""
        self.requests = {k: r for k, r in self.requests.items() if r.state != "STORED"}

    def forget(self) -> None:
        """Working memory was reset: nothing is known of any order."""
        self.requests.clear()
        self.module.resets += 1

    def work(self) -> None:
        """Do what was confirmed, in order, as far as paper and cover allow."""
        for request in list(self.requests.values()):
            if request.state not in {"QUEUED", "PENDING"}:
                continue
            if request.kind != "status":
                request.state = "PENDING"
                self._use_paper()
                if self.paper_out or self.cover_open:
                    return
            try:
                self._work[request.kind](request)
                request.state = "DONE"
            except MachineRefuses as refusal:
                self.module.draft = None
                request.state = "ERROR"
                request.error = refusal.number, explain(refusal.number)[0]

    def _use_paper(self) -> None:
        if self.lines_left is None or self.paper_out:
            return
        self.lines_left -= 12
        if self.lines_left <= 0:
            self.lines_left, self.paper_out = None, True

    def _give(self, now: datetime) -> Body:
        self._count += 1
        seed = f"token {self.module.unique_number} {self._count}".encode()
        self.token = hashlib.blake2b(seed, digest_size=24).hexdigest()
        self.expires = now + TOKEN_LIFE
        return {"token": self.token, "expiration_date": self.expires.isoformat(timespec="seconds")}

    def _receipt(self, request: Request) -> None:
        body, module = request.body["receipt"], self.module
        if module.draft is not None:
            raise MachineRefuses(2038)
        module.open()
        draft = module.opened()
        for item in body["items"]:
            if "article" in item:
                module.sell(_sold(item["article"]))
            else:
                draft.packs.append(_pack(item))
        for payment in body.get("payments", []):
            ((kind, told),) = payment.items()
            name = f"{_PAYMENTS[kind]} {told.get('name', '')}".rstrip()
            draft.paid.append((name, scaled(told["value"], 2)))
        buyer, info = body.get("buyer", {}), body.get("system_info", {})
        draft.nip = buyer.get("nip", "")
        draft.electronic = buyer.get("e_document", {}).get("transaction_id", "")
        footer = module.footer
        footer.cashier = info.get("cashier_name", footer.cashier)
        footer.register = info.get("cash_number", footer.register)
        footer.number = info.get("system_number", {}).get("value", "")
        footer.qr = next(
            (p["qrcode"]["text"] for p in body.get("printout_lines", []) if "qrcode" in p), ""
        )
        _check_summary(draft, body["summary"])
        request.memory_id = module.finish().number

    def _daily_report(self, request: Request) -> None:
        told = request.body["daily_report"]["date"]
        if told[:2] + told[3:5] + told[6:] != self.module.now().strftime("%d%m%Y"):
            raise MachineRefuses(2022)
        request.memory_id = self.module.daily_report().number
        last = self.module.reports - 1
        self.requests = {k: r for k, r in self.requests.items() if r.report >= last}

    def _status(self, request: Request) -> None:
        module = self.module
        kind = request.body["status"].get("type")
        told: Body
        if kind == "device":
            told = {
                "name": "NOVITUS POINT",
                "version": "1.00",
                "characters_per_line": 40,
                "tax_rates": [
                    {"name": a, "value": "ZW" if r.exempt else money(r.basis_points)}
                    for a, r in module.rates.items()
                ],
                "totals": [
                    {"tax_rate": a, "receipt": money(module.totals[a]), "invoice": "0.00"}
                    for a in LETTERS
                ],
            }
        elif kind == "fiscal_memory":
            last = module.reported_at or module.now()
            told = {
                "unique_number": module.unique_number.replace(" ", ""),
                "tax_id": "5222628262",
                "size": 1,
                "max_daily_reports": 1830,
                "daily_reports_count": module.reports,
                "last_daily_report_date": last.strftime("%Y-%m-%d %H:%M:%S"),
                "start_fiscal_date": "2024-01-02 08:00:00" if module.fiscal else "",
            }
        else:
            kind = "protected_memory"
            told = {
                "number": 1,
                "label": "PM1",
                "last_jpkid": str(len(module.documents)),
                "size": 1000,
                "free": 1000 - len(module.documents),
            }
        request.response = {"status": {str(kind): told}}


def _check_receipt(body: Any) -> None:
    """What is refused before it is stored.

    Raises:
        Invalid: A field is missing or of another form.
    """
    try:
        items, summary = body["items"], body["summary"]
        assert isinstance(items, list) and 1 <= len(items) <= 255  # noqa: PT018, S101
        for item in items:
            ((kind, told),) = item.items()
            wanted = {"article": ("name", "ptu", "quantity", "price", "value")}
            for name in wanted.get(kind, ("value",)):
                assert isinstance(told[name], str) and told[name]  # noqa: PT018, S101
            assert len(told.get("name", "")) <= 60  # noqa: S101
            scaled(told["value"], 2)
        for name in ("total", "pay_in"):
            scaled(summary[name], 2)
        for payment in body.get("payments", []):
            ((kind, told),) = payment.items()
            assert kind in _PAYMENTS  # noqa: S101
            scaled(told["value"], 2)
    except (KeyError, TypeError, ValueError, AttributeError, AssertionError) as wrong:
        raise Invalid(f"receipt : {wrong!r}") from wrong


def _sold(article: Body) -> Sold:
    milli, price = scaled(article["quantity"], 3), scaled(article["price"], 2)
    discount = article.get("discount_markup") or {}
    if discount and discount["type"] != "value_discount":
        raise MachineRefuses(2600)
    if decimal(milli) != article["quantity"].rstrip("0").rstrip(".") and "." in article["quantity"]:
        raise MachineRefuses(2001)  # finer than a thousandth: not simulated
    if article["ptu"] not in LETTERS:
        raise MachineRefuses(2000)
    return Sold(
        name=article["name"],
        letter=article["ptu"],
        milli=milli,
        price=price,
        total=scaled(article["value"], 2),
        discount=scaled(discount.get("value", "0"), 2),
        discount_name=discount.get("name", ""),
        unit=article.get("unit", ""),
    )


def _pack(item: Body) -> tuple[str, int, int, bool]:
    ((kind, told),) = item.items()
    count = scaled(told.get("quantity", "1"), 0)
    total = scaled(told["value"], 2)
    if kind not in {"container", "container_return"} or not count or total % count:
        raise MachineRefuses(2803)
    return told.get("name", "Opakowanie zwr."), count, total // count, kind == "container_return"


def _check_summary(draft: Draft, summary: Body) -> None:
    if sum(draft.totals().values()) != scaled(summary["total"], 2):
        raise MachineRefuses(2805)
    paid = scaled(summary["pay_in"], 2)
    if draft.paid and draft.paid_minor != paid:
        raise MachineRefuses(2808)
    if not draft.paid:
        draft.paid.append((_PAYMENTS["cash"], paid))
    draft.change = scaled(summary.get("change") or "0", 2)
    if draft.paid_minor - draft.change != draft.due:
        raise MachineRefuses(2809)
