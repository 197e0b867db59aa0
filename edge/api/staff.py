"""Who works here, who stands at a till, and what a manager lets through."""

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from edge.api.call import Call, Node, Reply, person_key
from edge.api.refusals import Refused
from edge.api.tills import shown, till_of
from edge.till.request import Text, Word
from sync.contract.problem import problem
from sync.facts.staff import Role

User = Annotated[str, Meta(pattern="^[a-z0-9][a-z0-9._-]{0,19}$", max_length=20)]
Pin = Annotated[str, Meta(pattern="^[0-9]{4,12}$", max_length=12)]
Badge = Annotated[str, Meta(pattern="^[^\\x00-\\x1f\\x7f]*$", max_length=64)]

_ROLES = {"cashier": Role.CASHIER, "manager": Role.MANAGER}


class UserRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody who works here, as they shall be."""

    name: Word
    role: Literal["cashier", "manager"] = "cashier"
    pin: Pin | None = None
    """Null: the one there is stays."""

    badge: Badge | None = None
    """Null: the one there is stays; empty: none."""

    active: bool = True


class UserAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """Somebody who works here. Of the PIN nothing is told."""

    user: str
    name: str
    role: str
    badge: bool


class StaffAnswer(msgspec.Struct, frozen=True):
    """Everybody who works here."""

    staff: tuple[UserAnswer, ...]


class LoginRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Somebody comes to a till."""

    who: Word
    """A user, or what the badge says."""

    pin: Pin


class ApprovalRequest(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A manager lets something through, once."""

    who: Word
    pin: Pin
    what: Text


class ApprovalAnswer(msgspec.Struct, frozen=True):
    """Who let it through."""

    approved_by: str


async def get_staff(node: Node, call: Call) -> Reply:
    """Tell who works here."""
    del call
    users = await node.counter.staff.users()
    return Reply(
        200,
        StaffAnswer(
            tuple(
                UserAnswer(
                    user=one.user,
                    name=one.credentials.name,
                    role="manager" if one.role >= Role.MANAGER else "cashier",
                    badge=bool(one.credentials.badge),
                )
                for one in users
            )
        ),
    )


async def put_user(node: Node, call: Call) -> Reply:
    """Describe somebody who works here."""
    asked = call.body
    await node.counter.staff.put(
        call.path["user"],
        name=asked.name,
        role=_ROLES[asked.role],
        pin=asked.pin,
        badge=asked.badge,
        active=asked.active,
        fresh=person_key(node),
    )
    for till in node.counter.tills.values():
        if till.who is not None and till.who.user == call.path["user"]:
            till.comes(None)
    return await get_staff(node, call)


async def post_login(node: Node, call: Call) -> Reply:
    """Let somebody whose PIN is right work at a till."""
    till, staff = till_of(node, call), node.counter.staff
    person = await staff.prove(call.body.who, call.body.pin, till.id)
    if till.who is not None and till.who.user != person.user and till.basket.lines:
        raise Refused(
            problem(
                409,
                f"Till {till.id}: expected an empty basket, {till.who.name} has one; park it, or "
                f"have {till.who.name} come back.",
            )
        )
    await staff.note(person.user, till.id, "in")
    till.comes(person)
    return await shown(node, till)


async def post_logout(node: Node, call: Call) -> Reply:
    """Lock a till; its basket stays."""
    till = till_of(node, call)
    if till.who is not None and not till.locked:
        await node.counter.staff.note(till.who.user, till.id, "out")
        till.lock()
    return await shown(node, till)


async def post_approval(node: Node, call: Call) -> Reply:
    """Have a manager let something through."""
    till, asked = till_of(node, call), call.body
    by = till.who.user if till.who else ""
    person = await node.counter.staff.approve(asked.who, asked.pin, till.id, asked.what, by)
    till.approved = person.user
    return Reply(200, ApprovalAnswer(person.user))
