"""Finding each other by multicast: on the loopback interface, and nowhere else."""

import asyncio
import contextlib

import pytest

from edge.link import discovery
from edge.link.discovery import Discovery, Who
from tests.edge.link.lan import until

ONE, TWO, THREE = (bytes([n]) * 16 for n in (1, 2, 3))


class Heard:
    """Who was found where."""

    def __init__(self):
        self.at, self.gone = {}, []

    def found(self, node, name, urls):
        self.at[node] = (name, urls)

    def lost(self, node):
        self.gone.append(node)


@contextlib.asynccontextmanager
async def announced(node, *, store="S1", port=9001, name="kasa", speaks=(1, 1)):
    heard = Heard()
    made = Discovery(
        heard,
        port,
        Who(node, store, name, speaks),
        host="127.0.0.1",
        interfaces=["127.0.0.1"],
    )
    await made.start()
    try:
        yield heard
    finally:
        await made.close()


async def test_nodes_of_a_store_find_each_other_and_hear_the_goodbye():
    async with announced(ONE) as one:
        async with announced(TWO, port=9002, name="kasa 2") as two:

            async def met():
                return TWO in one.at and ONE in two.at

            await until(met)
            assert one.at == {TWO: ("kasa 2", ["https://127.0.0.1:9002"])}
            assert two.at == {ONE: ("kasa", ["https://127.0.0.1:9001"])}

        async def gone():
            return one.gone == [TWO]

        await until(gone)


async def test_another_stores_nodes_and_newer_ones_are_none_of_ours():
    async with (
        announced(ONE) as one,
        announced(TWO, store="S2"),
        announced(THREE, speaks=(8, 9)),
        announced(bytes(16)) as last,
    ):

        async def met():
            return bytes(16) in one.at and ONE in last.at

        await until(met)
        assert set(one.at) == {bytes(16)}


@pytest.mark.parametrize(
    "name", ["x._karb._tcp.local.", "ab._karb._tcp.local.", "._karb._tcp.local."]
)
def test_a_name_that_is_no_nodes_is_passed_over(name):
    assert discovery._node(name) is None


async def test_a_machine_without_a_network_waits_for_one(monkeypatch):
    addresses = []
    monkeypatch.setattr(discovery, "addresses_of_this_machine", lambda: list(addresses))
    monkeypatch.setattr(discovery, "LOOK_AGAIN_S", 0.05)
    made = Discovery(Heard(), 9003, Who(ONE, "S1", ""), host="0.0.0.0")
    monkeypatch.setattr(discovery, "ip_address", _nowhere)
    await made.start()
    try:
        await asyncio.sleep(0)
        assert not made.working
        addresses.append("127.0.0.1")

        async def works():
            return made.working

        await until(works)
    finally:
        await made.close()


class _nowhere:  # noqa: N801 - stands for a function
    """Addresses as if none were loopback."""

    is_loopback = False
    is_unspecified = True

    def __init__(self, text):
        del text
