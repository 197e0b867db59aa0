"""A failing or full disk: a plain answer, nothing acknowledged lost, selling when it is well."""

import errno

import pytest

from tests.crash.faults import sweep


@pytest.mark.timeout(300)
@pytest.mark.parametrize("for_ever", [False, True], ids=["once", "for ever"])
@pytest.mark.parametrize("error", [errno.EIO, errno.ENOSPC], ids=["EIO", "ENOSPC"])
def test_a_failing_disk_loses_nothing(error, for_ever):
    """Every fifth call here; every one with `every=1`."""
    seen = sweep(1, error, for_ever=for_ever, every=5, first=1 + for_ever)
    assert seen.findings == []
    assert seen.cuts > 10
    assert seen.faults["refused"] or error == errno.ENOSPC or for_ever
    assert seen.faults["unknown"] or not for_ever or error == errno.ENOSPC
    assert seen.faults["acknowledged"]
