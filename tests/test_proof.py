import pytest

from tests import prove
from tests.crash import proof as crash
from tests.decoders import fuzz
from tests.processes import cuts, kills
from tests.proof import Enough, Told, begun, part_of, stop_after
from tests.simulation import proof as simulation


def test_an_interrupted_part_goes_on_and_another_run_begins_afresh(tmp_path):
    out = tmp_path / "crash.json"
    told = begun("crash", "ci", 7, out)
    told.cases, told.lost = 12, 1
    told.count("torn write", 3)
    told.set_aside(out)
    again = begun("crash", "ci", 7, out)
    assert (again.cases, again.lost, again.faults) == (12, 1, {"torn write": 3})
    assert [one.cases for one in again.slices] == [12, 0]
    assert begun("crash", "ci", 8, out).faults == {}
    assert begun("crash", "short", 7, out).cases == 0
    part_of(out).write_bytes(b"{")
    assert begun("crash", "ci", 7, out).cases == 0
    kept = told.keep(out)
    assert (kept["faults"], kept["lost"], told.failed) == ({"torn write": 3}, 1, True)
    assert not part_of(out).exists()
    assert out.exists()


def test_slices_of_several_commits_are_one_report_that_says_so(tmp_path):
    out = tmp_path / "crash.json"
    told = begun("crash", "release", 7, out)
    told.cases, told.seconds = 400_000, 100.0
    told.slices[0].commit = "aaa"
    stop_after(0)
    try:
        with pytest.raises(Enough):
            told.set_aside(out)
    finally:
        stop_after(None)
    report = prove.reported("release", 7, tmp_path)
    assert "crash: not finished, 400,000 cases; go on with --resume" in report.missing
    told = begun("crash", "release", 7, out)
    told.cases, told.seconds = 1_000_000, 250.0
    told.slices[1].commit = "bbb"
    told.keep(out)
    text = prove.as_markdown(prove.reported("release", 7, tmp_path))
    assert "It was made on 2 commits (aaa, bbb)" in text
    assert "400,000 cases in 100 s" in text
    assert "600,000 cases in 150 s" in text


def test_how_much_larger_a_release_is():
    assert prove.LARGER["crash"] == crash.CUTS["release"] / crash.CUTS["ci"]
    assert prove.LARGER["simulation"] == simulation.SEEDS["release"] / simulation.SEEDS["ci"]
    assert prove.LARGER["kills"] == kills.KILLS["release"] / kills.KILLS["ci"]
    assert prove.LARGER["cuts"] == cuts.STRIDE["ci"] / cuts.STRIDE["release"]
    assert prove.LARGER["decoders"] == fuzz.INPUTS["release"] / fuzz.INPUTS["ci"]


def test_the_report_says_what_is_missing_and_what_went_wrong(tmp_path):
    for name, cases in (("crash", 20_000), ("simulation", 299), ("kills", 60)):
        told = Told(name=name, size="ci", seeds=[7], cases=cases)
        told.count("power cut", 3)
        told.keep(tmp_path / f"{name}.json")
    Told(name="cuts", size="ci", seeds=[8]).keep(tmp_path / "cuts.json")  # of another run
    report = prove.reported("ci", 7, tmp_path)
    assert not report.good
    assert report.missing == [
        "cuts: not run",
        "decoders: not run",
        "bugs: not run",
        "simulation: 299 cases, aimed at 300",
    ]
    told = Told(name="cuts", size="ci", seeds=[7])
    told.take({"lost": ["sale 5"]}, 70)
    told.keep(tmp_path / "cuts.json")
    text = prove.as_markdown(prove.reported("ci", 7, tmp_path))
    assert "lost, seed 70: sale 5" in text
    assert "failed: 70" in text


def test_what_is_finished_is_not_done_again_and_what_cannot_run_is_missing(tmp_path):
    out = tmp_path / "cuts.json"
    Told(name="cuts", size="short", seeds=[7], cases=5).keep(out)
    before = out.stat()
    report = prove.prove("short", 7, tmp_path, ("cuts",), resume=True)
    assert (report.parts["cuts"].cases, out.stat()) == (5, before)
