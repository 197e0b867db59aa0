"""Cut the story of a seed that fails down to the steps without which it would not.

    python -m tests.simulation --seeds 1257 --shrink

A story is played again with some of its steps left out; every step has its own dice, so the
others stay what they were. Halves are tried first, then quarters, down to single steps.
"""


def shrunk(fails, steps):
    """Return the fewest steps found with which a story still fails.

    Args:
        fails: Whether it does, with these steps only.
        steps: All of them; with all of them it does.
    """
    parts = 2
    while steps:
        size = -(-len(steps) // parts)
        for at in range(0, len(steps), size):
            fewer = steps[:at] + steps[at + size :]
            if fails(fewer):
                steps, parts = fewer, max(2, parts - 1)
                break
        else:
            if size == 1:
                return steps
            parts = min(len(steps), 2 * parts)
    return steps


def of_seed(seed, templates):
    """Return (how many steps there were, those it takes, what is wrong then, what happens).

    Returns None if nothing is wrong with the seed.
    """
    from tests.simulation import world  # noqa: PLC0415 - it changes the process it is loaded in

    def played(kept):
        try:
            world.play(seed, templates, without=every - set(kept))
        except world.judge.Wrong as error:
            return error
        return None

    every = set(world.steps_of(seed))
    first = played(every)
    if first is None:
        return None

    def fails(kept):
        error = played(kept)
        return error is not None and error.what == first.what

    kept = shrunk(fails, sorted(every))
    error = played(kept)
    return len(every), kept, str(error), told(error.story)


def told(story):
    """Return lines for people on what happened."""
    return [
        f"{at:8.3f} s  {f'step {step}' if step.isdigit() else step:>10}  {where:<12} {what}"
        for at, step, where, what in story
    ]


__all__ = ["of_seed", "shrunk", "told"]
