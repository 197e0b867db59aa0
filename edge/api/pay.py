"""Card and BLIK payments for browsers and foreign tills: one attempt, at most one charge.

The terminal's driver notes an attempt before its first byte leaves, and never sends it twice;
what is not known is asked about, and in the end a person says it. Sales of Karb's own tills do
not come this way.
"""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.api.call import Call, Node, Reply
from edge.api.gateway import Id, Person, gateway_of
from edge.api.refusals import Refused
from edge.till.request import TillId
from hw.device import PaymentTerminal
from hw.outcome import Refused as NotTaken
from hw.payment import Approval, Approved, Declined, PaymentIntent, PaymentOutcome
from sync.contract.problem import problem

Minor = Annotated[int, Meta(ge=1, le=99_999_999)]


class ChargeRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the customer shall pay."""

    till: TillId
    device: Id | None = None
    """None: the till's terminal."""

    sale: Annotated[str, Meta(pattern="^[A-Za-z0-9._-]{1,36}$")]
    """The client's own name of what is paid."""

    amount_minor: Minor
    currency: Annotated[str, Meta(pattern="^[A-Z]{3}$")] = "PLN"


class ChargeAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What became of an attempt."""

    state: Literal["approved", "refused", "unknown"]
    problem: str = ""
    cure: str = ""
    code: str = ""
    """The terminal's reason, when it said no."""

    amount_minor: int = 0
    """What it took; less than asked is possible."""

    auth_code: str = ""
    reference: str = ""
    means: str = ""


class ChargeDecision(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a person has read on the terminal's slip."""

    till: TillId
    device: Id | None = None
    amount_minor: Minor | None
    """Null: there was no payment."""

    auth_code: Annotated[str, Meta(max_length=12, pattern="^[A-Za-z0-9]*$")] = ""
    by: Person


async def put_charge(node: Node, call: Call) -> Reply:
    """Take a payment, and wait for its end; the same again charges nothing more."""
    asked = call.body
    intent = PaymentIntent(
        attempt=call.path["uuid"].lower(),
        sale=asked.sale,
        amount_minor=asked.amount_minor,
        currency=asked.currency,
    )
    terminal = _terminal(node, asked.till, asked.device)
    return Reply(200, _answer(await terminal.pay(intent)))


async def post_charge_question(node: Node, call: Call) -> Reply:
    """Ask what became of an attempt; nothing is charged by asking."""
    asked = call.body
    terminal = _terminal(node, asked.till, asked.device)
    return Reply(200, _answer(await terminal.status_of(call.path["uuid"].lower())))


async def post_charge_decision(node: Node, call: Call) -> Reply:
    """Take a person's word for an attempt that no machine can tell about."""
    asked = call.body
    terminal = _terminal(node, asked.till, asked.device)
    approval = (
        None
        if asked.amount_minor is None
        else Approval(amount_minor=asked.amount_minor, auth_code=asked.auth_code)
    )
    outcome = await terminal.settle(call.path["uuid"].lower(), approval, by=asked.by)
    return Reply(200, _answer(outcome))


class ChargeQuestion(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Where an attempt was made."""

    till: TillId
    device: Id | None = None


def _terminal(node: Node, till: str, device: str | None) -> PaymentTerminal:
    node.counter.till(till)
    devices = gateway_of(node).devices
    found = devices.device(device) if device else devices.payment_terminal(till)
    if not isinstance(found, PaymentTerminal) or found.till not in (None, till):
        raise Refused(
            problem(
                422,
                f"Terminal {device or 'of till ' + till}: expected one of this till or a shared "
                "one, there is none; look at karb devices list.",
            )
        )
    return found


def _answer(outcome: PaymentOutcome) -> ChargeAnswer:
    if isinstance(outcome, Approved):
        told = outcome.approval
        return ChargeAnswer(
            state="approved",
            amount_minor=told.amount_minor,
            auth_code=told.auth_code,
            reference=told.reference,
            means=told.means,
        )
    return ChargeAnswer(
        state="refused" if isinstance(outcome, NotTaken) else "unknown",
        problem=outcome.problem,
        cure=outcome.cure,
        code=outcome.code if isinstance(outcome, Declined) else "",
    )
