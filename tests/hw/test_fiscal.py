from dataclasses import replace
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import DeviceRefused
from hw.fiscal import (
    LAW,
    DepositLine,
    FiscalLine,
    FiscalReceipt,
    TaxOffice,
    Tender,
    Vat,
    VatTable,
    printable,
)

CET = timezone(timedelta(hours=1))

lines = st.builds(
    FiscalLine,
    name=st.sampled_from(["CHLEB", "MLEKO ŻYWE", "SER"]),
    quantity_milli=st.integers(1, 5000).map(lambda n: n * 100),
    unit_minor=st.integers(10, 5000),
    vat=st.sampled_from([Vat(2300), Vat(800), Vat(500)]),
    unit=st.sampled_from(["", "szt."]),
)


@st.composite
def receipts(draw, job="S-1"):
    """Receipts that add up, some of their lines taken back."""
    kept = draw(st.lists(lines, min_size=1, max_size=5))
    gone = draw(st.lists(lines, max_size=2))
    every = [*gone, *kept, *(replace(line, storno=True) for line in gone)]
    deposits = tuple(
        draw(
            st.lists(
                st.builds(
                    DepositLine,
                    name=st.just("BUTELKA"),
                    count=st.integers(1, 5),
                    unit_minor=st.just(50),
                ),
                max_size=2,
            )
        )
    )
    total = sum(line.total_minor for line in every)
    due = total + sum(line.total_minor for line in deposits)
    over = draw(st.integers(0, 5000))
    return FiscalReceipt(
        job=job,
        lines=tuple(every),
        deposits=deposits,
        payments=(Tender(means="cash", amount_minor=due + over),),
        total_minor=total,
        change_minor=over,
    )


@given(receipts())
def test_what_is_kept_adds_up(receipt):
    assert sum(line.total_minor for line in receipt.kept()) == receipt.total_minor
    assert sum(receipt.by_rate().values()) == receipt.total_minor
    assert not any(line.storno for line in receipt.kept())


@given(receipts(), st.sampled_from(["total_minor", "change_minor"]), st.integers(-5, 5))
def test_sums_that_do_not_add_up_never_leave(receipt, field, off):
    fields = {name: getattr(receipt, name) for name in FiscalReceipt.__slots__}
    fields[field] += off
    if off:
        with pytest.raises(DeviceRefused, match=r"expected"):
            FiscalReceipt(**fields)
    else:
        FiscalReceipt(**fields)


def line(**changes):
    fields = {"name": "CHLEB", "quantity_milli": 1000, "unit_minor": 499, "vat": Vat(500)}
    return FiscalLine(**fields | changes)


def receipt_of(*sold, paid=499, **changes):
    fields = {"job": "S", "payments": (Tender(means="cash", amount_minor=paid),)}
    return FiscalReceipt(lines=sold, **fields | {"total_minor": paid} | changes)


@pytest.mark.parametrize(
    ("make", "hint"),
    [
        (lambda: line(name=" "), "without a name"),
        (lambda: line(quantity_milli=0), "above zero"),
        (lambda: line(unit_minor=-1), "above zero"),
        (lambda: line(discount_minor=499), "less than the line's 499"),
        (lambda: DepositLine(name="B", count=0, unit_minor=50), "1 to 9999"),
        (lambda: receipt_of(line(), job=""), "without an id"),
        (receipt_of, "1 to 255 lines"),
        (lambda: receipt_of(line(), line(storno=True, unit_minor=500)), "takes back no line"),
        (lambda: receipt_of(line(), nip="525-224-84-81"), "10 digits"),
        (lambda: receipt_of(line(), paid=500), "expected the lines' sum 499"),
    ],
)
def test_what_no_device_would_take(make, hint):
    with pytest.raises(DeviceRefused, match=hint):
        make()


@given(st.text(max_size=100))
def test_text_is_taken_as_it_is_or_refused(text):
    lacks = any(ord(c) < 32 or c == "\x7f" or not c.encode("cp1250", "ignore") for c in text)
    if not lacks and len(text) <= 80:
        assert printable(text, 80) == text
        return
    with pytest.raises(DeviceRefused) as caught:
        printable(text, 80)
    assert repr(text[:40])[1:-1][:30] in caught.value.problem
    assert caught.value.cure


def test_the_table_is_compared_with_the_law():
    good = VatTable(LAW)
    assert good.disagreements() == ()
    assert good.letter(Vat(800)) == "B"
    old = VatTable((("A", Vat(2200)), *LAW[1:4]))
    assert old.disagreements() == (
        "letter A: expected 23 %, the printer has 22 %",
        "letter E: expected exempt, the printer has none",
    )
    with pytest.raises(DeviceRefused, match="A 22 %, B 8 %"):
        old.letter(Vat(2300))


def test_the_age_of_what_waits_for_the_tax_office():
    now = datetime(2026, 11, 24, 12, tzinfo=CET)
    hour = timedelta(hours=1)
    never = TaxOffice(reached_at=None, failed_at=None, sending=False)
    well = TaxOffice(reached_at=now - hour, failed_at=now - 2 * hour, sending=False)
    failing = TaxOffice(reached_at=now - 2 * hour, failed_at=now - hour, sending=True)
    assert never.waiting_s(now) is None
    assert well.waiting_s(now) == 0
    assert failing.waiting_s(now) == 7200
