"""Bytes that were sound once: flipped, cut, doubled, swapped, and numbers made large."""

from hypothesis import strategies as st

MOST = 1 << 16
"""Bytes of what a mutation may grow to."""

CHANGES = 7
WORDS = (
    b"\x00",
    b"\xff",
    b"\x7f",
    b"\x80",
    b"\xff" * 4,
    b"\xff" * 8,
    b"\x7f" + b"\xff" * 7,
    b"\xdd\xff\xff\xff\xff",
    b"\xdf\xff\xff\xff\xff",
    b"\xdb\xff\xff\xff\xff",
    b"\xc6\xff\xff\xff\xff",
    b"\xcf" + b"\xff" * 8,
    b"\xd3\x80" + bytes(7),
    b"\xcb\x7f\xf8" + bytes(6),
    b"\xc0",
    b"\x91" * 3000,
    b"\x90",
    b"\x80",
    b"-1",
    b"1e999",
    b"9" * 5000,
    b"NaN",
    b"null",
    b"[" * 2000,
    b'{"a":' * 2000,
    b"\\ud800",
    b'"',
    "²".encode(),
    "٣".encode(),
    "ł".encode(),
    b"\xef\xbb\xbf",
    b"\xed\xa0\x80",
    b"\r\n",
    b"\t;,",
)
"""What decoders stumble on: large lengths and numbers of msgpack and JSON, depth, odd text."""


def mutated(rng, sample, others=()):
    """Return a sample spoilt a little, or a lot."""
    data = bytearray(sample)
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(data) + 1)
        to = min(len(data), at + rng.choice((1, 1, 2, 4, 8, 32)))
        match rng.randrange(CHANGES):
            case 0 if at < len(data):
                data[at] ^= 1 << rng.randrange(8)
            case 1:
                del data[at:to]
            case 2:
                data[at:at] = rng.choice(WORDS)
            case 3:
                data[at:to] = rng.choice(WORDS)
            case 4:
                data[at:at] = data[at:to]
            case 5:
                del data[at:]
            case 6 if others:
                other = rng.choice(others)
                begin = rng.randrange(len(other) + 1)
                data[at:to] = other[begin : begin + rng.randrange(64)]
            case _:
                data[at:to] = rng.randbytes(to - at)
    return bytes(data[:MOST])


def spoilt(samples):
    """Return a strategy of samples, of spoilt ones and of any bytes at all."""
    if not samples:
        return st.binary(max_size=300)
    sound = st.sampled_from(samples)
    changed = st.builds(lambda sample, rng: mutated(rng, sample, samples), sound, st.randoms())
    return st.one_of(changed, changed, changed, sound, st.binary(max_size=300))
