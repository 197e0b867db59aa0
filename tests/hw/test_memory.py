import json

import pytest

from hw.errors import DeviceMisconfigured, DeviceUnavailable
from hw.memory import FileMemory


@pytest.fixture
def path(tmp_path):
    return tmp_path / "notes" / "fiscal"


async def test_notes_outlive_the_process(path):
    memory = FileMemory(path)
    assert await memory.load("a") == {}
    await memory.save("a", {"n": 1}, pending=True)
    await memory.save("b", {"n": "żółw\n"}, pending=True)
    await memory.save("a", {"n": 2})
    again = FileMemory(path)
    assert (await again.load("a"), await again.load("b")) == ({"n": 2}, {"n": "żółw\n"})
    assert await again.pending() == ["b"]
    assert len(path.read_text().splitlines()) == 2, "what was replaced is dropped"


async def test_a_torn_line_at_every_byte_is_the_note_before(path):
    memory = FileMemory(path)
    await memory.save("job", {"stage": "begun"}, pending=True)
    whole = path.read_bytes()
    await memory.save("job", {"stage": "closing"}, pending=True)
    grown = path.read_bytes()
    for length in range(len(whole), len(grown)):
        path.write_bytes(grown[:length])
        torn = FileMemory(path)
        assert await torn.load("job") == {"stage": "begun"}, length
        await torn.save("job", {"stage": "done"})
        assert await FileMemory(path).load("job") == {"stage": "done"}


async def test_a_line_torn_while_running_does_not_swallow_the_next(path):
    memory = FileMemory(path)
    await memory.save("a", {"n": 1})
    with path.open("ab") as file:
        file.write(b'["a", {"n"')
    await memory.save("b", {"n": 2})
    again = FileMemory(path)
    assert (await again.load("a"), await again.load("b")) == ({"n": 1}, {"n": 2})


async def test_what_cannot_be_read_is_not_forgotten(path):
    path.parent.mkdir()
    path.write_bytes(b"not ours\n")
    with pytest.raises(DeviceMisconfigured, match="do not delete"):
        await FileMemory(path).load("a")
    assert path.read_bytes() == b"not ours\n"


async def test_what_cannot_be_written_is_told(path):
    memory = FileMemory(path)
    await memory.save("a", {"n": 1})
    path.unlink()
    with pytest.raises(DeviceUnavailable, match="Make room"):
        await memory.save("a", {"n": 2})
    assert await memory.load("a") == {"n": 1}


async def test_each_note_is_one_line_of_json(path):
    memory = FileMemory(path)
    await memory.save("a", {"n": None}, pending=True)
    assert json.loads(path.read_text()) == ["a", {"n": None}, True]
