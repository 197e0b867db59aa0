"""What a command says, to a person or to a program, and how it ends."""

import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NoReturn

import msgspec
import typer
from typer.exceptions import TyperException

NAME = "karb"
OK = 0
FAILED = 1
USAGE = 2
UNREACHABLE = 3
REFUSED = 4


class Failure(Exception):
    """A command that cannot do what it was asked."""

    def __init__(self, code: int, message: str) -> None:
        """End with `code`, after telling `message`: what was expected, and the cure."""
        super().__init__(message)
        self.code = code


def out(value: Any, text: str, *, as_json: bool) -> None:
    """Say a result: `value` to a program, `text` to a person."""
    said = msgspec.json.encode(value).decode() if as_json else text
    sys.stdout.write(said + "\n")
    sys.stdout.flush()


def run(app: typer.Typer) -> NoReturn:
    """Run the command that the command line names; its exit code ends the process."""
    as_json = "--json" in sys.argv
    try:
        # What is wrong with the words themselves typer tells to people only.
        code = app(prog_name=NAME, standalone_mode=not as_json)
    except TyperException as error:
        out({"error": error.format_message(), "exit": USAGE}, "", as_json=True)
        code = USAGE
    sys.exit(code if isinstance(code, int) else OK)


@contextmanager
def ending(*, as_json: bool) -> Iterator[None]:
    """Turn a failure into a message and an exit code.

    Raises:
        typer.Exit: With the failure's code.
    """
    try:
        yield
    except Failure as failure:
        _fail(failure.code, str(failure), as_json=as_json)
    except typer.Exit:
        raise
    except Exception as error:  # noqa: BLE001 - a bug, or a damaged file: told like the rest
        traceback.print_exc()
        _fail(FAILED, f"{type(error).__name__}: {error}", as_json=as_json)


def _fail(code: int, message: str, *, as_json: bool) -> NoReturn:
    if as_json:
        out({"error": message, "exit": code}, "", as_json=True)
    else:
        sys.stderr.write(f"{NAME}: {message}\n")
    raise typer.Exit(code)
