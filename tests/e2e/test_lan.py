"""Two nodes of one store as processes: no internet, a LAN, and whoever has a link carries both."""

import asyncio
import contextlib
import signal
from uuid import uuid4

import pytest

from edge.demo.link import LinkCutter
from tests.e2e.shops import PRICE, Till, free_port, live, until


@contextlib.asynccontextmanager
async def two_nodes(launcher, office, tmp_path, *, discover=False):
    """Two nodes of S1 that never were online together; B's port is behind a cutter for A.

    A was online before B was enrolled: it has the catalogue, and has not heard of B.
    """
    listed = tmp_path / "catalogue.csv"
    listed.write_text("indeks;nazwa;cena;vat\n5901234123457;Chleb;4,99;5\n", "utf-8")
    office.command("catalogue", "import", str(listed))
    wans = [LinkCutter("127.0.0.1", office.port) for _ in range(2)]
    ports = [free_port(), free_port()]
    lan = LinkCutter("127.0.0.1", ports[1])
    a, b = (
        Till(launcher, tmp_path / name, wan, port, name)
        for name, wan, port in zip(("K1", "K2"), wans, ports, strict=True)
    )
    async with contextlib.AsyncExitStack() as stack:
        for cutter in (*wans, lan):
            stack.push_async_callback(cutter.close)
        await a.enrol(office)
        stack.callback(a.stop, signal.SIGKILL)
        a.settle(*[] if discover else [await lan.start()], discover=discover).start()
        await until(lambda: a.status()["articles"] == 1)
        a.wan.cut()
        await b.enrol(office)
        b.wan.cut()
        stack.callback(b.stop, signal.SIGKILL)
        b.settle(discover=discover).start()
        await until(lambda: live(a) and live(b))
        await until(lambda: b.status()["articles"] == 1)
        yield a, b, lan


def heard(node, n):
    return lambda: node.status()["sales"] == n


@pytest.mark.timeout(240)
async def test_the_wan_is_down_both_sell_one_stock_and_one_carries_both(
    launcher, office, sold, tmp_path
):
    async with two_nodes(launcher, office, tmp_path) as (a, b, lan):
        await asyncio.to_thread(a.sell, 5)
        await asyncio.to_thread(b.sell, 3)
        await until(lambda: heard(a, 8)() and heard(b, 8)())
        assert a.stock() == b.stock() == -8000
        (peer,) = a.status()["peers"]
        assert (peer["name"], peer["last_error"]) == ("K2", "")
        assert peer["heard_s"] is not None
        shown = await asyncio.to_thread(a.karb, "status")
        assert "peer      K2: live" in shown.stdout
        # Nobody else's till, whoever sells there.
        refused = b.put(str(uuid4()), till="K1")
        assert (refused.status, "K1" in refused.body.decode()) == (409, True)

        # The LAN is cut, both go on, one is killed; it heals.
        lan.cut()
        await asyncio.to_thread(a.sell, 2)
        await asyncio.to_thread(b.sell, 4)
        b.stop(signal.SIGKILL)
        b.start()
        await asyncio.to_thread(b.sell, 1)
        assert b.status()["sales"] == 3 + 5 + 4 + 1
        lan.heal()
        await until(lambda: heard(a, 15)() and heard(b, 15)())
        assert a.stock() == b.stock() == -15000

        # One gets a link: it carries both, and the other hears that nothing of it waits.
        assert a.status()["waiting"] >= 7
        assert sold() == []
        b.wan.heal()
        await until(lambda: len(sold()) == 15)
        await until(lambda: a.status()["waiting"] == b.status()["waiting"] == 0)
        assert a.status()["link"] == "offline"
        store = next(s for s in office.command("status")["stores"] if s["id"] == "S1")
        assert (store["sales"], store["total_minor"]) == (15, 15 * PRICE)
        # A backup makes it safe, and that word goes on, too; then the other link comes back.
        a.wan.heal()
        # A link that was down for long is tried again within a minute.
        await until(lambda: a.status()["link"] == b.status()["link"] == "live", 90)
        await asyncio.to_thread(a.sell, 2)
        await until(lambda: len(sold()) == 17 and heard(b, 17)())
        for node in (a, b):
            done = await asyncio.to_thread(node.karb, "journal", "verify")
            assert done.returncode == 0, done.stdout
        office.command("journal", "verify")


async def test_one_sale_and_one_delivery_on_both_nodes_count_once_after_they_meet(
    launcher, office, sold, tmp_path
):
    async with two_nodes(launcher, office, tmp_path) as (a, b, lan):
        lan.cut()
        uuid, delivery = str(uuid4()), str(uuid4())
        body = {
            "kind": "goods_received",
            "lines": [{"sku": "5901234123457", "quantity_milli": 9000}],
        }
        for node in (a, b):
            assert node.put(uuid).status == 201
            answer = node.ask("PUT", f"/v1/documents/{delivery}", body, token=node.key)
            assert answer.status == 201, answer.body
            assert node.stock() == 8000
        lan.heal()
        await until(lambda: a.status()["facts"] == b.status()["facts"] > 6)
        for node in (a, b):
            assert (node.stock(), node.status()["sales"]) == (8000, 1)
        a.wan.heal()
        await until(lambda: len(sold()) == 1)
        await until(lambda: a.status()["waiting"] == b.status()["waiting"] == 0)
        rows = office.command("status")["stores"]
        assert next(s for s in rows if s["id"] == "S1")["sales"] == 1
        for node in (a, b):
            done = await asyncio.to_thread(node.karb, "journal", "verify")
            assert done.returncode == 0, done.stdout


async def test_nodes_find_each_other_and_a_revoked_one_is_left_alone(launcher, office, tmp_path):
    """By multicast on the loopback interface: no other traffic."""
    async with two_nodes(launcher, office, tmp_path, discover=True) as (a, b, _):
        await asyncio.to_thread(a.sell, 1)
        await until(heard(b, 1))
        node = a.status()["node"]
        office.command("node", "revoke", node, "--why", "stolen")
        b.wan.heal()
        await until(lambda: not live(b))
        await asyncio.to_thread(a.sell, 1)
        (peer,) = b.status()["peers"]
        assert peer["state"] in ("offline", "refused")
        await until(lambda: a.status()["peers"][0]["state"] == "refused")
        assert b.status()["sales"] == 1


@pytest.mark.parametrize("who", ["another store", "another chain"])
async def test_who_is_not_of_this_store_is_refused_before_anything_is_said(
    launcher, office, tmp_path, who
):
    from tests.e2e.offices import HeadOffice  # noqa: PLC0415 - for one of two cases

    other = office
    if who == "another chain":
        other = HeadOffice(launcher, tmp_path / "other")
        other.command("init")
        other.command("store", "add", "S1", "--name", "x")
        other.start()
    else:
        office.command("store", "add", "S2", "--name", "x")
    try:
        wans = [LinkCutter("127.0.0.1", one.port) for one in (office, other)]
        a = Till(launcher, tmp_path / "K1", wans[0], free_port(), "K1")
        b = Till(launcher, tmp_path / "K2", wans[1], free_port(), "K2")
        await a.enrol(office)
        code = other.code
        if who == "another store":
            other.code = lambda _store: code("S2")
        await b.enrol(other)
        other.code = code
        a.settle(b.port).start()
        b.settle(a.port).start()
        await asyncio.to_thread(b.status)

        def refused(node):
            return [peer["state"] for peer in node.status()["peers"]] == ["refused"]

        await until(lambda: refused(a) and refused(b))
        errors = [node.status()["peers"][0]["last_error"] for node in (a, b)]
        words = ("of store S", "S1") if who == "another store" else ("no machine of this chain",)
        assert all(any(word in error for word in words) for error in errors), errors
        assert a.status()["sales"] == 0
    finally:
        for node in (a, b):
            node.stop(signal.SIGKILL)
        for wan in wans:
            await wan.close()
        if other is not office:
            other.stop()
