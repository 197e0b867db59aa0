"""Messages as bytes: msgpack, then zstd where it helps, under caps.

A payload is one byte that says how it is packed, then the packed message. A
carrier without frames of its own (a POST body, a file) puts four bytes of length
before each payload.
"""

from collections.abc import Iterable
from functools import cache
from importlib.resources import files
from struct import Struct
from threading import local

import msgspec
import zstandard

from sync.errors import RemoteProtocolError, TooLarge
from sync.exchange.messages import Message

PLAIN, ZSTD, ZSTD_DICTIONARY = 0, 1, 2
"""How a payload is packed."""

MAX_PAYLOAD = 1 << 20
"""Bytes of one payload on the wire."""

MAX_MESSAGE = 4 << 20
"""Bytes of one message unpacked: what a compression bomb may cost at most."""

_SMALL = 2048
"""Messages below this gain from the shared dictionary; larger ones carry their own."""

_LENGTH = Struct(">I")
_LEVEL = 12
_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(Message)


class _Contexts(local):
    """A context of zstd serves one thread at a time, and central packs in several."""

    def __init__(self) -> None:
        self.packers: dict[int, zstandard.ZstdCompressor] = {}
        self.unpackers: dict[int, zstandard.ZstdDecompressor] = {}


_contexts = _Contexts()


@cache
def _dictionary() -> zstandard.ZstdCompressionDict:
    # Fixed for ever under this packing number; `tests/bench/dictionary.py` made it.
    return zstandard.ZstdCompressionDict(files(__package__).joinpath("small.zdict").read_bytes())


def _packer(kind: int) -> zstandard.ZstdCompressor:
    packer: zstandard.ZstdCompressor | None = _contexts.packers.get(kind)
    if packer is None:
        packer = _contexts.packers[kind] = _new_packer(kind)
    return packer


def _unpacker(kind: int) -> zstandard.ZstdDecompressor:
    unpacker: zstandard.ZstdDecompressor | None = _contexts.unpackers.get(kind)
    if unpacker is None:
        unpacker = _contexts.unpackers[kind] = _new_unpacker(kind)
    return unpacker


def _new_packer(kind: int) -> zstandard.ZstdCompressor:
    params = zstandard.ZstdCompressionParameters.from_level(
        _LEVEL if kind == ZSTD else 19,
        write_content_size=int(kind == ZSTD),
        write_checksum=0,
        write_dict_id=0,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
    )
    dictionary = _dictionary() if kind == ZSTD_DICTIONARY else None
    return zstandard.ZstdCompressor(dict_data=dictionary, compression_params=params)


def _new_unpacker(kind: int) -> zstandard.ZstdDecompressor:
    return zstandard.ZstdDecompressor(
        dict_data=_dictionary() if kind == ZSTD_DICTIONARY else None,
        max_window_size=MAX_MESSAGE,
        format=zstandard.FORMAT_ZSTD1_MAGICLESS,
    )


def encode(message: Message) -> bytes:
    """Return the payload of a message, in the smallest packing."""
    plain = _ENCODER.encode(message)
    kind = ZSTD_DICTIONARY if len(plain) < _SMALL else ZSTD
    packed = _packer(kind).compress(plain)
    if len(packed) < len(plain):
        return bytes((kind,)) + packed
    return bytes((PLAIN,)) + plain


def decode(payload: bytes) -> Message:
    """Read a payload.

    Raises:
        TooLarge: It is, or would unpack to, more than its cap.
        RemoteProtocolError: It is no message.
    """
    if len(payload) > MAX_PAYLOAD:
        raise TooLarge(f"Payload of {len(payload)} bytes: the most is {MAX_PAYLOAD}.")
    if not payload or payload[0] > ZSTD_DICTIONARY:
        raise RemoteProtocolError(f"Payload starts with {payload[:1].hex() or 'nothing'}.")
    plain = payload[1:] if payload[0] == PLAIN else _unpack(payload[0], payload[1:])
    try:
        message: Message = _DECODER.decode(plain)
    except (msgspec.DecodeError, ValueError, RecursionError) as error:
        raise RemoteProtocolError(f"Message of {len(plain)} bytes: {error}") from error
    return message


def _unpack(kind: int, packed: bytes) -> bytes:
    most = MAX_MESSAGE if kind == ZSTD else _SMALL
    try:
        size = zstandard.get_frame_parameters(
            packed, format=zstandard.FORMAT_ZSTD1_MAGICLESS
        ).content_size
        if size == zstandard.CONTENTSIZE_UNKNOWN:
            # Small ones spare the bytes that say how small, and unpack under the low cap.
            if kind == ZSTD:
                raise RemoteProtocolError(f"Payload of {len(packed)} bytes: tells no full size.")
        elif size > most:  # the unpacker believes the frame, not the cap it is given
            raise TooLarge(f"Message would unpack to {size} bytes: the most is {most}.")
        return _unpacker(kind).decompress(packed, max_output_size=most)
    except zstandard.ZstdError as error:
        raise RemoteProtocolError(f"Payload of {len(packed)} bytes: {error}") from error


def join(payloads: Iterable[bytes]) -> bytes:
    """Put payloads behind each other, each with its length before it."""
    return b"".join(_LENGTH.pack(len(payload)) + payload for payload in payloads)


def split(data: bytes) -> list[bytes]:
    """Take joined payloads apart.

    Raises:
        RemoteProtocolError: The last one was cut off.
        TooLarge: A length is over the cap.
    """
    payloads = []
    at = 0
    while at < len(data):
        end = at + _LENGTH.size
        if end > len(data):
            raise RemoteProtocolError(f"Cut off in the length at byte {at} of {len(data)}.")
        (length,) = _LENGTH.unpack_from(data, at)
        if length > MAX_PAYLOAD:
            raise TooLarge(f"Payload of {length} bytes: the most is {MAX_PAYLOAD}.")
        at, start = end + length, end
        if at > len(data):
            raise RemoteProtocolError(f"Cut off: {at - len(data)} bytes are missing.")
        payloads.append(data[start:at])
    return payloads
