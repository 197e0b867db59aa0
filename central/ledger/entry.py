"""A fact as the views take it: in its place, its body read once."""

from typing import NamedTuple

from central.ledger.journal import Place
from sync import facts
from sync.chain import Fact
from sync.errors import BadFact
from sync.facts import Body


class Entry(NamedTuple):
    """A fact in its place, read once."""

    place: Place
    fact: Fact
    body: Body | BadFact | None
    """None: nobody here can read it yet."""


def read(fact: Fact) -> Body | BadFact | None:
    """Decode, and keep the complaint instead of raising it."""
    try:
        return facts.decode(fact)
    except BadFact as error:
        return error
