"""All of the proof, and one report: `make proof ARGS="--size ci"`.

    python -m tests.prove --size ci|release [--seed N] [--resume] [--only crash,kills] [--keep]
    python -m tests.prove --size release --resume --minutes 120     # a slice; go on another day
    python -m tests.prove --bug "signatures"                        # a known bug: it must be red

Parts write what they saw under `proof/SIZE/`, one JSON file each; with `--resume` finished parts
are taken as they are, and an unfinished one goes on, whatever commit it was begun on: the report
names the commit of each slice. The report stands beside them as Markdown and JSON, with `--keep`
in `docs/`, too. Status 1 if anything is lost, doubled, corrupt or stuck, a known bug was not
caught, or a part did less than its size aims at.
"""

import argparse
import datetime as dt
import os
import shutil
import subprocess
import sys
import tempfile
import traceback
from importlib import import_module
from pathlib import Path

import msgspec

from tests.proof import SIZES, WRONGS, Enough, Told, half_done, part_of, stop_after, versions

PARTS = {
    "crash": ("tests.crash.proof", "power cuts of edge and central on a simulated disk"),
    "simulation": ("tests.simulation.proof", "seeds of one simulated world with every fault"),
    "kills": ("tests.processes.kills", "kill -9 of real processes under load"),
    "cuts": ("tests.processes.cuts", "cuts of the line at bytes of an exchange, and repeats"),
    "decoders": ("tests.decoders.fuzz", "spoilt inputs of every parser"),
    "bugs": ("tests.bugs.proof", "known bugs, each put into a copy of the tree"),
}
"""What runs, in this order; and what its cases are."""

AIMS = {
    "short": {},
    "ci": {"crash": 20_000, "simulation": 300, "kills": 50},
    "release": {"crash": 1_000_000, "simulation": 20_000, "kills": 2_000},
}
"""Least cases of a part."""

LARGER = {
    "crash": 1_000_000 / 150_000,
    "simulation": 20_000 / 300,
    "kills": 2_000 / 60,
    "cuts": 3,
    "decoders": 10,
    "bugs": 1,
}
"""How many times what `ci` does `release` does."""

ROOT = Path(__file__).parents[1]


class Report(msgspec.Struct, kw_only=True):
    """The whole proof."""

    size: str
    seed: int
    made: str
    """UTC."""

    versions: dict[str, str]
    parts: dict[str, Told]
    """By the name they are called with."""

    missing: list[str]
    """Parts that were not run, or did less than they should."""

    @property
    def good(self):
        return not self.missing and not any(told.failed for told in self.parts.values())


def prove(size, seed, folder: Path, only=tuple(PARTS), *, resume=False) -> Report:
    """Run parts, and report on all that is there."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in only:
        out = folder / f"{name}.json"
        if not resume:
            out.unlink(missing_ok=True)
            part_of(out).unlink(missing_ok=True)
        if not _finished(out, size, seed):
            try:
                import_module(PARTS[name][0]).main(size, seed, out)
            except Enough:
                break
            except Exception:  # noqa: BLE001 - the other parts go on; this one is not there
                traceback.print_exc()
    return reported(size, seed, folder)


def reported(size, seed, folder: Path) -> Report:
    """Read what the parts wrote, write the report."""
    parts = {}
    for name in PARTS:
        out = folder / f"{name}.json"
        told = _finished(out, size, seed) or _of_this_run(half_done(out), size, seed)
        if told is not None:
            parts[name] = told
    missing = [f"{name}: not run" for name in PARTS if name not in parts]
    missing += [
        f"{name}: not finished, {told.cases:,} cases; go on with --resume"
        for name, told in parts.items()
        if part_of(folder / f"{name}.json").exists()
    ]
    missing += [
        f"{name}: {parts[name].cases:,} cases, aimed at {least:,}"
        for name, least in AIMS[size].items()
        if name in parts and parts[name].cases < least
    ]
    now = dt.datetime.now(dt.UTC).strftime("%Y-%m-%d %H:%M")
    report = Report(
        size=size, seed=seed, made=now, versions=versions(), parts=parts, missing=missing
    )
    (folder / "report.json").write_bytes(msgspec.json.format(msgspec.json.encode(report)) + b"\n")
    (folder / "report.md").write_text(as_markdown(report), "utf-8")
    return report


def as_markdown(report: Report) -> str:
    """Return the report for people."""
    lines = [
        f"# Proof, size {report.size}",
        "",
        _verdict(report),
        "",
        f'Made {report.made} UTC by `make proof ARGS="--size {report.size} --seed {report.seed}"`.',
        "",
        "| part | what its cases are | cases | " + " | ".join(WRONGS) + " | seconds |",
        "|---|---|--:|--:|--:|--:|--:|--:|",
    ]
    for name, told in report.parts.items():
        wrongs = " | ".join(str(getattr(told, what)) for what in WRONGS)
        lines.append(
            f"| {name} | {PARTS[name][1]} | {told.cases:,} | {wrongs} | {told.seconds:,.0f} |"
        )
    lines += ["", *[f"- {line}" for line in report.missing], ""]
    if report.size == "ci":
        lines += [_release_takes(report), ""]
    for name, told in report.parts.items():
        lines += [f"## {name}", "", f"Seeds: first {told.seeds[0]}" + _failed(told.seeds[1:]), ""]
        if sqlite := told.versions.get("sqlite"):
            lines += [f"SQLite {sqlite}, the library behind Python's own `sqlite3`.", ""]
        lines += [
            f"- {one.cases:,} cases in {one.seconds:,.0f} s, begun {one.began} UTC, on commit "
            f"{one.commit}"
            for one in told.slices
        ]
        lines += [""] if told.slices else []
        lines += ["| what happened | times |", "|---|--:|"]
        lines += [f"| {fault} | {times:,} |" for fault, times in sorted(told.faults.items())]
        lines += ["", *[f"- {' '.join(note.split())}" for note in told.notes], ""]
    lines += ["## Versions", ""]
    known = dict(report.versions)
    for told in report.parts.values():
        known |= told.versions
    lines += [f"- {name}: {text}" for name, text in known.items()]
    return "\n".join(lines) + "\n"


def _release_takes(report):
    """Say how long the release size takes here, by the rates of what was run whole."""
    takes = {
        name: told.seconds * LARGER[name] / 3600
        for name, told in report.parts.items()
        if told.seconds and not any(line.startswith(f"{name}: ") for line in report.missing)
    }
    each = ", ".join(f"{name} {hours:.1f} h" for name, hours in takes.items())
    return (
        f"At these rates `--size release` takes {sum(takes.values()):.1f} hours on this machine: "
        f"{each}. `--minutes N --resume` does it in slices."
    )


def _commits(report):
    return sorted({one.commit for told in report.parts.values() for one in told.slices})


def _verdict(report):
    said = _went(report)
    commits = _commits(report)
    if len(commits) > 1:
        said += f" It was made on {len(commits)} commits ({', '.join(commits)}), slice by slice."
    return said


def _went(report):
    if any(told.failed for told in report.parts.values()):
        return "**It failed.**"
    said = "Nothing was lost, doubled, corrupt or stuck"
    return f"{said}." if report.good else f"{said} in what was run; **not all of it was**."


def _failed(seeds):
    return f"; failed: {', '.join(map(str, seeds[:20]))}." if seeds else "; none failed."


def _finished(out: Path, size, seed) -> Told | None:
    try:
        told = msgspec.json.decode(out.read_bytes(), type=Told)
    except (OSError, msgspec.MsgspecError):
        return None
    return _of_this_run(told, size, seed)


def _of_this_run(told, size, seed):
    if told is None:
        return None
    return told if (told.size, told.seeds[:1]) == (size, [seed]) else None


def _with_bug(words, seed, asked) -> int:
    """Run this very command on a copy of the tree that has a known bug."""
    from tests.bugs import known, proof  # noqa: PLC0415 - only here

    found = [bug for bug in known.BUGS if words in bug.name]
    if len(found) != 1:
        names = "; ".join(bug.name for bug in known.BUGS)
        asked.error(f"--bug {words!r}: expected words of one of these: {names}")
    (bug,) = found
    part = next(name for name, (module, _) in PARTS.items() if module == bug.by)
    with tempfile.TemporaryDirectory(prefix="karb-bug-") as folder:
        tree = proof.infected(bug, Path(folder))
        command = [sys.executable, "-m", "tests.prove", "--size", "short", "--only", part]
        env = os.environ | {"PYTHONPATH": str(tree), "PYTHONSAFEPATH": ""}
        for number in range(bug.seeds):
            print(f"With the bug {bug.name!r}, seed {seed + number}:", flush=True)
            status = subprocess.run(
                [*command, "--seed", str(seed + number)], cwd=tree, env=env, check=False
            ).returncode
            if status:
                return status
    return 0


def _command() -> int:
    asked = argparse.ArgumentParser(description=__doc__)
    asked.add_argument("--size", choices=SIZES, default="ci")
    asked.add_argument("--seed", type=int, default=1)
    asked.add_argument("--only", default=",".join(PARTS), metavar="PART,…")
    asked.add_argument("--resume", action="store_true", help="go on where it was interrupted")
    asked.add_argument("--keep", action="store_true", help="put the report into docs/")
    asked.add_argument("--minutes", type=float, metavar="N", help="end after so long, to go on")
    asked.add_argument("--bug", metavar="WORDS", help="put a known bug in: what has to catch it")
    words = asked.parse_args()
    if words.bug:
        return _with_bug(words.bug, words.seed, asked)
    only = words.only.split(",")
    unknown = set(only) - set(PARTS)
    if unknown:
        asked.error(f"--only {', '.join(sorted(unknown))}: expected some of {', '.join(PARTS)}")
    folder = ROOT / "proof" / words.size
    stop_after(words.minutes)
    report = prove(words.size, words.seed, folder, only, resume=words.resume)
    if words.keep:
        docs = ROOT / "docs"
        docs.mkdir(exist_ok=True)
        for ending in ("md", "json"):
            shutil.copyfile(folder / f"report.{ending}", docs / f"proof.{ending}")
    print(as_markdown(report))
    asked_for = [line for line in report.missing if line.partition(":")[0] in only]
    failed = any(told.failed for name, told in report.parts.items() if name in only)
    return int(failed or bool(asked_for))


if __name__ == "__main__":
    sys.exit(_command())
