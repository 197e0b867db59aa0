"""Documents: any order of any changes is one value, and no bytes bring the program down."""

import contextlib
import subprocess
import sys
from hashlib import sha256
from pathlib import Path

import pytest
from automerge.core import Document as Library
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from sync.errors import BadFact
from sync.facts.change import BASE_ACTOR, MAX_CHANGE, read
from sync.merge.document import (
    BASE,
    BASE_HASH,
    COMPACT_AT,
    FIELDS,
    ITEMS,
    SUMS,
    Add,
    DocumentFull,
    Drop,
    Put,
    begun,
    opened,
)
from tests.sync.hostile_changes import chunk, uleb

ROOT = Path(__file__).parents[2]

scalars = st.one_of(st.text(max_size=40), st.integers(-(1 << 63), (1 << 63) - 1), st.booleans())
edits = st.one_of(
    st.builds(Put, st.sampled_from((FIELDS, ITEMS)), st.text(max_size=8), scalars),
    st.builds(Drop, st.sampled_from((FIELDS, ITEMS)), st.text(max_size=8)),
    st.builds(Add, st.sampled_from(("milk", "bread")), st.integers(-9999, 9999)),
)


@st.composite
def histories(draw, most=8):
    """Changes of writers each of whom has heard some of the others; with what was added."""
    changes, added = [], {}
    for number in range(draw(st.integers(1, most))):
        known = draw(st.sets(st.sampled_from(changes))) if changes else set()
        made = opened(known).change(
            bytes([number]) * 16, wanted := draw(st.lists(edits, min_size=1, max_size=4))
        )
        if made is not None:
            changes.append(made)
            for edit in wanted:
                if isinstance(edit, Add):
                    added[edit.key] = added.get(edit.key, 0) + edit.amount
    return changes, added


def test_the_first_change_is_what_the_library_makes_of_three_maps():
    from automerge.core import ROOT as TOP  # noqa: PLC0415
    from automerge.core import ObjType  # noqa: PLC0415

    made = Library(actor_id=BASE_ACTOR)
    with made.transaction() as tx:
        for name in (FIELDS, ITEMS, SUMS):
            tx.put_object(TOP, name, ObjType.Map)
    assert made.get_last_local_change().raw_bytes == BASE
    assert made.get_heads() == [BASE_HASH]


@given(histories(), st.data())
def test_any_order_any_repetition_and_loss_then_resending_give_one_value(history, data):
    changes, added = history
    whole = opened(changes)
    assert not whole.unusable
    shuffled = data.draw(st.permutations(changes))
    again = data.draw(st.lists(st.sampled_from(changes), max_size=5)) if changes else []
    lost = data.draw(st.sets(st.sampled_from(changes))) if changes else set()
    partly = opened([one for one in shuffled if one not in lost])
    assert not partly.unusable
    assert partly.changes + len(partly.waiting) == len(changes) - len(lost)
    for order in ([*shuffled, *again], [*again, *reversed(shuffled)]):
        other = opened(order)
        assert (other.value, other.heads) == (whole.value, whole.heads)
        assert not other.waiting
    # What is added is never lost, whoever added it and whatever they had heard.
    assert {k: v for k, v in whole.value.sums.items() if v} == {k: v for k, v in added.items() if v}


@given(st.lists(edits, max_size=8))
def test_a_document_says_what_was_written_last_by_its_only_writer(wanted):
    expected: dict[str, dict] = {FIELDS: {}, ITEMS: {}}
    document, changes = opened(), []
    for edit in wanted:
        made = document.change(b"\1" * 16, [edit])
        if made is not None:
            changes.append(made)
            document = opened(changes)
        match edit:
            case Put(container, key, value):
                expected[container][key] = value
            case Drop(container, key):
                expected[container].pop(key, None)
    assert document.value.fields == expected[FIELDS]
    assert document.value.items == expected[ITEMS]
    assert document.change(b"\2" * 16, document.value.edits()[: len(document.value.fields)]) is None


@given(histories())
def test_a_generation_begins_from_the_values_and_leaves_the_history(history):
    changes, _ = history
    value = opened(changes).value
    assume(value.fields or value.items or any(value.sums.values()))
    start = begun(value, b"\7" * 16)
    after = opened([start])
    assert after.changes == 1
    assert (after.value.fields, after.value.items) == (value.fields, value.items)
    assert {k: v for k, v in after.value.sums.items() if v} == {
        k: v for k, v in value.sums.items() if v
    }
    more = after.change(rb"\8"[:1] * 16, [Put(FIELDS, "later", True)])
    assert opened([more, start]).value.fields["later"] is True


def test_a_document_that_is_full_says_so_and_stays():
    document, changes = opened(), []

    def write(number):
        return document.change(b"\1" * 16, [Put(FIELDS, f"{number}", "x" * (MAX_CHANGE - 500))])

    for number in range(15):
        changes.append(write(number))
        document = opened(changes)
    changes.append(write(15))
    document = opened(changes)
    with pytest.raises(DocumentFull, match="Begin another"):
        write(16)
    assert 10 < len(changes) < 20
    assert not document.unusable


def test_growth_is_bounded_well_below_what_a_document_may_hold():
    document, changes = opened(), []
    for number in range(COMPACT_AT):
        changes.append(document.change(bytes([number % 5]) * 16, [Put(ITEMS, "a", number)]))
        document = opened(changes)
    assert document.changes == COMPACT_AT
    assert document.size < 64 * 1024


@given(histories(most=4), st.binary(max_size=60), st.data())
def test_one_bad_change_leaves_the_others_alone(history, junk, data):
    changes, _ = history
    at = data.draw(st.integers(0, len(changes)))
    found = opened([*changes[:at], junk, *changes[at:]])
    assert junk in found.unusable
    assert found.value == opened(changes).value


def test_a_writer_that_numbers_two_changes_alike_is_set_aside_the_same_everywhere():
    one = opened().change(b"\1" * 16, [Put(FIELDS, "name", "one")])
    two = opened().change(b"\1" * 16, [Put(FIELDS, "name", "two")])
    first, second = opened([one, two]), opened([two, one])
    assert first.value == second.value
    assert first.unusable == second.unusable
    assert len(first.unusable) == 1
    (bad,) = first.unusable
    after = opened([bad]).change(b"\2" * 16, [Put(FIELDS, "more", 1)])
    found = opened([one, two, after])
    assert found.unusable.keys() == {bad, after}, "and what builds on it, not silently"
    assert not found.waiting


def sleb(n):
    out = bytearray()
    while True:
        byte, n = n & 0x7F, n >> 7
        if (n == 0 and not byte & 0x40) or (n == -1 and byte & 0x40):
            out.append(byte)
            return bytes(out)
        out.append(byte | 0x80)


def bomb(ops, key=b"a"):
    """A change of a few bytes that says it has `ops` operations."""
    same = sleb(ops)
    columns = {
        0x01: same + uleb(1),
        0x02: same + uleb(1),
        0x15: same + uleb(len(key)) + key,
        0x34: uleb(ops),
        0x42: same + uleb(1),
        0x56: same + uleb(1),
        0x70: same + uleb(0),
    }
    head = uleb(1) + BASE_HASH + uleb(16) + b"\7" * 16 + uleb(1) + uleb(4) + b"\0\0"
    head += uleb(1) + uleb(16) + BASE_ACTOR + uleb(len(columns))
    sizes = b"".join(uleb(name) + uleb(len(raw)) for name, raw in columns.items())
    return chunk(head + sizes + b"".join(columns.values()))


def test_a_few_bytes_do_not_become_a_thousand_million_operations():
    # The very same bytes with a small number are a sound change: the number is what is refused.
    assert read(bomb(2)).ops == 2
    for ops in (5000, 1_000_000, 1_000_000_000, 1 << 62):
        with pytest.raises(BadFact, match="expected at most"):
            read(bomb(ops))
        assert opened([bomb(ops)]).unusable
    with pytest.raises(BadFact, match="expected at most"):
        read(bomb(4000, key=b"a" * 500))


@given(st.binary(max_size=300), st.integers(0, 2))
def test_any_bytes_are_a_change_or_refused(raw, dressed):
    if dressed:
        head = uleb(1) + BASE_HASH + uleb(16) + b"\7" * 16 if dressed == 2 else b""
        raw = chunk(head + raw)
    with contextlib.suppress(BadFact):
        assert read(raw).ops > 0


@pytest.mark.parametrize("strip", [(0x01,), (0x42,), (0x70,), (0x15, 0x56)])
def test_a_change_without_one_of_its_columns_is_refused(strip):
    with pytest.raises(BadFact):
        read(without(bomb(2), strip))


def without(change, names):
    body = change[10:]
    at = 1 + 32 + 1 + 16 + 1 + 1 + 2 + 1 + 1 + 16
    count, sizes = body[at], body[at + 1 :]
    columns, data = [], sizes[2 * count :]
    for n in range(count):
        name, size = sizes[2 * n], sizes[2 * n + 1]
        columns.append((name, data[:size]))
        data = data[size:]
    kept = [(name, raw) for name, raw in columns if name not in names]
    packed = b"".join(uleb(name) + uleb(len(raw)) for name, raw in kept)
    return chunk(body[:at] + uleb(len(kept)) + packed + b"".join(raw for _, raw in kept))


@settings(max_examples=5)
@given(st.integers(0, 1 << 30))
def test_hostile_changes_end_no_process(seed):
    """In a process of its own: an abort of the library is a failure here, not of pytest.

    The long form is `python -m tests.sync.hostile_changes SEED CASES`.
    """
    ran = subprocess.run(
        [sys.executable, "-m", "tests.sync.hostile_changes", str(seed), "200"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, f"seed {seed}: ended with {ran.returncode}\n{ran.stderr[-2000:]}"
    assert "passed the check" in ran.stdout


def test_a_checksum_is_checked_by_us():
    change = bytearray(opened().change(b"\1" * 16, [Put(FIELDS, "a", "b")]))
    assert change[-3:] == b"b\x7f\0", "the value, and that it replaces nothing"
    change[-3] ^= 1
    with pytest.raises(BadFact, match="checksum"):
        read(bytes(change))
    body = bytes(change[8:])
    assert read(bytes(change[:4]) + sha256(body).digest()[:4] + body).hash
