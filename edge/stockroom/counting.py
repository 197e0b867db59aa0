"""A stock count by sheet: opened, filled in by whoever counts, posted once. In a unit of work.

Selling goes on meanwhile: `edge.store.sheets` says what the books had at the moment each
line was counted. Quantities are ints in thousandths (`_milli`).
"""

from typing import NamedTuple
from uuid import UUID

import msgspec

from edge.stockroom.documents import known_sku
from edge.stockroom.request import CountLineRequest, CountPostRequest, CountRequest
from edge.store.sheets import Line, Waiting
from edge.store.unit import Unit
from edge.till.business_day import rfc3339
from edge.till.errors import BadDocument, Conflict, NotFound, NotPossible
from edge.till.selling import digest
from sync.chain import MAX_BODY
from sync.clock import hlc_ms
from sync.facts import encode
from sync.facts.count import CountedLine, CountOpened, CountPosted, Covers, PostedLines, posting

MAX_ARTICLES = 2000
"""Articles of one sheet: its posting is one fact."""

_BY_TIME = (
    "Posted without the marks of the nodes in by_time: whatever they sold or took in before a "
    "line was counted and have not told of yet will change the books again when it comes. Count "
    "these articles once more when the nodes have been heard."
)


class CountLineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A line of a sheet."""

    uuid: str
    """The sheet's."""

    sku: str
    counted_milli: int
    attempt: int
    at: str
    """When it was counted, RFC 3339, UTC."""


class CountWaits(msgspec.Struct, frozen=True, kw_only=True):
    """A node that a sheet waits for."""

    node: str
    lines: int
    what: str
    """``mark``: it has not said how far it was; ``facts``: it has, and they are not all here."""


class PostedLineAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What a count made of the books of an article."""

    sku: str
    counted_milli: int
    difference_milli: int
    """Counted less what the books had at that moment."""


class PostedAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A posting."""

    at: str
    approved_by: str
    by_time: tuple[str, ...]
    """Nodes whose marks were not waited for."""

    lines: tuple[PostedLineAnswer, ...]
    left_out: tuple[str, ...]
    """Articles that were counted later on another sheet, or on this one after its posting."""


class CountAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """A sheet, what was counted, and what it waits for."""

    uuid: str
    name: str
    covers: str
    """``all``, ``group`` or ``list``."""

    group: str
    skus: tuple[str, ...]
    state: str
    """``open`` (nothing counted), ``waiting``, ``ready`` or ``posted``."""

    home: str
    """The node that posts it."""

    lines: tuple[CountLineAnswer, ...]
    not_counted: tuple[str, ...]
    """Of a list; a posting leaves these as they are."""

    waits: tuple[CountWaits, ...]
    posted: PostedAnswer | None
    notice: str


class Counted(NamedTuple):
    """A line as it stands on its sheet."""

    sheet: bytes
    line: Line
    new: bool


def open_sheet(unit: Unit, event: bytes, request: CountRequest) -> bool:
    """Open a sheet; return whether it is new.

    Raises:
        Conflict: The event is something else.
        UnknownArticle: An article of the list is not in the catalogue.
        BadDocument: A group and a list.
    """
    fingerprint = digest(request)
    found = unit.document(event)
    if found is not None:
        sheet = unit.sheets.opened(event)
        if sheet is not None and (
            found.digest == fingerprint if found.digest else _alike(unit, sheet, request)
        ):
            return False
        raise Conflict(
            f"Count {UUID(bytes=event)}: this id is another sheet or document.",
            "Give every sheet an id of its own.",
        )
    if unit.sale(event) is not None:
        raise Conflict(
            f"Count {UUID(bytes=event)}: this id is a sale.", "Give every sheet an id of its own."
        )
    if request.group and request.skus:
        raise BadDocument(
            f"Group {request.group!r} and {len(request.skus)} articles: expected one or the other.",
            "Leave the group or the articles out.",
            field="/group",
        )
    covers = Covers.GROUP if request.group else Covers.LIST if request.skus else Covers.ALL
    now = unit.now
    body = CountOpened(
        now.ms, int(now.trust), request.name, covers, request.group, _skus(unit, request)
    )
    unit.append(body, event)
    unit.note_digest(event, fingerprint)
    return True


def count(unit: Unit, event: bytes, code: str, request: CountLineRequest) -> Counted:
    """Record a line; the same count of the same attempt is the same line.

    Raises:
        NotFound: No such sheet.
        UnknownArticle: No such article.
        BadDocument: The sheet is not about this article, or is full.
        Conflict: The sheet was posted.
    """
    sheet = _sheet(unit, event)
    sku = known_sku(unit, code, "")
    line = unit.sheets.line(event, sku)
    if line and (line.counted_milli, line.attempt) == (request.counted_milli, request.attempt):
        return Counted(event, line, new=False)
    if unit.sheets.posted(event) is not None:
        raise Conflict(
            f"Count {UUID(bytes=event)}: posted already; {sku!r} was not counted on it.",
            "Open another sheet.",
        )
    if (sheet.covers is Covers.LIST and sku not in sheet.skus) or (
        sheet.covers is Covers.GROUP and unit.sheets.group(sku) != sheet.group
    ):
        of = f"group {sheet.group!r}" if sheet.group else f"its {len(sheet.skus)} articles"
        raise BadDocument(
            f"Article {sku!r}: expected one of {of}, which sheet {sheet.name!r} is about.",
            "Open a sheet for it.",
        )
    if line is None and unit.sheets.counted(event) >= MAX_ARTICLES:
        raise BadDocument(
            f"Count {UUID(bytes=event)}: expected at most {MAX_ARTICLES} articles.",
            "Open another sheet for the rest.",
        )
    told = CountedLine(sku, request.counted_milli, request.attempt)
    unit.sheets.take(event, (told,), request.who)
    made = unit.sheets.line(event, sku)
    assert made is not None  # noqa: S101 - for the type checker: it was written just now
    return Counted(event, made, new=True)


def post(unit: Unit, event: bytes, request: CountPostRequest) -> bool:
    """Let the books follow a sheet; return whether this very call did it.

    Raises:
        NotFound: No such sheet.
        NotPossible: Nothing was counted.
        BadDocument: A manager's word is missing, or it is too large.
        Conflict: It is another node's to post, or a node has not said how far it was.
    """
    _sheet(unit, event)
    if unit.sheets.posted(event) is not None:
        return False
    if (request.here or request.by_time) and not request.approved_by:
        raise BadDocument(
            "Approval: expected a manager's name for here and by_time, got none.",
            "Name the manager, or leave here and by_time out.",
            field="/approved_by",
        )
    name = f"Count {UUID(bytes=event)}"
    home = unit.sheets.home()
    if home != unit.stream.node and not request.here:
        raise Conflict(
            f"{name}: posted by node {home.hex()}, not by this one.",
            "Post it there, or here with a manager's word (here, approved_by).",
        )
    lines = unit.sheets.lines(event)
    if not lines:
        raise NotPossible(
            f"{name}: expected a counted article, got none.",
            "Count something (PUT /v1/counts/{uuid}/lines/{sku}).",
        )
    waiting = unit.sheets.waiting(lines)
    late = tuple(sorted({**waiting.marks, **waiting.facts}))
    if late and not request.by_time:
        raise Conflict(
            f"{name}: node {', '.join(node.hex() for node in late)} has not told how far it was "
            "when the articles were counted, or its facts up to there are not here yet.",
            "Let it reach this node or head office, or post by time with a manager's word "
            "(by_time, approved_by).",
        )
    now = unit.now
    body = CountPosted(
        now.ms,
        int(now.trust),
        event,
        PostedLines.of(unit.sheets.compare(event, lines)),
        late,
        request.approved_by,
    )
    if len(encode(body)) > MAX_BODY:
        raise BadDocument(
            f"{name}: {len(lines)} articles, expected at most {MAX_BODY} bytes of them.",
            "Count them on several sheets.",
        )
    unit.holder.posted(posting(event), body)
    return True


def line_answer(counted: Counted) -> CountLineAnswer:
    """Tell of a line."""
    return _line(counted.sheet, counted.line)


def answer(unit: Unit, event: bytes) -> CountAnswer:
    """Tell all of a sheet.

    Raises:
        NotFound: No such sheet.
    """
    sheet = _sheet(unit, event)
    lines = unit.sheets.lines(event)
    posted = unit.sheets.posted(event)
    waiting = unit.sheets.waiting(lines) if posted is None else Waiting({}, {})
    if posted is not None:
        state = "posted"
    elif not lines:
        state = "open"
    else:
        state = "waiting" if waiting.marks or waiting.facts else "ready"
    return CountAnswer(
        uuid=str(UUID(bytes=event)),
        name=sheet.name,
        covers=sheet.covers.name.lower(),
        group=sheet.group,
        skus=sheet.skus,
        state=state,
        home=unit.sheets.home().hex(),
        lines=tuple(_line(event, lines[sku]) for sku in sorted(lines)),
        not_counted=tuple(sku for sku in sheet.skus if sku not in lines),
        waits=tuple(
            CountWaits(node=node.hex(), lines=count, what=what)
            for what, nodes in (("mark", waiting.marks), ("facts", waiting.facts))
            for node, count in sorted(nodes.items())
        ),
        posted=_posted(posted, lines) if posted else None,
        notice=_BY_TIME if posted and posted.by_time else "",
    )


def _posted(body: CountPosted, lines: dict[str, Line]) -> PostedAnswer:
    rows = body.lines.rows()
    told = {(row.sku, row.hlc) for row in rows}
    return PostedAnswer(
        at=rfc3339(body.at_ms),
        approved_by=body.approved_by,
        by_time=tuple(node.hex() for node in body.by_time),
        lines=tuple(
            PostedLineAnswer(
                sku=row.sku,
                counted_milli=row.counted_milli,
                difference_milli=row.difference_milli,
            )
            for row in rows
        ),
        left_out=tuple(sku for sku in sorted(lines) if (sku, lines[sku].hlc) not in told),
    )


def _line(event: bytes, line: Line) -> CountLineAnswer:
    return CountLineAnswer(
        uuid=str(UUID(bytes=event)),
        sku=line.sku,
        counted_milli=line.counted_milli,
        attempt=line.attempt,
        at=rfc3339(hlc_ms(line.hlc)),
    )


def _sheet(unit: Unit, event: bytes) -> CountOpened:
    sheet = unit.sheets.opened(event)
    if sheet is None:
        raise NotFound(
            f"Count {UUID(bytes=event)}: expected a sheet opened in this store, found none.",
            "Open it (PUT /v1/counts/{uuid}), or let the node that did reach this one.",
        )
    return sheet


def _skus(unit: Unit, request: CountRequest) -> tuple[str, ...]:
    return tuple(
        dict.fromkeys(known_sku(unit, sku, f"/skus/{n}") for n, sku in enumerate(request.skus))
    )


def _alike(unit: Unit, sheet: CountOpened, request: CountRequest) -> bool:
    """Whether a sheet heard of from elsewhere is what the request asks for."""
    return (sheet.name, sheet.group, sheet.skus) == (
        request.name,
        request.group,
        _skus(unit, request),
    )
