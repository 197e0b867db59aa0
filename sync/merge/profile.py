"""A customer's profile as a document: fields, consents by name, cards and badges by code."""

import re
import unicodedata
from typing import Annotated

import msgspec
from msgspec import Meta

from sync.merge.document import FIELDS, ITEMS, Drop, Edit, Put, Value

Text = Annotated[str, Meta(max_length=200)]
Code = Annotated[str, Meta(min_length=1, max_length=64, pattern="^[^\\x00-\\x20\\x7f]+$")]


class Profile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a customer lets a shop know."""

    name: Text = ""
    phone: Annotated[str, Meta(max_length=40)] = ""
    email: Annotated[str, Meta(max_length=200)] = ""
    nip: Annotated[str, Meta(max_length=20)] = ""
    notes: Annotated[str, Meta(max_length=2000)] = ""
    consents: Annotated[dict[Code, bool], Meta(max_length=20)] = msgspec.field(default_factory=dict)
    """By what they are for, such as ``sms``: given or refused."""

    codes: Annotated[tuple[Code, ...], Meta(max_length=20)] = ()
    """Of cards, badges and wristbands that stand for the customer."""


_FIELDS = ("name", "phone", "email", "nip", "notes")
_DIGITS = re.compile(r"[\s().+/-]*(?:[0-9][\s().+/-]*){7,15}")


def profile(value: Value) -> Profile:
    """Read a profile. Total: what makes no sense is left out."""
    fields = {name: text for name in _FIELDS if isinstance(text := value.fields.get(name, ""), str)}
    consents, codes = {}, []
    for key, item in sorted(value.items.items()):
        what, _, rest = key.partition("/")
        if what == "consent" and isinstance(item, bool):
            consents[rest] = item
        elif what == "code":
            codes.append(rest)
    return Profile(**fields, consents=consents, codes=tuple(codes))


def edits(before: Profile, after: Profile) -> list[Edit]:
    """Return what turns one profile into another.

    Only what differs: what somebody else changed elsewhere stays.
    """
    made: list[Edit] = [
        Put(FIELDS, name, getattr(after, name))
        for name in _FIELDS
        if getattr(before, name) != getattr(after, name)
    ]
    made += [
        Put(ITEMS, f"consent/{name}", given)
        for name, given in after.consents.items()
        if before.consents.get(name) is not given
    ]
    made += [
        Drop(ITEMS, f"consent/{name}") for name in before.consents if name not in after.consents
    ]
    made += [Put(ITEMS, f"code/{code}", True) for code in after.codes if code not in before.codes]
    made += [Drop(ITEMS, f"code/{code}") for code in before.codes if code not in after.codes]
    return made


def handles(of: Profile) -> frozenset[str]:
    """Return everything a customer can be found by, in one spelling each."""
    found = {f"code:{code}" for code in of.codes}
    found |= {spelled for text in (of.phone, of.email) for spelled in _spelled(text)}
    return frozenset(found)


def sought(text: str) -> frozenset[str]:
    """Return what somebody may mean who looks for `text`: a code, a phone, an e-mail."""
    return frozenset({f"code:{text.strip()}", *_spelled(text)})


def _spelled(text: str) -> set[str]:
    """Spell a phone number by its digits, without Poland's prefix; an e-mail in lower case."""
    if "@" in text:
        return {f"mail:{unicodedata.normalize('NFKC', text).strip().casefold()}"}
    if _DIGITS.fullmatch(text):
        digits = re.sub(r"\D", "", text).removeprefix("00")
        return {f"phone:{digits[2:] if len(digits) == 11 and digits[:2] == '48' else digits}"}
    return set()
