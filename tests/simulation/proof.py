"""The seeded world as a part of the proof: many seeds, over all cores, told in one shape.

    python -m tests.simulation.proof --size ci --seed 7      # as `make proof` runs it
    python -m tests.simulation --seeds 0:300 --jobs 2        # some seeds, as a person does

Sets of text are walked in an order that depends on a secret of the process: seeds are played
in processes where that secret is 0, so that one that failed fails again.
"""

import argparse
import multiprocessing
import os
import sys
import tempfile
import time
import traceback
from contextlib import contextmanager
from pathlib import Path

from tests.proof import bar, begun, command
from tests.simulation import shrink

NAME = "simulation"
SEEDS = {"short": 120, "ci": 300, "release": 20_000}
KINDS = ("lost", "doubled", "corrupt", "stuck")
REPLAY = ".venv/bin/python -m tests.simulation --seeds {}"
AT_ONCE = 5
MOST_PLAYED = 100
"""Worlds of one process, which then gives its memory back."""


def main(size, seed, out):
    """Play as many seeds as the size says, on from where a run that was cut off came to."""
    told = begun(NAME, size, seed, out)
    started, spent = time.monotonic(), told.seconds
    left = range(seed + told.cases, seed + SEEDS[size])
    with playing(left) as reports:
        for number, happened, wrong in bar(reports, "seeds", SEEDS[size], told.cases):
            told.cases += 1
            for what, times in happened.items():
                told.count(what, times)
            if wrong:
                kind, why = wrong
                setattr(told, kind, getattr(told, kind) + 1)
                told.seeds.append(number)
                told.notes.append(f"{why[:300]} Again: {REPLAY.format(number)}")
            told.seconds = round(spent + time.monotonic() - started, 1)
            if told.cases % MOST_PLAYED == 0:
                told.set_aside(out)
    return told.keep(out)


@contextmanager
def playing(seeds, jobs=None, *, play=None):
    """Give what became of each seed, in order: the seed, what happened, and what was wrong.

    `play` may ask something else of (seed, folder of templates).
    """
    os.environ["PYTHONHASHSEED"] = "0"
    memory = Path("/dev/shm")
    spawn = multiprocessing.get_context("spawn")
    with (
        tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as templates,
        spawn.Pool(jobs or os.cpu_count(), maxtasksperchild=MOST_PLAYED // AT_ONCE) as pool,
    ):
        yield pool.imap(play or _play, ((seed, templates) for seed in seeds), AT_ONCE)


def _play(asked):
    seed, templates = asked
    from tests.simulation import world  # noqa: PLC0415 - it changes the process it is loaded in

    try:
        return seed, world.play(seed, templates).happened, None
    except world.judge.Wrong as error:
        return seed, {}, (error.what, str(error))
    except Exception:  # noqa: BLE001 - whatever it was, the other seeds are played
        return seed, {}, ("corrupt", traceback.format_exc()[-700:])


def people():
    """Be the command line for a person."""
    asked = argparse.ArgumentParser(description="Play seeds of the simulated world.")
    asked.add_argument("--seeds", default="0:100", help="one, or FROM:TO")
    asked.add_argument("--jobs", type=int, default=os.cpu_count())
    asked.add_argument("--shrink", action="store_true", help="cut what fails to its steps")
    words = asked.parse_args()
    first, _, end = words.seeds.partition(":")
    seeds = range(int(first), int(end) if end else int(first) + 1)
    failed = []
    total = {}
    with playing(seeds, min(words.jobs, len(seeds))) as reports:
        for number, happened, wrong in bar(reports, "seeds", len(seeds)):
            for what, times in happened.items():
                total[what] = total.get(what, 0) + times
            if wrong:
                failed.append(number)
                sys.stdout.write(f"{number}: {wrong[0]}\n{wrong[1]}\n  {REPLAY.format(number)}\n")
                sys.stdout.flush()
    for what in sorted(total):
        sys.stdout.write(f"{total[what]:>9}  {what}\n")
    sys.stdout.write(f"{len(seeds)} seeds, {len(failed)} failed.\n")
    if words.shrink and failed:
        with playing(failed, words.jobs, play=_shrink) as cut:
            for number, found in zip(failed, cut, strict=True):
                _show(number, found)
    return bool(failed)


def _shrink(asked):
    return shrink.of_seed(*asked)


def _show(seed, found):
    if found is None:
        sys.stdout.write(f"{seed}: it does not fail by itself.\n")
        return
    steps, kept, wrong, story = found
    sys.stdout.write(f"{seed}: of {steps} steps it takes {kept}\n{wrong}\n")
    sys.stdout.writelines(f"{line}\n" for line in story)


if __name__ == "__main__":
    command(NAME, main)
