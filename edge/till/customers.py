"""Customers' profiles: written sealed, read only while the person's key exists."""

from edge.store.unit import NotReadable, PersonKey, Unit
from edge.till.errors import BadCustomer, Conflict, Forgotten
from sync.facts.document import CUSTOMER
from sync.merge.document import Document, DocumentFull
from sync.merge.profile import Profile, edits, profile


def write(unit: Unit, customer: bytes, asked: Profile, person: PersonKey) -> bool:
    """Make a profile say what is asked; return whether the customer is new here.

    Only what differs is written, so what another node changed meanwhile stays.

    Raises:
        BadCustomer: The NIP is mistyped.
        Forgotten: Head office has forgotten this customer.
        Conflict: The id is something else, or the profile cannot be read here yet.
    """
    wanted = _checked(asked)
    if unit.is_forgotten(customer):
        raise forgotten()
    new = not unit.history(customer).live
    try:
        unit.edit(customer, CUSTOMER, lambda value: edits(profile(value), wanted), person)
    except NotReadable as error:
        raise Conflict(f"{error}", "Use another id for another customer.") from error
    except DocumentFull as error:
        raise BadCustomer(f"{error}", "Shorten the notes.", field="/notes") from error
    return new


def read(document: Document) -> Profile:
    """Return what a document says of a customer."""
    return profile(document.value)


def forgotten() -> Forgotten:
    """The error of a customer whose key was destroyed."""
    return Forgotten(
        "Customer: forgotten by head office, nothing of the profile can be read.",
        "Make a new profile under a new id, if the customer wants one.",
    )


def _checked(asked: Profile) -> Profile:
    if not asked.nip:
        return asked
    import msgspec  # noqa: PLC0415 - few customers have a NIP
    from stdnum.exceptions import ValidationError  # noqa: PLC0415
    from stdnum.pl import nip as rules  # noqa: PLC0415

    try:
        return msgspec.structs.replace(asked, nip=rules.validate(asked.nip))
    except ValidationError as error:
        raise BadCustomer(
            f"NIP of {len(asked.nip)} characters: expected ten digits with a right check digit.",
            "Type it again from the customer's papers.",
            field="/nip",
        ) from error
