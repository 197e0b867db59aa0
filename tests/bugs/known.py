"""Bugs that were never in the product: each is put into a copy of it, and has to be caught.

A bug is a small change of source: text that stands exactly once in a file, and what stands there
instead. `by` is the part of the proof that has to notice, run on the copy. The product itself
has no switches.
"""

from dataclasses import dataclass

KILLS = "tests.processes.kills"
CUTS = "tests.processes.cuts"
CRASH = "tests.crash.proof"
SIMULATION = "tests.simulation.proof"


@dataclass(frozen=True)
class Bug:
    """One bug, and who has to catch it."""

    name: str
    by: str
    changes: tuple[tuple[str, str, str], ...]
    """File, text, and the text instead."""

    seeds: int = 3
    """How many seeds the part may take."""


BUGS: tuple[Bug, ...] = (
    Bug(
        "the same sale asked for again is another sale",
        KILLS,
        (("edge/till/selling.py", "    found = unit.sale(event)\n", "    found = None\n"),),
    ),
    Bug(
        "receipt numbers are taken outside the transaction",
        KILLS,
        (
            (
                "edge/store/unit.py",
                "        return numbers.next(till, self._life.incarnation)\n",
                (
                    "        files = self._db.execute('PRAGMA database_list').fetchone()\n"
                    "        taken = Path(files[2] + f'.{till}.{self._life.incarnation}')\n"
                    "        number = int(taken.read_text() if taken.exists() else 0) + 1\n"
                    "        taken.write_text(str(number))\n"
                    "        return number\n"
                ),
            ),
            (
                "edge/store/unit.py",
                "import sqlite3\n",
                "import sqlite3\nfrom pathlib import Path\n",
            ),
        ),
    ),
    Bug(
        "a sale is acknowledged before it is committed",
        KILLS,
        (
            (
                "edge/store/writer.py",
                "            results = self._attempt([job.work for job in group])\n",
                (
                    "            self._early = group\n"
                    "            results = self._attempt([job.work for job in group])\n"
                ),
            ),
            (
                "edge/store/writer.py",
                '        try:\n            self.db.execute("COMMIT")\n',
                (
                    "        for job, told in zip(getattr(self, '_early', []), results):\n"
                    "            loop = job.future.get_loop()\n"
                    "            loop.call_soon_threadsafe(_tell, [(job.future, told)])\n"
                    "        __import__('time').sleep(0.02)\n"
                    '        try:\n            self.db.execute("COMMIT")\n'
                ),
            ),
        ),
    ),
    Bug(
        "what was sent counts as received",
        CUTS,
        (
            (
                "edge/link/conversation.py",
                "                return self._session.send(batch, self.lock(keys), author)\n",
                (
                    "                self._note({stream: batch.last})\n"
                    "                return self._session.send(batch, self.lock(keys), author)\n"
                ),
            ),
        ),
    ),
    Bug(
        "head office promises without a right",
        KILLS,
        (
            (
                "central/stock/promising.py",
                "    return shelf.spare(unit.state.own.stream(shelf.store))\n",
                "    return 1 << 40\n",
            ),
        ),
    ),
    Bug(
        "signatures are not checked",
        CUTS,
        (
            (
                "sync/chain.py",
                "        public_key.verify(signature, _signed(head))\n",
                "        pass\n",
            ),
        ),
    ),
    Bug(
        "a store's commit is not flushed",
        CRASH,
        (("edge/store/connection.py", "PRAGMA synchronous = FULL", "PRAGMA synchronous = NORMAL"),),
        seeds=1,
    ),
    Bug(
        "head office's commit is not flushed",
        CRASH,
        (("central/ledger/database.py", "synchronous=FULL", "synchronous=NORMAL"),),
        seeds=1,
    ),
    Bug(
        "what head office merely holds is called safe",
        SIMULATION,
        (
            (
                "central/nodes/conversation.py",
                "cursor.safe for stream, cursor in cursors.items() if cursor.safe}",
                "cursor.head.seq for stream, cursor in cursors.items() if cursor.head.seq}",
            ),
        ),
        seeds=1,
    ),
    Bug(
        "of two records of one event the one that came first counts",
        SIMULATION,
        (
            (
                "edge/store/views.py",
                "        wins = self._place(*new) < self._place(found[0], found[1])\n",
                "        wins = False\n",
            ),
        ),
        seeds=1,
    ),
)
