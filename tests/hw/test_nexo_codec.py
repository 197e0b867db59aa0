"""nexo: the seal, and answers that lie, are cut, or are for another message."""

import base64
import json
from contextlib import suppress
from decimal import Decimal

import pytest
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from hypothesis import given
from hypothesis import strategies as st

from hw.errors import DeviceUnavailable
from hw.nexo.codec import (
    CONDITIONS,
    RESPONSE,
    Header,
    Payment,
    Result,
    major,
    message,
    minor,
    order,
    read_availability,
    read_payment,
    read_reply,
    read_status,
    read_totals,
)
from hw.nexo.sealed import SharedKey, seal, unseal
from hw.payment import Approved, Declined, NoAnswer, NotFound, PaymentIntent, Pending

KEY = SharedKey.derive("karb", 1, "mysupersecretpassphrase")
OTHER = SharedKey.derive("karb", 1, "another")
ORDER = PaymentIntent(attempt="A", sale="S", amount_minor=1099, cashback_minor=5000)
NONCE = bytes(range(16))


def test_the_seal_opened_by_the_words_of_the_specification():
    """Not by our own code: another derivation, another mode object, the same plain text."""
    import hashlib  # noqa: PLC0415
    import hmac  # noqa: PLC0415

    plain = b'{"SaleToPOIResponse":{}}'
    told = json.loads(seal(KEY, RESPONSE, b"{}", plain, NONCE))[RESPONSE]
    salt = b"AdyenNexoV1Salt"
    material = hashlib.pbkdf2_hmac("sha1", b"mysupersecretpassphrase", salt, 4000, 80)
    vector = bytes(a ^ b for a, b in zip(material[64:80], NONCE, strict=True))
    decryptor = Cipher(algorithms.AES(material[32:64]), modes.CBC(vector)).decryptor()
    padded = decryptor.update(base64.b64decode(told["NexoBlob"])) + decryptor.finalize()
    assert padded[: -padded[-1]] == plain
    trailer = told["SecurityTrailer"]
    assert base64.b64decode(trailer["Nonce"]) == NONCE
    proof = hmac.new(material[:32], plain, hashlib.sha256).digest()
    assert base64.b64decode(trailer["Hmac"]) == proof
    assert (trailer["KeyIdentifier"], trailer["KeyVersion"]) == ("karb", 1)
    assert trailer["AdyenCryptoVersion"] == 1


@given(st.binary(max_size=300), st.binary(min_size=16, max_size=16))
def test_sealed_and_unsealed(plain, nonce):
    data = seal(KEY, RESPONSE, b'{"a":1}', plain, nonce)
    assert unseal(KEY, RESPONSE, data) == plain
    with pytest.raises(DeviceUnavailable, match="shared key"):
        unseal(OTHER, RESPONSE, data)


@given(st.data())
def test_a_changed_or_cut_envelope_is_none(data):
    sealed = seal(KEY, RESPONSE, b"{}", b'{"SaleToPOIResponse":{}}', NONCE)
    place = data.draw(st.integers(0, len(sealed) - 1))
    wrong = bytearray(sealed)
    wrong[place] ^= data.draw(st.integers(1, 255))
    for told in (bytes(wrong), sealed[:place]):
        with suppress(DeviceUnavailable):  # or what was changed does not matter
            assert unseal(KEY, RESPONSE, told) == b'{"SaleToPOIResponse":{}}'


@given(st.binary(max_size=200))
def test_anything_else_is_none(data):
    with pytest.raises(DeviceUnavailable):
        unseal(KEY, RESPONSE, data)
    with pytest.raises(DeviceUnavailable):
        read_reply(data, service="a", sale_id="b", poi_id="c")


def header(**more):
    told = {"MessageCategory": "Payment", "MessageType": "Response"}
    return Header(**told | {"SaleID": "T", "POIID": "P", "ServiceID": "abc"} | more)


@pytest.mark.parametrize("wrong", [{"ServiceID": "abd"}, {"SaleID": "U"}, {"POIID": "Q"}])
def test_the_answer_to_another_message_is_none(wrong):
    body = {"Response": {"Result": "Success"}}
    told = {"service": "abc", "sale_id": "T", "poi_id": "P"}
    good = message(RESPONSE, header(), "PaymentResponse", body)
    assert read_reply(good, **told).PaymentResponse == Payment(Result("Success"))
    with pytest.raises(DeviceUnavailable, match="abc"):
        read_reply(message(RESPONSE, header(**wrong), "PaymentResponse", body), **told)


@given(st.integers(1, 10**11))
def test_amounts(amount):
    assert minor(major(amount)) == amount
    assert str(major(amount))[-3] == "."


@pytest.mark.parametrize("wrong", ["-0.01", "1e11", "1e400"])
def test_an_amount_that_cannot_be(wrong):
    with pytest.raises(DeviceUnavailable, match="amount"):
        minor(Decimal(wrong))


def test_orders():
    category, body = order(ORDER, "2026-01-01T00:00:00+00:00")
    told = json.loads(message("SaleToPOIRequest", header(), "PaymentRequest", body))
    amounts = told["SaleToPOIRequest"]["PaymentRequest"]["PaymentTransaction"]["AmountsReq"]
    assert category == "Payment"
    assert amounts == {"Currency": "PLN", "RequestedAmount": 60.99, "CashBackAmount": 50.0}
    undo = PaymentIntent(
        attempt="A~1", sale="S", amount_minor=1, kind="reversal", of_reference="R", of_moment="M"
    )
    category, body = order(undo, "now")
    assert category == "Reversal"
    assert body["OriginalPOITransaction"] == {
        "POITransactionID": {"TransactionID": "R", "TimeStamp": "M"}
    }


def reply(name, body):
    plain = message(RESPONSE, header(), name, body)
    return read_reply(plain, service="abc", sale_id="T", poi_id="P")


def failed(condition):
    return {"Response": {"Result": "Failure", "ErrorCondition": condition}}


@given(st.one_of(st.sampled_from(sorted(CONDITIONS)), st.text(max_size=20)), st.booleans())
def test_only_what_is_known_to_be_an_end_without_a_payment_is_one(condition, partial):
    told = read_payment(reply("PaymentResponse", failed(condition)).PaymentResponse, ORDER)
    assert isinstance(told, Declined) == (condition in CONDITIONS)
    assert isinstance(told, Declined | NoAnswer)
    result = {"Response": {"Result": "Partial" if partial else "Success"}}
    assert isinstance(
        read_payment(reply("PaymentResponse", result).PaymentResponse, ORDER), NoAnswer
    ), "an approval without an amount is not taken for one"


def test_what_became_of_an_order():
    paid = {
        "Response": {"Result": "Success"},
        "PaymentResult": {"AmountsResp": {"Currency": "PLN", "AuthorizedAmount": 10.99}},
    }

    def asked(body, service="abc"):
        told = reply("TransactionStatusResponse", body).TransactionStatusResponse
        return read_status(told, ORDER, service)

    repeated = {
        "Response": {"Result": "Success"},
        "RepeatedMessageResponse": {
            "MessageHeader": header(),
            "RepeatedResponseMessageBody": {"PaymentResponse": paid},
        },
    }
    assert isinstance(asked(repeated), Approved)
    assert isinstance(asked(repeated, service="other"), NoAnswer)
    assert asked(failed("NotFound")) == NotFound()
    assert isinstance(asked(failed("InProgress")), Pending)
    for condition in ("Refusal", "Busy", "UnavailableService", "", "Surprise"):
        assert isinstance(asked(failed(condition)), NoAnswer), condition


def test_what_is_not_said_is_not_known():
    assert read_availability(None).cards is None
    assert (
        read_availability(reply("DiagnosisResponse", failed("Busy")).DiagnosisResponse).cards
        is None
    )
    assert read_totals(None) is None
