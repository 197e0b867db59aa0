"""Documents at head office: any order, rebuilt or lived, told to every store, forgotten."""

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central import orders
from central.ledger import documents, journal, upkeep
from central.ledger.errors import Refused
from central.ledger.tables import DOCUMENT_CHANGES, FACTS, PERSON_KEYS
from sync import facts
from sync.chain import ALL
from sync.facts.basket import BasketEnded, BasketRecalled
from sync.facts.document import BASKET, CUSTOMER, DocumentChanged, DocumentSettled
from sync.facts.person import seal, unsealed
from sync.merge.document import opened
from sync.merge.profile import Profile, edits
from tests.edge.store.test_documents import BASKET_CHANGES, CUSTOMER_CHANGES, ONE, PERSONS, TWO

NAMES = [b"r" * 16, b"q" * 16]
told = st.one_of(
    st.tuples(st.sampled_from(BASKET_CHANGES), st.just(ONE)),
    st.tuples(st.sampled_from(CUSTOMER_CHANGES), st.just(TWO)),
    st.tuples(
        st.builds(
            BasketRecalled,
            basket=st.just(ONE),
            till=st.sampled_from("AB"),
            cashier=st.just("ola"),
            at_ms=st.integers(0, 2),
            trust=st.just(5),
            covered=st.sampled_from([b"", *(change.name for change in BASKET_CHANGES)]),
        ),
        st.sampled_from(NAMES),
    ),
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
            document=st.just(ONE),
            seen=st.just(b""),
            by=st.just("kier"),
            keep=st.sampled_from(NAMES),
        ),
        st.just(ONE),
    ),
)


def profile_of(desk, document=TWO):
    def question(connection):
        found = documents.history(connection, ALL, document)
        keys = documents.keys_of(connection, documents.persons(connection, document))
        return found.open(keys.get)

    with desk.ledger._database.reading() as connection:
        return question(connection)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=st.lists(st.tuples(st.integers(0, 1), told), max_size=10), data=st.data())
def test_any_order_and_a_rebuild_end_in_the_same_rows(new_desk, story, data):
    with new_desk() as desk:
        writers = [desk.member("S1"), desk.member("S1", 8)]
        for who, (body, event) in story:
            writers[who].write(body, event)
        left = {writer.stream: 0 for writer in writers}
        while any(left[w.stream] < len(w.facts) for w in writers):
            writer = data.draw(
                st.sampled_from([w for w in writers if left[w.stream] < len(w.facts)])
            )
            first = left[writer.stream] + 1
            last = data.draw(st.integers(first, len(writer.facts)))
            desk.take(writer.batch(first, last), keys=PERSONS)
            left[writer.stream] = last
        lived = desk.views()
        desk.write(upkeep.rebuild)
        assert desk.views() == lived
        expected = opened(
            [
                unsealed(body.change, PERSONS[body.change.person])
                for _, (body, _) in story
                if isinstance(body, DocumentChanged) and body.kind == CUSTOMER
            ]
        )
        assert profile_of(desk).value == expected.value


def test_what_one_store_writes_is_told_to_every_store_once_with_its_key(desk):
    writer = desk.member("S1")
    writer.write(CUSTOMER_CHANGES[0], TWO)
    writer.write(BASKET_CHANGES[0], ONE)
    desk.take(writer.batch(), keys=PERSONS)
    desk.take(writer.batch(), keys=PERSONS)
    told_ = [row for row in desk.rows(FACTS) if row[0] == ALL and row[5].startswith("document")]
    assert [row[8] for row in told_] == [facts.encode(CUSTOMER_CHANGES[0])]
    stream = desk.ledger.own.stream(ALL)
    with desk.ledger._database.reading() as connection:
        batch, keys = journal.batch_with_keys(connection, stream, told_[0][3] - 1)
    assert keys == {CUSTOMER_CHANGES[0].change.person: PERSONS[CUSTOMER_CHANGES[0].change.person]}
    assert batch.last == told_[0][3]
    assert {row[0] for row in desk.rows(DOCUMENT_CHANGES) if row[3] == BASKET} == {"S1"}


def test_a_key_that_comes_after_a_customer_was_forgotten_is_not_kept(desk):
    writer, other = desk.member("S1"), desk.member("S2")
    person, known = next(iter(PERSONS.items()))
    writer.write(CUSTOMER_CHANGES[0], TWO)
    desk.take(writer.batch(), keys={person: known})
    assert desk.write(lambda unit: documents.forget(unit, TWO, "")) == (1, True)
    assert desk.write(lambda unit: documents.forget(unit, TWO, "")) == (1, False)
    other.write(CUSTOMER_CHANGES[0], TWO)
    fresh = seal(opened().change(b"x" * 16, edits(Profile(), Profile(name="J"))), b"9" * 16,
                 bytes(32), bytes(12))  # fmt: skip
    other.write(DocumentChanged(TWO, CUSTOMER, b"", fresh), TWO)
    desk.take(other.batch(), keys={person: known, b"9" * 16: bytes(32)})
    assert {row[2] for row in desk.rows(PERSON_KEYS)} <= {None}
    lived = desk.views()
    assert not lived["document_changes"]
    desk.write(upkeep.rebuild)
    assert desk.views() == lived


def test_a_key_that_opens_nothing_is_not_kept_before_the_right_one(desk):
    writer = desk.member("S1")
    person, known = next(iter(PERSONS.items()))
    writer.write(CUSTOMER_CHANGES[0], TWO)
    for wrong in (b"w" * 32, b"short"):
        desk.take(writer.batch(), keys={person: wrong})
        assert not desk.rows(PERSON_KEYS)
    desk.take(writer.batch(), keys={person: known})
    assert {row[2] for row in desk.rows(PERSON_KEYS)} == {known}


async def test_the_orders_and_questions(lab):
    token = await lab.token()
    id_ = "6f1f6f5e-51a5-4a43-9f1e-0a3f0d7e8d11"
    await lab.json(f"/v1/customers/{id_}", status=404, token=token)
    await lab.json("/v1/customers/nobody", status=400, token=token)
    assert await lab.json("/v1/parked", token=token) == {"baskets": []}
    assert await lab.json("/v1/exceptions", token=token) == {"exceptions": [], "stock": []}
    for wrong in (id_, "nobody"):
        with pytest.raises(Refused, match="expected"):
            await lab.order(orders.CustomerForget(wrong, ""))
    body = msgspec.structs.replace(
        CUSTOMER_CHANGES[0], document=bytes.fromhex(id_.replace("-", ""))
    )

    def write(unit):
        documents.tell(unit, ALL, [(body.document, body)])

    await lab.ledger.write(write)
    await lab.json(f"/v1/customers/{id_}", status=404, token=token)  # the key is nowhere
    done = await lab.order(orders.CustomerForget(id_, "asked to"))
    assert done == {"customer": id_, "keys": 1, "changed": True}
    assert not (await lab.order(orders.CustomerForget(id_.upper(), "")))["changed"]
    await lab.json(f"/v1/customers/{id_}", status=410, token=token)
