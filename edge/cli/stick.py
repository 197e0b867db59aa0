"""`karb sync --to FILE` and `--from FILE`: the node's own folder on one side, a stick on the other.

A node that runs as a service sees no sticks, and may write nowhere but in its folder: the
command carries the file between the two.
"""

import asyncio
import os
import secrets
import shutil
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from edge import app as node
from edge import folder
from edge.cli.ask import ask
from edge.cli.say import FAILED, REFUSED, USAGE, Failure
from edge.config import BadConfig, Config, load
from edge.store.connection import StoreError
from sync.errors import SyncError


def carry(data: Path, target: Path | None, source: Path | None) -> tuple[Any, str]:
    """Write to `target`, or read `source`; return the answer, and what to tell a person.

    Raises:
        Failure: A file cannot be read or written (1), or the stick is refused (4).
    """
    if not data.is_dir():
        raise Failure(USAGE, f"{data}: no such folder; run karb init first, or give --data.")
    inside = data / f"stick-{secrets.token_hex(8)}"
    try:
        if source is not None:
            _bring(source, inside, data)
        try:
            told = _do(data, inside, "to" if source is None else "from")
        except Failure as failure:
            said = str(failure).replace(inside.name, str(source or target))
            raise Failure(failure.code, said) from failure
        if target is not None:
            _place(inside, target)
    finally:
        inside.unlink(missing_ok=True)
    if target is not None:
        return {**told, "file": str(target)}, (
            f"{target}: {told['facts']} facts that head office has not confirmed, "
            f"{told['size']} bytes. There: karb-central sync --from FILE --to FILE."
        )
    at = datetime.fromtimestamp(told["written_ms"] / 1000, UTC)
    when = f"at {at:%Y-%m-%d %H:%M} UTC" if told["written_ms"] else "and did not know the time"
    who = "head office" if told["writer"] == "central" else f"node {told['writer'][:12]}"
    return {**told, "file": str(source)}, (
        f"{source}: {told['facts']} new facts; {who} wrote it {when}."
    )


def _do(data: Path, inside: Path, way: str) -> dict[str, Any]:
    if folder.is_locked(data):
        answer: dict[str, Any] = ask(data, "POST", "/v1/stick", {"file": inside.name, "way": way})
        return answer
    try:
        config = load(data)
        with folder.locked(data):
            return asyncio.run(_alone(config, inside, way))
    except BadConfig as error:
        raise Failure(USAGE, str(error)) from error
    except (folder.AlreadyRunning, node.NotEnrolled, SyncError) as error:
        raise Failure(REFUSED, str(error)) from error
    except (OSError, ValueError, StoreError) as error:
        raise Failure(FAILED, str(error)) from error


async def _alone(config: Config, inside: Path, way: str) -> dict[str, Any]:
    node.log_to_stderr()
    async with node.opened(config) as (store, clock):
        stick = node.carrier(config, store, clock)
        if way == "to":
            done = await stick.write(inside)
            now = clock.now().ms
            return {"facts": done.facts, "size": done.size, "writer": "", "written_ms": now}
        taken = await stick.read(inside)
        return {
            "facts": taken.facts,
            "size": taken.size,
            "writer": taken.writer,
            "written_ms": taken.written_ms,
        }


def _bring(source: Path, inside: Path, data: Path) -> None:
    try:
        size, free = source.stat().st_size, shutil.disk_usage(data).free
        if size > free // 2:
            raise Failure(
                FAILED,
                f"{source}: {size} bytes, and {data} has room for {free}; free some space.",
            )
        shutil.copyfile(source, inside)
        if os.geteuid() == 0:  # a node that runs as a user of its own has to read it
            owner = data.stat()
            os.chown(inside, owner.st_uid, owner.st_gid)
    except OSError as error:
        raise Failure(FAILED, f"{source}: cannot be read ({error.strerror}).") from error


def _place(inside: Path, target: Path) -> None:
    """Copy to the stick: whole under its name, or not at all."""
    beside = target.with_name(f".{target.name}.new")
    try:
        with inside.open("rb") as source, beside.open("wb") as file:
            shutil.copyfileobj(source, file)
            file.flush()
            os.fsync(file.fileno())
        beside.replace(target)
        descriptor = os.open(target.parent, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise Failure(
            FAILED, f"{target}: cannot be written ({error.strerror}); try another stick."
        ) from error
    finally:
        with suppress(OSError):
            beside.unlink(missing_ok=True)
