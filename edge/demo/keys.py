"""Single keys from a terminal, which is put back as it was."""

import asyncio
import os
import sys
import termios
import tty
from collections.abc import Callable, Iterator
from contextlib import contextmanager


def interactive() -> bool:
    """Whether somebody sits there."""
    return sys.stdin.isatty() and sys.stdout.isatty()


@contextmanager
def keys(on_key: Callable[[str], None]) -> Iterator[None]:
    """Hand over each key pressed inside the block; Ctrl-C stays what it is."""
    terminal = sys.stdin.fileno()
    before = termios.tcgetattr(terminal)
    loop = asyncio.get_running_loop()

    def pressed() -> None:
        for key in os.read(terminal, 64).decode(errors="ignore"):
            on_key(key.lower())

    tty.setcbreak(terminal)
    loop.add_reader(terminal, pressed)
    try:
        yield
    finally:
        loop.remove_reader(terminal)
        termios.tcsetattr(terminal, termios.TCSADRAIN, before)
