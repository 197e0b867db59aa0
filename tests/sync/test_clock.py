from hypothesis import given
from hypothesis import strategies as st

from sync.clock import MAX_AHEAD_MS, Trust, TrustedTime, hlc_ms, merge, tick

ms = st.integers(0, (1 << 46) - 1)


@given(st.lists(ms, min_size=2, max_size=20))
def test_ticks_only_grow_however_the_wall_clock_jumps(walls):
    last = 0
    for wall in walls:
        now = tick(last, wall)
        assert now > last
        assert hlc_ms(now) >= wall
        last = now


@given(ms, ms, ms)
def test_a_value_out_of_bounds_is_not_merged(last, heard, now):
    last, heard = last << 16, heard << 16
    merged = merge(last, heard, now)
    assert merged >= last
    if hlc_ms(heard) > now + MAX_AHEAD_MS:
        assert merged == last
    else:
        assert merged == max(last, heard)


@given(ms, ms, st.integers(0, 10**9), st.integers(0, 10**9))
def test_trusted_time_is_what_was_heard_plus_what_elapsed(wall, heard, then, passed):
    time = TrustedTime()
    assert time.now(wall, then) == (wall, Trust.NONE)
    time.hear(Trust.CENTRAL, heard, then)
    assert time.now(wall, then + passed) == (heard + passed, Trust.CENTRAL)


@given(ms, ms)
def test_it_never_runs_behind_the_nodes_own_last_fact(wall, wrote):
    time = TrustedTime()
    time.wrote(wrote)
    assert time.now(wall, 0).ms == max(wall, wrote)
    time.hear(Trust.RTC, wall, 0)
    assert time.now(0, 0).ms == max(wall, wrote)


def test_a_managers_word_counts_only_while_nobody_better_has_spoken():
    time = TrustedTime()
    time.hear(Trust.MANAGER, 1000, 0)
    assert time.now(0, 5) == (1005, Trust.MANAGER)
    time.hear(Trust.CENTRAL, 2000, 5)
    time.hear(Trust.MANAGER, 9000, 6)
    assert time.now(0, 6) == (2001, Trust.CENTRAL)
