"""What came out of the printers, read from the files the simulators keep.

Nothing of Karb's own is asked: a receipt tells by itself which sale it is of.
"""

import json
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

Receipt: TypeAlias = tuple[str, int]
"""Series and number."""

_NUMBER = re.compile(r"^Paragon\s+(\S+)/(\d+)\s*$", re.MULTILINE)
_HEAD = re.compile(r"^\s*KOPIA\s*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Papers:
    """Slips counted by the sale they are of."""

    originals: Counter[Receipt] = field(default_factory=Counter)
    copies: Counter[Receipt] = field(default_factory=Counter)
    strange: int = 0
    """Receipts without a number."""


def read(files: Iterable[Path]) -> Papers:
    """Count what was printed; a line torn by a power cut was never a finished receipt."""
    papers = Papers()
    strange = 0
    for path in files:
        for line in path.read_text(encoding="utf-8").splitlines():
            try:
                text = json.loads(line)["text"]
            except ValueError:
                continue
            found = _NUMBER.search(text)
            if found is None:
                strange += 1
                continue
            kind = papers.copies if _HEAD.search(text) else papers.originals
            kind[found[1], int(found[2])] += 1
    return Papers(papers.originals, papers.copies, strange)
