"""Opens documents from hostile changes; run as a process, so that an abort is seen as one.

    python -m tests.sync.hostile_changes SEED CASES [--raw]

Prints what became of the cases. A case is a sound change of a sound document with bytes
flipped, cut, doubled or inserted, numbers raised, its length and checksum put right again.
`--raw` passes by the check that stands before the library, to see what it is for.
"""

import random
import resource
import sys
from collections import Counter
from hashlib import sha256

from sync.errors import BadFact
from sync.facts.change import read
from sync.merge import document
from sync.merge.document import FIELDS, ITEMS, Add, Drop, Put, opened

CPU_S = 900
MEMORY = 2 << 30


def history(rng):
    """Return changes of a few writers who have not always heard of each other."""
    changes = []
    for _ in range(rng.randint(1, 8)):
        known = opened(rng.sample(changes, rng.randint(0, len(changes))))
        edits = [
            rng.choice(
                (
                    Put(FIELDS, rng.choice("abc"), rng.choice(("", "ż" * rng.randint(1, 60), 7))),
                    Put(ITEMS, f"i{rng.randint(0, 5)}", rng.choice((True, -1 << 40, "x"))),
                    Drop(ITEMS, f"i{rng.randint(0, 5)}"),
                    Add(rng.choice("qr"), rng.randint(-5000, 5000)),
                )
            )
            for _ in range(rng.randint(1, 5))
        ]
        made = known.change(rng.randbytes(16), edits)
        if made is not None:
            changes.append(made)
    return changes


def mutate(rng, change):
    """Return a change somebody spoiled; its checksum holds."""
    body = bytearray(change[9:])
    while body[0] & 0x80:
        del body[0]
    del body[0]
    for _ in range(rng.choice((1, 1, 1, 2, 3, 8))):
        at = rng.randrange(len(body))
        draw = rng.random()
        if draw < 0.4:
            body[at] ^= 1 << rng.randrange(8)
        elif draw < 0.6:
            body[at] = rng.choice((0, 1, 2, 3, 0x7E, 0x7F, 0x80, 0xFF, rng.randrange(256)))
        elif draw < 0.7:
            del body[at : at + rng.randint(1, 4)]
        elif draw < 0.8:
            body[at:at] = rng.randbytes(rng.randint(1, 4))
        elif draw < 0.9:
            body[at : at + 1] = uleb(rng.choice((200, 5000, 1 << 16, 1 << 31)))
        else:
            end = rng.randrange(at, len(body)) + 1
            body[at:at] = body[at:end]
        if not body:
            return b""
    return chunk(bytes(body))


def chunk(body):
    hashed = b"\x01" + uleb(len(body)) + body
    return bytes.fromhex("856f4a83") + sha256(hashed).digest()[:4] + hashed


def uleb(n):
    out = bytearray()
    while n > 0x7F:
        out.append(n & 0x7F | 0x80)
        n >>= 7
    out.append(n)
    return bytes(out)


def run(seed, cases, *, raw):
    """Return how many cases ended how."""
    rng, told, sound = random.Random(seed), Counter(), {}
    if raw:
        document.read = lambda data: sound.get(data) or _read_or_guess(data)
    while told["cases"] < cases:
        changes = history(rng)
        if not changes:
            continue
        sound = {change: read(change) for change in changes}
        for _ in range(20):
            at = rng.randrange(len(changes))
            bad = mutate(rng, changes[at])
            told["cases"] += 1
            if bad in sound:
                continue
            try:
                read(bad)
                told["passed the check"] += 1
            except BadFact:
                told["refused by the check"] += 1
                if not raw:
                    continue
            both = rng.random() < 0.5
            spoiled = [*changes[:at], bad, *changes[at + (0 if both else 1) :]]
            found = opened(spoiled)
            assert opened(spoiled[::-1]).value == found.value
            told["set aside by the library" if bad in found.unusable else "taken"] += 1
    return told


def _read_or_guess(data):
    try:
        return read(data)
    except BadFact:
        from sync.facts.change import Change  # noqa: PLC0415

        return Change(sha256(data[8:]).digest(), (document.BASE_HASH,), bytes(16), 1, 4, 1)


if __name__ == "__main__":
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
    seed, cases = map(int, sys.argv[1:3])
    for name, n in sorted(run(seed, cases, raw="--raw" in sys.argv).items()):
        print(f"{name}: {n}")
