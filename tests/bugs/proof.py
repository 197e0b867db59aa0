"""Is the proof itself any good? Each known bug is put into a copy of the tree and has to be caught.

python -m tests.bugs.proof --size ci
python -m tests.bugs.proof --only "signatures are not checked"
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from tests.bugs.known import BUGS
from tests.proof import WRONGS, bar, begun, command

NAME = "bugs"
ROOT = Path(__file__).parents[2]
COPIED = ("sync", "hw", "edge", "central", "tests", "pyproject.toml")
PATIENCE_S = 900
SHORT = 1
"""How many of the bugs the short form tries, the first ones."""


class NotThere(Exception):
    """The bug does not fit the product any more, and fails otherwise than it should: rewrite it."""


def infected(bug, folder: Path) -> Path:
    """Copy the tree, and put a bug into it.

    Raises:
        NotThere: The product has changed.
    """
    for name in COPIED:
        source, target = ROOT / name, folder / name
        if source.is_dir():
            shutil.copytree(source, target, ignore=shutil.ignore_patterns("__pycache__"))
        else:
            shutil.copyfile(source, target)
    for name, old, new in bug.changes:
        path = folder / name
        text = path.read_text("utf-8")
        if text.count(old) != 1:
            raise NotThere(f"{bug.name}: {text.count(old)} times in {name}, expected once: {old!r}")
        path.write_text(text.replace(old, new), "utf-8")
    return folder


def hunted(bug, seed):
    """Run the part that has to catch a bug on a tree that has it; return what was noticed.

    Returns:
        The first thing it told, empty if it noticed nothing; and the seconds it took.
    """
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="karb-bug-") as folder:
        tree = infected(bug, Path(folder))
        for number in range(bug.seeds):
            noticed = _noticed(bug, tree, seed + number)
            if noticed:
                break
    return noticed, time.monotonic() - began


def _noticed(bug, tree, seed):
    out = tree / "told.json"
    words = [sys.executable, "-m", bug.by, "--size", "short", "--seed", str(seed), "--json", out]
    env = os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": ""}
    try:
        done = subprocess.run(
            words,
            cwd=tree,
            env=env,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
    except subprocess.TimeoutExpired:
        raise NotThere(f"{bug.name}: {bug.by} did not end within {PATIENCE_S} s") from None
    if out.exists():
        told = json.loads(out.read_text())
        counts = ", ".join(f"{told[what]} {what}" for what in WRONGS if told[what])
        said = [note for note in told["notes"] if any(what in note for what in WRONGS)]
        return ": ".join([counts, *said[:1]]) if counts else ""
    raise NotThere(f"{bug.name}: {bug.by} ended with {done.returncode}: {done.stderr[-800:]}")


def main(size, seed, out) -> dict:
    """Hunt every bug; the short form hunts a few."""
    told = begun(NAME, size, seed, out)
    bugs = BUGS if size != "short" else BUGS[:SHORT]
    for bug in bar(bugs[told.cases :], NAME, len(bugs), told.cases):
        try:
            noticed, seconds = hunted(bug, seed)
        except NotThere as error:
            told.notes.append(str(error))
            noticed, seconds = "", 0.0
        told.cases += 1
        told.seconds += seconds
        if noticed:
            told.count("bugs caught")
            told.notes.append(f"{bug.name}: {bug.by}, {seconds:.0f} s: {noticed[:200]}")
        else:
            told.take({"stuck": [f"not caught by {bug.by}: {bug.name}"]}, seed)
        told.set_aside(out)
    return told.keep(out)


if __name__ == "__main__":
    if "--only" in sys.argv:
        asked = argparse.ArgumentParser()
        asked.add_argument("--only")
        asked.add_argument("--seed", type=int, default=1)
        words = asked.parse_args()
        for one in BUGS:
            if words.only in one.name:
                print(one.name, *hunted(one, words.seed))
    else:
        command(NAME, main)
