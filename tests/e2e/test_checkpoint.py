"""A new machine begins from head office's checkpoint, over the real link and real processes."""

import contextlib
import json
import sqlite3

from msgspec.structs import replace

from edge.enrol import enrol
from edge.store import prune
from sync import checkpoint
from sync.checkpoint import KEEP_MS
from sync.clock import Reading, Trust
from sync.facts.person import Buyer, seal
from tests.e2e.conftest import Shop
from tests.edge.store.rig import sale

SHEET = "indeks;nazwa;cena;vat;ean\n1;Żurek;5,90;5;5901234123457\n2;Kawa;29,90;23;96385074\n"


@contextlib.asynccontextmanager
async def second(shop, office, tmp_path):
    made = Shop(tmp_path / "second", shop.cutter, int(shop.url.rsplit(":", 1)[1]))
    await enrol(made.data, made.url, office.code("S1"), "second")
    await made.open()
    try:
        yield made
    finally:
        await made.close()


async def stocked(shop, office, tmp_path):
    listed = tmp_path / "catalogue.csv"
    listed.write_text(SHEET, encoding="utf-8")
    office.command("catalogue", "import", str(listed))
    await shop.sell(20, skus=("1", "2"))
    await shop.drained()


async def has_all(made, shop):
    figures = await made.store.figures()
    return figures.sales == len(shop.events) and figures.articles == 2


async def test_a_second_machine_begins_from_a_checkpoint_and_hears_the_rest(
    shop, office, sold, tmp_path
):
    await stocked(shop, office, tmp_path)
    async with second(shop, office, tmp_path) as made:
        await made.until(lambda: made.link.state.state == "live")
        await made.until(lambda: has_all(made, shop))
        bases = {
            stream.scope: made.store.base(stream)
            for stream in (head.stream for head in made.store.heads())
            if stream != made.store.stream
        }
        assert all(bases.values()), "no old fact was sent"
        assert (await made.store.article("5901234123457", made.clock.now().ms)).unit_minor == 590
        assert (await made.store.stock("1")).quantity_milli == -20_000
        await shop.sell(3, skus=("1",))
        await made.sell(2, skus=("1",), till="T2")
        await shop.drained()
        await made.drained()
        shop.events += made.events
        await made.until(lambda: has_all(made, shop))
        await shop.until(lambda: has_all(shop, shop))
        ours, theirs = await made.store.stock("1"), await shop.store.stock("1")
        assert ours.quantity_milli == theirs.quantity_milli == -25_000
        assert ours.as_of_ms == theirs.as_of_ms
        assert (await made.store.verify()).sound
        assert sold() == sorted(shop.events)


async def test_one_of_another_version_is_refused_and_facts_come_instead(
    shop, office, tmp_path, monkeypatch
):
    await stocked(shop, office, tmp_path)
    monkeypatch.setattr(checkpoint, "versions", lambda: (("facts", 99),))
    async with second(shop, office, tmp_path) as made:
        await made.until(lambda: has_all(made, shop))
        assert not any(made.store.base(head.stream) for head in made.store.heads())
        assert (await made.store.verify()).sound


async def test_keys_of_persons_come_beside_the_checkpoint_and_not_in_it(shop, office, tmp_path):
    person, key = b"p" * 16, b"k" * 32
    sealed = seal(Buyer(nip="1234563218", name="Nabywca"), person, key, b"n" * 12)

    def work(unit):
        unit.person_key(person, key)
        unit.append(replace(sale(1, "T9", ("1",)), buyer=sealed), b"e" * 16)

    await shop.store.write(work)
    await shop.drained()
    async with second(shop, office, tmp_path) as made:

        async def known():
            return await made.store.person_key(person) == key

        await made.until(known)
        assert made.store.base(shop.store.stream)
    db = sqlite3.connect(tmp_path / "second" / "karb.sqlite")
    frames = [row[0] for row in db.execute("SELECT frame FROM base_frames")]
    db.close()
    assert frames
    assert not any(key in frame for frame in frames)


async def test_a_checkpoint_is_for_certified_machines(office):
    for path in ("/v1/checkpoint", "/v1/checkpoint/keys"):
        assert office.ask("GET", path).status == 401


async def test_old_facts_go_once_head_office_has_a_backup(
    shop, office, sold, tmp_path, monkeypatch
):
    monkeypatch.setattr(prune, "WORTH_IT", 1)
    await stocked(shop, office, tmp_path)
    later = Reading(shop.clock.now().ms + KEEP_MS + 1, Trust.CENTRAL)
    assert (await shop.store.prune(later)).facts == 0, "stored is not yet safe"
    office.command("backup", str(tmp_path / "backup.db"))

    async def dropped():
        return (await shop.store.prune(later)).facts

    await shop.until(dropped)
    assert (await shop.store.verify()).sound
    await shop.sell(2)
    await shop.drained()
    await shop.close()
    await shop.open()
    await shop.sell(1)
    await shop.drained()
    assert sold() == sorted(shop.events)
    db = sqlite3.connect(shop.data / "karb.sqlite")  # the last one that is old stays, for the chain
    assert db.execute("SELECT count(*) FROM facts WHERE kind = 'sale'").fetchone() == (4,)
    db.close()
    assert json.dumps(office.command("journal", "verify")["faults"]) == "[]"
