"""Customers: profiles that every store may edit, and what they are found by."""

from typing import Annotated
from uuid import UUID

import msgspec
from msgspec import Meta

from edge.api.call import Call, Node, Reply, person_key
from edge.till import customers
from edge.till.errors import NotFound
from sync.facts.document import CUSTOMER
from sync.merge.profile import Profile

Sought = Annotated[str, Meta(min_length=1, max_length=200)]


class CustomerAnswer(Profile, frozen=True, kw_only=True):
    """A profile as it stands here."""

    uuid: str
    unusable: int = 0
    """Changes that cannot be what they say; a person should look (`GET /v1/exceptions`)."""


class CustomersAnswer(msgspec.Struct, frozen=True):
    """Whom a code, a phone number or an e-mail address stands for."""

    customers: tuple[CustomerAnswer, ...]


async def put_customer(node: Node, call: Call) -> Reply:
    """Make a profile say what is asked."""
    customer, person = UUID(call.path["uuid"]).bytes, person_key(node)
    new = await node.store.write(lambda unit: customers.write(unit, customer, call.body, person))
    return Reply(201 if new else 200, await _told(node, customer))


async def get_customer(node: Node, call: Call) -> Reply:
    """Tell a profile."""
    return Reply(200, await _told(node, UUID(call.path["uuid"]).bytes))


async def get_customers(node: Node, call: Call) -> Reply:
    """Find customers by a code, a phone number or an e-mail address."""
    found = await node.store.customers(call.path["code"])
    return Reply(200, CustomersAnswer(tuple([await _told(node, one) for one in found])))


async def _told(node: Node, customer: bytes) -> CustomerAnswer:
    history, document, forgotten = await node.store.document(customer)
    if forgotten:
        raise customers.forgotten()
    if document is None or history.kind != CUSTOMER:
        raise NotFound(
            f"Customer {UUID(bytes=customer)}: expected one that can be read here, found none.",
            "Look at the id; a new one may be on its way from another store.",
        )
    return CustomerAnswer(
        uuid=str(UUID(bytes=customer)),
        unusable=len(document.unusable),
        **msgspec.structs.asdict(customers.read(document)),
    )
