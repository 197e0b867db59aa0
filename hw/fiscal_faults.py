"""What can go wrong with a simulated fiscal printer beyond its line, and what comes out of it.

Both simulators obey these lines; each has more of its own: `paper out | out after N | low |
ok`, `cover open | closed`, `foreign GROSZ` (another computer sells something), `midnight` (it is
the next day).
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from hw.fiscal_machine import Document, FiscalMachine, Sold
from hw.paper import draw


class _Machine(Protocol):
    paper_out: bool
    paper_low: bool
    cover_open: bool
    lines_left: int | None


class _Simulator(Protocol):
    module: FiscalMachine
    days: int

    @property
    def machine(self) -> _Machine: ...


def obey(simulator: _Simulator, words: list[str]) -> bool:
    """Do what one line of the console says; whether it says one of the common things."""
    machine, module = simulator.machine, simulator.module
    match words:
        case ["paper", "out", "after", lines]:
            machine.lines_left = int(lines)
        case ["paper", ("out" | "low" | "ok") as state]:
            machine.paper_out, machine.paper_low = state == "out", state == "low"
        case ["cover", ("open" | "closed") as state]:
            machine.cover_open = state == "open"
        case ["foreign", grosz]:
            _sell_elsewhere(module, int(grosz))
        case ["midnight"]:
            simulator.days += 1
        case _:
            return False
    return True


class Tray:
    """Where finished documents go: a file of JSON lines, and pictures."""

    def __init__(self, keep: Path | None, pictures: Path | None) -> None:
        self._keep, self._pictures, self._count = keep, pictures, 0

    def take(self, documents: Sequence[Document]) -> None:
        """Keep those that came since the last time."""
        for document in documents[self._count :]:
            self._count += 1
            if self._keep is not None:
                row = {"kind": document.kind, "number": document.number, "text": document.text}
                with self._keep.open("a", encoding="utf-8") as file:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
            if self._pictures is not None:
                draw(document.paper, self._pictures / f"{document.number}.png")


def _sell_elsewhere(module: FiscalMachine, grosz: int) -> None:
    draft, module.draft = module.draft, None
    module.open()
    module.sell(Sold(name="OBCY", letter="A", milli=1000, price=grosz, total=grosz))
    module.finish()
    module.draft = draft
