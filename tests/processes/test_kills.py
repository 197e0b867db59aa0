from tests.processes import kills
from tests.proof import WRONGS


def test_whatever_is_killed_what_was_acknowledged_is_there_once(tmp_path):
    told = kills.main("short", 1, tmp_path / "kills.json")
    assert sum(told[what] for what in WRONGS) == 0, "\n".join(told["notes"])
    assert told["cases"] == kills.KILLS["short"]
    assert sum(times for what, times in told["faults"].items() if "kill" in what) == told["cases"]
    assert told["faults"]["sales acknowledged"] > 20
