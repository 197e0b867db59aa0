"""Taking batches in: checked against the chain, appended, counted, each exactly once."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from central.ledger import bulk, documents, journal, papers, views
from central.ledger.entry import Entry, read
from central.ledger.published import load_members
from central.ledger.tables import FORKS, PERSON_KEYS
from central.ledger.unit import Cursor, Unit
from sync import chain
from sync.chain import Batch, Head, StreamId
from sync.errors import BadFact, BadSignature, BrokenChain, NotAllowed, RemoteProtocolError
from sync.facts import PERSONAL, Body
from sync.facts.document import DocumentChanged
from sync.facts.person import opens, sealed_in
from sync.identity import Identity


@dataclass(frozen=True, slots=True)
class Incoming:
    """A batch as it arrived, its bodies read already (another thread did)."""

    batch: Batch
    bodies: Sequence[Body | BadFact | None]
    keys: Mapping[bytes, bytes]
    peer: Identity
    author: Identity | None = None
    """Of the author, by a certificate of ours that came along."""

    @classmethod
    def of(
        cls,
        batch: Batch,
        keys: Mapping[bytes, bytes],
        peer: Identity,
        author: Identity | None = None,
    ) -> "Incoming":
        """Read the bodies of a batch."""
        return cls(batch, [read(fact) for fact in batch.facts], keys, peer, author)


@dataclass(frozen=True, slots=True)
class Stored:
    """It is in the journal now."""

    head: Head
    fresh: int
    """Facts that were not here before; 0 where the whole batch was."""


@dataclass(frozen=True, slots=True)
class Gap:
    """It starts past what is here."""

    head: Head


@dataclass(frozen=True, slots=True)
class Fork:
    """Another branch of the stream is here, or it ends before; what came was not stored.

    The branch that is here goes on to be taken: it is the one that will hold.
    """

    stream: StreamId
    seq: int
    ours: bytes
    theirs: bytes
    """`seq` is the first number that differs; or the first beyond a fence, and `ours` is empty."""


@dataclass(frozen=True, slots=True)
class Unwelcome:
    """Its node is revoked or not known here: nothing of the stream is taken, whoever brings it."""

    stream: StreamId


@dataclass(frozen=True, slots=True)
class Nonsense:
    """It cannot be true; nothing of it was stored."""

    error: RemoteProtocolError


Outcome = Stored | Gap | Fork | Unwelcome | Nonsense


def ingest(unit: Unit, arrived: Sequence[Incoming]) -> list[Outcome]:
    """Take batches in, in their order; one that is refused leaves the others alone."""
    outcomes: list[Outcome] = []
    rows: list[bulk.Row] = []
    entries: list[Entry] = []
    for incoming in arrived:
        try:
            outcome = _take(unit, incoming, rows, entries)
        except RemoteProtocolError as error:
            outcome = Nonsense(error)
        outcomes.append(outcome)
    journal.write(unit, rows)
    views.apply(unit, entries)
    papers.relay(unit, (entry.body for entry in entries))
    for incoming, outcome in zip(arrived, outcomes, strict=True):
        if incoming.keys and isinstance(outcome, Stored):
            _keep_keys(unit, incoming)
    if any(isinstance(entry.body, DocumentChanged) for entry in entries):
        documents.share(unit)
    return outcomes


def _take(unit: Unit, incoming: Incoming, rows: list[bulk.Row], entries: list[Entry]) -> Outcome:
    batch = incoming.batch
    stream = batch.stream
    public_key = _author(unit, incoming)
    if public_key is None:
        return Unwelcome(stream)
    cursor = unit.cursor(stream)
    fence = unit.state.fences.get(stream)
    if batch.first > cursor.head.seq + 1:
        return Gap(cursor.head)
    skip = 0
    if batch.first <= cursor.head.seq:
        journal.write(unit, rows)  # what is compared with must be readable
        rows.clear()
        overlap = _overlap(unit, batch, public_key)
        if isinstance(overlap, Gap):
            return overlap
        if isinstance(overlap, Fork):
            if stream in unit.state.over:
                unit.state.over[stream][incoming.peer.node] = 0  # it holds no more of ours
            return overlap
        hashes, skip = overlap
        if skip == len(batch.facts):
            return Stored(cursor.head, 0)
    else:
        hashes = chain.verify(batch, cursor.head, public_key)
    if fence is not None and batch.last > fence.seq:
        beyond = max(fence.seq + 1, batch.first)
        return Fork(stream, beyond, b"", hashes[beyond - batch.first])
    tail = batch.facts[skip:]
    rows += journal.append(unit, stream, tail, hashes[skip:], batch.signature)
    scope, node, incarnation = stream.scope, stream.node, stream.incarnation
    entries += [
        Entry((scope, node, incarnation, fact.seq), fact, body)
        for fact, body in zip(tail, incoming.bodies[skip:], strict=True)
    ]
    return Stored(unit.cursor(stream).head, len(tail))


def _author(unit: Unit, incoming: Incoming) -> Ed25519PublicKey | None:
    """Return the key of the stream's node; None if it is none of ours (any more).

    Raises:
        NotAllowed: It may not write there.
    """
    stream, peer = incoming.batch.stream, incoming.peer
    own = unit.state.own
    if stream.node == own.node:
        return own.key.public_key()
    # Who was revoked a moment ago, in this very transaction, is so already.
    members = load_members(unit.connection) if unit.members_changed else unit.state.members
    member = members.get(stream.node)
    if member is None:
        # Certified by us before our database was restored: its certificate stands for it,
        # its own at the other end of the line or one that another node carries for it.
        for shown in (peer, incoming.author):
            if shown is not None and shown.node == stream.node:
                store, key = shown.store, Ed25519PublicKey.from_public_bytes(shown.public_key)
                break
        else:
            return None
    elif member.revoked:
        return None
    else:
        store, key = member.store, member.public_key
    if stream.scope != store:
        raise NotAllowed(f"Stream {stream}: its node may write facts of {store!r} only.")
    return key


def _overlap(
    unit: Unit, batch: Batch, public_key: Ed25519PublicKey
) -> tuple[list[bytes], int] | Fork | Gap:
    """Compare a batch that starts at or before our head with what is here.

    Returns:
        The hash of each of its facts, and how many of them are here already; a `Gap` at the
        very beginning, where the branches part before the batch.

    Raises:
        RemoteProtocolError: It is another branch and not even signed.
    """
    stream, head = batch.stream, unit.cursor(batch.stream).head
    last = min(batch.last, head.seq)
    start = max(batch.first - 1, 1)
    stored = dict(enumerate(journal.hashes(unit.connection, stream, start, last), start))
    before = chain.genesis(stream) if batch.first == 1 else stored[batch.first - 1]
    for number, fact in enumerate(batch.facts, start=batch.first):
        chain.check_shape(fact)
        if fact.seq != number:
            raise BrokenChain(f"Stream {stream}: expected number {number}, got {fact.seq}.")
    hashes = chain.extend(before, batch.facts)
    for seq, theirs in enumerate(hashes[: last - batch.first + 1], start=batch.first):
        if theirs != stored[seq]:
            if seq == batch.first > 1 and not _is_signed(public_key, batch, hashes[-1]):
                return Gap(Head(stream, 0, chain.genesis(stream)))
            chain.verify_head(public_key, Head(stream, batch.last, hashes[-1]), batch.signature)
            return _freeze(unit, batch, seq, (stored[seq], theirs), hashes[-1])
    if batch.last > head.seq:
        chain.verify_head(public_key, Head(stream, batch.last, hashes[-1]), batch.signature)
    return hashes, last - batch.first + 1


def _freeze(
    unit: Unit, batch: Batch, seq: int, branches: tuple[bytes, bytes], their_head: bytes
) -> Fork:
    """Keep both signed heads and take nothing more of the stream."""
    stream = batch.stream
    ours, theirs = branches
    row = (
        stream.scope,
        stream.node,
        stream.incarnation,
        seq,
        theirs,
        ours,
        *journal.signed_head(unit.connection, stream, seq),
        batch.last,
        their_head,
        batch.signature,
        unit.now_ms,
    )
    bulk.insert(unit.connection, FORKS, [row], "ON CONFLICT DO NOTHING")
    cursor = unit.cursor(stream)
    unit.cursors[stream] = Cursor(
        cursor.head, cursor.hlc, cursor.safe, frozen=stream not in unit.state.fences
    )
    return Fork(stream, seq, ours, theirs)


def _is_signed(public_key: Ed25519PublicKey, batch: Batch, digest: bytes) -> bool:
    try:
        chain.verify_head(public_key, Head(batch.stream, batch.last, digest), batch.signature)
    except BadSignature:
        return False
    return True


def _keep_keys(unit: Unit, incoming: Incoming) -> None:
    """Keep persons' keys that open what they came with.

    A key that is here, or was destroyed, is never replaced.
    """
    stream = incoming.batch.stream
    forgotten = documents.forgotten_persons(unit.connection, incoming.keys)
    rows = []
    for fact, body in zip(incoming.batch.facts, incoming.bodies, strict=True):
        if fact.kind not in PERSONAL or body is None or isinstance(body, BadFact):
            continue
        for sealed in sealed_in(body):
            person, key = sealed.person, incoming.keys.get(sealed.person)
            if key is not None and person not in forgotten and opens(sealed, key):
                rows.append((stream.scope, person, key, stream.node, stream.incarnation, fact.seq))
    bulk.insert(unit.connection, PERSON_KEYS, rows, "ON CONFLICT DO NOTHING")
