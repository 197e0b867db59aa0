"""A whole node: a true serial line, a true printer's socket, and a client."""

import asyncio
import json
from dataclasses import replace

import aiohttp
import pytest

from edge import folder
from edge.app import NotEnrolled, running
from edge.config import Config, Listen
from hw.escpos.simulator import EscposSimulator
from hw.registry import DeviceConfig
from hw.scanner.simulator import ScannerSimulator
from tests.edge.till.shop import EAN, STORE, enrolled, opened

SALE = "7b1f0d3e-5f0c-4b0e-9d55-0a1b2c3d4e5f"


@pytest.fixture
async def config(tmp_path):
    data = tmp_path / "node"
    key = enrolled(data)
    async with opened(data, key=key):
        pass
    return Config(
        data=data,
        name="kasa-1",
        store=STORE,
        central="https://127.0.0.1:9",
        listen=Listen("127.0.0.1", 0),
    )


async def test_from_the_scanner_to_the_paper(config, tmp_path):
    scanner, printer = ScannerSimulator(tmp_path / "tty"), EscposSimulator(columns=42)
    host, port = await printer.listen()
    scanner.plug()
    devices = (
        DeviceConfig(id="scanner", driver="scanner.serial", url=scanner.url, till="T1"),
        DeviceConfig(id="printer", driver="printer.escpos", url=f"tcp:{host}:{port}", till="T1"),
    )
    try:
        async with running(replace(config, devices=devices)) as told:
            token = folder.told(config.data)[1]
            async with aiohttp.ClientSession(
                told.address, headers={"Authorization": f"Bearer {token}"}
            ) as client:

                async def ask(method, path, body=None):
                    async with client.request(method, path, json=body) as reply:
                        return await reply.json()

                async def until(path, fits):
                    async with asyncio.timeout(30):
                        while not fits(said := await ask("GET", path)):
                            pass
                    return said

                await until(
                    "/v1/status",
                    lambda said: {d["state"] for d in said["devices"]} == {"connected"},
                )
                for code in (EAN[0], "12345670", EAN[1]):
                    await scanner.scan(code)
                shown = await until("/v1/tills/T1", lambda said: len(said["lines"]) == 2)
                assert shown["total_minor"] == 658
                paid = {"sale": SALE, "method": "cash", "tendered_minor": 700, "cashier": "anna"}
                assert (await ask("POST", "/v1/tills/T1/payments", paid))["change_minor"] == 42
                await until("/v1/status", lambda said: said["slips"] == {"printed": 1})
        (receipt,) = printer.machine.receipts
        assert receipt.text.startswith("NIEFISKALNY")
        assert "Woda niegazowana 1,5 l" in receipt.text
        assert "6,58" in receipt.text
    finally:
        scanner.unplug()
        await printer.close()


async def test_a_folder_that_is_no_node_is_refused_and_nothing_stays_open(config, tmp_path):
    with pytest.raises(NotEnrolled, match="karb init"):
        async with running(replace(config, data=tmp_path)):
            pass


async def test_an_address_that_is_taken_leaves_nothing_behind(config):
    async with running(config) as told:
        port = int(told.address.rpartition(":")[2])
        assert json.loads((config.data / folder.RUN).read_bytes())["address"] == told.address
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", port)
    async with server:
        with pytest.raises(OSError, match="address"):
            async with running(replace(config, listen=Listen("127.0.0.1", port))):
                pass
    assert not (config.data / folder.RUN).exists()
    async with running(config):
        pass


def test_one_process_at_a_time_has_the_folder(tmp_path):
    assert not folder.is_locked(tmp_path)
    with folder.locked(tmp_path):
        assert folder.is_locked(tmp_path)
        with pytest.raises(folder.AlreadyRunning), folder.locked(tmp_path, 0):
            pass
    assert not folder.is_locked(tmp_path)
    assert not folder.is_locked(tmp_path / "none")


async def test_a_damaged_file_of_jobs_stops_no_sale(config):
    """Without its state on disk nothing is printed; the till says so, and sells."""
    (config.data / "jobs.db").write_bytes(b"no database at all" * 100)
    async with running(config) as told:
        headers = {"Authorization": f"Bearer {folder.told(config.data)[1]}"}
        async with aiohttp.ClientSession(told.address, headers=headers) as client:
            await client.post("/v1/tills/T1/scans", json={"code": EAN[0]})
            pay = {"sale": SALE, "method": "cash", "tendered_minor": 500, "cashier": "anna"}
            async with client.post("/v1/tills/T1/payments", json=pay) as reply:
                assert reply.status == 201
            async with client.get("/v1/jobs") as reply:
                said = await reply.json()
                assert (reply.status, "Move it away" in said["detail"]) == (503, True)
