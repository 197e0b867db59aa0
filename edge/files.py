"""The small files beside the database: each replaced whole, on disk before anybody is told."""

import os
from pathlib import Path


def replace(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Put a file in place of the one of its name, or where there was none, in one step.

    Args:
        path: The file.
        content: All of it.
        mode: Who may read it, less what the umask takes away.

    Raises:
        OSError: It cannot be written; the file before stands.
    """
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    create(beside, content, mode)
    beside.replace(path)
    sync_names(path.parent)


def create(path: Path, content: bytes, mode: int = 0o666) -> None:
    """Make a file that is not there yet.

    Raises:
        FileExistsError: It is.
        OSError: It cannot be written.
    """
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())


def sync_names(folder: Path) -> None:
    """Have on disk what was made, moved and removed in a folder: else a cut may undo it.

    Raises:
        OSError: The disk failed.
    """
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
