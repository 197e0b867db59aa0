import json
from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st
from noviapi.models import DailyReport, Receipt

from hw.errors import DeviceRefused, DeviceUnavailable
from hw.fiscal import LAW, FiscalLine, FiscalReceipt, Tender, Vat, VatTable
from hw.noviapi.codec import (
    decimal,
    money,
    read_check,
    read_device,
    read_error,
    read_fiscal_memory,
    read_id,
    read_last_id,
    receipt_body,
    report_body,
    scaled,
)
from tests.contract.fiscal_cuts import sale
from tests.hw.test_fiscal import receipts

TABLE = VatTable(LAW)
junk = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=10),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "request",
                    "device",
                    "status",
                    "error",
                    "id",
                    "jpkid",
                    "code",
                    "response",
                    "totals",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(receipts())
def test_the_independent_model_takes_every_receipt(receipt):
    body = receipt_body(receipt, TABLE)["receipt"]
    model = Receipt.model_validate(json.loads(json.dumps(body)))
    total = sum(item.article.value for item in model.items if item.article is not None)
    assert scaled(total, 2) == receipt.total_minor == scaled(model.summary.total, 2)
    for item in filter(None, (item.article for item in model.items)):
        assert abs(item.quantity * item.price - item.value) <= 5e-3


def test_it_takes_a_full_receipt_and_a_report():
    full = receipt_body(sale("S-1"), TABLE)["receipt"]
    model = Receipt.model_validate(full)
    assert model.system_info.system_number.value == "S-1"
    assert scaled(model.summary.pay_in, 2) == 10_000
    DailyReport.model_validate(report_body(date(2026, 11, 24))["daily_report"])
    assert report_body(date(2026, 11, 24)) == {"daily_report": {"date": "24/11/2026"}}


def test_buyer_electronic_receipt_and_code():
    line = FiscalLine(
        name="SER", quantity_milli=250, unit_minor=3999, vat=Vat(500), discount_minor=100
    )
    receipt = FiscalReceipt(
        job="S",
        lines=(line,),
        payments=(Tender(means="mobile", amount_minor=900, name="BLIK"),),
        total_minor=900,
        nip="5252248481",
        e_paragon="123456789012345",
        qr="https://karb.example",
    )
    model = Receipt.model_validate(receipt_body(receipt, TABLE)["receipt"])
    assert model.buyer.nip == "5252248481"
    assert model.buyer.e_document.protocol == "MF"
    assert model.payments[0].mobile.name == "BLIK"
    assert model.items[0].article.discount_markup.type == "value_discount"
    assert model.printout_lines[0].qrcode.text == "https://karb.example"


@pytest.mark.parametrize("name", ["a\x00", "中", "x" * 61])
def test_what_cannot_be_printed_names_value_and_cure(name):
    line = FiscalLine(name=name, quantity_milli=1000, unit_minor=499, vat=Vat(500))
    receipt = FiscalReceipt(
        job="S", lines=(line,), payments=(Tender(means="cash", amount_minor=499),), total_minor=499
    )
    with pytest.raises(DeviceRefused) as caught:
        receipt_body(receipt, TABLE)
    assert repr(name[:40])[:-1] in caught.value.problem
    assert caught.value.cure


@given(st.integers(0, 10**11))
def test_numbers_round_trip(number):
    assert scaled(money(number), 2) == number
    assert scaled(decimal(number), 3) == number


@given(junk)
def test_nonsense_is_no_printer_and_no_crash(body):
    for read in (read_check, read_id, read_device, read_fiscal_memory, read_last_id):
        try:
            read(body)
        except DeviceUnavailable as error:
            assert error.cure  # noqa: PT017 - not raising is as good
    assert read_error(body)


def test_answers_as_the_document_shows_them():
    check = read_check({"device": {"status": "OK"}, "request": {"jpkid": 1270, "status": "DONE"}})
    assert (check.state, check.memory_id, check.trouble) == ("DONE", 1270, None)
    refused = {
        "exception": {"code": 8, "description": "JSON Validation Error", "errors": ["a : Required"]}
    }
    assert read_error(refused) == "JSON Validation Error (a : Required)"
    with pytest.raises(DeviceUnavailable):
        read_check({"device": {"status": "OK"}, "request": {"status": "PERHAPS"}})
