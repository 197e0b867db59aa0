"""`karb devices …`: look, configure, try out; in the node that runs, else in its files."""
# ruff: noqa: PLC0415 - every command begins here, and few of them need devices

from pathlib import Path
from typing import Annotated, Any

import typer

from edge import folder
from edge.cli.ask import ask
from edge.cli.say import UNREACHABLE, USAGE, Failure, ending, out

devices = typer.Typer(help="Scanners, printers, scales and the like.", no_args_is_help=True)

Data = Annotated[
    Path, typer.Option("--data", envvar="KARB_DATA", help="Folder of the node.", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on standard output.")]
Id = Annotated[str, typer.Argument(help="Of the device.", metavar="ID")]
TillOption = Annotated[str | None, typer.Option(help="The till it belongs to.", metavar="ID")]
HERE = Path("karb-data")


@devices.command("scan")
def scan_(
    *,
    data: Data = HERE,
    interface: Annotated[
        list[str] | None, typer.Option(help="Address of this machine to listen on.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Look what is plugged in, what announces itself, and which simulators run."""
    with ending(as_json=as_json):
        if folder.is_locked(data) and not interface:
            found = ask(data, "POST", "/v1/devices/scan")["found"]
            if any(one["holder"] is None and one["device"] is None for one in found):
                from edge.cli import workbench

                # The node's unit hides other users' processes from it; whoever asks may see more.
                found = [one | {"holder": workbench.held_by(one)} for one in found]
        else:
            from edge.cli import workbench

            found = workbench.look(interface or [])
        out({"found": found}, "\n".join(map(_found_text, found)) or "Nothing.", as_json=as_json)


@devices.command("list")
def list_(*, data: Data = HERE, as_json: Json = False) -> None:
    """Say how each device is, and what to do about it."""
    with ending(as_json=as_json):
        if folder.is_locked(data):
            rows = ask(data, "GET", "/v1/devices")["devices"]
        else:
            from edge.cli import workbench

            rows = workbench.rows(data)
        out({"devices": rows}, "\n".join(map(_device_text, rows)) or "None.", as_json=as_json)


@devices.command()
def add(  # noqa: PLR0913 - one option for each thing a device has
    *,
    id_: Id,
    driver: Annotated[str, typer.Option(help="As printer.escpos.")],
    url: Annotated[str, typer.Option(help="As karb devices scan says.")],
    till: TillOption = None,
    shared: Annotated[bool, typer.Option(help="Every till may use it.")] = False,
    stand_in: Annotated[
        str | None, typer.Option(help="Printer that does its work.", metavar="ID")
    ] = None,
    option: Annotated[
        list[str] | None, typer.Option(help="Of the driver.", metavar="NAME=VALUE")
    ] = None,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Configure a device; a node that runs begins to use it."""
    with ending(as_json=as_json):
        body = {
            "driver": driver,
            "url": url,
            "till": till,
            "shared": shared,
            "stand_in": stand_in,
            "options": dict(_option(text) for text in option or ()),
        }
        if folder.is_locked(data):
            row = ask(data, "PUT", f"/v1/devices/{id_}", body)
        else:
            from edge.cli import workbench

            row = workbench.put(data, id_, body)
        out(row, _device_text(row), as_json=as_json)


@devices.command()
def bind(
    *,
    id_: Id,
    till: TillOption = None,
    shared: Annotated[bool, typer.Option(help="Every till may use it.")] = False,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Give a device to a till, or to all."""
    with ending(as_json=as_json):
        if (till is None) is not shared:
            raise Failure(USAGE, "bind: expected --till ID or --shared.")
        if folder.is_locked(data):
            row = ask(data, "PUT", f"/v1/devices/{id_}/till", {"till": till})
        else:
            from edge.cli import workbench

            row = workbench.bind(data, id_, till)
        out(row, _device_text(row), as_json=as_json)


@devices.command("test")
def try_out(*, id_: Id, data: Data = HERE, as_json: Json = False) -> None:
    """Try a device out: a printer prints a line."""
    with ending(as_json=as_json):
        _require_running(data)
        said = ask(data, "POST", f"/v1/devices/{id_}/test")
        out(said, f"{id_}: {said['said']}.", as_json=as_json)


@devices.command()
def log(*, id_: Id, data: Data = HERE, as_json: Json = False) -> None:
    """Tell what happened at a device since the node started."""
    with ending(as_json=as_json):
        _require_running(data)
        said = ask(data, "GET", f"/v1/devices/{id_}/log")
        lines = [
            f"{entry['at_ms']} {entry['kind']} "
            + " ".join(f"{name}={text}" for name, text in entry["data"].items())
            for entry in said["entries"]
        ]
        out(said, "\n".join(lines) or "Nothing yet.", as_json=as_json)


@devices.command()
def remove(*, id_: Id, data: Data = HERE, as_json: Json = False) -> None:
    """Let go of a device for good. What waits for it comes out of its till's printer."""
    with ending(as_json=as_json):
        if folder.is_locked(data):
            ask(data, "DELETE", f"/v1/devices/{id_}")
        else:
            from edge.cli import workbench

            workbench.remove(data, id_)
        out({"removed": id_}, f"{id_}: removed.", as_json=as_json)


@devices.command(context_settings={"ignore_unknown_options": True})
def simulate(
    *,
    driver: Annotated[str, typer.Argument(help="As printer.escpos.")],
    pty: Annotated[bool, typer.Option("--pty", help="On a serial line.")] = False,
    port: Annotated[
        int | None, typer.Option(help="On this port of 127.0.0.1; 0: any.", metavar="N")
    ] = None,
    more: Annotated[
        list[str] | None, typer.Argument(help="The simulator's own words.", metavar="…")
    ] = None,
) -> None:
    """Start a device that is none: it prints where it is, and obeys lines typed at it."""
    with ending(as_json=False):
        from edge.cli import workbench

        arguments = list(more or ())
        if port is not None:
            arguments += ["--listen", f"127.0.0.1:{port}"]
        workbench.simulate(driver, arguments, pty=pty)


def _require_running(data: Path) -> None:
    if not folder.is_locked(data):
        raise Failure(UNREACHABLE, f"{data}: no node runs there; start it with karb run.")


def _option(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name:
        raise Failure(USAGE, f"--option {text!r}: expected NAME=VALUE.")
    return name, value


def _found_text(row: dict[str, Any]) -> str:
    words = [row["url"], "  ", row["label"], f"(by its {row['bound_by']})"]
    if row["drivers"]:
        words.append(f"for {' or '.join(row['drivers'])}")
    if row["device"]:
        words.append(f"= {row['device']}")
    if row["holder"]:
        words.append(f"; held by {row['holder']}")
    return " ".join(words)


def _device_text(row: dict[str, Any]) -> str:
    whose = f"till {row['till']}" if row["till"] else "shared" if row["shared"] else "the till"
    line = f"{row['id']}: {row['driver']} at {row['url']}, {whose}: {row['state']}"
    return line + (f"; {row['problem']} {row['cure'] or ''}".rstrip() if row["problem"] else "")
