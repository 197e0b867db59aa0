import pytest

from tests.bugs import known, proof


@pytest.mark.parametrize("bug", known.BUGS, ids=lambda bug: bug.name)
def test_each_bug_can_still_be_put_in(bug):
    for name, old, new in bug.changes:
        assert (proof.ROOT / name).read_text("utf-8").count(old) == 1, f"write it anew: {name}"
        assert new != old


@pytest.mark.timeout(400)
def test_a_bug_is_caught(tmp_path):
    told = proof.main("short", 1, tmp_path / "bugs.json")
    assert told["stuck"] == 0, told["notes"]
    assert told["faults"] == {"bugs caught": proof.SHORT}
