"""What only NoviAPI has: tokens, and orders that were stored and never confirmed."""

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.noviapi.session import LARGEST, Session
from hw.outcome import Done, Fiscalised, Refused
from hw.registry import DeviceConfig, load
from hw.spooler import Spooler
from hw.supervisor import Supervisor
from tests.contract.fiscal_cuts import restarted, sale
from tests.contract.rigs import NoviapiRig


@pytest.fixture
async def rig(tmp_path):
    rig = NoviapiRig(tmp_path)
    rig.printer = await rig.start()
    await rig.printer.open()
    yield rig
    await rig.printer.close()
    await rig.stop()


async def test_a_token_lasts_over_restarts_and_is_refreshed_for_nothing(rig):
    """The printer gives ten an hour, and voids the one in use when asked for more."""
    machine = rig.simulator.machine
    for number in range(15):
        rig.printer = await restarted(rig, rig.printer)
        machine.expires -= timedelta(hours=1)
        assert isinstance(await rig.printer.issue(sale(f"S-{number}")), Fiscalised)
    assert len(machine._given) == 1


async def test_a_void_token_is_replaced(rig):
    rig.simulator.machine.token = "another"
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert len(rig.simulator.machine._given) == 2


async def test_no_more_tokens_is_said_with_the_time(rig):
    machine = rig.simulator.machine
    for _ in range(9):
        machine.new_token()
    machine.token = ""
    outcome = await rig.printer.issue(sale("S-1"))
    assert isinstance(outcome, Refused)
    assert "not before" in outcome.problem
    assert "unblock" in outcome.cure


async def test_orders_that_were_never_confirmed_do_not_stop_the_report(rig):
    rig.obey("drop-after POST:receipt")
    assert isinstance(await rig.printer.issue(sale("S-1")), Refused)
    assert isinstance(await rig.printer.issue(sale("S-1")), Fiscalised)
    assert [r.state for r in rig.simulator.machine.requests.values() if r.kind == "receipt"] == [
        "STORED",
        "DONE",
    ]
    today = rig.module.now().date()
    assert isinstance(await rig.printer.daily_report("R-1", today), Done)
    assert rig.module.reports == 1


async def test_another_computers_orders_do(rig):
    rig.printer = await restarted(rig, rig.printer, shared="yes")
    rig.obey("drop-after POST:receipt")
    await rig.printer.issue(sale("S-1"))
    outcome = await rig.printer.daily_report("R-1", rig.module.now().date())
    assert isinstance(outcome, Refused)
    assert "409" in outcome.problem


async def test_a_forgotten_request_is_told_by_the_totals(rig):
    rig.obey("drop-after PUT:receipt 3")
    machine = rig.simulator.machine
    work = machine.work

    def forgetful():
        work()
        if rig.module.documents and not rig.module.resets:
            machine.forget()

    machine.work = forgetful
    outcome = await rig.printer.issue(sale("S-1"))
    assert isinstance(outcome, Fiscalised)
    assert outcome.evidence.memory_id == 1
    assert len(rig.module.documents) == 1


async def test_a_port_that_another_program_took(rig):
    rig.obey("busy on")
    with pytest.raises(DeviceUnavailable, match="its own"):
        await rig.printer.status()


@pytest.mark.parametrize("url", ["tcp:h:8888", "http://", "serial:/dev/ttyS0"])
async def test_a_wrong_address(url, tmp_path):
    options = {"state": str(tmp_path / "notes")}
    printer = load(DeviceConfig(id="f", driver="fiscal.noviapi", url=url, options=options))
    with pytest.raises(DeviceMisconfigured, match="http://host:port"):
        await printer.open()


async def test_the_programs_own_store_remembers_too(rig, tmp_path):
    """The seam as the edge uses it: notes in the file of the jobs, over a restart."""
    nobody = Supervisor([], on_scan=lambda _: None)
    told = []
    for _ in range(2):
        spooler = Spooler(tmp_path / "jobs.db", nobody, now_ms=lambda: 0)
        await spooler.start()
        await rig.printer.close()
        rig.memory = spooler.memory("fiscal")
        rig.printer = rig.make()
        await rig.printer.open()
        told.append(await rig.printer.issue(sale("S-1")))
        await spooler.close()
    assert isinstance(told[0], Fiscalised)
    assert told[0] == told[1]
    assert len(rig.module.documents) == 1


@pytest.mark.parametrize("told", [True, False], ids=["with its length", "without"])
async def test_an_answer_without_end_is_given_up(told):
    """Whatever listens there, it must not fill the memory of a till."""
    sent = 0

    async def pour(reader, writer):
        nonlocal sent
        await reader.readuntil(b"\r\n\r\n")
        length = b"Content-Length: 1000000000\r\n" if told else b"Connection: close\r\n"
        writer.write(b"HTTP/1.1 200 OK\r\n" + length + b"\r\n")
        with suppress(OSError):
            while not writer.is_closing():
                writer.write(b" " * 65_536)
                await writer.drain()
                sent += 65_536
        writer.close()

    server = await asyncio.start_server(pour, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    session = Session(
        "fiscal", f"http://{host}:{port}", timeout_s=20.0, token={}, keep_token=lambda _: None
    )
    with pytest.raises(DeviceUnavailable, match=f"more than {LARGEST} bytes"):
        await session.hello()
    await session.close()
    server.close()
    await server.wait_closed()
    assert sent < 20_000_000, "what the two systems' buffers hold, not what it would have sent"
