import shutil
import sqlite3

import pytest

from edge.store.verify import verify_file
from tests.edge.store.rig import opened, selling


@pytest.fixture
async def copy(tmp_path):
    async with opened(tmp_path) as store:
        for number in range(1, 30):
            await store.write(selling(number.to_bytes(16, "big"), skus=("11", "22")))
    target = tmp_path / "copy.sqlite"
    shutil.copy(tmp_path / "karb.sqlite", target)
    return target


def test_a_whole_copy_is_sound(copy):
    verdict = verify_file(copy, copy=True)
    assert verdict.sound, verdict.findings
    assert (verdict.streams, verdict.facts) == (1, 30)


def test_a_flipped_bit_in_a_body_names_the_fact(copy):
    raw = bytearray(copy.read_bytes())
    db = sqlite3.connect(copy)
    body, event = db.execute("SELECT body, event FROM journal WHERE seq = 17").fetchone()
    db.close()
    at = raw.index(body) + 20
    assert raw.count(body) == 1
    raw[at] ^= 4
    copy.write_bytes(raw)
    verdict = verify_file(copy, copy=True)
    assert not verdict.sound
    assert "fact 17 (sale)" in verdict.findings[0]
    assert event.hex() in verdict.findings[0]


def test_no_bit_of_a_fact_can_be_flipped_unnoticed(copy):
    whole = copy.read_bytes()
    db = sqlite3.connect(copy)
    cells = db.execute("SELECT body, hash, signature FROM journal WHERE seq IN (2, 15, 30)")
    spots = [(whole.index(cell), len(cell)) for row in cells for cell in row if cell]
    db.close()
    for start, length in spots:
        for at in range(start, start + length, 7):
            raw = bytearray(whole)
            raw[at] ^= 1 << (at % 8)
            copy.write_bytes(raw)
            assert not verify_file(copy, copy=True).sound, f"byte {at}"


@pytest.mark.parametrize(
    ("sql", "finding"),
    [
        ("INSERT INTO rights VALUES ('11', 1, 9, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0)", "View rights"),
        ("UPDATE sales SET total_minor = 1 WHERE number = 3", "View sales"),
        ("UPDATE sale_events SET nth = nth + 1 WHERE nth = 3", "Index of sales"),
        ("DELETE FROM sale_events WHERE nth = 3", "Index of sales"),
        ("DELETE FROM facts WHERE place & 255 = 9", "expected number 9"),
        ("UPDATE facts SET hlc = hlc + 1 WHERE place & 255 = 9", "fact 9 (sale)"),
        ("UPDATE facts SET body = NULL WHERE place & 255 = 9", ""),
        (
            "UPDATE facts SET signature = zeroblob(64) WHERE place & 255 = 9",
            "not signed by its node",
        ),
        ("UPDATE roots SET public_key = zeroblob(32)", "not signed by its node"),
    ],
)
def test_what_somebody_changed_by_hand_is_found(copy, sql, finding):
    db = sqlite3.connect(copy)
    try:
        db.execute(sql)
        db.commit()
    except sqlite3.IntegrityError:
        return
    finally:
        db.close()
    verdict = verify_file(copy, copy=True)
    assert any(finding in line for line in verdict.findings), verdict.findings


def test_rubbish_is_no_database(tmp_path):
    path = tmp_path / "x.sqlite"
    path.write_bytes(b"rubbish" * 1000)
    assert "not a database" in verify_file(path, copy=True).findings[0]
    with pytest.raises(FileNotFoundError):
        verify_file(tmp_path / "none.sqlite")
