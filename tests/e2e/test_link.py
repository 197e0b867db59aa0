"""A store and head office through everything a line, a disk and a power switch can do."""

import asyncio
import json
import shutil
import signal

import pytest

from edge import files
from edge.config import load
from edge.enrol import EnrolRefused, enrol
from edge.link import tls
from edge.link.carrier import LinkRefused, LinkUnreachable, LiveRefused
from sync.clock import Trust
from tests.e2e.offices import HeadOffice


async def test_a_sale_reaches_central_at_once_while_the_link_is_live(shop, sold):
    await shop.until(lambda: shop.link.state.state == "live")
    await shop.sell(3)
    await shop.drained()
    assert sold() == sorted(shop.events)
    assert shop.clock.now().trust is Trust.CENTRAL


async def test_an_outage_loses_nothing_and_doubles_nothing(shop, sold):
    await shop.until(lambda: shop.link.state.state == "live")
    shop.cutter.cut()
    await shop.sell(40)
    with pytest.raises(LinkUnreachable):
        await shop.link.sync_now()
    assert (await shop.store.figures()).waiting >= 40
    shop.cutter.heal()
    await shop.link.sync_now()
    await shop.drained()
    assert sold() == sorted(shop.events)
    assert (await shop.store.verify()).sound


async def test_central_killed_at_any_moment_gets_everything_in_the_end(shop, office, sold):
    for _ in range(3):
        selling = asyncio.create_task(shop.sell(60))
        await asyncio.sleep(0.05)
        office.stop(signal.SIGKILL)
        await selling
        office.start()
    await shop.drained()
    assert sold() == sorted(shop.events)
    office.command("journal", "verify")


async def test_the_catalogue_comes_down_and_central_knows_the_stock(shop, office, tmp_path):
    listed = tmp_path / "catalogue.csv"
    listed.write_bytes("indeks;nazwa;cena;vat\n1;Żurek;5,90;5\n".encode("cp1250"))
    office.command("catalogue", "import", str(listed))

    async def listed_here():
        return await shop.store.article("1", shop.clock.now().ms)

    await shop.until(listed_here)
    article = await shop.store.article("1", shop.clock.now().ms)
    assert (article.name, article.unit_minor, article.vat) == ("Żurek", 590, "5")
    await shop.sell(2)
    await shop.drained()
    store = next(s for s in office.command("status")["stores"] if s["id"] == "S1")
    assert (store["sales"], store["total_minor"]) == (2, 1000)


async def test_yesterdays_database_begins_a_new_life_and_gets_its_facts_back(shop, sold, tmp_path):
    await shop.sell(5)
    await shop.drained()
    first = shop.store.stream
    await shop.close()
    shop.files(tmp_path / "yesterday")
    await shop.open()
    await shop.sell(7)
    await shop.drained()
    await shop.close()
    shutil.rmtree(shop.data)
    shutil.copytree(tmp_path / "yesterday", shop.data)
    await shop.open()

    async def back():
        return (await shop.store.figures()).sales == 12 and shop.store.stream != first

    await shop.until(back)
    await shop.sell(2)
    await shop.drained()
    assert sold() == sorted(shop.events)
    heads = {head.stream: head.seq for head in shop.store.heads()}
    assert heads[first] == 13, "no number was used twice: one to begin with, twelve sales"
    assert (await shop.store.verify()).sound


async def test_sync_now_on_yesterdays_database_begins_the_new_life_itself(shop, sold, tmp_path):
    await shop.sell(2)
    await shop.drained()
    await shop.close()
    shop.files(tmp_path / "yesterday")
    await shop.open()
    await shop.sell(3)
    await shop.drained()
    await shop.close()
    shop.put_back(tmp_path / "yesterday")
    shop.cutter.cut()
    await shop.open()
    shop.link._task.cancel()  # nobody but the command speaks
    first = shop.store.stream
    shop.cutter.heal()
    await shop.link.sync_now()
    assert shop.store.stream != first
    assert (await shop.store.figures()).sales == 5
    assert sold() == sorted(shop.events)


async def test_a_clone_costs_a_life_and_no_sale(shop, sold, tmp_path):
    await shop.sell(3)
    await shop.drained()
    await shop.close()
    shop.files(tmp_path / "clone")
    await shop.open()
    await shop.sell(2)
    await shop.drained()
    await shop.close()
    shop.put_back(tmp_path / "clone")
    shop.cutter.cut()
    await shop.open()
    before = shop.store.stream
    await shop.sell(2)
    printed = {event: (await shop.store.sale(event)) for event in shop.events[-2:]}
    shop.cutter.heal()
    await shop.until(lambda: shop.store.stream != before)
    await shop.sell(4)

    async def settled():
        closed = [life.closed_at for life in await shop.store.lives() if life.stream == before]
        return closed == [6] and sold() == sorted(shop.events)

    await shop.until(settled)  # one to begin with, and the five sales that central had
    await shop.drained()
    assert shop.store.frozen() == set()
    assert {h.stream: h.seq for h in shop.store.heads()}[before] == 6
    for event, sale in printed.items():
        again = await shop.store.sale(event)
        assert (again.series, again.number) == (sale.series, sale.number), "as it was printed"
    assert (await shop.store.figures()).sales == len(shop.events)
    assert (await shop.store.verify()).sound


async def test_a_revoked_node_is_cut_off_within_seconds_and_goes_on_selling(shop, office, sold):
    await shop.sell(1)
    await shop.drained()
    await shop.until(lambda: shop.link.state.state == "live")
    office.command("node", "revoke", shop.store.key.node.hex(), "--why", "stolen")
    await shop.until(lambda: shop.link.state.state == "refused", seconds=5)
    await shop.sell(2)
    with pytest.raises(LinkRefused, match="revoked"):
        await shop.link.sync_now()
    assert len(sold()) == 1


async def test_codes_are_good_once_for_a_while_and_for_this_head_office(office, tmp_path):
    url = f"https://127.0.0.1:{office.port}"
    code = office.code("S1")
    await enrol(tmp_path / "a", url, code, "a")
    with pytest.raises(EnrolRefused, match="used already"):
        await enrol(tmp_path / "b", url, code, "b")
    with pytest.raises(EnrolRefused, match="is a node's already"):
        await enrol(tmp_path / "a", url, office.code("S1"), "a")
    with pytest.raises(EnrolRefused, match="https"):
        await enrol(tmp_path / "b", "http://127.0.0.1:1", code, "b")
    misread = code[:-1] + ("A" if code[-1] != "A" else "B")
    with pytest.raises(EnrolRefused, match=r"misread|Enrolment code"):
        await enrol(tmp_path / "b", url, misread, "b")
    with pytest.raises(LinkUnreachable):
        await enrol(tmp_path / "b", "https://127.0.0.1:9", office.code("S1"), "b")
    assert not (tmp_path / "b" / "node.crt").exists()
    await enrol(tmp_path / "b", url, office.code("S1"), "b")


async def test_an_enrolment_cut_off_leaves_no_node_or_a_whole_one(office, tmp_path, monkeypatch):
    """The certificate makes a folder a node: what a start reads is there before it."""
    url, replace = f"https://127.0.0.1:{office.port}", files.replace

    def cut_off(path, content):
        if path.name == tls.CERTIFICATE:
            raise KeyboardInterrupt
        replace(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(files, "replace", cut_off)
        with pytest.raises(KeyboardInterrupt):
            await enrol(tmp_path / "cut", url, office.code("S1"), "cut")
    settings = load(tmp_path / "cut")
    assert (settings.name, settings.store, settings.central) == ("cut", "S1", url)
    await enrol(tmp_path / "cut", url, office.code("S1"), "cut")
    assert load(tmp_path / "cut") == settings


async def test_the_code_of_another_head_office_is_found_out(office, launcher, tmp_path):
    other = HeadOffice(launcher, tmp_path / "other")
    other.command("init")
    other.command("store", "add", "S1", "--name", "x")
    code = other.command("enrol-code", "--store", "S1")["code"]
    with pytest.raises(EnrolRefused, match="not the head office that made this code"):
        await enrol(tmp_path / "c", f"https://127.0.0.1:{office.port}", code, "c")
    json.dumps(code)


async def test_where_no_websocket_gets_through_requests_carry_the_sales(shop, sold, monkeypatch):
    def refused(*_):
        raise LiveRefused("a proxy in between")

    await shop.close()
    monkeypatch.setattr("edge.link.uplink.live_socket", refused)
    await shop.open()
    await shop.until(lambda: shop.link.state.state == "polling")
    await shop.sell(3)
    await shop.drained()
    assert sold() == sorted(shop.events)
