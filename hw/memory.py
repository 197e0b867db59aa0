"""Where a driver keeps what must outlive its process: the seam, and a file.

A side effect's intent is on disk before its first byte leaves. The gateway gives a driver
its own store; the file serves a driver that runs alone.
"""

import asyncio
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Protocol, TypeAlias

from hw.errors import DeviceMisconfigured, DeviceUnavailable

Note: TypeAlias = Mapping[str, Any]
"""What is kept under one key: texts, whole numbers, None, and mappings of these."""


class Memory(Protocol):
    """Notes by key. Nothing is ever forgotten: a job that is done stays done."""

    async def load(self) -> dict[str, Note]:
        """All notes.

        Raises:
            DeviceMisconfigured: They cannot be read.
        """
        ...

    async def save(self, key: str, note: Note) -> None:
        """Keep a note instead of the one before; on disk when it returns.

        Raises:
            DeviceUnavailable: It could not be written; the one before stands.
        """
        ...


class FileMemory:
    """A file of JSON lines; the last line of a key holds, and half a line at the end is none.

    One process at a time: it belongs to one driver.
    """

    def __init__(self, path: Path) -> None:
        self._path = path

    async def load(self) -> dict[str, Note]:
        """See `Memory.load`. Drops lines that later ones replaced."""
        return await asyncio.to_thread(self._load)

    async def save(self, key: str, note: Note) -> None:
        """See `Memory.save`."""
        # Shielded: a caller who is cancelled must not leave half a line for the next one.
        await asyncio.shield(asyncio.to_thread(self._append, key, note))

    def _load(self) -> dict[str, Note]:
        notes: dict[str, Note] = {}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            text = self._path.read_bytes() if self._path.exists() else b""
            whole, _, _ = text.rpartition(b"\n")
            for line in whole.splitlines():
                key, note = json.loads(line)
                notes[key] = note
            draft = self._path.with_suffix(".new")
            with draft.open("wb") as file:
                file.writelines(_line(key, note) for key, note in notes.items())
                file.flush()
                os.fsync(file.fileno())
            draft.replace(self._path)
            _sync_folder(self._path.parent)
        except (OSError, ValueError, TypeError) as error:
            raise DeviceMisconfigured(
                f"Notes {self._path}: expected a file that Karb wrote, got {error!r}.",
                cure="Give Karb the right to write there; do not delete it: it says which "
                "receipts were printed.",
            ) from error
        return notes

    def _append(self, key: str, note: Note) -> None:
        try:
            with self._path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                if size and not self._ends_whole(file, size):
                    file.truncate(file.seek(self._last_whole(file)))
                file.write(_line(key, note))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DeviceUnavailable(
                f"Notes {self._path}: expected to write, got {error}.",
                cure="Make room on the disk.",
            ) from error

    @staticmethod
    def _ends_whole(file: Any, size: int) -> bool:
        file.seek(size - 1)
        return bool(file.read(1) == b"\n")

    @staticmethod
    def _last_whole(file: Any) -> int:
        file.seek(0)
        return int(file.read().rfind(b"\n")) + 1


def _line(key: str, note: Note) -> bytes:
    return json.dumps([key, note], ensure_ascii=False).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
