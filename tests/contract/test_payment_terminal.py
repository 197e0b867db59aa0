"""What every payment terminal driver must do: one charge an attempt, and never a guess."""

import asyncio
import json
import traceback

import pytest

from hw.acquirer import CARD
from hw.card import holds_card_number
from hw.device import PaymentTerminal, ReceiptPrinter
from hw.errors import DeviceMisconfigured, DeviceRefused, DeviceUnavailable, HwError
from hw.outcome import Done, Refused, Unknown
from hw.payment import Approval, Approved, Declined, PaymentIntent
from hw.registry import DeviceConfig, load
from hw.standalone.driver import StandaloneTerminal
from tests.contract.rigs import (
    EcreftRig,
    NexoRig,
    SerialEcreftRig,
    SilentEcreftRig,
    StandaloneRig,
)
from tests.hw.until import until

RIGS = {
    "ecreft": EcreftRig,
    "ecreft-serial": SerialEcreftRig,
    "ecreft-silent": SilentEcreftRig,
    "nexo": NexoRig,
    "standalone": StandaloneRig,
}
CABLED = [name for name in RIGS if name != "standalone"]
IMPATIENCE = {"answer_timeout_s": "0.3", "job_timeout_s": "0.3", "resolve_timeout_s": "0.1"}


@pytest.fixture
async def rig(request, tmp_path):
    rig = RIGS[request.param](tmp_path)
    rig.terminal = await rig.start()
    yield rig
    await rig.terminal.close()
    await rig.stop()


every = pytest.mark.parametrize("rig", RIGS, indirect=True)
cabled = pytest.mark.parametrize("rig", CABLED, indirect=True)


def intent(attempt="A-1", **more):
    return PaymentIntent(
        **{"attempt": attempt, "sale": f"S-{attempt}", "amount_minor": 1234} | more
    )


async def renewed(rig, **options):
    """The program stopped and started again."""
    await rig.terminal.close()
    rig.terminal = rig.make(**options)
    await rig.terminal.open()
    return rig.terminal


async def lost_answer(rig, attempt="A-1", **more):
    """A payment that was carried out, and of which nothing was heard."""
    await renewed(rig, **IMPATIENCE)
    rig.vanish()
    outcome = await rig.terminal.pay(intent(attempt, **more))
    assert isinstance(outcome, Unknown), outcome
    assert len(rig.books.taken(rig.name(attempt))) == 1
    return outcome


@every
async def test_it_is_a_payment_terminal_and_no_other(rig):
    assert isinstance(rig.terminal, PaymentTerminal)
    assert not isinstance(rig.terminal, ReceiptPrinter)


@every
async def test_a_payment_is_one_charge_with_evidence(rig):
    await rig.terminal.open()
    outcome = await rig.terminal.pay(intent())
    assert isinstance(outcome, Approved), outcome
    [charge] = rig.books.taken()
    assert charge.name == rig.name("A-1")
    assert outcome.approval.amount_minor == charge.amount_minor == 1234
    assert outcome.approval.reference or outcome.approval.auth_code
    assert rig.terminal.unresolved == rig.terminal.tasks == []


@every
async def test_asked_again_it_is_told_again(rig):
    await rig.terminal.open()
    first = await rig.terminal.pay(intent())
    assert await rig.terminal.pay(intent()) == first
    assert await rig.terminal.status_of("A-1") == first
    await renewed(rig)
    assert await rig.terminal.pay(intent()) == first
    other = await rig.terminal.pay(intent(amount_minor=99))
    assert isinstance(other, Refused)
    assert "same order" in other.problem
    assert len(rig.books.record) == 1


@every
async def test_payments_asked_for_at_once_do_not_mix(rig):
    await rig.terminal.open()
    orders = [intent(f"A-{n}", amount_minor=100 + n) for n in range(5)]
    outcomes = await asyncio.gather(*(rig.terminal.pay(order) for order in orders))
    assert [o.approval.amount_minor for o in outcomes] == [100, 101, 102, 103, 104]
    assert [t.amount_minor for t in rig.books.taken()] == [100, 101, 102, 103, 104]


@every
async def test_a_declined_payment_is_refused_and_another_try_is_another_attempt(rig):
    await rig.terminal.open()
    rig.obey(f"decline {'Refusal' if rig.driver == 'terminal.nexo' else '116'}")
    outcome = await rig.terminal.pay(intent())
    assert isinstance(outcome, Declined)
    rig.obey("decline off")
    assert await rig.terminal.pay(intent()) == outcome
    assert isinstance(await rig.terminal.pay(intent("A-2")), Approved)
    assert len(rig.books.taken()) == 1


@every
async def test_not_connected_refuses_and_nothing_is_open(rig):
    outcome = await rig.terminal.pay(intent())
    assert isinstance(outcome, Refused)
    assert not isinstance(outcome, Declined)
    assert isinstance(await rig.terminal.status_of("A-1"), Refused)
    await rig.terminal.open()
    assert isinstance(await rig.terminal.pay(intent()), Approved)


@every
async def test_without_a_memory_nothing_is_opened(rig):
    rig.memory = None
    terminal = rig.make()
    with pytest.raises(DeviceMisconfigured, match="state is missing"):
        await terminal.open()
    assert isinstance(await terminal.pay(intent()), Refused)
    assert rig.books.record == []
    await terminal.close()


@every
async def test_what_is_not_known_blocks_the_terminal_and_nothing_else_is_charged(rig):
    await lost_answer(rig)
    other = await rig.terminal.pay(intent("A-2"))
    assert isinstance(other, Refused)
    assert "A-1" in other.problem
    assert rig.terminal.unresolved == ["A-1"]
    assert rig.terminal.health().problem is not None
    assert len(rig.books.record) == 1


@every
async def test_a_lost_answer_is_asked_for_or_left_to_a_person(rig):
    await lost_answer(rig)
    if rig.tells:
        rig.back()
        outcome = await rig.terminal.status_of("A-1")
    else:
        if rig.driver != "terminal.standalone":
            rig.back()
        assert isinstance(await rig.terminal.status_of("A-1"), Unknown)
        slip = Approval(amount_minor=1234, auth_code="A00001")
        outcome = await rig.terminal.settle("A-1", slip, by="Anna")
        rig.back()
    assert isinstance(outcome, Approved), outcome
    assert outcome.approval.amount_minor == 1234
    assert await rig.terminal.pay(intent()) == outcome
    assert rig.terminal.unresolved == []
    assert isinstance(await rig.terminal.pay(intent("A-2")), Approved)
    assert len(rig.books.taken(rig.name("A-1"))) == 1


@every
async def test_a_person_who_finds_no_payment_frees_the_terminal(rig):
    await renewed(rig, **IMPATIENCE)
    line = "away before" if rig.driver == "terminal.standalone" else f"drop-before {rig.order}"
    if rig.tells:
        rig.obey("mute on")
    else:
        rig.obey(line)
    assert isinstance(await rig.terminal.pay(intent()), Unknown)
    outcome = await rig.terminal.settle("A-1", None, by="Anna")
    assert isinstance(outcome, Declined)
    assert await rig.terminal.settle("A-1", None, by="Piotr") == outcome
    assert rig.terminal.unresolved == []
    if rig.tells:
        rig.obey("mute off")
    assert isinstance(await rig.terminal.pay(intent("A-2")), Approved)


@cabled
async def test_at_the_start_what_is_open_is_resolved_first(rig):
    await lost_answer(rig)
    rig.back()
    await renewed(rig, **IMPATIENCE)
    assert rig.terminal.unresolved == ([] if rig.tells else ["A-1"])


@cabled
async def test_an_order_that_never_arrived_may_be_given_as_another_attempt(rig):
    await renewed(rig, **IMPATIENCE)
    rig.obey(f"drop-before {rig.order}")
    outcome = await rig.terminal.pay(intent())
    if not rig.tells:
        assert isinstance(outcome, Unknown)
        return
    assert isinstance(outcome, Declined)
    assert rig.books.record == []
    assert isinstance(await rig.terminal.pay(intent("A-2")), Approved)
    assert len(rig.books.taken()) == 1


@every
async def test_late_approval_of_a_cancelled_sale_is_reversed_or_becomes_a_task(rig):
    await lost_answer(rig)
    assert isinstance(await rig.terminal.reverse("A-1"), Unknown)
    if not rig.tells:
        await rig.terminal.settle("A-1", Approval(amount_minor=1234), by="Anna")
        rig.back()
    else:
        rig.back()
        await renewed(rig)
    if rig.reverses:
        assert rig.terminal.tasks == []
        assert [t.amount_minor for t in rig.books.given_back()] == [1234]
        assert await rig.terminal.reverse("A-1") == Done("reversed")
        assert len(rig.books.given_back()) == 1
        assert isinstance(await rig.terminal.pay(intent()), Declined)
        return
    assert rig.terminal.tasks == ["A-1"]
    outcome = await rig.terminal.reverse("A-1")
    assert isinstance(outcome, Refused)
    assert "by hand" in outcome.cure
    await renewed(rig, **IMPATIENCE)
    assert rig.terminal.tasks == ["A-1"], "a task outlives the program"
    await rig.terminal.settle("A-1", None, by="Anna")
    assert rig.terminal.tasks == []
    assert await rig.terminal.reverse("A-1") == Done("reversed")


@every
async def test_cancelling_what_was_never_sent_or_declined_moves_nothing(rig):
    assert isinstance(await rig.terminal.reverse("A-0"), Done)
    assert isinstance(await rig.terminal.pay(intent()), Refused)  # not open
    assert isinstance(await rig.terminal.reverse("A-1"), Done)
    await rig.terminal.open()
    assert isinstance(await rig.terminal.pay(intent()), Declined), "a cancelled sale is not sent"
    assert rig.books.record == []


@every
async def test_refund(rig):
    await rig.terminal.open()
    outcome = await rig.terminal.refund(intent("R-1"))
    if rig.terminal.can_refund:
        assert isinstance(outcome, Approved)
        assert [t.amount_minor for t in rig.books.given_back()] == [1234]
    else:
        assert isinstance(outcome, Refused)
        assert rig.books.record == []


@every
async def test_a_customer_who_takes_time_and_one_who_leaves(rig):
    await rig.terminal.open()
    rig.obey("customer waits")
    paying = asyncio.create_task(rig.terminal.pay(intent()))
    await until(lambda: rig.books.at_work is not None)
    rig.obey("customer pays")
    assert isinstance(await paying, Approved)
    rig.obey("customer waits")
    paying = asyncio.create_task(rig.terminal.pay(intent("A-2")))
    await until(lambda: rig.books.at_work is not None)
    if rig.driver == "terminal.standalone":
        rig.obey("customer leaves")
    else:
        await rig.terminal.abort("A-2")
    assert isinstance(await paying, Declined)
    assert len(rig.books.taken()) == 1


@cabled
async def test_a_caller_who_is_cancelled_leaves_it_unknown_and_it_is_asked_about(rig):
    await renewed(rig, resolve_timeout_s="0.1")
    rig.obey("customer waits")
    paying = asyncio.create_task(rig.terminal.pay(intent()))
    await until(lambda: rig.books.at_work is not None)
    paying.cancel()
    await asyncio.gather(paying, return_exceptions=True)
    assert rig.terminal.unresolved == ["A-1"]
    rig.obey("customer pays")
    await until(rig.books.taken)
    outcome = await rig.terminal.status_of("A-1")
    assert isinstance(outcome, Approved), outcome  # the silent one hears the end it waits for


@cabled
async def test_cash_back_that_the_bank_does_not_give(rig):
    await rig.terminal.open()
    paid = await rig.terminal.pay(intent(cashback_minor=5000))
    assert (paid.approval.amount_minor, paid.approval.cashback_minor) == (1234, 5000)
    rig.obey("cashback off")
    paid = await rig.terminal.pay(intent("A-2", cashback_minor=5000))
    assert (paid.approval.amount_minor, paid.approval.cashback_minor) == (1234, 0)


@every
async def test_host_offline_and_what_is_said_of_it(rig):
    await rig.terminal.open()
    before = await rig.terminal.availability()
    rig.obey("host offline")
    after = await rig.terminal.availability()
    if rig.driver == "terminal.nexo":
        assert (before.cards, before.blik, before.problem) == (True, True, None)
        assert (after.cards, after.blik) == (False, False)
        assert after.problem
    else:
        assert before.cards is before.blik is after.cards is None, "unverified, not guessed"
    assert isinstance(await rig.terminal.pay(intent()), Declined)
    assert rig.books.taken() == []


@cabled
async def test_busy_refuses(rig):
    await rig.terminal.open()
    rig.obey("busy on")
    outcome = await rig.terminal.pay(intent())
    assert isinstance(outcome, Declined)
    assert outcome.code == rig.busy
    assert rig.books.record == []


@every
async def test_totals_are_the_terminals_own(rig):
    await rig.terminal.open()
    for number in range(3):
        await rig.terminal.pay(intent(f"A-{number}"))
    if rig.reverses:
        assert await rig.terminal.reverse("A-1") == Done("reversed")
    totals = await rig.terminal.reconcile()
    if rig.driver != "terminal.nexo":
        assert totals is None
        return
    assert (totals.sales, totals.sales_minor) == (3, 3702)
    assert (totals.refunds, totals.refunds_minor) == (1, 1234)


@cabled
async def test_another_terminal_is_not_asked_about_the_payment_of_the_first(rig):
    await lost_answer(rig)
    rig.back()
    if rig.driver == "terminal.nexo":
        await renewed(rig, poi_id="S1E-2", **IMPATIENCE)
    else:
        rig.simulator.device = "EFT-0002"
        await renewed(rig, **IMPATIENCE)
    assert isinstance(await rig.terminal.status_of("A-1"), Unknown)
    assert isinstance(await rig.terminal.pay(intent("A-2")), Refused)


@cabled
@pytest.mark.parametrize("accident", ["noise", "twice", "stale"])
async def test_an_untidy_line(rig, accident):
    await renewed(rig, **IMPATIENCE)
    rig.obey(f"{accident} on")
    outcomes = [await rig.terminal.pay(intent(f"A-{n}", amount_minor=10 + n)) for n in range(3)]
    for number, outcome in enumerate(outcomes):
        if isinstance(outcome, Approved):
            [charge] = rig.books.taken(rig.name(f"A-{number}"))
            assert outcome.approval.amount_minor == charge.amount_minor == 10 + number
        else:  # noise before HTTP is no HTTP
            assert rig.driver == "terminal.nexo"
            assert accident in {"noise", "stale"}
            assert not isinstance(outcome, Declined)
    assert len(rig.books.record) <= 3


@cabled
async def test_a_damaged_answer_is_no_answer(rig):
    await renewed(rig, **IMPATIENCE)
    rig.obey("damage on")
    outcome = await rig.terminal.pay(intent())
    rig.obey("damage off")
    assert not isinstance(outcome, Declined)
    if isinstance(outcome, Unknown) and rig.tells:
        outcome = await rig.terminal.status_of("A-1")
    if rig.tells:
        assert isinstance(outcome, Approved)
    assert len(rig.books.taken()) == 1


@cabled
async def test_slow_hanging_and_refusing_terminals(rig):
    rig.obey("hang on")
    rig.terminal = rig.make(**IMPATIENCE)
    with pytest.raises(DeviceUnavailable):
        await rig.terminal.open()
    rig.obey("hang off")
    rig.obey("refuse 1")
    if not isinstance(rig, SerialEcreftRig):
        with pytest.raises(DeviceUnavailable):
            await rig.terminal.open()
    rig.obey("refuse 0")
    rig.obey("slow 0.02")
    await rig.terminal.open()
    assert isinstance(await rig.terminal.pay(intent()), Approved)


@cabled
async def test_power_loss_in_the_middle(rig):
    await renewed(rig, **IMPATIENCE)
    rig.obey("customer waits")
    paying = asyncio.create_task(rig.terminal.pay(intent()))
    await until(lambda: rig.books.at_work is not None)
    rig.obey("power")
    outcome = await paying
    assert isinstance(outcome, Unknown), outcome
    rig.obey("customer pays")
    await until(rig.books.taken)
    if rig.tells:
        assert isinstance(await rig.terminal.status_of("A-1"), Approved)


@every
async def test_a_wrong_order_is_named(rig):
    with pytest.raises(DeviceRefused, match="-5"):
        intent(amount_minor=-5)
    with pytest.raises(DeviceRefused, match="attempt"):
        intent("a\x02b")
    with pytest.raises(DeviceRefused, match="zł"):
        intent(currency="zł")


def leaks(text):
    return CARD in text or CARD.encode().hex() in text or holds_card_number(text)


@every
async def test_no_card_number_comes_in(rig, caplog, capsys):
    """Outcomes, notes, health, logs, and errors with everything a crash dump would show."""
    caplog.set_level(0)
    seen = []

    def keep(*things):
        seen.extend(repr(thing) for thing in things)

    async def tried(order):
        try:
            keep(await order)
        except HwError as error:
            dump = traceback.TracebackException.from_exception(error, capture_locals=True)
            seen.append("".join(dump.format()))

    await renewed(rig, **IMPATIENCE)
    await tried(rig.terminal.pay(intent("a", cashback_minor=100)))
    rig.obey(f"means {CARD}")
    await tried(rig.terminal.pay(intent("b")))
    rig.obey("decline Refusal" if rig.reverses else "decline 116")
    await tried(rig.terminal.pay(intent("c")))
    rig.obey("decline off")
    for accident in ("noise", "stale", "damage", "mute") if rig.name("x") != "x" else ():
        rig.obey(f"{accident} on")
        await tried(rig.terminal.pay(intent(accident)))
        await tried(rig.terminal.availability())
        await tried(rig.terminal.reconcile())
        rig.obey(f"{accident} off")
        await tried(rig.terminal.status_of(accident))
        if rig.terminal.unresolved:
            await rig.terminal.settle(rig.terminal.unresolved[0], None, by="Anna")
    if isinstance(rig.terminal, StandaloneTerminal):
        rig.obey("away before")
        await tried(rig.terminal.pay(intent("typed")))
        with pytest.raises(DeviceRefused, match="never the card") as caught:
            await rig.terminal.answer("typed", f"{CARD[:4]} {CARD[4:]}", by="Anna")
        seen.append("".join(traceback.format_exception(caught.value)))
    keep(rig.terminal.health(), rig.terminal.unresolved, rig.terminal.tasks)
    seen += [json.dumps(rig.memory.notes), *rig.memory.notes.values(), caplog.text]
    seen += list(capsys.readouterr())
    assert any("Approved" in text for text in seen)
    assert [text for text in seen if leaks(text)] == []


@pytest.mark.parametrize(
    ("driver", "url", "options", "names"),
    [
        ("terminal.ecreft", "udp:x", {"status_query": "no"}, "udp:x"),
        ("terminal.ecreft", "tcp:h:1", {"status": "yes"}, "'status'"),
        ("terminal.nexo", "https://h:8443/nexo", {}, "poi_id"),
        (
            "terminal.nexo",
            "https://h:8443/nexo",
            {"poi_id": "P", "key_file": "k", "key_id": "k", "key_version": "one"},
            "'one'",
        ),
        ("terminal.standalone", "tcp:h:1", {}, "person:"),
    ],
)
async def test_wrong_settings_are_named(driver, url, options, names, tmp_path):
    options = {"state": str(tmp_path / "notes")} | options
    with pytest.raises(DeviceMisconfigured, match=names):
        await load(DeviceConfig(id="t", driver=driver, url=url, options=options)).open()
