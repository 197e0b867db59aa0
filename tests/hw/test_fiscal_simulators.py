"""The simulated fiscal printers judged by somebody else's client, and their consoles."""

import asyncio
import json
import shutil
import signal
import sys
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noviapi import NoviApiAsyncClient
from noviapi.exceptions import ConflictError, TooManyTokenRequestsError, ValidationErrorResponse
from noviapi.models import DailyReport, Receipt, StatusCommand

from hw.fiscal import LAW, Vat, VatTable
from hw.fiscal_machine import DAY_LIMIT_MINOR, FiscalMachine, MachineRefuses, Sold, vat_minor
from hw.noviapi import simulator as noviapi
from hw.noviapi.codec import receipt_body
from hw.noviapi.simulator import NoviapiSimulator
from hw.paper import WIDTH, Qr, draw
from hw.posnet import simulator as posnet
from hw.posnet.codec import FrameParser, command, encode
from hw.posnet.simulator import PosnetSimulator
from tests.contract.fiscal_cuts import sale

BODY = receipt_body(sale("S-1"), VatTable(LAW))["receipt"]


@pytest.fixture
async def novitus():
    simulator = NoviapiSimulator()
    simulator.url = "http://{}:{}".format(*await simulator.listen())
    yield simulator
    await simulator.close()


async def test_an_independent_client_prints_and_reports(novitus):
    async with NoviApiAsyncClient(novitus.url) as client:
        await client.comm_test()
        created = await client.receipt_send(Receipt.model_validate(BODY))
        assert (await client.receipt_check(created.request.id)).request.status == "STORED"
        with pytest.raises(ConflictError):
            await client.daily_report_send(DailyReport(date="01/01/2026"))
        await client.receipt_confirm(created.request.id)
        checked = await client.receipt_check(created.request.id, timeout=5000)
        assert (checked.request.status, checked.request.jpkid) == ("DONE", 1)
        assert (await client.queue_check()).requests_in_queue == 0
        asked = await client.status_send(StatusCommand(type="device"))
        await client.status_confirm(asked.request.id)
        told = await client.status_check(asked.request.id, timeout=5000)
        totals = {t.tax_rate: t.receipt for t in told.request.response.status.device.totals}
        assert [str(totals[letter]) for letter in "ABC"] == ["12.00", "30.73", "9.98"]
        day = novitus.module.now().strftime("%d/%m/%Y")
        report = await client.daily_report_send(DailyReport(date=day))
        await client.daily_report_confirm(report.request.id)
        done = await client.daily_report_check(report.request.id, timeout=5000)
        assert done.request.status == "DONE"
    [receipt, _] = novitus.module.documents
    assert "MLEKO ŻYWE" in receipt.text


async def test_an_independent_client_is_refused_as_by_a_printer(novitus):
    async with NoviApiAsyncClient(novitus.url) as client:
        with pytest.raises(ValidationErrorResponse):
            await client._request("POST", "/receipt", json={"receipt": {"items": []}})
        wrong = BODY | {"summary": {"total": "1.00", "pay_in": "100.00"}}
        created = await client.receipt_send(Receipt.model_validate(wrong))
        await client.receipt_confirm(created.request.id)
        checked = await client.receipt_check(created.request.id, timeout=5000)
        assert checked.request.status == "ERROR"
        assert checked.request.error.code == 2805
    assert novitus.module.documents == []
    for _ in range(9):
        novitus.machine.new_token()
    async with NoviApiAsyncClient(novitus.url) as c:
        with pytest.raises(TooManyTokenRequestsError):
            await c.queue_check()


def machine(**options):
    return FiscalMachine(now=lambda: datetime(2026, 11, 24, 12, tzinfo=UTC), **options)


def sold(name="CHLEB", letter="C", price=499, milli=1000, **more):
    total = (milli * price + 500) // 1000
    return Sold(name=name, letter=letter, milli=milli, price=price, **{"total": total} | more)


def refused(module, action):
    with pytest.raises(MachineRefuses) as caught:
        action(module)
    return caught.value.number


@pytest.mark.parametrize(
    ("line", "number"),
    [
        (sold(letter="G"), 2000),
        (sold(price=0), 2006),
        (sold(milli=0), 2007),
        (sold(total=500), 2802),
        (sold(discount=499), 1985),
    ],
)
def test_lines_a_device_refuses(line, number):
    module = machine()
    assert refused(module, lambda m: m.sell(line)) == 2005
    module.open()
    assert refused(module, lambda m: m.sell(line)) == number
    assert refused(module, lambda m: m.open()) == 2038
    assert refused(module, lambda m: m.finish()) == 1992
    assert refused(module, lambda m: m.take_back(sold())) == 2851
    module.cancel()
    assert (module.receipts, module.cancelled, module.last) == (0, 1, 1)
    assert refused(module, lambda m: m.cancel()) == 2064


def test_limits_of_a_day_and_of_a_life():
    module = machine()
    module.open()
    module.totals["C"] = DAY_LIMIT_MINOR - 498
    module.sell(sold())
    assert refused(module, lambda m: m.finish()) == 2010
    module.read_only = True
    module.cancel()
    assert refused(module, lambda m: m.open()) == 2036
    assert refused(module, lambda m: m.daily_report()) == 2036


def test_two_zero_reports_are_refused_and_a_day_must_be_closed():
    day = [datetime(2026, 11, 24, 12, tzinfo=UTC)]
    module = FiscalMachine(now=lambda: day[0])
    module.daily_report()
    assert refused(module, lambda m: m.daily_report()) == 382
    module.open()
    module.sell(sold())
    module.finish()
    day[0] += timedelta(days=1)
    assert refused(module, lambda m: m.open()) == 383
    module.daily_report()
    module.open()


@given(st.lists(st.integers(1, 100_000), min_size=1, max_size=10), st.sampled_from("ABC"))
def test_totals_are_the_sum_of_the_receipts(prices, letter):
    module = machine()
    for price in prices:
        module.open()
        module.sell(sold(letter=letter, price=price))
        module.finish()
    assert module.totals[letter] == sum(prices)
    assert (module.receipts, module.last_document()) == (len(prices), len(prices))
    assert module.daily_report().kind == "report"
    assert (module.receipts, module.reports, module.empty) == (0, 1, True)


def test_vat_as_the_specification_prints_it():
    assert vat_minor(9876, 800) == 732  # SPRZEDAŻ B 98,76, PTU B 8 %: 7,32
    assert vat_minor(1000, 2300) == 187
    assert sum(vat_minor(199, 2300) for _ in range(7)) != vat_minor(7 * 199, 2300) == 260


def finished():
    module = machine()
    module.open()
    module.sell(sold(name="Zażółć gęślą jaźń " * 3))
    module.sell(sold(name="SOK", letter="A"))
    module.sell(sold(name="OBIAD", letter="B"))
    module.opened().packs.append(("BUTELKA", 1, 50, False))
    module.footer.qr = "https://karb.example"
    return module.finish()


def test_the_paper_is_forty_columns_wide():
    paper = finished().paper
    assert all(len(mark) <= WIDTH for mark in paper if isinstance(mark, str))
    assert Qr("https://karb.example") in paper


@pytest.mark.skipif(shutil.which("fc-list") is None, reason="no fonts are installed")
def test_the_paper_is_drawn(tmp_path):
    from PIL import Image  # noqa: PLC0415 - only here

    paper = finished().paper
    try:
        draw(paper, tmp_path / "1.png")
    except OSError as error:
        pytest.skip(str(error))
    with Image.open(tmp_path / "1.png") as picture:
        assert picture.width == WIDTH * 12 + 32
        assert picture.getextrema() == (0, 255)
        without = tmp_path / "2.png"
        draw([mark for mark in paper if isinstance(mark, str)], without)
        with Image.open(without) as plain:
            assert picture.height > plain.height + 5 * 21, "the QR code is there"


@pytest.mark.parametrize("kind", [posnet, noviapi])
async def test_console_switches(kind):
    simulator = PosnetSimulator() if kind is posnet else NoviapiSimulator()
    for line in (
        "drop-before trend",
        "drop-after trend 3",
        "half scnt",
        "noise on",
        "mute on",
        "stale on",
        "slow 0.5",
        "cut-in 7",
        "cut-out 8",
        "refuse 2",
        "hang on",
        "paper out after 9",
        "cover open",
        "busy on",
        "foreign 100",
        "midnight",
        "power",
    ):
        kind.obey(simulator, line)
    faults = simulator.faults
    assert (faults.drop_before, faults.drop_after, faults.half) == ("trend", "trend", "scnt")
    assert (faults.then_refuse, faults.refuse, faults.slow_s) == (3, 2, 0.5)
    assert (faults.cut_in, faults.cut_out, simulator.days) == (7, 8, 1)
    assert faults.noise
    assert faults.mute
    assert not simulator.cable.running.is_set()
    assert simulator.machine.cover_open
    assert simulator.machine.lines_left == 9
    assert simulator.module.receipts == 1
    for line in ("paper", "noise maybe", "slow x", "drop-after"):
        with pytest.raises(ValueError, match=r"unknown|float"):
            kind.obey(simulator, line)
    await simulator.close()


async def start(*arguments):
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        *arguments,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )


async def test_as_a_program_it_answers_and_keeps(tmp_path):
    keep = tmp_path / "kept.jsonl"
    program = await start("hw.posnet.simulator", "--listen", "127.0.0.1:0", "--keep", str(keep))
    host, _, port = (await program.stdout.readline()).decode().strip().rpartition(":")
    reader, writer = await asyncio.open_connection(host, int(port))
    orders = [
        command("trinit", bm=True),
        command("trline", na="Żółw", vt=0, pr=100),
        command("trend", to=100),
    ]
    parser, frames = FrameParser(), []
    for token, order in enumerate(orders):
        writer.write(encode(order, token))
    while len(frames) < 3:
        frames += parser.feed(await reader.read(1000))
    assert [frame.error for frame in frames] == [None, None, None]
    assert "Żółw" in json.loads(keep.read_text())["text"]
    program.stdin.write(b"nonsense\nnoise on\n")
    await program.stdin.drain()
    assert b"nonsense" in await program.stderr.readline()
    writer.close()
    await writer.wait_closed()
    program.send_signal(signal.SIGTERM)
    _, errors = await program.communicate()
    assert (program.returncode, errors) == (0, b"")


async def test_as_a_program_the_other_one_answers():
    program = await start("hw.noviapi.simulator", "--listen", "127.0.0.1:0")
    address = (await program.stdout.readline()).decode().strip()
    async with NoviApiAsyncClient(f"http://{address}") as client:
        assert (await client.queue_check()).requests_in_queue == 0
    program.send_signal(signal.SIGTERM)
    _, errors = await program.communicate()
    assert (program.returncode, errors) == (0, b"")


@pytest.mark.parametrize("fault", ["noise", "damage", "stale", "twice"])
async def test_faults_of_the_answers_on_the_wire(fault):
    simulator = PosnetSimulator()
    posnet.obey(simulator, f"{fault} on")
    reader, writer = await asyncio.open_connection(*await simulator.listen())
    data = b""
    for token in (1, 2):
        writer.write(encode(command("scnt"), token))
        await asyncio.sleep(0)
        data += await reader.read(1000)
    parser = FrameParser()
    tokens = [frame.token for frame in parser.feed(data)]
    assert (
        tokens == {"noise": [1, 2], "damage": [], "stale": [1, 1, 2], "twice": [1, 1, 2, 2]}[fault]
    )
    assert (parser.damaged > 0) == (fault == "damage")
    writer.close()
    await writer.wait_closed()
    await simulator.close()


def test_a_rate_that_is_changed_is_told():
    module = machine(rates=[("A", Vat(2200))])
    assert dict(VatTable(tuple(module.rates.items())).rates) == {"A": Vat(2200)}
    assert VatTable(tuple(module.rates.items())).disagreements()
