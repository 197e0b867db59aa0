"""The short form of `python -m tests.contract.fiscal_cuts`: some of the bytes, all of the notes."""

import pytest

from tests.contract.fiscal_cuts import WHAT, prove
from tests.contract.tally import table

EVERY = {"posnet": 23, "posnet-serial": 211, "noviapi": 499}
"""Primes, so that no field of a frame is always spared."""


@pytest.mark.parametrize("name", EVERY)
async def test_belief_is_what_the_device_counted(name, tmp_path, capsys):
    size, tallies = await prove(name, tmp_path, every=EVERY[name], offset=11)
    with capsys.disabled():
        print(f"\n{table(name, size, tallies, WHAT)}")
    assert all(tally.points for tally in tallies.values())
    # While the printer can be asked, no cut point may end in not knowing.
    assert [tally.unknown for tally in tallies.values() if tally.unknown] == []
