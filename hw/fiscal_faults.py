"""What can go wrong with a simulated fiscal printer, and the console that switches it.

Both simulators obey these lines; each has more of its own:

`drop-before NAME`, `drop-after NAME [N]` (cut the connection when that order comes: not
executed, executed; then refuse N connections), `half NAME` (half of its answer, then a cut),
`lose NAME` (executed, and its answer never comes), `ignore NAME` (neither), `cut-in N`,
`cut-out N` (cut at the Nth byte received, sent), `noise`, `mute`, `stale` `on | off` (garbage
before each answer, none at all, what was good before), `slow SECONDS`, `hang on | off`
(dead), `refuse N` (connections), `power` (all lines cut, working memory lost), `paper out |
out after N | low | ok`, `cover open | closed`, `foreign GROSZ` (another computer sells
something), `midnight` (it is the next day).
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from hw.fiscal_machine import Document, FiscalMachine, Sold
from hw.paper import draw


@dataclass(slots=True)
class Faults:
    """What goes wrong on the line. Those with a name strike once."""

    drop_before: str = ""
    drop_after: str = ""
    half: str = ""
    lose: str = ""
    ignore: str = ""
    noise: bool = False
    mute: bool = False
    stale: bool = False
    bad_crc: bool = False
    twice: bool = False
    garbled: bool = False
    busy: bool = False
    hang: bool = False
    slow_s: float = 0.0
    refuse: int = 0
    then_refuse: int = 0
    """So many connections after the next drop."""

    cut_in: int | None = None
    cut_out: int | None = None
    """Both count down, and are over once they have struck."""

    def strikes(self, fault: str, order: str) -> bool:
        """Whether a named fault strikes now; it is over then."""
        if getattr(self, fault) != order:
            return False
        setattr(self, fault, "")
        if fault == "drop_after":
            self.refuse, self.then_refuse = self.refuse + self.then_refuse, 0
        return True


class _Machine(Protocol):
    paper_out: bool
    paper_low: bool
    cover_open: bool
    lines_left: int | None


class _Simulator(Protocol):
    faults: Faults
    module: FiscalMachine
    days: int

    @property
    def machine(self) -> _Machine: ...

    def set_hang(self, *, hang: bool) -> None: ...

    def lose_power(self) -> None: ...

    def resume(self) -> None: ...


def obey(simulator: _Simulator, words: list[str], switches: Collection[str]) -> bool:
    """Do what one line of the console says; whether it says one of the common things."""
    return _of_line(simulator, words, switches) or _of_device(simulator, words)


def _of_line(simulator: _Simulator, words: list[str], switches: Collection[str]) -> bool:
    faults = simulator.faults
    match words:
        case [("drop-before" | "drop-after" | "half" | "lose" | "ignore") as name, order]:
            setattr(faults, name.replace("-", "_"), order)
        case ["drop-after", order, count]:
            faults.drop_after, faults.then_refuse = order, int(count)
        case [name, ("on" | "off") as switch] if name in switches:
            setattr(faults, name.replace("-", "_"), switch == "on")
        case ["hang", ("on" | "off") as switch]:
            simulator.set_hang(hang=switch == "on")
        case ["slow", seconds]:
            faults.slow_s = float(seconds)
        case [("cut-in" | "cut-out" | "refuse") as name, count]:
            setattr(faults, name.replace("-", "_"), int(count))
        case _:
            return False
    return True


def _of_device(simulator: _Simulator, words: list[str]) -> bool:
    machine, module = simulator.machine, simulator.module
    match words:
        case ["paper", "out", "after", lines]:
            machine.lines_left = int(lines)
        case ["paper", ("out" | "low" | "ok") as state]:
            machine.paper_out, machine.paper_low = state == "out", state == "low"
        case ["cover", ("open" | "closed") as state]:
            machine.cover_open = state == "open"
        case ["power"]:
            simulator.lose_power()
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
