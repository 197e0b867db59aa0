"""Devices, printing jobs and the pairing of tills."""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from edge.api.call import TILL, Call, Node, Reply
from edge.api.refusals import Refused
from edge.config import masked
from edge.gateway import CODE_LIVES_MS, Gateway, Grant
from edge.till.request import TillId
from hw.errors import DeviceRefused
from hw.registry import DeviceConfig
from hw.slip import (
    Barcode,
    Columns,
    Cut,
    Element,
    Logo,
    OpenDrawer,
    QrCode,
    Rule,
    TextLine,
)
from hw.spool import Job, Order
from sync.contract import token
from sync.contract.problem import problem

Id = Annotated[str, Meta(pattern="^[A-Za-z0-9][A-Za-z0-9._-]{0,19}$")]
Text = Annotated[str, Meta(max_length=1000)]
Short = Annotated[str, Meta(max_length=200)]
Person = Annotated[str, Meta(min_length=1, max_length=100)]


class DeviceRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A device, as it shall be."""

    driver: Short
    url: Short
    till: Id | None = None
    shared: bool = False
    stand_in: Id | None = None
    options: dict[Short, Short] = {}


class BindRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whose a device is."""

    till: Id | None = None
    """None: every till's."""


class DeviceDetail(msgspec.Struct, frozen=True, kw_only=True):
    """A device and how it is."""

    id: str
    driver: str
    url: str
    till: str | None
    shared: bool
    stand_in: str | None
    options: dict[str, str]
    added: bool
    """By a command; else a person wrote it in `karb.toml`."""

    state: str
    problem: str | None
    cure: str | None


class DevicesAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """All devices of the node."""

    devices: tuple[DeviceDetail, ...]


class FoundAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Something that may be a device."""

    url: str
    drivers: tuple[str, ...]
    label: str
    bound_by: str
    holder: str | None
    device: str | None
    """The configured one that it is."""


class ScanAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is there."""

    found: tuple[FoundAnswer, ...]


class TestAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a test did."""

    said: str


class LogEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that happened at a device."""

    at_ms: int
    kind: str
    data: dict[str, str]


class LogAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The last things that happened at a device, the oldest first."""

    entries: tuple[LogEntry, ...]


class RemovedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What is gone."""

    removed: str


class TextPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="element", tag="text"):
    """One paragraph."""

    text: Text
    bold: bool = False
    double: bool = False
    align: Literal["left", "center", "right"] = "left"


class ColumnsPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="element", tag="columns"):
    """A name on the left, an amount on the right."""

    left: Text
    right: Text
    bold: bool = False
    double: bool = False


class RulePart(msgspec.Struct, frozen=True, kw_only=True, tag_field="element", tag="rule"):
    """A line across the paper."""


class QrPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="element", tag="qr"):
    """A QR code."""

    data: Text


class BarcodePart(msgspec.Struct, frozen=True, kw_only=True, tag_field="element", tag="barcode"):
    """A bar code."""

    data: Short
    symbology: Literal["ean13", "ean8", "code128"] = "ean13"


class LogoPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="element", tag="logo"):
    """The shop's picture, where the printer was given one."""


class CutPart(msgspec.Struct, frozen=True, kw_only=True, tag_field="element", tag="cut"):
    """Feed and cut."""


Part = TextPart | ColumnsPart | RulePart | QrPart | BarcodePart | LogoPart | CutPart

_ELEMENTS: dict[type[Any], type[Any]] = {
    TextPart: TextLine,
    ColumnsPart: Columns,
    RulePart: Rule,
    QrPart: QrCode,
    BarcodePart: Barcode,
    LogoPart: Logo,
    CutPart: Cut,
}


class JobRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Something to print, or a drawer to open."""

    till: TillId
    kind: Literal["slip", "kitchen", "label", "drawer"] = "slip"
    device: Id | None = None
    """None: the till's printer."""

    elements: Annotated[tuple[Part, ...], Meta(max_length=500)] = ()


class JobAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A job and what became of it."""

    id: str
    kind: str
    device: str
    till: str | None
    state: str
    """``waiting``, ``sending``, ``done``, ``unknown``, ``held``, ``expired``, ``cancelled``."""

    copy: bool
    attempts: int
    problem: str
    cure: str
    decided_by: str
    decided_ms: int | None
    decision: str
    """What that person said."""


class JobsAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What waits, is being printed, or asks for a person."""

    jobs: tuple[JobAnswer, ...]


class JobDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person has seen, or wants."""

    decision: Literal["printed", "not_printed", "resume", "cancel", "move"]
    by: Person
    device: Id | None = None
    """Where to, for ``move``."""


class CodeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a till may do once it is paired."""

    till: TillId
    scopes: Annotated[
        tuple[Literal["read", "sell", "print", "fiscal", "pay"], ...],
        Meta(min_length=1, max_length=5),
    ]
    name: Person


class CodeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A code to be typed at the till; good once."""

    code: str
    expires_s: int


class PairRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The code that the node has shown."""

    code: Annotated[str, Meta(min_length=1, max_length=40)]


class PairAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """The till's token; this is the only time it is shown."""

    token: str
    till: str
    scopes: tuple[str, ...]


def gateway_of(node: Node) -> Gateway:
    """Return the devices of a node.

    Raises:
        Refused: It was started without any.
    """
    if node.gateway is None:
        raise Refused(problem(503, "This node was started without devices."))
    return node.gateway


async def get_devices(node: Node, call: Call) -> Reply:
    """Say how the devices are."""
    del call
    gateway = gateway_of(node)
    return Reply(200, DevicesAnswer(devices=tuple(_details(gateway))))


async def put_device(node: Node, call: Call) -> Reply:
    """Configure a device and begin to use it."""
    gateway, asked = gateway_of(node), call.body
    device = DeviceConfig(
        id=call.path["device"],
        driver=asked.driver,
        url=asked.url,
        till=asked.till,
        shared=asked.shared,
        stand_in=asked.stand_in,
        options=asked.options,
    )
    new = await gateway.put(device)
    return Reply(201 if new else 200, _detail(gateway, device.id))


async def put_binding(node: Node, call: Call) -> Reply:
    """Give a device to a till, or to all."""
    gateway = gateway_of(node)
    _known(gateway, call.path["device"])
    await gateway.bind(call.path["device"], call.body.till)
    return Reply(200, _detail(gateway, call.path["device"]))


async def delete_device(node: Node, call: Call) -> Reply:
    """Let go of a device for good."""
    gateway = gateway_of(node)
    _known(gateway, call.path["device"])
    await gateway.remove(call.path["device"])
    return Reply(200, RemovedAnswer(removed=call.path["device"]))


async def post_scan(node: Node, call: Call) -> Reply:
    """Look what is plugged in, and what announces itself."""
    del call
    gateway = gateway_of(node)
    configured = {device.url.partition("?")[0]: device.id for device in gateway.config.devices}
    found = tuple(
        FoundAnswer(
            url=one.url,
            drivers=one.drivers,
            label=one.label,
            bound_by=one.bound_by,
            holder=one.holder,
            device=configured.get(one.url),
        )
        for one in await gateway.scan()
    )
    return Reply(200, ScanAnswer(found=found))


async def post_test(node: Node, call: Call) -> Reply:
    """Try a device out."""
    gateway = gateway_of(node)
    _known(gateway, call.path["device"])
    return Reply(
        200, TestAnswer(said=await gateway.test(call.path["device"], node.random(8).hex()))
    )


async def get_log(node: Node, call: Call) -> Reply:
    """Tell what happened at a device since the program started."""
    gateway = gateway_of(node)
    _known(gateway, call.path["device"])
    return Reply(
        200,
        LogAnswer(
            entries=tuple(
                LogEntry(at_ms=event.at_ms, kind=event.kind, data=event.data)
                for event in gateway.events.of(call.path["device"])
            )
        ),
    )


async def put_job(node: Node, call: Call) -> Reply:
    """Print something; the same again prints nothing more."""
    gateway, asked = gateway_of(node), call.body
    node.counter.till(asked.till)
    printer = (
        gateway.devices.printer_of(asked.device)
        if asked.device
        else gateway.devices.printer(asked.till)
    )
    if printer is None or printer.till not in (None, asked.till):
        raise Refused(
            problem(
                422,
                f"Printer {asked.device or 'of till ' + asked.till}: expected one of this till or "
                "a shared one, there is none; look at karb devices list.",
            )
        )
    order = Order(
        id=f"job/{call.path['uuid'].lower()}",
        kind=asked.kind,
        device=printer.id,
        till=asked.till,
        elements=(OpenDrawer(),) if asked.kind == "drawer" else _elements(asked.elements),
    )
    job, new = await gateway.spooler.add(order)
    return Reply(201 if new else 200, job_answer(job))


async def get_job(node: Node, call: Call) -> Reply:
    """Tell what became of a job."""
    return Reply(200, job_answer(await found_job(node, call)))


async def get_jobs(node: Node, call: Call) -> Reply:
    """Tell what waits, is being printed, or asks for a person."""
    jobs = await gateway_of(node).spooler.listed()
    return Reply(
        200,
        JobsAnswer(
            jobs=tuple(
                job_answer(job) for job in jobs if call.till is None or job.till == call.till
            )
        ),
    )


async def post_decision(node: Node, call: Call) -> Reply:
    """Take a person's word for what no machine can tell."""
    gateway, asked = gateway_of(node), call.body
    job = await found_job(node, call)
    if job.kind == "fiscal":
        raise Refused(
            problem(
                403,
                f"Job {job.id}: a fiscal receipt is decided on at /v1/fiscal-receipts, by who may.",
            )
        )
    if asked.decision == "move":
        after = await gateway.spooler.move(job.id, asked.device or "", asked.by)
    else:
        after = await gateway.spooler.decide(job.id, asked.decision, asked.by)
    return Reply(200, job_answer(after))


async def post_code(node: Node, call: Call) -> Reply:
    """Make a code that pairs a till."""
    asked = call.body
    node.counter.till(asked.till)
    grant = Grant(asked.till, tuple(dict.fromkeys(asked.scopes)), asked.name)
    code = gateway_of(node).pairing.offer(grant)
    return Reply(201, CodeAnswer(code=code, expires_s=CODE_LIVES_MS // 1000))


async def post_pairing(node: Node, call: Call) -> Reply:
    """Change a code for a token."""
    try:
        grant = gateway_of(node).pairing.take(call.body.code)
    except DeviceRefused as error:
        raise Refused(problem(403, str(error))) from error
    made = token.make(TILL, node.random(token.SECRET_BYTES), (TILL,))
    grants = " ".join(grant.scopes)
    await node.store.write(
        lambda unit: unit.add_token(made.digest, TILL, grant.name, grant.till, grants)
    )
    return Reply(201, PairAnswer(token=made.text, till=grant.till, scopes=grant.scopes))


async def found_job(node: Node, call: Call) -> Job:
    """The job of a path, if the token may see it."""
    spooler = gateway_of(node).spooler
    try:
        job = await spooler.job(f"job/{call.path['uuid'].lower()}")
    except DeviceRefused as error:
        raise Refused(problem(404, str(error))) from error
    if call.till not in (None, job.till):
        raise Refused(problem(403, f"Job of till {job.till!r}: this token acts for {call.till!r}."))
    return job


def _known(gateway: Gateway, id_: str) -> None:
    if not any(device.id == id_ for device in gateway.config.devices):
        raise Refused(problem(404, f"Device {id_!r}: expected one of this node; see the list."))


def _details(gateway: Gateway) -> list[DeviceDetail]:
    statuses = {status.id: status for status in gateway.devices.statuses()}
    return [
        DeviceDetail(
            id=device.id,
            driver=device.driver,
            url=device.url,
            till=device.till,
            shared=device.shared,
            stand_in=device.stand_in,
            options=masked(device.options),
            added=device.id in gateway.config.added,
            state=statuses[device.id].state,
            problem=statuses[device.id].problem,
            cure=statuses[device.id].cure,
        )
        for device in gateway.config.devices
        if device.id in statuses
    ]


def _detail(gateway: Gateway, id_: str) -> DeviceDetail:
    found = next((one for one in _details(gateway) if one.id == id_), None)
    if found is None:
        raise Refused(problem(404, f"Device {id_!r}: expected one of this node; see the list."))
    return found


def _elements(parts: tuple[Part, ...]) -> tuple[Element, ...]:
    if not parts:
        raise Refused(problem(422, "elements: expected at least one to print, got none."))
    try:
        return tuple(_ELEMENTS[type(part)](**msgspec.structs.asdict(part)) for part in parts)
    except DeviceRefused as error:
        raise Refused(problem(422, str(error))) from error


def job_answer(job: Job) -> JobAnswer:
    """A job, as it is told."""
    told: Any = {name: getattr(job, name) for name in JobAnswer.__struct_fields__}
    return JobAnswer(**told | {"id": job.id.removeprefix("job/")})
