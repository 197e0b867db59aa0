"""All that is known of one document: which generation holds, what came late, what is odd.

A function of the set of facts; both programs fill it from their tables and ask it.
"""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

from sync.chain import ALL
from sync.errors import BadFact
from sync.facts import Body
from sync.facts.document import BASKET, GenerationBegan
from sync.facts.person import PersonForgotten, Sealed, unsealed
from sync.merge import basket
from sync.merge.basket import Recall, Standing
from sync.merge.document import COMPACT_AT, Document, opened

Content = bytes | Sealed
KeyOf = Callable[[bytes], bytes | None]
"""Person to key; None where it is not here, or destroyed."""


class Generation(NamedTuple):
    """What a generation began with."""

    name: bytes
    previous: bytes
    number: int
    covered: frozenset[bytes]
    content: Content


class Settlement(NamedTuple):
    """A person's word on what was odd."""

    order: tuple[int, str]
    """Its time and place: of two words on which recall may sell, the later holds."""

    seen: frozenset[bytes]
    keep: bytes


class Oddity(NamedTuple):
    """Something that a person should look at."""

    what: str
    """``late change``, ``lost generation``, ``recalled twice``, ``sold twice``,
    ``sold by another``, ``unusable change`` or ``unreadable line``."""

    names: frozenset[bytes]


@dataclass(slots=True)
class History:
    """Of one document."""

    document: bytes
    kind: str = ""
    changes: dict[bytes, tuple[bytes, Content]] = field(default_factory=dict)
    """Name to generation and content, but for those that `left_behind` names."""

    generations: dict[bytes, Generation] = field(default_factory=dict)
    recalls: dict[bytes, Recall] = field(default_factory=dict)
    ends: dict[bytes, bytes] = field(default_factory=dict)
    settlements: list[Settlement] = field(default_factory=list)

    def recalled(self, recall: Recall) -> None:
        """Note that a till took the basket back.

        One name in two facts (written again in a new life, or nonsense): the least holds,
        and covers what either did.
        """
        self.kind = self.kind or BASKET
        there = self.recalls.get(recall.name, recall)
        held = min(there, recall, key=lambda one: one[:-1])
        self.recalls[recall.name] = held._replace(covered=there.covered | recall.covered)

    @property
    def left_behind(self) -> frozenset[bytes]:
        """Changes that need not be kept: a generation began with them, or they were sold."""
        covered = [generation.covered for generation in self.generations.values()]
        covered += [
            self.recalls[name].covered
            for name, sale in self.ends.items()
            if sale and name in self.recalls
        ]
        return frozenset().union(*covered)

    @property
    def current(self) -> Generation | None:
        """The generation that holds; None: the first."""
        return min(
            self.generations.values(),
            key=lambda made: (-made.number, -len(made.covered), made.name),
            default=None,
        )

    @property
    def generation(self) -> bytes:
        """Name of the generation that holds; empty: the first."""
        return self.current.name if self.current else b""

    @property
    def live(self) -> dict[bytes, Content]:
        """The changes of the generation that holds, its beginning included."""
        current = self.current
        found = {
            name: content
            for name, (generation, content) in self.changes.items()
            if generation == self.generation
        }
        return found | ({current.name: current.content} if current else {})

    @property
    def grown(self) -> bool:
        """Whether the next generation should begin."""
        return len(self.live) >= COMPACT_AT

    @property
    def keep(self) -> bytes:
        """The recall that the latest word on it said may sell; empty: nobody said."""
        words = [word for word in self.settlements if word.keep]
        return max(words).keep if words else b""

    @property
    def standing(self) -> Standing:
        """Where a basket is."""
        return basket.standing(self.recalls, self.ends, self.keep)

    def open(self, key_of: KeyOf) -> Document | None:
        """Open the generation that holds; None where a key is missing.

        A change sealed for another person than its key opens is set aside like any
        other that makes no sense.
        """
        plain: dict[bytes, bytes] = {}
        for name, content in self.live.items():
            if isinstance(content, Sealed):
                key = key_of(content.person)
                if key is None:
                    return None
                try:
                    content = unsealed(content, key)  # noqa: PLW2901 - the same, readable
                except BadFact:
                    content = b""  # noqa: PLW2901 - named as unusable by `opened`
            plain[name] = content
        return opened(plain)

    def oddities(self, found: Document | None = None) -> list[Oddity]:
        """Return what a person should look at, and nobody has yet."""
        seen = frozenset().union(*(word.seen for word in self.settlements))
        return [odd for odd in self._oddities(found) if not odd.names <= seen]

    def _oddities(self, found: Document | None) -> Iterator[Oddity]:
        holding, chain = self.current, set()
        while holding is not None and holding.name not in chain:
            chain.add(holding.name)
            holding = self.generations.get(holding.previous)
        for name in sorted(self.generations):
            if name not in chain:
                yield Oddity("lost generation", frozenset({name}))
        taken = frozenset().union(*(recall.covered for recall in self.recalls.values()))
        for name, (generation, _) in sorted(self.changes.items()):
            after = bool(self.recalls) and name not in taken
            if generation != self.generation or after:
                yield Oddity("late change", frozenset({name}))
        if self.kind == BASKET:
            for what, names in self.standing.oddities:
                yield Oddity(what, names)
        if found is not None:
            for name in sorted(found.unusable):
                yield Oddity("unusable change", frozenset({name}))


def misplaced(body: Body, scope: str) -> str:
    """Why a fact does not count in a stream of this scope; empty if it does.

    What is for every store head office alone writes: to forget a person, to leave a
    history behind.
    """
    if isinstance(body, GenerationBegan | PersonForgotten) and scope != ALL:
        return f"{type(body).__name__}: only head office may say this, to every store"
    return ""


def joined(names: Iterable[bytes]) -> bytes:
    """Put names one behind the other, as facts carry them."""
    return b"".join(sorted(names))
