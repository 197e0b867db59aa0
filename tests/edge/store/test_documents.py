"""Documents in the store: views of the set of facts, sealed on disk, found by digests."""

import contextlib
import sqlite3

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.store import documents
from edge.store.connection import migrate
from edge.store.journal import Journal
from edge.store.shelf import Shelf
from edge.store.unit import PersonKey
from edge.store.views import DERIVED, Views
from edge.till import customers
from sync.chain import ALL, Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.facts import encode, kind_of
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.document import (
    BASKET,
    CUSTOMER,
    DocumentChanged,
    DocumentSettled,
    GenerationBegan,
)
from sync.facts.person import PersonForgotten, seal
from sync.merge import basket as rules
from sync.merge.document import opened as document_of
from sync.merge.profile import Profile, edits
from tests.edge.store.rig import key, opened

AUTHORS = ((key(1), "S1"), (key(2), "S1"), (key(3), ALL))
ONE, TWO = b"1" * 16, b"2" * 16
PERSONS = {bytes([n]) * 16: bytes([n]) * 32 for n in (1, 2)}

MILK = rules.Article("MLEKO", "Mleko", "szt", "5", 389)
LINES = [rules.add(rules.Line(f"l{n}", MILK, 1000)) for n in range(3)]
PLAIN = [document_of().change(bytes([n]) * 16, LINES[n]) for n in range(3)]
PROFILES = [
    document_of().change(b"c" * 16, edits(Profile(), Profile(name=f"Jan {n}", codes=(f"K{n}",))))
    for n in range(3)
]
SEALED = [
    seal(change, person, known, bytes([n]) * 12)
    for n, change in enumerate(PROFILES)
    for person, known in PERSONS.items()
]
BASKET_CHANGES = [DocumentChanged(ONE, BASKET, b"", change) for change in PLAIN]
CUSTOMER_CHANGES = [DocumentChanged(TWO, CUSTOMER, b"", change) for change in SEALED]
GENERATIONS = [
    GenerationBegan(TWO, CUSTOMER, previous, number, b"".join(c.name for c in covered), SEALED[0])
    for previous, number, covered in (
        (b"", 2, CUSTOMER_CHANGES[:2]),
        (b"", 2, CUSTOMER_CHANGES[2:3]),
        (b"", 3, CUSTOMER_CHANGES[3:5]),
    )
]
RECALLS = [
    BasketRecalled(ONE, till, "ola", n, 5, BASKET_CHANGES[n].name) for n, till in enumerate("AB")
]
NAMES = [b"r" * 16, b"q" * 16]

in_a_store = st.one_of(
    st.tuples(st.sampled_from(BASKET_CHANGES), st.just(ONE)),
    st.tuples(st.sampled_from(CUSTOMER_CHANGES), st.just(TWO)),
    st.tuples(
        st.sampled_from(CUSTOMER_CHANGES).map(
            lambda c: DocumentChanged(TWO, CUSTOMER, GENERATIONS[0].name, c.change)
        ),
        st.just(TWO),
    ),
    st.tuples(st.sampled_from(RECALLS), st.sampled_from(NAMES)),
    st.tuples(
        st.builds(
            BasketEnded,
            basket=st.just(ONE),
            recall=st.sampled_from(NAMES),
            sale=st.sampled_from((b"", b"s" * 16, b"t" * 16)),
        ),
        st.just(ONE),
    ),
    st.tuples(
        st.builds(
            DocumentSettled,
            document=st.sampled_from((ONE, TWO)),
            seen=st.sampled_from((b"", b"".join(NAMES), BASKET_CHANGES[2].name)),
            by=st.just("kier"),
            keep=st.sampled_from((b"", *NAMES)),
        ),
        st.just(ONE),
    ),
    # A node that says what only head office may.
    st.tuples(st.sampled_from((*GENERATIONS, PersonForgotten(TWO, ()))), st.just(TWO)),
)
at_head_office = st.one_of(
    st.tuples(st.sampled_from(CUSTOMER_CHANGES), st.just(TWO)),
    st.tuples(st.sampled_from(GENERATIONS), st.just(TWO)),
)
forgetting = st.just((PersonForgotten(TWO, tuple(PERSONS)[:1]), TWO))

stories = st.tuples(
    st.lists(in_a_store, max_size=8),
    st.lists(in_a_store, max_size=5),
    st.lists(st.one_of(at_head_office, at_head_office, at_head_office, forgetting), max_size=6),
)


def streams_of(story):
    made = []
    for (author, scope), told in zip(AUTHORS, story, strict=True):
        stream = StreamId(author.node, 1, scope)
        facts = [
            Fact(seq, seq, *kind_of(body), event, encode(body))
            for seq, (body, event) in enumerate(told, 1)
        ]
        hashes = extend(genesis(stream), facts)
        made.append(
            [
                (author, Batch(stream, [f], sign(author.private, Head(stream, f.seq, h))))
                for f, h in zip(facts, hashes, strict=True)
            ]
        )
    return made


def after(deliveries):
    """Return every derived table, what stands beside them, and the keys that are left."""
    db = sqlite3.connect(":memory:", isolation_level=None)
    migrate(db)
    journal = Journal(db)
    views = Views(db, Shelf(db, lambda stream: journal.row(stream).id))
    for person, known in PERSONS.items():
        db.execute("INSERT INTO person_keys VALUES (?, ?)", (person, known))
    for author, batch in deliveries:
        views.touched.clear()
        for fact in journal.receive(batch, author.public):
            views.take(journal.row(batch.stream).id, batch.stream, fact)
        documents.settle(db, key(9), views.touched)
    named = dict(db.execute("SELECT id, node FROM streams"))
    tables = {}
    for table in (*DERIVED, "customer_handles", "document_oddities", "person_keys"):
        names = [row[1] for row in db.execute(f"PRAGMA table_info({table})")]
        cells = [dict(zip(names, row, strict=True)) for row in db.execute(f"SELECT * FROM {table}")]
        for row in cells:
            if "stream" in row:
                row["stream"] = named[row["stream"]]
        tables[table] = sorted((tuple(row.values()) for row in cells), key=repr)
    db.close()
    return tables


@given(stories, st.data())
@settings(max_examples=150)
def test_any_order_of_delivery_ends_in_the_same_rows(story, data):
    streams = streams_of(story)
    queues = [list(stream) for stream in streams]
    mixed = []
    while any(queues):
        mixed.append(data.draw(st.sampled_from([queue for queue in queues if queue])).pop(0))
    straight = after([delivery for stream in streams for delivery in stream])
    assert after(mixed) == straight
    assert after([d for stream in reversed(streams) for d in stream]) == straight
    if straight["forgotten"]:
        assert not [row for row in straight["document_changes"] if row[0] == TWO]
        assert not straight["customer_handles"]


async def test_nothing_personal_is_readable_in_the_file_while_it_is_kept(tmp_path):
    secret = Profile(name="Grażyna Żółć", phone="601202303", nip="5260250274", codes=("KARTA-77",))
    person = PersonKey(b"p" * 16, b"k" * 32, b"n" * 12)
    async with opened(tmp_path) as store:
        await store.write(lambda unit: customers.write(unit, TWO, secret, person))
        assert await store.customers("KARTA-77") == [TWO]
        assert await store.customers("601 202 303") == [TWO]
        assert (await store.verify()).findings == []
        raw = b"".join(path.read_bytes() for path in tmp_path.iterdir())
        for text in ("Grażyna", "601202303", "5260250274", "KARTA-77"):
            assert text.encode() not in raw


async def test_a_change_whose_key_comes_later_is_found_then(tmp_path):
    person, known = b"p" * 16, b"k" * 32
    change = seal(PROFILES[0], person, known, bytes(12))
    body = DocumentChanged(TWO, CUSTOMER, b"", change)
    stream = StreamId(AUTHORS[1][0].node, 1, "S1")
    fact = Fact(1, 1, *kind_of(body), TWO, encode(body))
    (digest,) = extend(genesis(stream), [fact])
    batch = Batch(stream, [fact], sign(AUTHORS[1][0].private, Head(stream, 1, digest)))
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.receive(batch, AUTHORS[1][0].public))
        assert await store.customers("K0") == []
        _, document, _ = await store.document(TWO)
        assert document is None
        await store.write(lambda unit: unit.receive(batch, AUTHORS[1][0].public, {person: known}))
        assert await store.customers("K0") == [TWO]


async def test_a_unit_that_fails_leaves_the_document_as_it_was(tmp_path):
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.edit(ONE, BASKET, lambda _: LINES[0]))

        def work(unit):
            unit.edit(ONE, BASKET, lambda _: LINES[1])
            raise RuntimeError("power")

        for _ in range(2):
            with contextlib.suppress(RuntimeError):
                await store.write(work)
        await store.write(lambda unit: unit.edit(ONE, BASKET, lambda _: LINES[2]))
        _, document, _ = await store.document(ONE)
        assert {line.id for line in rules.parked(document.value).lines} == {"l0", "l2"}
        assert not document.unusable
        assert not document.waiting
    async with opened(tmp_path, incarnation=2) as store:
        await store.write(lambda unit: unit.edit(ONE, BASKET, lambda _: LINES[1]))
        _, document, _ = await store.document(ONE)
        assert len(rules.parked(document.value).lines) == 3
        assert (await store.verify()).findings == []


async def test_a_change_that_cannot_be_is_quarantined_and_the_stream_moves_on(tmp_path):
    author = AUTHORS[1][0]
    stream = StreamId(author.node, 1, "S1")
    good = encode(BASKET_CHANGES[0])
    bad = encode(DocumentChanged(ONE, BASKET, b"", PLAIN[1][:-1] + b"\xff"))
    kind = kind_of(BASKET_CHANGES[0])
    facts = [Fact(seq, seq, *kind, ONE, body) for seq, body in enumerate((bad, good), 1)]
    hashes = extend(genesis(stream), facts)
    batch = Batch(stream, facts, sign(author.private, Head(stream, 2, hashes[-1])))
    async with opened(tmp_path) as store:
        await store.write(lambda unit: unit.root(author.node, "S1", author.public))
        await store.write(lambda unit: unit.receive(batch, author.public))
        assert (await store.figures()).quarantined == 1
        _, document, _ = await store.document(ONE)
        assert [line.id for line in rules.parked(document.value).lines] == ["l0"]
        assert (await store.verify()).findings == []


async def test_a_key_that_opens_nothing_is_not_kept_before_the_right_one(tmp_path):
    person, known = b"p" * 16, b"k" * 32
    body = DocumentChanged(TWO, CUSTOMER, b"", seal(PROFILES[0], person, known, bytes(12)))
    stream = StreamId(AUTHORS[1][0].node, 1, "S1")
    fact = Fact(1, 1, *kind_of(body), TWO, encode(body))
    (digest,) = extend(genesis(stream), [fact])
    batch = Batch(stream, [fact], sign(AUTHORS[1][0].private, Head(stream, 1, digest)))
    async with opened(tmp_path) as store:
        for wrong in (b"w" * 32, b"short", b""):
            keys = {person: wrong, b"q" * 16: known}
            await store.write(lambda u, k=keys: u.receive(batch, AUTHORS[1][0].public, k))
            assert await store.person_key(person) is None
            assert await store.person_key(b"q" * 16) is None
        keys = {person: known}
        await store.write(lambda u: u.receive(batch, AUTHORS[1][0].public, keys))
        assert await store.person_key(person) == known
