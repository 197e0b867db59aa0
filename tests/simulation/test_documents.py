"""Documents edited at nodes that are apart, in the world of `test_exchange`.

Two nodes of store S1 and one of S2 edit customers and baskets while lines break, programs
restart and head office restarts. When all is healed every node says the same, and nothing
of a forgotten customer can be read anywhere.
"""

import random
import re
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest

from central.ledger import baskets as central_baskets
from central.ledger import customers as central_customers
from central.ledger import documents as central_documents
from central.ledger import upkeep
from central.ledger.errors import Forgotten
from edge.store.unit import PersonKey
from edge.till import customers, parking
from edge.till.basket import Basket, Item, Scanned, step
from edge.till.errors import Conflict, TillError
from edge.till.errors import Forgotten as ForgottenHere
from edge.till.parking import Park, Recall
from sync.facts.document import CUSTOMER, DocumentSettled
from sync.merge.basket import parked
from sync.merge.history import joined
from sync.merge.profile import Profile, profile
from tests.simulation.test_exchange import World, made  # noqa: F401 - a fixture

SEEDS = range(4)
STEPS = 150
SECRETS = ("Grażyna Żółć", "601 202 303", "grazyna@example.pl", "5260250274", "KARTA-77")
MILK = Item(sku="MLEKO", name="Mleko", unit="szt", vat="5", unit_minor=389)
BREAD = Item(sku="CHLEB", name="Chleb", unit="szt", vat="5", unit_minor=599)
LOAF = Scanned(item=BREAD)


def customer(number):
    return bytes(15) + bytes([number])


def fresh(rng):
    return PersonKey(rng.randbytes(16), rng.randbytes(32), rng.randbytes(12))


def basket_of(*items):
    filled, _ = step(Basket(), *(Scanned(item=item) for item in items))
    return filled


async def put(node, id_, asked):
    key = fresh(node.world.rng)
    return await node.store.write(lambda unit: customers.write(unit, id_, asked, key))


async def told(node, id_):
    history, document, _ = await node.store.document(id_)
    return profile(document.value) if document and history.live else None


async def park(node, basket, *items, till="T9"):
    asked = Park(basket=basket, cashier="anna", note="")
    return await node.store.write(lambda unit: parking.park(unit, till, basket_of(*items), asked))


async def recall(node, basket, till, *, take_over=False):
    asked = Recall(
        basket=basket, recall=node.world.rng.randbytes(16), cashier="ola", take_over=take_over
    )
    return await node.store.write(lambda unit: parking.recall(unit, till, asked))


async def sell(node, recalled, sale):
    def work(unit):
        parking.check(unit, recalled)
        parking.end(unit, recalled, sale)

    await node.store.write(work)


class Scene:
    """A world, opened and closed."""

    def __init__(self, office, seed=1):
        self.made, self.seed = office, seed

    async def __aenter__(self):
        memory = Path("/dev/shm")
        self.tmp = TemporaryDirectory(dir=memory if memory.is_dir() else None)
        self.world = World(Path(self.tmp.name), self.made, self.seed)
        await self.world.begin()
        await self.world.heal()
        return self.world

    async def __aexit__(self, *_):
        await self.world.close()
        self.tmp.cleanup()


async def _random_edit(node, rng):
    """One thing a till may do with documents; refusals are answers too."""
    draw, id_ = rng.random(), customer(rng.randint(1, 3))
    basket = node.scope[:2].encode() * 7 + b"/" + bytes([rng.randint(1, 4)])
    try:
        if draw < 0.4:
            there = await told(node, id_) or Profile()
            changed = {
                rng.choice(("name", "phone", "email", "notes")): f"{rng.randint(0, 99)} {draw}"
            }
            if draw < 0.1:
                changed["codes"] = (*there.codes[-3:], f"K{rng.randint(0, 20)}")
            asked = {**{f: getattr(there, f) for f in there.__struct_fields__}, **changed}
            await put(node, id_, Profile(**asked))
        elif draw < 0.6:
            await park(node, basket, MILK, BREAD, MILK)
        elif draw < 0.8:
            await node.store.write(
                lambda unit: parking.add_line(unit, basket, rng.randbytes(4).hex(), LOAF, 1000)
            )
        elif draw < 0.9:
            await recall(node, basket, f"T{node.number}", take_over=rng.random() < 0.2)
        else:
            history, _, _ = await node.store.document(basket)
            for name, one in history.recalls.items():
                if one.node == node.key.node and name not in history.ends:
                    mine = parking.Recalled(basket, name)
                    await sell(node, mine, rng.randbytes(16))
                    break
    except TillError:
        pass


@pytest.mark.parametrize("seed", SEEDS)
async def test_whatever_is_edited_apart_ends_the_same_everywhere(made, seed):  # noqa: F811
    async with Scene(made, seed) as world:
        rng = random.Random(seed)
        for _ in range(STEPS):
            if rng.random() < 0.4:
                await _random_edit(rng.choice(world.nodes), rng)
            else:
                await world.step()
        await world.heal()
        for number in range(1, 4):
            seen = [await told(node, customer(number)) for node in world.nodes]
            assert seen[0] == seen[1] == seen[2]
            if seen[0] is not None:
                there = await world.ledger.read(
                    lambda db, n=number: central_customers.customer(db, customer(n))
                )
                assert there.name == seen[0].name
                assert there.codes == seen[0].codes
        one, two, other = world.nodes
        assert await shown(one) == await shown(two)
        assert await one.store.oddities() == await two.store.oddities()
        theirs = {history.document for history in await other.store.baskets()}
        assert all(one.startswith(b"S2") for one in theirs), "a basket is its store's own"
        at_office = await world.ledger.read(lambda db: central_baskets.baskets(db, "S1"))
        assert {UUID(b.basket).bytes: b.state for b in at_office} == {
            h.document: h.standing.state for h in await one.store.baskets()
        }
        odd = await world.ledger.read(central_documents.oddities)
        assert {(h.document, o.what, o.names) for s, h, o in odd if s == "S1"} == {
            tuple(o) for o in await one.store.oddities()
        }
        for node in world.nodes:
            assert (await node.store.verify()).findings == []
            assert (await node.store.figures()).quarantined == 0
        assert (await upkeep.verify(world.ledger))["faults"] == []


async def shown(node):
    found = []
    for history in await node.store.baskets():
        _, document, _ = await node.store.document(history.document)
        found.append((history.document, history.standing, parked(document.value)))
    return found


async def test_a_profile_made_at_one_store_is_merged_and_found_at_every_other(made):  # noqa: F811
    async with Scene(made) as world:
        one, _, other = world.nodes
        id_ = customer(1)
        assert await put(one, id_, Profile(name="Jan", phone="601 202 303", codes=("K1",)))
        assert await told(other, id_) is None
        await world.heal()
        assert await other.store.customers("+48 601-202-303") == [id_]
        assert await other.store.customers("K1") == [id_]
        # Apart, both go on; then both changes are in.
        await put(one, id_, Profile(name="Jan", phone="601 202 303", codes=("K1", "K2")))
        await put(
            other, id_, Profile(name="Jan", phone="700", codes=("K1",), consents={"sms": True})
        )
        await world.heal()
        expected = Profile(name="Jan", phone="700", codes=("K1", "K2"), consents={"sms": True})
        for node in world.nodes:
            assert await told(node, id_) == expected
            assert await node.store.customers("601202303") == []
        assert (await world.ledger.read(lambda db: central_customers.customer(db, id_))).codes == (
            "K1",
            "K2",
        )


async def test_two_nodes_make_one_customer_apart(made):  # noqa: F811
    async with Scene(made) as world:
        one, _, other = world.nodes
        id_ = customer(1)
        await put(one, id_, Profile(name="Jan", codes=("K1",)))
        await put(other, id_, Profile(email="jan@example.pl", codes=("K2",)))
        await world.heal()
        expected = Profile(name="Jan", email="jan@example.pl", codes=("K1", "K2"))
        assert [await told(node, id_) for node in world.nodes] == [expected] * 3
        keys = [await _count(node, "person_keys") for node in world.nodes]
        assert keys == [2] * 3, "each made a key, and everybody has both"


async def _count(node, table):
    return (await node.store._rows(f"SELECT count(*) FROM {table}"))[0][0]


async def test_a_basket_taken_back_twice_is_sold_once_and_shown(made):  # noqa: F811
    async with Scene(made) as world:
        one, two, _ = world.nodes
        basket = b"B" * 16
        await park(one, basket, MILK, BREAD)
        await world.heal()
        first, lines = await recall(one, basket, "T1")
        second, _ = await recall(two, basket, "T2")
        assert [line.article.sku for line in lines.lines] == ["MLEKO", "CHLEB"]
        await world.heal()
        for node, mine in ((one, first), (two, second)):
            with pytest.raises(Conflict, match="several tills at once"):
                await sell(node, mine, b"S" * 16)
            (odd,) = await node.store.oddities()
            assert odd.what == "recalled twice"
        (at_office,) = await world.ledger.read(central_baskets.exceptions)
        assert at_office.what == "recalled twice"
        # A person says which; the other one's goods go back to the shelf.
        word = DocumentSettled(
            basket, joined({first.recall, second.recall}), "kier", "", second.recall
        )
        await one.store.write(lambda unit: unit.append(word, basket))
        await world.heal()
        with pytest.raises(Conflict, match="another till sells it"):
            await sell(one, first, b"S" * 16)
        await sell(two, second, b"S" * 16)
        await world.heal()
        with pytest.raises(Conflict, match="sold already"):
            await sell(one, first, b"R" * 16)
        assert not await one.store.oddities()
        assert not await one.store.baskets()


async def test_sold_twice_while_apart_is_shown_until_a_person_has_looked(made):  # noqa: F811
    async with Scene(made) as world:
        one, two, _ = world.nodes
        basket = b"B" * 16
        await park(one, basket, MILK)
        await world.heal()
        for node, till, sale in ((one, "T1", b"1" * 16), (two, "T2", b"2" * 16)):
            mine, _ = await recall(node, basket, till)
            await sell(node, mine, sale)
        await world.heal()
        for node in (one, two):
            whats = {odd.what: odd.names for odd in await node.store.oddities()}
            assert whats["sold twice"] == {b"1" * 16, b"2" * 16}
            assert (await node.store.verify()).findings == []
        at_office = {odd.what for odd in await world.ledger.read(central_baskets.exceptions)}
        assert at_office == {"sold twice", "recalled twice"}


async def test_a_line_added_while_the_basket_was_taken_back_waits_for_a_person(made):  # noqa: F811
    async with Scene(made) as world:
        one, two, _ = world.nodes
        basket = b"B" * 16
        await park(one, basket, MILK)
        await world.heal()
        await two.store.write(lambda unit: parking.add_line(unit, basket, "beef", LOAF, 2000))
        mine, lines = await recall(one, basket, "T1")
        assert [line.article.sku for line in lines.lines] == ["MLEKO"]
        await sell(one, mine, b"S" * 16)
        await world.heal()
        for node in (one, two):
            (odd,) = await node.store.oddities()
            assert odd.what == "late change"
            assert (await node.store.verify()).findings == []


async def test_a_line_added_before_is_merged(made):  # noqa: F811
    async with Scene(made) as world:
        one, two, _ = world.nodes
        basket = b"B" * 16
        await park(one, basket, MILK)
        await world.heal()
        for node, line in ((one, "a1"), (two, "b2")):
            await node.store.write(
                lambda unit, line=line: parking.add_line(unit, basket, line, LOAF, 1000)
            )
        await world.heal()
        _, lines = await recall(two, basket, "T2")
        assert [line.article.sku for line in lines.lines] == ["MLEKO", "CHLEB", "CHLEB"]
        with pytest.raises(Conflict, match="it is at till T2"):
            await recall(two, basket, "T3")
        await recall(two, basket, "T3", take_over=True)
        await world.heal()
        assert not await one.store.oddities()
        assert (await one.store.baskets())[0].standing.state == "recalled"


async def test_a_long_history_is_left_behind_and_what_came_late_is_shown(made):  # noqa: F811
    async with Scene(made) as world:
        one, _, other = world.nodes
        id_ = customer(1)
        await put(one, id_, Profile(name="Jan"))
        await world.heal()
        await put(other, id_, Profile(name="Jan", notes="said apart"))
        for node in (other,):
            node.hang_up()
        for n in range(210):
            await put(one, id_, Profile(name=f"Jan {n}"))
        for _ in range(400):
            await one.move()
        generations = await _count(one, "document_generations")
        changes = await _count(one, "document_changes")
        assert generations == 1
        assert changes < 20, "history is bounded"
        assert (await told(one, id_)).name == "Jan 209"
        await world.heal()
        for node in world.nodes:
            assert (await told(node, id_)).name == "Jan 209"
            (odd,) = await node.store.oddities()
            assert odd.what == "late change"
            assert (await node.store.verify()).findings == []
        (shown_,) = await world.ledger.read(central_baskets.exceptions)
        assert (shown_.what, shown_.kind) == ("late change", CUSTOMER)


async def test_nothing_of_a_forgotten_customer_is_left_anywhere(made):  # noqa: F811
    async with Scene(made) as world:
        one, two, other = world.nodes
        id_, kept = customer(1), customer(2)
        name, phone, email, nip, code = SECRETS
        whole = Profile(name=name, phone=phone, email=email, nip=nip, notes=name, codes=(code,))
        await put(one, id_, whole)
        await put(one, kept, Profile(name="Someone else", codes=("K2",)))
        for number in range(3, 40):  # pages that split, and keys that move in them
            await put(one, customer(number), Profile(name=f"Customer {number}"))
        await world.heal()
        await put(other, id_, Profile(**{**_fields(whole), "notes": f"again {name}"}))
        await world.heal()
        keys = {
            key
            for node in world.nodes
            for (key,) in await node.store._rows(
                "SELECT key FROM person_keys WHERE person IN "
                "(SELECT person FROM document_persons WHERE document = ?)",
                (id_,),
            )
        }
        assert keys <= _found_in(world.folder, keys), "the search finds what is there"
        assert await other.store.customers(code) == [id_]
        two.hang_up()
        forgotten = await world.ledger.write(
            lambda unit: central_documents.forget(unit, id_, "asked to")
        )
        assert forgotten == (1, True)
        # One store has not heard yet, and writes on.
        await put(two, id_, Profile(**{**_fields(whole), "notes": f"once more {name}"}))
        await world.heal()
        for node in world.nodes:
            assert await told(node, id_) is None
            assert await node.store.customers(code) == []
            assert await node.store.customers("K2") == [kept]
            assert (await told(node, kept)).name == "Someone else"
            with pytest.raises(ForgottenHere):
                await put(node, id_, Profile(name=name))
            assert (await node.store.verify()).findings == []
        with pytest.raises(Forgotten):
            await world.ledger.read(lambda db: central_customers.customer(db, id_))
        assert (await upkeep.verify(world.ledger))["faults"] == []
        backup = world.folder / "backup"
        await upkeep.backup(world.ledger, str(backup))
        _nothing_left(world.folder, keys)
        for node in world.nodes:
            await world.restart(node)
        await world.restart_office()
        _nothing_left(world.folder, keys)
        assert (await told(one, kept)).name == "Someone else"


def _fields(of):
    return {name: getattr(of, name) for name in of.__struct_fields__}


def _nothing_left(folder, keys):
    """Search the bytes of every file, WAL and backup, for the person and the keys."""
    wanted = {text.encode() for text in SECRETS} | {s.encode("utf-16-le") for s in SECRETS} | keys
    wanted |= {re.sub(r"\D", "", SECRETS[1]).encode()}
    files = [path for path in folder.rglob("*") if path.is_file()]
    assert any(path.name.endswith("-wal") for path in files)
    assert {"backup", "backup.keys"} <= {path.name for path in files}
    assert not _found_in(folder, wanted)


def _found_in(folder, wanted):
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return {text for text in wanted if any(text in raw for raw in files)}
