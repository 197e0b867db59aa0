"""An error becomes a problem document: the value, what was expected, the cure."""

import re
from typing import Any

import msgspec

from edge.config import BadConfig
from edge.link.carrier import LinkRefused, LinkUnreachable
from edge.store.connection import DiskFull, StoreError
from edge.store.journal import NotKept
from edge.store.unit import TillTaken
from edge.till.errors import (
    BeyondRight,
    Conflict,
    Forgotten,
    NotFound,
    NotLetIn,
    NotPossible,
    TillError,
    UnknownArticle,
)
from hw.errors import DeviceMisconfigured, DeviceRefused, DeviceUnavailable
from sync.contract.problem import Problem, mistake, problem
from sync.errors import BadIdentity, RemoteProtocolError
from sync.exchange.stick import BadStick

_STATUS: tuple[tuple[type[Exception], int], ...] = (
    (NotFound, 404),
    (Forgotten, 410),
    (Conflict, 409),
    (TillTaken, 409),
    (BeyondRight, 409),
    (NotKept, 410),
    (NotLetIn, 403),
    (NotPossible, 422),
    (TillError, 422),
    (DiskFull, 503),
    (StoreError, 503),
    (LinkUnreachable, 503),
    (LinkRefused, 409),
    (BadIdentity, 409),
    (BadStick, 422),
    (RemoteProtocolError, 503),
    (BadConfig, 422),
    (DeviceMisconfigured, 422),
    (DeviceRefused, 409),
    (DeviceUnavailable, 503),
)

_AT = re.compile(r"^(?P<what>.*?)(?: - at `(?P<path>\$.*)`)?$", re.DOTALL)
_STEP = re.compile(r"\.(?P<name>[A-Za-z_]\w*)|\[(?P<index>\d+|\.\.\.)\]")
_FIELD = re.compile(r"(?P<kind>unknown|missing required) field `(?P<name>[^`]*)`")
_BYTE = re.compile(r"\(byte (\d+)\)")


class Refused(Exception):
    """A request that goes no further; carries its problem document."""

    def __init__(self, said: Problem, headers: dict[str, str] | None = None) -> None:
        """Carry a problem and the headers its status calls for."""
        super().__init__(said.detail)
        self.problem, self.headers = said, headers or {}


def of(error: Exception, body: bytes = b"") -> Problem | None:
    """Return the problem of an error of ours; None if it is a bug.

    Args:
        error: What was raised.
        body: The request's, to show the value that was wrong in it.
    """
    status = next((status for kind, status in _STATUS if isinstance(error, kind)), None)
    if status is None:
        return None
    if not isinstance(error, TillError):
        return problem(status, str(error))
    mistakes = []
    if error.field:
        where = _where(error.field)
        got = _dig(body, f"$.{where}")
        mistakes.append(mistake(where, got, error.problem, error.cure))
    return problem(status, str(error), title=_title(error), errors=mistakes)


def scan_problem(error: UnknownArticle) -> Problem:
    """The problem of a code that is no article: the thing asked for is not there."""
    return problem(404, str(error), title=_title(error))


def unreadable(error: Exception, body: bytes) -> Problem:
    """The problem of a body that is no JSON: says at which byte.

    Args:
        error: What the decoder raised.
        body: What was sent.
    """
    found = _BYTE.search(str(error))
    at = int(found[1]) if found else len(body)
    try:
        body.decode()
    except UnicodeDecodeError as wrong:  # the decoder counts from the text's own beginning
        at, error = wrong.start, ValueError("no UTF-8")
    got = body[at : at + 1]
    shown = repr(got)[1:] if got else "the end"
    why = _BYTE.sub("", str(error)).strip() or type(error).__name__
    return problem(
        400,
        f"The body is not JSON: at byte {at} got {shown} ({why}); send valid JSON in UTF-8.",
        errors=[mistake("body", got, f"JSON at byte {at}")],
    )


def mistaken(error: msgspec.ValidationError, body: bytes) -> Problem:
    """The problem of JSON that is not what was asked for: names the field and its value."""
    parts = _AT.match(str(error))
    what = parts["what"] if parts else str(error)
    path = (parts["path"] if parts else None) or "$"
    field = _FIELD.search(what)
    if field is not None:  # the decoder names the object that has it, or lacks it
        path = f"{path}.{field['name']}"
        what = f"Expected {'no such field' if field['kind'] == 'unknown' else 'a value'}"
    value = _dig(body, path)
    where = path.removeprefix("$").removeprefix(".") or "body"
    return problem(
        422,
        f"{where}: {what[0].lower()}{what[1:]}; correct it and send it again.",
        errors=[mistake(where, value, what.removeprefix("Expected ").replace("`", ""))],
    )


def _dig(body: bytes, path: str) -> Any:
    """Return the value at a decoder's path, to be shown; empty where it cannot be found."""
    try:
        value: Any = msgspec.json.decode(body)
        for step in _STEP.finditer(path):
            if step["name"] is not None:
                value = value[step["name"]]
            elif step["index"] == "...":
                return value
            else:
                value = value[int(step["index"])]
    except (msgspec.DecodeError, KeyError, IndexError, TypeError, ValueError, RecursionError):
        return ""
    return value


def _title(error: TillError) -> str:
    """Return a class's name in words: ``Unknown article``."""
    return re.sub(r"(?<!^)(?=[A-Z])", " ", type(error).__name__).capitalize()


def _where(field: str) -> str:
    """Return ``/lines/0/sku`` as ``lines[0].sku``."""
    return re.sub(r"/(\d+)", r"[\1]", field).replace("/", ".").removeprefix(".")
