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

    async def load(self, key: str) -> Note:
        """The note of a key; empty when there is none.

        Raises:
            DeviceMisconfigured: The notes cannot be read.
        """
        ...

    async def pending(self) -> list[str]:
        """Keys whose last note was pending, in the order they became so.

        Raises:
            DeviceMisconfigured: The notes cannot be read.
        """
        ...

    async def save(self, key: str, note: Note, *, pending: bool = False) -> None:
        """Keep a note instead of the one before; on disk when it returns.

        Raises:
            DeviceUnavailable: It could not be written; the one before stands.
        """
        ...


class FileMemory:
    """A file of JSON lines; the last line of a key holds, and half a line at the end is none.

    One process at a time: it belongs to one driver. All of it is held in memory (some 500
    bytes a receipt); a store's program gives its driver a database instead.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._notes: dict[str, tuple[Note, bool]] | None = None

    async def load(self, key: str) -> Note:
        """See `Memory.load`."""
        return (await self._read()).get(key, ({}, False))[0]

    async def pending(self) -> list[str]:
        """See `Memory.pending`."""
        return [key for key, (_, pending) in (await self._read()).items() if pending]

    async def save(self, key: str, note: Note, *, pending: bool = False) -> None:
        """See `Memory.save`."""
        notes = await self._read()
        # Shielded: a caller who is cancelled must not leave half a line for the next one.
        await asyncio.shield(asyncio.to_thread(self._append, key, note, pending))
        if not notes.get(key, ({}, False))[1]:
            notes.pop(key, None)
        notes[key] = note, pending

    async def _read(self) -> dict[str, tuple[Note, bool]]:
        if self._notes is None:
            self._notes = await asyncio.to_thread(self._load)
        return self._notes

    def _load(self) -> dict[str, tuple[Note, bool]]:
        """Read the file, and write it anew without the lines that later ones replaced."""
        notes: dict[str, tuple[Note, bool]] = {}
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            text = self._path.read_bytes() if self._path.exists() else b""
            whole, _, _ = text.rpartition(b"\n")
            for line in whole.splitlines():
                key, note, pending = json.loads(line)
                if not notes.get(key, ({}, False))[1]:
                    notes.pop(key, None)
                notes[key] = note, pending
            draft = self._path.with_name(self._path.name + ".new")
            with draft.open("wb") as file:
                file.writelines(_line(key, *kept) for key, kept in notes.items())
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

    def _append(self, key: str, note: Note, pending: bool) -> None:  # noqa: FBT001 - as kept
        try:
            with self._path.open("r+b") as file:
                size = file.seek(0, os.SEEK_END)
                file.seek(max(0, size - 1))
                if size and file.read(1) != b"\n":  # the line before broke off
                    file.seek(0)
                    file.truncate(file.read().rfind(b"\n") + 1)
                    file.seek(0, os.SEEK_END)
                file.write(_line(key, note, pending))
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise DeviceUnavailable(
                f"Notes {self._path}: expected to write, got {error}.",
                cure="Make room on the disk.",
            ) from error


def _line(key: str, note: Note, pending: bool) -> bytes:  # noqa: FBT001 - as kept
    return json.dumps([key, note, pending], ensure_ascii=False).encode() + b"\n"


def _sync_folder(folder: Path) -> None:
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
