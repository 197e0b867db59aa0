from http import HTTPStatus

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from sync.contract.problem import MAX_VALUE, Problem, decode, encode, mistake, problem, shown


def test_a_problem_on_the_wire():
    told = problem(
        422,
        "The sale was refused.",
        errors=[mistake("lines[0].sku", "X", "a known SKU", "import it first")],
    )
    assert msgspec.json.decode(encode(told)) == {
        "title": HTTPStatus(422).phrase,  # worded anew in Python 3.13
        "status": 422,
        "detail": "The sale was refused.",
        "errors": [
            {
                "where": "lines[0].sku",
                "value": "X",
                "expected": "a known SKU",
                "cure": "import it first",
            }
        ],
    }
    assert str(told.errors[0]) == "lines[0].sku: got 'X', expected a known SKU; import it first."
    assert str(mistake("age", 7, "18")) == "age: got '7', expected 18."


@given(
    st.builds(
        Problem,
        title=st.text(),
        status=st.integers(400, 599),
        detail=st.text(),
        instance=st.none() | st.text(),
        errors=st.lists(st.builds(mistake, st.text(), st.text(), st.text())).map(tuple),
    )
)
def test_round_trip(told):
    assert decode(encode(told)) == told


def test_a_refusal_never_echoes_a_flood():
    told = problem(
        422, "Refused.", errors=[mistake(f"row {n}", "x" * 10**6, "y") for n in range(500)]
    )
    assert len(told.errors) == 100
    assert told.detail == "Refused. 500 mistakes, the first 100 are listed."
    assert len(encode(told)) < 40_000


@given(st.text() | st.binary() | st.integers() | st.floats() | st.none() | st.lists(st.text()))
def test_whatever_came_can_be_shown(value):
    text = shown(value)
    assert text.isprintable()
    assert len(text) <= MAX_VALUE + 1


def test_values_are_shown_plainly():
    assert shown("5,90") == "5,90"
    assert shown("a\nb") == "a\\u000ab"
    assert shown(b"\xffa") == "\\xffa"
    assert shown([1, 2]) == "list of 2"
    assert shown({"a": 1}) == "object of 1"
    assert shown(10**10_000) == "a whole number of 33220 bits"
    assert shown("ż" * 500) == "ż" * MAX_VALUE + "…"


def test_an_unheard_of_status_still_has_a_title():
    assert problem(499, "Gone.").title == "Status 499"
    assert problem(507, "Full.", title="Disk full").title == "Disk full"


@pytest.mark.parametrize("body", [b"", b"[]", b"{}", b'{"title":1,"status":2,"detail":3}'])
def test_what_is_no_problem_is_refused(body):
    with pytest.raises(msgspec.DecodeError):
        decode(body)
