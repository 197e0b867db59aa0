"""The format of a checkpoint: comes back whole, or not at all."""

import io
from hashlib import sha256
from typing import get_args

import msgspec
import pytest
import zstandard
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec.structs import replace

from sync import checkpoint
from sync.chain import ALL, StreamId, genesis
from sync.checkpoint import BadCheckpoint, Cut, Manifest, Part
from sync.errors import BadSignature, RemoteProtocolError, TooLarge
from sync.identity import node_id, raw_public

KEY = Ed25519PrivateKey.from_private_bytes(bytes(31) + b"\x05")
PUBLIC = raw_public(KEY.public_key())
STREAMS = [StreamId(bytes([n]) * 16, 1, scope) for n, scope in ((1, ALL), (2, "S1"))]
CUTS = tuple(Cut(stream.name(), 3, genesis(stream), 2) for stream in STREAMS)


def cell(kind):
    if type(None) in get_args(kind):
        return st.none() | cell(next(k for k in get_args(kind) if k is not type(None)))
    inner, *metas = get_args(kind) or (kind,)
    meta = metas[0] if metas else msgspec.Meta()
    if inner is int:
        most = meta.le if meta.lt is None else meta.lt - 1
        if most is not None and most < 1 << 20:
            most = 1  # of two streams
        return st.integers(meta.ge, most)
    if inner is bytes:
        return st.binary(min_size=meta.min_length or 0, max_size=meta.max_length or 8)
    return st.text(max_size=8)


def rows_of(view):
    return st.lists(st.tuples(*map(cell, checkpoint.VIEWS[view].types)), max_size=9)


contents = st.fixed_dictionaries({view: rows_of(view) for view in checkpoint.VIEWS})


def made(content, key=KEY, **changes):
    packed = [one for view, rows in content.items() for one in checkpoint.pack(view, rows)]
    manifest = Manifest(
        checkpoint.FORMAT,
        1,
        node_id(PUBLIC),
        ("S1", ALL),
        checkpoint.versions(),
        CUTS,
        tuple(one.part for one in packed),
    )
    signature, told = checkpoint.sealed(replace(manifest, **changes), key)
    return b"".join(map(checkpoint.framed, (signature, told, *(one.frame for one in packed))))


def read(data, scopes=("S1", ALL)):
    frames = checkpoint.frames(io.BytesIO(data).read)
    signature, told = next(frames, b""), next(frames, b"")
    opened = checkpoint.opened(signature, told, {node_id(PUBLIC): PUBLIC}, scopes)
    found = {view: [] for view in checkpoint.VIEWS}
    for part, frame in zip(opened.manifest.parts, frames, strict=True):
        found[part.view] += checkpoint.unpack(part, frame, len(opened.cuts))
    return found


@given(contents)
@settings(max_examples=60)
def test_what_was_put_in_comes_out(content):
    assert read(made(content)) == content


@given(contents, st.data())
@settings(max_examples=150)
def test_one_changed_byte_is_noticed_and_nothing_else_happens(content, data):
    whole = bytearray(made(content))
    at = data.draw(st.integers(0, len(whole) - 1))
    whole[at] ^= data.draw(st.integers(1, 255))
    with pytest.raises((RemoteProtocolError, ValueError)):
        read(bytes(whole))


@given(contents, st.data())
@settings(max_examples=60)
def test_cut_off_anywhere_it_is_refused(content, data):
    whole = made(content)
    end = data.draw(st.integers(0, len(whole) - 1))
    with pytest.raises((RemoteProtocolError, ValueError)):
        read(whole[:end])


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"format": 2}, "format 2"),
        ({"views": checkpoint.versions()[1:]}, "views are not ours"),
        ({"views": (("facts", 2), *checkpoint.versions()[1:])}, "'facts' version"),
        ({"scopes": ("S2", ALL)}, "expected one of"),
        ({"cuts": (*CUTS, CUTS[0])}, "twice"),
        ({"cuts": (replace(CUTS[0], seq=0),)}, ">= 1"),
        ({"cuts": (replace(CUTS[0], hash=b""),)}, "32"),
        ({"cuts": (Cut(StreamId(bytes(16), 1, "S2").name(), 1, bytes(32)),)}, "not of"),
    ],
)
def test_one_that_is_not_for_us_is_refused_with_its_reason(changes, says):
    with pytest.raises(BadCheckpoint, match=says):
        read(made({}, **changes))


@pytest.mark.parametrize(
    "changes", [{"key": 6}, {"maker": bytes(16)}, {"key": 6, "maker": bytes(16)}]
)
def test_a_foreign_one_is_refused(changes):
    key = Ed25519PrivateKey.from_private_bytes(bytes(31) + bytes([changes.pop("key", 5)]))
    with pytest.raises(BadSignature, match="whose word counts"):
        read(made({}, key=key, **changes))


def test_bombs_are_refused_before_they_go_off():
    small = zstandard.ZstdCompressor().compress(bytes(checkpoint.MAX_UNPACKED + 1))
    part = Part("prices", 1, sha256(small).digest())
    with pytest.raises(TooLarge):
        checkpoint.unpack(part, small, 2)
    unsized = zstandard.ZstdCompressor(write_content_size=False).compress(b"\x93\x90\x90\x90")
    part = Part("prices", 0, sha256(unsized).digest())
    with pytest.raises(TooLarge):
        checkpoint.unpack(part, unsized, 2)
    with pytest.raises(TooLarge):
        read((checkpoint.MAX_PART + 1).to_bytes(4, "big"))


@pytest.mark.parametrize(
    "columns",
    [
        (["a"], [1], [2], [3, 4]),
        (["a"], [1], [2]),
        ([1], [1], [2], [3]),
        (["a"], [1], [None], [2]),
        (["a"], [1], [1.5], [2]),
        (["a"], [1], [1 << 63], [2]),
        {"a": 1},
    ],
)
def test_rows_of_another_shape_are_refused(columns):
    frame = zstandard.ZstdCompressor().compress(msgspec.msgpack.encode(columns))
    part = Part("prices", 1, sha256(frame).digest())
    with pytest.raises(BadCheckpoint):
        checkpoint.unpack(part, frame, 2)


@pytest.mark.parametrize(
    ("row", "says"),
    [
        ((2, 1), "no stream"),
        ((-1, 1), ">= 0"),
        ((0, 0), ">= 1"),
        ((0, 1 << 40), "<"),
    ],
)
def test_a_row_of_no_place_is_refused(row, says):
    (packed,) = checkpoint.pack("unapplied", [row])
    with pytest.raises(BadCheckpoint, match=says):
        checkpoint.unpack(packed.part, packed.frame, 2)


def test_long_rows_make_more_parts_and_none_over_its_cap():
    body = bytes(200_000)
    rows = [(0, n, 0, "k", 1, bytes(16), body, bytes(32), None) for n in range(1, 31)]
    packed = list(checkpoint.pack("facts", rows))
    assert len(packed) > 1
    assert sum(one.part.rows for one in packed) == 30
    assert all(len(checkpoint.unpack(o.part, o.frame, 1)) == o.part.rows for o in packed)
