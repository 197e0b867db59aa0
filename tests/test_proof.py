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
