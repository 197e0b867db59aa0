from tests import prove
from tests.proof import Told, begun, part_of


def test_an_interrupted_part_goes_on_and_another_run_begins_afresh(tmp_path):
    out = tmp_path / "crash.json"
    told = begun("crash", "ci", 7, out)
    told.cases, told.lost = 12, 1
    told.count("torn write", 3)
    told.set_aside(out)
    assert begun("crash", "ci", 7, out) == told
    assert begun("crash", "ci", 8, out) == Told(name="crash", size="ci", seeds=[8])
    assert begun("crash", "short", 7, out).cases == 0
    part_of(out).write_bytes(b"{")
    assert begun("crash", "ci", 7, out).cases == 0
    kept = told.keep(out)
    assert (kept["faults"], kept["lost"], told.failed) == ({"torn write": 3}, 1, True)
    assert not part_of(out).exists()
    assert out.exists()


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
