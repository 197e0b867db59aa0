"""Which places serve what is asked: all of it, or nothing.

Pure. One place for everything if there is one; else as few as a greedy choice finds, an
article whole at one place unless it may be split. Quantities in thousandths (`_milli`).
"""

from collections.abc import Mapping, Sequence

Amounts = Mapping[str, int]
"""Article to thousandths."""


class NotEnough(Exception):
    """It cannot be served; `had` says how much of each missing article could be."""

    def __init__(self, had: Mapping[str, int]) -> None:
        """Name what is missing."""
        super().__init__(f"Not enough of {', '.join(had)}.")
        self.had = dict(had)


def choose(
    asked: Amounts, spare: Mapping[str, Amounts], places: Sequence[str], *, split: bool
) -> dict[str, dict[str, int]]:
    """Return place to article to quantity.

    Args:
        asked: What is asked for.
        spare: Place to what may be promised of each article there.
        places: Where, the best first.
        split: An article may come from several places.

    Raises:
        NotEnough: Nothing is chosen.
    """
    for place in places:
        if all(spare.get(place, {}).get(sku, 0) >= milli for sku, milli in asked.items()):
            return {place: dict(asked)}
    chosen: dict[str, dict[str, int]] = {}
    missing: dict[str, int] = {}
    for sku, milli in asked.items():
        there = {place: max(0, spare.get(place, {}).get(sku, 0)) for place in places}
        # Who sends something anyway sends this too.
        order = sorted(places, key=lambda place: (place not in chosen, places.index(place)))
        had = sum(there.values()) if split else max(there.values(), default=0)
        if had < milli:
            missing[sku] = had
            continue
        left = milli
        for place in order:
            part = min(left, there[place]) if split else (milli if there[place] >= milli else 0)
            if part:
                chosen.setdefault(place, {})[sku] = part
                left -= part
            if not left:
                break
    if missing:
        raise NotEnough(missing)
    return chosen


def fullest(asked: Amounts, spare: Mapping[str, Amounts]) -> list[str]:
    """Return the places that can serve something, those that cover most of it first."""

    def key(place: str) -> tuple[int, int, str]:
        there = spare[place]
        served = sum(min(there.get(sku, 0), milli) for sku, milli in asked.items())
        return (-served, -sum(there.get(sku, 0) for sku in asked), place)

    return sorted((place for place in spare if key(place)[0]), key=key)
