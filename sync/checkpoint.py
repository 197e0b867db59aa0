"""A checkpoint: what the views of a store say at certain numbers of certain streams.

A new node starts from it instead of from every fact since the shop opened, and a node
that has dropped old facts keeps one to rebuild its views from. It is neutral: logical
views as columns, named in `VIEWS`, which each side fills from and pours into tables of
its own. A checkpoint is taken whole or not at all: one with a view or a version that
the reader does not have is refused, and the reader exchanges facts as if there were none.

Bytes: frames, each with four bytes of length before it. The first is the signature of
the maker (Ed25519 over ``karb.checkpoint.1`` and SHA-256 of the second), the second the
`Manifest` (msgpack), each further one a part: columns of one view (msgpack, zstd), whose
SHA-256 the manifest has. So nothing is unpacked that the maker did not vouch for.

Sales and the catalogue, which are nearly all there is, travel as rows: the views of the
facts of `SETTLED_KINDS` up to the cuts, and of no others. Facts of every other kind are few:
they travel whole, as the view ``facts``, and the reader applies them itself. Whole, too, and
applied already, travel the last fact of each stream, sales that are still open, and what is
above `Cut.whole`; and, not applied, what ``unapplied`` names.
"""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from hashlib import sha256
from itertools import islice
from struct import Struct
from typing import Annotated, Any

import msgspec
import zstandard
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from msgspec import Meta

from sync.chain import EVENT_BYTES, HASH_BYTES, Head, StreamId
from sync.errors import BadSignature, RemoteProtocolError, TooLarge

FORMAT = 1
MAX_MANIFEST = 4 << 20
MAX_PART = 2 << 20
"""Bytes of one part as it travels."""

MAX_UNPACKED = 8 << 20
"""Bytes of one part unpacked: what a bomb may cost at most."""

MAX_PARTS = 20_000
MAX_ROWS = 5000
"""Rows of one part."""

_WEIGHT = 2 << 20
"""Bytes of columns above which rows are cut into more parts."""

CONTENT_TYPE = "application/vnd.karb.checkpoint"

KEEP_DAYS = 35
"""Facts of a store's nodes younger than this are kept whole, and travel whole."""

KEEP_MS = KEEP_DAYS * 24 * 3600 * 1000

SALE_KINDS = frozenset({"sale", "sale.payment", "sale.fiscalised", "sale.closed", "sale.voided"})
SETTLED_KINDS = SALE_KINDS | {"articles", "prices", "vat.rates"}
"""Kinds whose facts no view reads again once they are applied, but for sales that are not
closed, and whose effects therefore travel as rows. A new kind belongs here only if it is
many and has its view among `VIEWS`; all others are kept for ever, and applied again."""

_LENGTH = Struct(">I")

_Int = Annotated[int, Meta(ge=-(1 << 63), le=(1 << 63) - 1)]
_Stream = Annotated[int, Meta(ge=0, lt=MAX_PARTS)]
"""Index in the manifest's cuts."""

_MOST = 1 << 40
_Seq = Annotated[int, Meta(ge=1, lt=_MOST)]
_Event = Annotated[bytes, Meta(min_length=EVENT_BYTES, max_length=EVENT_BYTES)]
_Hash = Annotated[bytes, Meta(min_length=HASH_BYTES, max_length=HASH_BYTES)]


class Columns(msgspec.Struct, frozen=True):
    """What the rows of a view are made of."""

    version: int
    """Raised with every change: rows of another version are refused."""

    types: tuple[Any, ...]


VIEWS: dict[str, Columns] = {
    # stream, seq, hlc, kind, version, event, body, hash, signature
    "facts": Columns(1, (_Stream, _Seq, _Int, str, _Int, _Event, bytes, _Hash, bytes | None)),
    # sku, revision, name, fiscal name, unit, vat, codes joined by a space, deposit, age,
    # group, from_ms
    "articles": Columns(1, (str, _Int, str, str, str, str, str, _Int, _Int, str, _Int)),
    # sku, from_ms, revision, unit_minor
    "prices": Columns(1, (str, _Int, _Int, _Int)),
    # code, since (as 20260131), revision, basis points, exempt
    "vat_rates": Columns(1, (str, _Int, _Int, _Int, _Int)),
    # event, stream, seq (both null: only later stages are known), stage, later, till, series,
    # number, at_ms, business day, cashier, channel, lines, quantity, total
    "sales": Columns(
        1,
        (
            _Event,
            _Stream | None,
            _Seq | None,
            _Int,
            _Int,
            str | None,
            str | None,
            *[_Int | None] * 3,
            str | None,
            str | None,
            *[_Int | None] * 3,
        ),
    ),
    # till, hour (of Unix time) in which it sold last, node it did so on
    "tills": Columns(1, (str, _Int, _Event)),
    # event, payment, stream, seq, approved
    "settled": Columns(1, (_Event, _Int, _Stream, _Seq, _Int)),
    # event, stream, seq: records of sales that another record outdid
    "duplicates": Columns(1, (_Event, _Stream, _Seq)),
    # cell, stream, used, made, as_of_ms: what the sales of a stream moved of its row
    "rights": Columns(1, (str, _Stream, _Int, _Int, _Int)),
    # stream, event, closed, voided: by which of its facts a stream closed a tendered sale
    "closings": Columns(1, (_Stream, _Event, _Seq | None, _Seq | None)),
    # stream, seq, stage as written, map of article to thousandths, sorted (msgpack): what
    # sales take whose facts do not travel whole
    "goods": Columns(1, (_Stream, _Seq, _Int, bytes)),
    # stream, seq: facts of settled kinds that travel whole and are in no row: what the maker could
    # not read, or had set aside
    "unapplied": Columns(1, (_Stream, _Seq)),
}
"""Every view of a store."""


class BadCheckpoint(RemoteProtocolError):
    """It cannot be used: damaged, somebody else's, or of another version. Nothing was taken."""


class Cut(msgspec.Struct, frozen=True, array_like=True):
    """How far a stream is in the views."""

    stream: bytes
    """`StreamId.name()`"""

    seq: _Seq
    hash: _Hash
    """Of that fact, which travels whole."""

    whole: Annotated[int, Meta(ge=0, lt=_MOST)] = 0
    """Above this number every fact that tells of a sale travels whole."""

    def head(self) -> Head:
        """Return it as a head.

        Raises:
            RemoteProtocolError: It names no stream.
        """
        return Head(StreamId.from_name(self.stream), self.seq, self.hash)


class Part(msgspec.Struct, frozen=True, array_like=True):
    """A part as the manifest names it."""

    view: str
    rows: int
    digest: bytes
    """SHA-256 of the part as it travels."""


class Manifest(msgspec.Struct, frozen=True, array_like=True):
    """What a checkpoint holds."""

    format: int
    made_ms: int
    maker: bytes
    """Node that signed it."""

    scopes: tuple[str, ...]
    views: tuple[tuple[str, int], ...]
    """Name and version of every view, whether it has rows or not."""

    cuts: tuple[Cut, ...]
    parts: tuple[Part, ...]


class Packed(msgspec.Struct, frozen=True):
    """A part, ready to travel."""

    part: Part
    frame: bytes


class Opened(msgspec.Struct, frozen=True):
    """A checkpoint whose signature holds; its parts are still to be read."""

    manifest: Manifest
    cuts: tuple[Head, ...]


def versions() -> tuple[tuple[str, int], ...]:
    """Return the views this program knows, and their versions."""
    return tuple((name, columns.version) for name, columns in VIEWS.items())


def pack(view: str, rows: Iterable[Sequence[Any]]) -> Iterator[Packed]:
    """Pack rows of a view into as many parts as they need."""
    packer = zstandard.ZstdCompressor(level=6)
    waiting = iter(rows)
    while some := list(islice(waiting, MAX_ROWS)):
        for n, columns in _light(some):
            frame = packer.compress(columns)
            yield Packed(Part(view, n, sha256(frame).digest()), frame)


def _light(rows: list[Sequence[Any]]) -> Iterator[tuple[int, bytes]]:
    """Give rows as columns, and how many; where they are long, in halves of halves."""
    columns = msgspec.msgpack.encode(tuple(zip(*rows, strict=True)))
    if len(columns) <= _WEIGHT or len(rows) == 1:
        yield len(rows), columns
        return
    middle = len(rows) // 2
    yield from _light(rows[:middle])
    yield from _light(rows[middle:])


def sealed(manifest: Manifest, key: Ed25519PrivateKey) -> tuple[bytes, bytes]:
    """Return the first two frames: signature and manifest."""
    told = msgspec.msgpack.encode(manifest)
    return key.sign(_signed(told)), told


def framed(frame: bytes) -> bytes:
    """Put its length before a frame."""
    return _LENGTH.pack(len(frame)) + frame


def frames(read: Callable[[int], bytes]) -> Iterator[bytes]:
    """Take frames apart, as a file's ``read`` gives their bytes.

    Raises:
        BadCheckpoint: It breaks off.
        TooLarge: A frame, or their number, is over its cap.
    """
    for number in range(MAX_PARTS + 2):
        length_bytes = read(_LENGTH.size)
        if not length_bytes:
            return
        if len(length_bytes) < _LENGTH.size:
            raise BadCheckpoint(f"Checkpoint: breaks off in frame {number}.")
        (length,) = _LENGTH.unpack(length_bytes)
        if length > (MAX_MANIFEST if number == 1 else MAX_PART):
            raise TooLarge(f"Checkpoint: frame {number} of {length} bytes is over its cap.")
        frame = read(length)
        if len(frame) < length:
            raise BadCheckpoint(f"Checkpoint: breaks off in frame {number}.")
        yield frame
    if read(1):
        raise TooLarge(f"Checkpoint: more than {MAX_PARTS} parts.")


def manifest(told: bytes) -> Manifest:
    """Read the second frame; nothing of it is checked.

    Raises:
        BadCheckpoint: It is no manifest.
    """
    try:
        return _MANIFEST.decode(told)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadCheckpoint(f"Checkpoint: {error}") from error


def opened(
    signature: bytes,
    told: bytes,
    keys: Mapping[bytes, bytes],
    scopes: Sequence[str] | None = None,
) -> Opened:
    """Check the first two frames.

    Args:
        signature: The first frame.
        told: The second, the manifest.
        keys: Public keys (32 raw bytes) of the nodes whose checkpoints count, by name.
        scopes: What it must be of; None: whatever it is of.

    Raises:
        BadSignature: Its maker does not count here or did not sign it, or it was changed.
        BadCheckpoint: It is of another format, other views or other scopes.
    """
    found = manifest(told)
    try:
        key = Ed25519PublicKey.from_public_bytes(keys.get(found.maker, b""))
        key.verify(signature, _signed(told))
    except (InvalidSignature, ValueError) as error:
        raise BadSignature(
            f"Checkpoint: not signed by a node whose word counts here ({found.maker.hex()[:12]})."
        ) from error
    if found.format != FORMAT:
        raise BadCheckpoint(
            f"Checkpoint of format {found.format}: this program reads {FORMAT}; facts are "
            "exchanged instead."
        )
    if odd := sorted(set(found.views) ^ set(versions())):
        raise BadCheckpoint(
            f"Checkpoint: its views are not ours ({odd[0][0]!r} version {odd[0][1]}); facts are "
            "exchanged instead until both sides have the same version."
        )
    if scopes is not None and set(found.scopes) != set(scopes):
        raise BadCheckpoint(f"Checkpoint of {found.scopes}: expected one of {tuple(scopes)}.")
    cuts = tuple(cut.head() for cut in found.cuts)
    if len({head.stream for head in cuts}) != len(cuts):
        raise BadCheckpoint("Checkpoint: names a stream twice.")
    if any(head.stream.scope not in found.scopes for head in cuts):
        raise BadCheckpoint("Checkpoint: has a stream of a scope it is not of.")
    return Opened(found, cuts)


def unpack(part: Part, frame: bytes, streams: int) -> list[tuple[Any, ...]]:
    """Return the rows of a part.

    Args:
        part: As the manifest names it.
        frame: As it came.
        streams: How many cuts the manifest has.

    Raises:
        BadCheckpoint: It is not what the manifest names, or no rows of its view.
        TooLarge: It would unpack to more than its cap.
    """
    if sha256(frame).digest() != part.digest:
        raise BadCheckpoint(f"Checkpoint: a part of {part.view!r} is damaged.")
    try:
        size = zstandard.get_frame_parameters(frame).content_size
        if size > MAX_UNPACKED:  # unknown is the greatest of all
            raise TooLarge(f"Checkpoint: a part of {part.view!r} unpacks to {size} bytes.")
        plain = zstandard.ZstdDecompressor().decompress(frame, max_output_size=MAX_UNPACKED)
        columns = _DECODERS[part.view].decode(plain)
        rows = list(zip(*columns, strict=True))
    except (zstandard.ZstdError, msgspec.DecodeError, ValueError, KeyError) as error:
        raise BadCheckpoint(f"Checkpoint: a part of {part.view!r}: {error}") from error
    if len(rows) != part.rows or len(rows) > MAX_ROWS:
        raise BadCheckpoint(f"Checkpoint: {len(rows)} rows of {part.view!r}, not {part.rows}.")
    place = STREAM_AT.get(part.view)
    if place is not None and any(row[place] is not None and row[place] >= streams for row in rows):
        raise BadCheckpoint(f"Checkpoint: a row of {part.view!r} is of no stream.")
    return rows


def keys_packed(keys: Mapping[bytes, bytes]) -> bytes:
    """Return the keys of the persons in a checkpoint's facts, as they travel.

    Beside it, and never in it: a checkpoint is kept, and a key can be destroyed.
    """
    return msgspec.msgpack.encode(keys)


def keys_unpacked(packed: bytes) -> dict[bytes, bytes]:
    """Read keys of persons.

    Raises:
        BadCheckpoint: It is something else.
    """
    try:
        return _KEYS.decode(packed)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadCheckpoint(f"Keys of a checkpoint: {error}") from error


def goods(by_sku: Mapping[str, int]) -> bytes:
    """Return what a sale takes, as the view ``goods`` has it."""
    return msgspec.msgpack.encode(by_sku, order="sorted")


def goods_taken(packed: bytes) -> dict[str, int]:
    """Read what a sale takes.

    Raises:
        BadCheckpoint: It is something else.
    """
    try:
        return _GOODS.decode(packed)
    except (msgspec.DecodeError, ValueError) as error:
        raise BadCheckpoint(f"Checkpoint: what a sale takes: {error}") from error


def _signed(told: bytes) -> bytes:
    return b"karb.checkpoint.1" + sha256(told).digest()


_MANIFEST = msgspec.msgpack.Decoder(Manifest)
_KEYS = msgspec.msgpack.Decoder(dict[bytes, bytes])
_GOODS = msgspec.msgpack.Decoder(dict[str, int])
_DECODERS: dict[str, msgspec.msgpack.Decoder[Any]] = {
    name: msgspec.msgpack.Decoder(
        tuple.__class_getitem__(tuple(list.__class_getitem__(kind) for kind in columns.types))
    )
    for name, columns in VIEWS.items()
}
STREAM_AT: dict[str, int] = {
    name: at
    for name, columns in VIEWS.items()
    for at, kind in enumerate(columns.types)
    if kind in (_Stream, _Stream | None)
}
"""Where a row of a view names a stream."""
