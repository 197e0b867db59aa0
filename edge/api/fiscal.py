"""Fiscal receipts for browsers and foreign tills: ordered once, asked about, settled by a person.

A receipt is a job of the spool: it outlives a restart, and it is done only with the evidence of
the device. Sales of Karb's own tills do not come this way.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edge.api.call import Call, Node, Reply
from edge.api.gateway import Id, JobAnswer, Person, Short, found_job, gateway_of, job_answer
from edge.api.refusals import Refused
from edge.till.request import TillId
from hw.fiscal import DepositLine, FiscalLine, FiscalReceipt, Means, Tender, Vat
from hw.outcome import Evidence
from hw.spool import Job, Order
from sync.contract.problem import problem

Count = Annotated[int, Meta(ge=0, le=99_999_999_99)]
Name = Annotated[str, Meta(min_length=1, max_length=80)]


class VatRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A rate by what it is; its letter is the device's."""

    basis_points: Annotated[int, Meta(ge=0, le=10_000)]
    exempt: bool = False


class FiscalLineRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Goods of one rate."""

    name: Name
    quantity_milli: Count
    unit_minor: Count
    vat: VatRequest
    unit: Annotated[str, Meta(max_length=4)] = ""
    discount_minor: Count = 0
    discount_name: Annotated[str, Meta(max_length=25)] = ""


class TenderRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One payment."""

    means: Means
    amount_minor: Count
    name: Annotated[str, Meta(max_length=25)] = ""


class FiscalDepositRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Returnable packaging, outside VAT."""

    name: Name
    count: Count
    unit_minor: Count
    returned: bool = False


class FiscalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A finished sale, to be fiscalised at most once."""

    till: TillId
    device: Id | None = None
    """None: the till's fiscal printer."""

    lines: Annotated[tuple[FiscalLineRequest, ...], Meta(min_length=1, max_length=255)]
    payments: Annotated[tuple[TenderRequest, ...], Meta(min_length=1, max_length=20)]
    total_minor: Count
    """Of the goods, after discounts."""

    change_minor: Count = 0
    deposits: Annotated[tuple[FiscalDepositRequest, ...], Meta(max_length=100)] = ()
    nip: Annotated[str, Meta(max_length=10)] = ""
    e_paragon: Annotated[str, Meta(max_length=128)] = ""
    cashier: Short = ""
    number: Annotated[str, Meta(max_length=40)] = ""


class EvidenceAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What names a fiscal receipt for ever."""

    device: str
    document: str
    memory_id: int | None
    report: int | None
    fiscal: bool


class FiscalAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A receipt's job, and its evidence once it is done."""

    job: JobAnswer
    evidence: EvidenceAnswer | None


class FiscalDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person has seen on the paper, or wants of a receipt that has not begun."""

    decision: Literal["printed", "not_printed", "resume", "cancel"]
    document: Annotated[str, Meta(min_length=1, max_length=40)] | None = None
    """The number on the receipt, when it was printed."""

    by: Person


async def put_receipt(node: Node, call: Call) -> Reply:
    """Order a fiscal receipt; the same again orders nothing more."""
    gateway, asked = gateway_of(node), call.body
    node.counter.till(asked.till)
    devices = gateway.devices
    printer = (
        devices.fiscal_of(asked.device) if asked.device else devices.fiscal_printer(asked.till)
    )
    if printer is None or printer.till not in (None, asked.till):
        raise Refused(
            problem(
                422,
                f"Fiscal printer {asked.device or 'of till ' + asked.till}: expected one of this "
                "till or a shared one, there is none; look at karb devices list.",
            )
        )
    job = f"job/{call.path['uuid'].lower()}"
    order = Order(
        id=job, kind="fiscal", device=printer.id, till=asked.till, receipt=_receipt(job, asked)
    )
    kept, new = await gateway.spooler.add(order)
    return Reply(201 if new else 200, _answer(kept))


async def get_receipt(node: Node, call: Call) -> Reply:
    """Tell what became of a fiscal receipt."""
    return Reply(200, _answer(_fiscal(await found_job(node, call))))


async def post_receipt_decision(node: Node, call: Call) -> Reply:
    """Take a person's word for what is on the paper, where the device cannot tell."""
    job = _fiscal(await found_job(node, call))
    spooler, said = gateway_of(node).spooler, call.body
    if (said.decision == "printed") != (said.document is not None):
        raise Refused(
            problem(422, "document: expected the number on the receipt, when it was printed.")
        )
    if said.decision in ("resume", "cancel"):
        return Reply(200, _answer(await spooler.decide(job.id, said.decision, said.by)))
    return Reply(200, _answer(await spooler.settle(job.id, document=said.document, by=said.by)))


def _receipt(job: str, asked: FiscalRequest) -> FiscalReceipt:
    def plain(part: msgspec.Struct) -> dict[str, Any]:
        return {name: getattr(part, name) for name in part.__struct_fields__}

    lines = tuple(
        FiscalLine(**plain(line) | {"vat": Vat(line.vat.basis_points, exempt=line.vat.exempt)})
        for line in asked.lines
    )
    return FiscalReceipt(
        job=job,
        lines=lines,
        payments=tuple(Tender(**plain(one)) for one in asked.payments),
        total_minor=asked.total_minor,
        change_minor=asked.change_minor,
        deposits=tuple(DepositLine(**plain(one)) for one in asked.deposits),
        nip=asked.nip,
        e_paragon=asked.e_paragon,
        cashier=asked.cashier,
        register=asked.till[:8],
        number=asked.number,
    )


def _fiscal(job: Job) -> Job:
    if job.kind != "fiscal":
        raise Refused(problem(404, f"Job {job.id}: expected a fiscal receipt, it is a {job.kind}."))
    return job


def _answer(job: Job) -> FiscalAnswer:
    told = msgspec.json.decode(job.evidence, type=Evidence) if job.evidence else None
    evidence = (
        EvidenceAnswer(
            device=told.device,
            document=told.document,
            memory_id=told.memory_id,
            report=told.report,
            fiscal=told.fiscal,
        )
        if told
        else None
    )
    return FiscalAnswer(job=job_answer(job), evidence=evidence)
