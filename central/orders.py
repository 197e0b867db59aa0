"""What a person at head office can order: the commands, as messages.

The command line makes one, and `office` carries it out: in the same process, or, while
`karb-central run` holds the ledger, over HTTPS in that one.
"""

import msgspec


class StoreAdd(msgspec.Struct, frozen=True, tag="store add"):
    """Say that there is a store; again with another name: it is renamed."""

    id: str
    name: str
    nip: str = ""
    fiscal: bool = False
    zone: str = "Europe/Warsaw"


class EnrolCode(msgspec.Struct, frozen=True, tag="enrol-code"):
    """Make a code that enrols one machine of a store."""

    store: str
    minutes: int = 15


class TokenCreate(msgspec.Struct, frozen=True, tag="token create"):
    """Make a token for a program or a person."""

    scope: str
    name: str


class CatalogueImport(msgspec.Struct, frozen=True, tag="catalogue import"):
    """Take in a catalogue; all of it or nothing."""

    name: str
    """Of the file, for messages."""

    content: bytes
    name_width: int | None = None
    """Characters of a name on the chain's narrowest fiscal printer; None: as last said."""


class PromotionsImport(msgspec.Struct, frozen=True, tag="promotions import"):
    """Take in promotions; all of the file or nothing."""

    content: bytes
    """JSON."""


class VatSet(msgspec.Struct, frozen=True, tag="vat set"):
    """Say what a VAT code means from a day on, in every store."""

    code: str
    rate: str
    """Percent, as ``22`` or ``5.5``; ``zw`` or ``np``: exempt."""

    since: str
    """First day, as 2027-01-01, by the calendar of each store."""


class VatList(msgspec.Struct, frozen=True, tag="vat list"):
    """Tell what VAT codes mean from which day on."""


class Status(msgspec.Struct, frozen=True, tag="status"):
    """Tell how things stand."""


class StockTransfers(msgspec.Struct, frozen=True, tag="stock transfers"):
    """Tell what stores sent each other, and what of it arrived."""

    store: str = ""
    """From or to it; empty: of all."""


class NodeList(msgspec.Struct, frozen=True, tag="node list"):
    """Tell which machines were certified."""


class NodeRevoke(msgspec.Struct, frozen=True, tag="node revoke"):
    """Take nothing more from a machine."""

    node: str
    """Hexadecimal; its beginning will do, if only one node has it."""

    why: str


class CustomerForget(msgspec.Struct, frozen=True, tag="customer forget"):
    """Destroy the key of a customer, here and at every node that hears of it."""

    customer: str
    """UUID."""

    why: str


class Backup(msgspec.Struct, frozen=True, tag="backup"):
    """Copy the ledger while it runs."""

    file: str
    """Absolute path."""


class Sync(msgspec.Struct, frozen=True, tag="sync"):
    """Read a stick of a store, then write one for it; either alone will do."""

    source: str = ""
    """Absolute path of the file to read."""

    target: str = ""
    """Absolute path of the file to write."""

    store: str = ""
    """For whom to write; empty: for whoever wrote `source`."""


class StreamList(msgspec.Struct, frozen=True, tag="stream list"):
    """Tell which streams are over and not closed yet, and what that waits for."""


class StreamClose(msgspec.Struct, frozen=True, tag="stream close"):
    """Close a stream now, whoever was not heard: what turns up later is appended again."""

    stream: str
    """As it is shown; its beginning will do, if only one stream has it."""

    why: str
    successor: str = ""
    """Likewise; needed where no later life of its node is known."""


class JournalVerify(msgspec.Struct, frozen=True, tag="journal verify"):
    """Check every number, hash and signature, and the file itself."""


class HoursSet(msgspec.Struct, frozen=True, tag="hours set"):
    """Say when an article, or a group, is not sold."""

    target: str
    hours: tuple[str, ...]
    """As ``22:00-06:00``; none: at any hour it is sold."""

    store: str | None = None
    days: tuple[int, ...] = ()
    """1 is Monday; none: every day."""


class HoursList(msgspec.Struct, frozen=True, tag="hours list"):
    """Tell when what is not sold."""


class PolicySet(msgspec.Struct, frozen=True, tag="stock policy set"):
    """Say how an article, a group or everything is promised."""

    target: str
    store: str | None = None
    mode: str | None = None
    floor_milli: int | None = None
    web_percent: int | None = None


class PolicyList(msgspec.Struct, frozen=True, tag="stock policy list"):
    """Tell how articles are promised."""


class PromiseGiveUp(msgspec.Struct, frozen=True, tag="promise give-up"):
    """Break a promise a store is short of."""

    id: str
    store: str
    who: str
    why: str = ""


Order = (
    StoreAdd
    | EnrolCode
    | TokenCreate
    | CatalogueImport
    | PromotionsImport
    | VatSet
    | VatList
    | Status
    | StockTransfers
    | NodeList
    | NodeRevoke
    | CustomerForget
    | Backup
    | Sync
    | StreamList
    | StreamClose
    | JournalVerify
    | HoursSet
    | HoursList
    | PolicySet
    | PolicyList
    | PromiseGiveUp
)
