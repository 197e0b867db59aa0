"""What the cutting of a story promises, whatever the story is."""

from hypothesis import given
from hypothesis import strategies as st

from tests.simulation.shrink import shrunk


@given(st.integers(1, 60).flatmap(lambda n: st.tuples(st.just(n), st.sets(st.integers(0, n - 1)))))
def test_what_it_takes_and_nothing_else_is_left(drawn):
    steps, needed = drawn
    tried = []

    def fails(kept):
        tried.append(kept)
        return needed <= set(kept)

    assert shrunk(fails, list(range(steps))) == sorted(needed)
    assert len(tried) <= 12 * (len(needed) + 1) * 6


@given(st.lists(st.booleans(), min_size=64, max_size=64))
def test_whatever_a_story_does_what_is_left_fails(answers):
    def fails(kept):
        return answers[sum(kept) % 64] or len(kept) == 20

    left = shrunk(fails, list(range(20)))
    assert fails(left)
    assert all(not fails(left[:at] + left[at + 1 :]) for at in range(len(left)))
