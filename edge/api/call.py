"""What a handler gets and gives: one call, the node it is about, one reply."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import msgspec

from edge.clock import Clock
from edge.config import Config
from edge.gateway import Gateway
from edge.link.peers import Peers
from edge.link.stick import Stick
from edge.link.uplink import LinkState
from edge.store.store import Store
from edge.store.unit import PersonKey
from edge.till.counter import Counter
from hw.supervisor import DeviceStatus
from sync.facts.person import KEY_BYTES, NONCE_BYTES, PERSON_BYTES

SCOPES = ("read", "sell", "print", "fiscal", "pay", "admin")

TILL = "till"
"""In the token of a till that was paired; what it may do is kept beside its digest."""

INCLUDES: Mapping[str, frozenset[str]] = {
    "read": frozenset({"read"}),
    "sell": frozenset({"read", "sell", "print"}),
    "print": frozenset({"print"}),
    "fiscal": frozenset({"fiscal"}),
    "pay": frozenset({"pay"}),
    "admin": frozenset(SCOPES),
}
"""What else a scope includes. Who may only print reads no sales."""


class Link(Protocol):
    """What the API asks of the way to head office (`edge.link.uplink.Uplink`)."""

    state: LinkState

    async def sync_now(self) -> int:
        """Exchange until nothing waits; return how many facts went up."""
        ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """The parts of a running node that handlers reach."""

    config: Config
    store: Store
    clock: Clock
    counter: Counter
    devices: Callable[[], list[DeviceStatus]]
    link: Link | None
    peers: Peers | None = None
    """How it stands with the store's other nodes; None: this one speaks with none."""

    stick: Stick | None = None
    gateway: Gateway | None = None
    """The devices; None where a program drives none."""

    random: Callable[[int], bytes]
    """Fresh random bytes, as many as asked for."""

    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """A request whose token, address and body have been checked."""

    path: dict[str, Any]
    """Values of the places in the path and of the query, of the types in the table; of an
    optional question that was not asked there is none."""

    body: Any
    """Decoded into the type in the table; None if it takes none."""

    till: str | None = None
    """The only one the token may act for; None: any."""

    page: bool = False
    """Whether a page of this node asks: it acts for who is logged in."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer below 400."""

    status: int
    body: msgspec.Struct | bytes
    """A struct is sent as JSON; bytes are JSON already."""


def person_key(node: Node) -> PersonKey:
    """Draw what sealing something personal takes."""
    return PersonKey(
        person=node.random(PERSON_BYTES),
        key=node.random(KEY_BYTES),
        nonce=node.random(NONCE_BYTES),
    )


Handler = Callable[[Node, Call], Awaitable[Reply]]
