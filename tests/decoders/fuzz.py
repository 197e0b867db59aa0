"""Feeds every parser spoilt bytes: the part of the proof on decoders.

    python -m tests.decoders.fuzz --size ci --seed 7

Each parser of `tests.decoders.parsers` runs in a process with a cap on its memory; each input
has a cap on its time. An error that the parser does not declare, too much memory or time is
`corrupt`, with the input in the notes. The library behind documents is fed by
`tests.sync.hostile_changes`, a process of its own, since it may abort.
"""

import json
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from pathlib import Path

from tests.decoders.mutation import mutated
from tests.proof import bar, begun, command

NAME = "decoders"
INPUTS = {"short": 200, "ci": 20_000, "release": 200_000}
"""For each parser."""

CHANGES = {"short": 200, "ci": 20_000, "release": 200_000}
"""Changes of documents, spoilt, that reach the library."""

MEMORY = 1 << 30
"""Bytes a process may map beyond what it had when it began."""

GROWTH_KIB = 200 << 10
"""Most a parser may make the process grow: an honest batch assembles into 64 MiB."""

INPUT_S = 3
SLOW_S = 600
EXAMPLES_KEPT = 3


class TooSlow(BaseException):
    """One input took too long."""


def _too_slow(_number, _frame):
    raise TooSlow


def fed(parser, seed, inputs):
    """Feed one parser; return how inputs ended, and those that ended badly."""
    rng = random.Random(f"{seed} {parser.name}")
    samples, ends, bad = parser.samples(), Counter(), []
    if parser.sound and not any(_taken(parser, sample) for sample in samples):
        bad.append(f"{parser.name}: takes none of its own samples")
    for _ in range(inputs):
        draw = rng.random()
        data = (
            rng.randbytes(rng.randrange(64))
            if draw < 0.05
            else mutated(rng, rng.choice(samples), samples)
        )
        signal.setitimer(signal.ITIMER_PROF, INPUT_S)
        try:
            parser.feed(data)
            ends["taken"] += 1
        except parser.raises:
            ends["refused"] += 1
        except (Exception, TooSlow) as error:  # noqa: BLE001 - this is what is looked for
            ends["bad"] += 1
            if len(bad) < EXAMPLES_KEPT:
                shown = data[:400].hex() + ("…" if len(data) > 400 else "")
                bad.append(f"{parser.name}: {type(error).__name__}: {error!s:.200}; {shown}")
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0)
    return ends, bad


def _child(seed, inputs, *names):
    """Feed some parsers; print what came of it, a line each."""
    from tests.decoders.parsers import PARSERS  # noqa: PLC0415 - the parent needs none of it

    signal.signal(signal.SIGPROF, _too_slow)
    for parser in PARSERS:
        if names and parser.name not in names:
            continue
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        mapped = _mapped()
        resource.setrlimit(resource.RLIMIT_AS, (mapped + MEMORY, resource.RLIM_INFINITY))
        began = time.process_time()
        ends, bad = fed(parser, seed, inputs)
        grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
        if grown > GROWTH_KIB:
            bad.append(f"{parser.name}: grew by {grown} KiB")
        told = {"name": parser.name, "ends": ends, "bad": bad, "grown": grown}
        print(json.dumps(told | {"seconds": time.process_time() - began}), flush=True)


def _taken(parser, sample):
    try:
        parser.feed(sample)
    except parser.raises:
        return False
    return True


def _mapped():
    return int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()


def run(seed, inputs, *names):
    """Feed parsers in a process of their own; yields what it tells, a dictionary each."""
    words = [sys.executable, "-m", "tests.decoders.fuzz", "--child", str(seed), str(inputs)]
    with subprocess.Popen(
        [*words, *names], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as child:
        for line in child.stdout:
            yield json.loads(line)
        said = child.stderr.read()
        if child.wait():
            yield {"name": "the process", "ends": {}, "bad": [f"ended: {said[-800:]}"], "grown": 0}


def main(size, seed, out) -> dict:
    """Feed everything; an interrupted run goes on after the last whole round of parsers."""
    told = begun(NAME, size, seed, out)
    from tests.decoders.parsers import PARSERS  # noqa: PLC0415 - a child of this need not

    rounds = max(1, INPUTS[size] // 2000)
    each = INPUTS[size] // rounds
    done = told.faults.get("rounds", 0)
    bars = iter(bar(range(rounds * len(PARSERS)), NAME, rounds * len(PARSERS), done * len(PARSERS)))
    most = 0
    for number in range(done, rounds):
        began = time.monotonic()
        for one in run(seed + number, each):
            next(bars, None)
            for end, times in one["ends"].items():
                told.count(f"inputs {end}", times)
                told.cases += times
            most = max(most, one["grown"])
            told.take({"corrupt": one["bad"]}, seed + number)
        told.seconds += time.monotonic() - began
        told.count("rounds")
        told.set_aside(out)
    for _ in bars:
        pass
    told.notes.append(f"{len(PARSERS)} parsers; most that one made the process grow: {most} KiB")
    _hostile_changes(told, seed, CHANGES[size])
    return told.keep(out)


def _hostile_changes(told, seed, cases):
    began = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "tests.sync.hostile_changes", str(seed), str(cases)],
        capture_output=True,
        text=True,
        check=False,
        timeout=SLOW_S * max(1, cases // 20_000),
    )
    told.seconds += time.monotonic() - began
    told.cases += cases
    told.count("spoilt changes of documents", cases)
    if done.returncode:
        told.take({"corrupt": [f"documents: {done.returncode} {done.stderr[-500:]}"]}, seed)


if __name__ == "__main__":
    if sys.argv[1:2] == ["--child"]:
        _child(int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])
    else:
        command(NAME, main)
