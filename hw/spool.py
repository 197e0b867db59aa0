"""What printers have been asked to do, in a file of its own: one row a job.

    waiting ──▶ sending ──▶ done
     ▲  │  ▲       ├──────▶ unknown ──(a person has looked)──▶ done, or waiting as KOPIA
     │  │  └───────┘ refused: proven that nothing happened
     │  ├──(refused too often, though ready)──▶ held ──(a person)──▶ waiting
     │  └──(too late, or a person)──▶ expired, cancelled

`sending` is on disk before the first byte leaves: after a crash a job that waits is known
not to be on paper, and one that was being sent is unknown. What is unknown is never sent
again as an original. A fiscal printer can be asked, so a fiscal receipt stays `sending` until its
answer proves what became of it. A job's id is its caller's: asked twice, it is one job. Only what
waits moves to another printer, so what moved is proven not to have been printed.

Synchronous, for one thread at a time; `hw.spooler` gives it one. Times are Unix
milliseconds and are passed in.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal, TypeAlias

import msgspec

from hw.errors import DeviceMisconfigured, DeviceRefused, DeviceUnavailable
from hw.fiscal import FiscalReceipt
from hw.memory import Note
from hw.outcome import Done, Fiscalised, Outcome, Refused, Unknown
from hw.slip import Element, Slip, TextLine, dumped, loaded

Kind: TypeAlias = Literal["slip", "kitchen", "label", "drawer", "fiscal"]
State: TypeAlias = Literal["waiting", "sending", "done", "unknown", "held", "expired", "cancelled"]
Decision: TypeAlias = Literal["printed", "not_printed", "resume", "cancel"]
"""What a person may say: of an unknown job the first two, of one that waits the others."""

SETTLED: frozenset[State] = frozenset({"done", "unknown", "held", "expired", "cancelled"})
"""Nothing more happens by itself."""

MAX_REFUSALS = 5
"""A job refused so often by a printer that says it is ready is itself at fault."""

KEPT_MS = 7 * 24 * 3_600_000
"""How long what was printed is kept; that it was printed is kept for ever."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rule:
    """What holds for a kind of job."""

    lives_ms: int | None = None
    """None: it never expires."""

    urgent: bool = False
    """Goes before what has waited longer."""

    moves: bool = True
    """May come out of a stand-in."""

    survives: bool = True
    """Is still wanted after a restart."""

    asked: bool = False
    """The device can tell what became of it: until it has, nothing is decided."""


RULES: Mapping[Kind, Rule] = {
    "slip": Rule(),
    "kitchen": Rule(lives_ms=2 * 3_600_000),
    "label": Rule(lives_ms=24 * 3_600_000),
    "fiscal": Rule(asked=True),
    "drawer": Rule(lives_ms=3_000, urgent=True, moves=False, survives=False),
}

COPY = TextLine(text="KOPIA", bold=True, double=True, align="center")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One thing to print, as its caller asks for it."""

    id: str
    kind: Kind
    device: str
    till: str | None
    elements: tuple[Element, ...] = ()
    receipt: FiscalReceipt | None = None
    """What a fiscal order asks for, and no other."""

    @property
    def body(self) -> bytes:
        """What is asked for, to be kept."""
        if self.receipt is None:
            return dumped(self.elements)
        return msgspec.json.encode(self.receipt)

    @property
    def digest(self) -> bytes:
        """What makes it the same order; where it comes out does not."""
        text = msgspec.json.encode([self.kind, self.till]) + self.body
        return hashlib.sha256(text).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """An order and what became of it."""

    id: str
    kind: Kind
    device: str
    till: str | None
    state: State
    copy: bool
    """The next attempt is headed KOPIA: an earlier one may be on paper."""

    attempts: int
    problem: str
    cure: str
    proof: str
    evidence: str
    """Of a fiscal receipt that is done: `hw.outcome.Evidence` as JSON."""

    decided_by: str
    """Who said what no machine could tell, or sent it elsewhere; the last one."""

    decided_ms: int | None
    decision: str
    """What was said."""

    at_ms: int
    ends_ms: int | None
    """When it is no longer wanted."""

    body: bytes
    """Empty once it is settled and old."""

    def slip(self) -> Slip:
        """The attempt to be printed now.

        Raises:
            DeviceRefused: It is longer than any paper.
        """
        head = (COPY,) if self.copy else ()
        return Slip(f"{self.id}#{self.attempts}", head + loaded(self.body))

    def receipt(self) -> FiscalReceipt:
        """The fiscal receipt to be issued, under this job's own name.

        Raises:
            DeviceRefused: It is none.
        """
        try:
            kept = msgspec.json.decode(self.body, type=FiscalReceipt)
        except msgspec.MsgspecError as error:
            raise DeviceRefused(
                f"Job {self.id}: expected a fiscal receipt, got {error}.", cure="Order it anew."
            ) from error
        return replace(kept, job=self.id)


_FIELDS = (
    "id, kind, device, till, state, copy, attempts, problem, cure, proof, evidence, decided_by, "
    "decided_ms, decision, "
    "at_ms, ends_ms, body"
)

_SCHEMA = """
CREATE TABLE jobs (
    seq INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, digest BLOB NOT NULL,
    kind TEXT NOT NULL, device TEXT NOT NULL, till TEXT, state TEXT NOT NULL,
    copy INTEGER NOT NULL DEFAULT 0, urgent INTEGER NOT NULL, attempts INTEGER NOT NULL DEFAULT 0,
    refusals INTEGER NOT NULL DEFAULT 0, problem TEXT NOT NULL DEFAULT '',
    cure TEXT NOT NULL DEFAULT '', proof TEXT NOT NULL DEFAULT '',
    evidence TEXT NOT NULL DEFAULT '',
    decided_by TEXT NOT NULL DEFAULT '', decided_ms INTEGER, decision TEXT NOT NULL DEFAULT '',
    at_ms INTEGER NOT NULL, ends_ms INTEGER, body BLOB NOT NULL
);
CREATE INDEX jobs_waiting ON jobs (device, urgent DESC, seq) WHERE state = 'waiting';
CREATE INDEX jobs_sending ON jobs (device, seq) WHERE state = 'sending';
CREATE INDEX jobs_asking ON jobs (state) WHERE state IN ('unknown', 'held');
CREATE INDEX jobs_kept ON jobs (at_ms) WHERE state = 'done' AND body != x'';
CREATE TABLE notes (
    device TEXT NOT NULL, key TEXT NOT NULL, note BLOB NOT NULL, since INTEGER,
    PRIMARY KEY (device, key)
) WITHOUT ROWID;
CREATE INDEX notes_pending ON notes (device, since) WHERE since IS NOT NULL;
PRAGMA user_version = 1;
"""


def connect(path: Path) -> sqlite3.Connection:
    """Open the file; every commit is on disk when it returns."""
    db = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    db.execute("PRAGMA journal_mode = WAL")
    db.execute("PRAGMA synchronous = FULL")
    db.execute("PRAGMA cache_size = -256")
    return db


class Spool:
    """The jobs of one node."""

    def __init__(self, path: Path, connect: Callable[[Path], sqlite3.Connection] = connect) -> None:
        """Open the file, or make it.

        Raises:
            DeviceMisconfigured: It cannot be read.
        """
        self._path = path
        try:
            self._db = connect(path)
            (version,) = self._db.execute("PRAGMA user_version").fetchone()
            self.new = not version
            """No job before this run is known of."""

            if self.new:
                self._db.executescript(f"BEGIN IMMEDIATE; {_SCHEMA} COMMIT;")
        except sqlite3.Error as error:
            raise DeviceMisconfigured(
                f"{path}: expected the file of printing jobs, got {error}.",
                cure="Move it away and start again: what still waits is then printed as KOPIA.",
            ) from error

    def close(self) -> None:
        """Close the file."""
        self._db.close()

    def recover(self, now_ms: int) -> list[Job]:
        """Take up what the last run left; the jobs of which nobody knows now.

        Call once, before anything is printed.
        """
        unwanted = [kind for kind, rule in RULES.items() if not rule.survives]
        marks = ", ".join("?" * len(unwanted))
        self._write(
            "UPDATE jobs SET state = 'expired', problem = 'Karb was started anew.' "
            f"WHERE state = 'waiting' AND kind IN ({marks})",
            *unwanted,
        )
        left = self._jobs(f"state = 'sending' AND kind NOT IN ({_listed(asked=True)})")
        for job in left:
            self.end(
                job.id,
                Unknown("Karb stopped while it was being printed.", "Look at the paper."),
                now_ms,
            )
        return [replace(job, state="unknown") for job in left]

    def add(self, order: Order, now_ms: int) -> tuple[Job, bool]:
        """Keep an order; the job, and whether it is new.

        Raises:
            DeviceRefused: The id is another order's.
            DeviceUnavailable: It could not be written; nothing is kept.
        """
        rule = RULES[order.kind]
        ends = None if rule.lives_ms is None else now_ms + rule.lives_ms
        row = (order.id, order.digest, order.kind, order.device, order.till)
        new = self._write(
            "INSERT INTO jobs (id, digest, kind, device, till, state, urgent, at_ms, ends_ms, body)"
            " VALUES (?, ?, ?, ?, ?, 'waiting', ?, ?, ?, ?) ON CONFLICT (id) DO NOTHING",
            *row,
            rule.urgent,
            now_ms,
            ends,
            order.body,
        )
        [(digest,)] = self._execute("SELECT digest FROM jobs WHERE id = ?", order.id)
        if digest != order.digest:
            raise DeviceRefused(
                f"Job {order.id}: expected the same order as before, got another one.",
                cure="Give another order another id.",
            )
        return self.get(order.id), bool(new)

    def get(self, id_: str) -> Job:
        """A job.

        Raises:
            DeviceRefused: There is none of this id.
        """
        found = self._jobs("id = ?", id_)
        if not found:
            raise DeviceRefused(
                f"Job {id_[:64]!r}: expected one that was asked for, found none.",
                cure="Look its id up again.",
            )
        return found[0]

    def listed(self, limit: int = 100) -> list[Job]:
        """What waits, is being sent, or asks for a person; the oldest first."""
        return self._jobs(
            f"state IN ('waiting', 'sending', 'unknown', 'held') ORDER BY seq LIMIT {limit:d}"
        )

    def devices(self) -> list[str]:
        """Printers that something waits for."""
        rows = self._execute(
            "SELECT DISTINCT device FROM jobs WHERE state IN ('waiting', 'sending')"
        )
        return [device for (device,) in rows]

    def expire(self, device: str, now_ms: int) -> list[Job]:
        """Give up what is no longer wanted; those jobs."""
        late = self._jobs("state = 'waiting' AND device = ? AND ends_ms <= ?", device, now_ms)
        for job in late:
            self._write("UPDATE jobs SET state = 'expired' WHERE id = ?", job.id)
        return [replace(job, state="expired") for job in late]

    def next(self, device: str) -> Job | None:
        """The job this printer should do now."""
        found = self._jobs(
            "state = 'waiting' AND device = ? ORDER BY urgent DESC, seq LIMIT 1", device
        )
        return found[0] if found else None

    def asking(self, device: str) -> Job | None:
        """The job that this device has to be asked about before it does another."""
        found = self._jobs(
            f"state = 'sending' AND device = ? AND kind IN ({_listed(asked=True)}) "
            "ORDER BY seq LIMIT 1",
            device,
        )
        return found[0] if found else None

    def begin(self, id_: str) -> Job | None:
        """Note that its first byte is about to leave; None if it does not wait any more.

        Raises:
            DeviceUnavailable: It could not be written; then nothing may be sent.
        """
        began = self._write(
            "UPDATE jobs SET state = 'sending', attempts = attempts + 1 "
            "WHERE id = ? AND state = 'waiting'",
            id_,
        )
        return self.get(id_) if began else None

    def end(self, id_: str, outcome: Outcome, now_ms: int) -> Job:
        """Note how an attempt ended.

        Raises:
            DeviceUnavailable: It could not be written: at the next start it is unknown.
        """
        match outcome:
            case Done(proof=proof):
                told = outcome.evidence if isinstance(outcome, Fiscalised) else None
                evidence = msgspec.json.encode(told).decode() if told is not None else ""
                self._settle(id_, "done", proof=proof, evidence=evidence)
                self._forget_bodies(now_ms)
            case Unknown(problem=problem, cure=cure) if RULES[self.get(id_).kind].asked:
                self._settle(id_, "sending", problem, cure)
            case Unknown(problem=problem, cure=cure):
                self._settle(id_, "unknown", problem, cure)
            case Refused(problem=problem, cure=cure):
                self._write(
                    "UPDATE jobs SET refusals = refusals + 1, problem = ?, cure = ?, state = "
                    f"CASE WHEN refusals < {MAX_REFUSALS} THEN 'waiting' ELSE 'held' END "
                    "WHERE id = ? AND state = 'sending'",
                    problem,
                    cure,
                    id_,
                )
        return self.get(id_)

    def decide(self, id_: str, decision: Decision, by: str, now_ms: int) -> Job:
        """A person has looked; who, when and what is kept. Said again, it changes nothing.

        Raises:
            DeviceRefused: No such job, or it cannot be said of one in its state.
        """
        job = self.get(id_)
        after, before = _DECISIONS[decision]
        if job.state not in before:
            if job.state == after and job.decision == decision:
                return job
            raise DeviceRefused(
                f"Job {id_}: {decision!r} can be said of one that is {' or '.join(before)}, "
                f"it is {job.state}.",
                cure="Look at what became of it.",
            )
        if decision == "not_printed" and not RULES[job.kind].survives:
            raise DeviceRefused(
                f"Job {id_}: a drawer is opened by a new order, never by an old one.",
                cure="Say printed or cancel, and open it anew.",
            )
        self._write(
            "UPDATE jobs SET state = ?, decided_by = ?, decided_ms = ?, decision = ?, "
            "refusals = 0, copy = copy OR ?, problem = '', cure = '' WHERE id = ? AND state = ?",
            after,
            by,
            now_ms,
            decision,
            # Whoever looked may have looked at the wrong roll: never a second original.
            decision == "not_printed",
            id_,
            job.state,
        )
        return self.get(id_)

    def move(self, device: str, target: str, id_: str | None = None) -> list[Job]:
        """Let another printer do what waits for one: all that may move, or one job."""
        fixed = ", ".join(f"'{kind}'" for kind, rule in RULES.items() if not rule.moves)
        moved = self._jobs(
            f"state = 'waiting' AND device = ? AND kind NOT IN ({fixed}) AND id = coalesce(?, id)",
            device,
            id_,
        )
        for job in moved:
            self._write(
                "UPDATE jobs SET device = ?, refusals = 0 WHERE id = ? AND state = 'waiting'",
                target,
                job.id,
            )
        return [replace(job, device=target) for job in moved]

    def note(self, device: str, key: str) -> Note:
        """See `hw.memory.Memory.load`."""
        row = self._execute(
            "SELECT note FROM notes WHERE device = ? AND key = ?", device, key
        ).fetchone()
        return msgspec.json.decode(row[0], type=dict[str, Any]) if row else {}

    def pending(self, device: str) -> list[str]:
        """See `hw.memory.Memory.pending`."""
        rows = self._execute(
            "SELECT key FROM notes WHERE device = ? AND since IS NOT NULL ORDER BY since", device
        )
        return [key for (key,) in rows]

    def keep_note(self, device: str, key: str, note: Note, *, pending: bool) -> None:
        """See `hw.memory.Memory.save`."""
        self._write(
            "INSERT INTO notes VALUES (?1, ?2, ?3, CASE WHEN ?4 THEN "
            "(SELECT coalesce(max(since), 0) + 1 FROM notes WHERE device = ?1) END) "
            "ON CONFLICT (device, key) DO UPDATE SET note = excluded.note, since = "
            "CASE WHEN ?4 THEN coalesce(notes.since, excluded.since) END",
            device,
            key,
            msgspec.json.encode(note),
            pending,
        )

    def sign(self, id_: str, decision: str, by: str, now_ms: int) -> None:
        """Note who has said what of a job, where the saying itself is another's work."""
        self._write(
            "UPDATE jobs SET decided_by = ?, decided_ms = ?, decision = ? WHERE id = ?",
            by,
            now_ms,
            decision,
            id_,
        )

    def _settle(
        self,
        id_: str,
        state: State,
        problem: str = "",
        cure: str = "",
        *,
        proof: str = "",
        evidence: str = "",
    ) -> None:
        self._write(
            "UPDATE jobs SET state = ?, problem = ?, cure = ?, proof = ?, evidence = ? "
            "WHERE id = ? AND state = 'sending'",
            state,
            problem,
            cure,
            proof,
            evidence,
            id_,
        )

    def _forget_bodies(self, now_ms: int) -> None:
        # A few at a time: two for each one that is added catches up with any backlog.
        self._write(
            "UPDATE jobs SET body = x'' WHERE seq IN (SELECT seq FROM jobs "
            "WHERE state = 'done' AND body != x'' AND at_ms < ? ORDER BY at_ms LIMIT 2)",
            now_ms - KEPT_MS,
        )

    def _jobs(self, where: str, *values: Any) -> list[Job]:
        rows = self._execute(f"SELECT {_FIELDS} FROM jobs WHERE {where}", *values)
        names = [column[0] for column in rows.description]
        return [Job(**dict(zip(names, row, strict=True)) | {"copy": bool(row[5])}) for row in rows]

    def _write(self, sql: str, *values: Any) -> int:
        """Change rows, on disk when it returns; how many."""
        return self._execute(sql, *values).rowcount

    def _execute(self, sql: str, *values: Any) -> sqlite3.Cursor:
        try:
            return self._db.execute(sql, values)
        except sqlite3.Error as error:
            raise DeviceUnavailable(
                f"{self._path}: expected to read and note printing jobs, got {error}.",
                cure="Make room on the disk, and look at who may write there.",
            ) from error


def _listed(*, asked: bool) -> str:
    return ", ".join(f"'{kind}'" for kind, rule in RULES.items() if rule.asked is asked)


_DECISIONS: Mapping[Decision, tuple[State, tuple[State, ...]]] = {
    "printed": ("done", ("unknown",)),
    "not_printed": ("waiting", ("unknown",)),
    "resume": ("waiting", ("held",)),
    "cancel": ("cancelled", ("waiting", "held", "unknown")),
}
"""What a decision leads to, and the states it may be said of."""
