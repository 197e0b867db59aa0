"""The short form of `python -m tests.contract.terminal_cuts`: some bytes, all notes."""

import pytest

from tests.contract.tally import table
from tests.contract.terminal_cuts import UNKNOWN_BECAUSE, WHAT, prove

EVERY = {"ecreft": 7, "ecreft-serial": 29, "ecreft-silent": 13, "nexo": 127, "standalone": 1}
"""Primes, so that no field of a frame is always spared."""


@pytest.mark.parametrize("name", EVERY)
async def test_belief_is_what_stands_in_the_terminals_books(name, tmp_path, capsys):
    size, tallies = await prove(name, tmp_path, every=EVERY[name], offset=11)
    with capsys.disabled():
        print(f"\n{table(name, size, tallies, WHAT, UNKNOWN_BECAUSE)}")
    assert all(tally.points for tally in tallies.values())
    if not UNKNOWN_BECAUSE[name]:
        # While the terminal can be asked, no cut point may end in not knowing.
        assert [tally.unknown for tally in tallies.values() if tally.unknown] == []
