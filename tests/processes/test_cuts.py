from tests.processes import cuts
from tests.proof import WRONGS


def test_wherever_the_line_is_cut_every_sale_arrives_once(tmp_path):
    told = cuts.main("short", 1, tmp_path / "cuts.json")
    assert sum(told[what] for what in WRONGS) == 0, "\n".join(told["notes"])
    assert told["faults"]["cut, reset"] + told["faults"]["cut, hang up"] > 80
    assert told["faults"]["repeated requests"] > 5
    assert told["faults"]["tampered requests"] > 5
