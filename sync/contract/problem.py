"""A refusal as RFC 9457 tells it: one shape for every status, for people and for programs."""

from collections.abc import Iterable
from http import HTTPStatus

import msgspec

CONTENT_TYPE = "application/problem+json"

MAX_MISTAKES = 100
"""A refusal lists at most so many; `Problem.detail` says how many there were."""

MAX_VALUE = 120
"""A value is quoted up to so many characters: a refusal never echoes a flood."""


class Mistake(msgspec.Struct, frozen=True):
    """One thing that is wrong, and how to put it right."""

    where: str
    """``lines[2].quantity_milli``, ``row 7, price`` or a parameter's name."""

    value: str
    """What was got, as text, shortened."""

    expected: str
    cure: str = ""
    """What a person can do; empty where nothing but the expectation helps."""

    def __str__(self) -> str:
        said = f"{self.where}: got {self.value!r}, expected {self.expected}"
        return f"{said}; {self.cure}." if self.cure else f"{said}."


class Problem(msgspec.Struct, frozen=True, omit_defaults=True):
    """The body of every answer of 400 and above."""

    title: str
    """The same for every problem of a type."""

    status: int
    detail: str
    """This refusal in one sentence: the value, what was expected, the cure."""

    type: str = "about:blank"
    """URI of the kind of problem; ``about:blank``: the status says it all."""

    instance: str | None = None
    """URI of the very request or thing, where it has one."""

    errors: tuple[Mistake, ...] = ()


def problem(
    status: int,
    detail: str,
    *,
    errors: Iterable[Mistake] = (),
    title: str = "",
    instance: str | None = None,
) -> Problem:
    """Make a problem; the title is the status's own phrase unless given."""
    listed = tuple(errors)
    if len(listed) > MAX_MISTAKES:
        detail = f"{detail} {len(listed)} mistakes, the first {MAX_MISTAKES} are listed."
    return Problem(
        title=title or _phrase(status),
        status=status,
        detail=detail,
        instance=instance,
        errors=listed[:MAX_MISTAKES],
    )


def mistake(where: str, value: object, expected: str, cure: str = "") -> Mistake:
    """Make a mistake of any value, shortened so that it can be shown."""
    return Mistake(where=where, value=shown(value), expected=expected, cure=cure)


def shown(value: object) -> str:
    """Return a value as text that is safe to show: printable, at most `MAX_VALUE` long.

    A list or an object shows its size only: it may be deep or huge.
    """
    if isinstance(value, bytes | bytearray):
        text = bytes(value[:MAX_VALUE]).decode("utf-8", "backslashreplace")
        cut = len(value) > MAX_VALUE
    elif isinstance(value, str):
        text, cut = value[:MAX_VALUE], len(value) > MAX_VALUE
    elif isinstance(value, list | tuple | dict | set | frozenset):
        kind = "object" if isinstance(value, dict) else "list"
        text, cut = f"{kind} of {len(value)}", False
    elif isinstance(value, int) and value.bit_length() > 1024:
        text, cut = f"a whole number of {value.bit_length()} bits", False
    else:
        whole = str(value)
        text, cut = whole[:MAX_VALUE], len(whole) > MAX_VALUE
    text = "".join(char if char.isprintable() else f"\\u{ord(char):04x}" for char in text)
    if len(text) > MAX_VALUE:
        text, cut = text[:MAX_VALUE], True
    return text + "…" if cut else text


def encode(document: Problem) -> bytes:
    """Return the body to send with `CONTENT_TYPE`."""
    return msgspec.json.encode(document)


def decode(body: bytes) -> Problem:
    """Read a problem somebody sent.

    Raises:
        msgspec.DecodeError: It is not a problem document.
    """
    return msgspec.json.decode(body, type=Problem)


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return f"Status {status}"
