from tests.processes import cuts


def test_wherever_the_line_is_cut_every_sale_arrives_once(tmp_path):
    told = cuts.main("short", 1, tmp_path / "cuts.json")
    assert (told["lost"], told["doubled"], told["corrupt"], told["stuck"]) == (0, 0, 0, 0), told
    assert told["faults"]["cut, reset"] + told["faults"]["cut, hang up"] > 80
    assert told["faults"]["repeated requests"] > 5
    assert told["faults"]["tampered requests"] > 5
