"""When a stream is over, and the fact by which central closes it: once, and for everybody.

A stream is *over* when a later life of its node names it as the one before
(`IncarnationBegan`), or when it is of an earlier life of central's own. Over, it may
still grow here: what the node or its peers hold of it and have not sent yet. So
central closes it late:

1. From the moment it is over, central wants a greeting of every node that may hold some
   of it: of every node of its scope that is enrolled and not revoked (of every store's,
   where the scope is all). A live connection that greeted before is ended, and greets
   again. The vector says how far the node holds the stream.
2. What a node holds beyond our head arrives by the ordinary exchange and is appended;
   if it is of another branch, that shows as a fork, and then the node holds no more of
   *ours*. The branch that is here is the one that will hold.
3. When every node was heard and nothing of our branch is missing, central writes
   `StreamClosed` in its own stream of the scope: the stream ends at our head, and its
   successor is the first life that named it (lowest hybrid time, then place); of
   central's own lives, the one of now.

Of a node that will never be heard again a person knows: he revokes it, or orders the
fence as it is (`order`). What turns up beyond a fence is not taken here. Its author, or
the node of the successor, appends it again, under the same events, in its life of now.

Who was heard is known in memory only: after a start every node greets anyway.
Should a fence of an earlier life of ours come back from a store and find another
branch here (`conform`), that branch gives way, and is kept in `severed`.
"""

import secrets
from collections.abc import Mapping

from sqlalchemy import Connection, delete, insert, select

from central.ledger import author, journal
from central.ledger.errors import Refused
from central.ledger.published import members_of
from central.ledger.tables import FACTS, FENCES, LIVES, SEVERED
from central.ledger.unit import Cursor, Fence, State, Unit
from sync.chain import ALL, EVENT_BYTES, Head, StreamId, genesis
from sync.facts.node import StreamClosed


def load(connection: Connection, state: State) -> None:
    """Read which streams are closed and which are over, into `state`."""
    state.fences = {
        StreamId(row.closed_node, row.closed_incarnation, row.store): Fence(
            row.closed_seq,
            row.closed_hash,
            StreamId(row.successor_node, row.successor_incarnation, row.store),
        )
        for row in connection.execute(select(FENCES))
    }
    named = {
        StreamId(row.ended_node, row.ended_incarnation, row.store)
        for row in connection.execute(select(LIVES))
        if row.ended_incarnation
    }
    own = {stream for stream in state.cursors if _is_old(state, stream)}
    state.over = {
        stream: state.over.get(stream, {}) for stream in sorted((named | own) - set(state.fences))
    }


def _is_old(state: State, stream: StreamId) -> bool:
    """Whether a stream is of an earlier life of central's own."""
    return stream.node == state.own.node and stream.incarnation != state.own.incarnation


def note(state: State, moved: Mapping[StreamId, Cursor]) -> None:
    """Note streams of earlier lives of ours that have come back."""
    for stream in moved:
        if _is_old(state, stream) and stream not in state.fences:
            state.over.setdefault(stream, {})


def heard(unit: Unit, node: bytes, vector: Mapping[StreamId, Head], scopes: tuple[str, ...]) -> str:
    """Note a greeting, and close what can be closed by now.

    Returns:
        Why central's own life is over; empty while it is not.
    """
    state = unit.state
    unit.greeted.update(scopes)
    for stream in vector:
        if stream.scope in scopes and _is_old(state, stream) and stream not in state.fences:
            state.over.setdefault(stream, {})
    for stream, told in state.over.items():
        if stream.scope in scopes:
            told[node] = vector[stream].seq if stream in vector else 0
    for scope in scopes:
        stream = state.own.stream(scope)
        if stream in vector and vector[stream].seq > unit.cursor(stream).head.seq:
            return "peer knew more"
        if unit.cursor(stream).frozen:
            return "fork"
    return ""


def decide(unit: Unit) -> int:
    """Close what is over and lacks nothing since this transaction; return how many streams.

    Only of scopes that something was heard of, and of stores that nobody speaks for: after
    a restore as many streams are over as there are stores, and each store greets.
    """
    members = _who(unit)
    scopes = unit.greeted | {stream.scope for stream in unit.cursors}
    if unit.members_told:
        scopes |= {ALL, *(store for store, _ in unit.members_told)}
    closed = 0
    for stream in list(unit.state.over):
        asked = stream.scope in scopes or stream.scope not in members or unit.members_anew
        if asked and not _missing(unit, stream, members):
            closed += close(unit, stream, "")
    return closed


def missing(unit: Unit, stream: StreamId) -> list[bytes]:
    """Return the nodes that must be heard first, or that hold more of a stream than we do."""
    return _missing(unit, stream, _who(unit))


def _who(unit: Unit) -> dict[str, list[bytes]]:
    """Return the nodes that may hold streams of a scope, not revoked ones; all under `ALL`."""
    found: dict[str, list[bytes]] = {ALL: []}
    for member in members_of(unit).values():
        if member.store and not member.revoked:
            found.setdefault(member.store, []).append(member.node)
            found[ALL].append(member.node)
    return found


def _missing(unit: Unit, stream: StreamId, members: Mapping[str, list[bytes]]) -> list[bytes]:
    told = unit.state.over.get(stream, {})
    held = unit.cursor(stream).head.seq
    return [node for node in members.get(stream.scope, ()) if node not in told or told[node] > held]


def close(unit: Unit, stream: StreamId, why: str) -> bool:
    """Write the fence at our head; return whether there was a successor to name."""
    if stream in _fenced(unit):
        return False
    cursor = unit.cursor(stream)
    found = _first_after(unit, stream)
    if found is None:
        return False
    successor, cause = found
    told = StreamClosed(stream, cursor.head.seq, cursor.head.hash, successor, why or cause)
    author.write(unit, stream.scope, [(secrets.token_bytes(EVENT_BYTES), told)])
    unit.cursors[stream] = Cursor(cursor.head, cursor.hlc, cursor.safe, frozen=False)
    return True


def _fenced(unit: Unit) -> set[StreamId]:
    """Return what is closed, this transaction included."""
    if not unit.lives_changed:
        return set(unit.state.fences)
    return {
        StreamId(row.closed_node, row.closed_incarnation, row.store)
        for row in unit.connection.execute(select(FENCES))
    }


def _first_after(unit: Unit, stream: StreamId) -> tuple[StreamId, str] | None:
    own = unit.state.own
    if stream.node == own.node:
        return own.stream(stream.scope), "restored"
    row = unit.connection.execute(
        select(LIVES)
        .where(
            LIVES.c.store == stream.scope,
            LIVES.c.ended_node == stream.node,
            LIVES.c.ended_incarnation == stream.incarnation,
        )
        .order_by(LIVES.c.hlc, LIVES.c.node, LIVES.c.incarnation)
        .limit(1)
    ).first()
    return None if row is None else (StreamId(row.node, row.incarnation, row.store), row.cause)


def order(unit: Unit, name: str, why: str, successor: str = "") -> StreamId:
    """Close a stream as a person ordered, whoever was not heard.

    Args:
        unit: The transaction.
        name: The stream as it is shown, or an unmistakable beginning of it.
        why: For the record.
        successor: Likewise, of the stream that inherits; needed where no life named it.

    Raises:
        Refused: It is not one stream, is closed already, or has no successor.
    """
    stream = _named(unit, name)
    fence = unit.state.fences.get(stream)
    if fence is not None:
        raise Refused(f"Stream {stream}: closed already, at {fence.seq}.")
    if successor:
        heir = _named(unit, successor)
        if heir == stream or heir.scope != stream.scope:
            raise Refused(f"Stream {heir}: expected another stream of {stream.scope or 'all'!r}.")
        cursor = unit.cursor(stream)
        told = StreamClosed(stream, cursor.head.seq, cursor.head.hash, heir, why)
        author.write(unit, stream.scope, [(secrets.token_bytes(EVENT_BYTES), told)])
        unit.cursors[stream] = Cursor(cursor.head, cursor.hlc, cursor.safe, frozen=False)
    elif stream == unit.state.own.stream(stream.scope) or not close(unit, stream, why):
        raise Refused(
            f"Stream {stream}: no later life of its node is known; expected --successor STREAM, "
            "who inherits from it."
        )
    return stream


def _named(unit: Unit, name: str) -> StreamId:
    known = {*unit.state.cursors, *unit.cursors, *unit.state.over}
    found = [stream for stream in known if name and str(stream).startswith(name)]
    if len(found) != 1:
        raise Refused(
            f"Stream {name!r}: expected the name of one stream, this fits {len(found)}; "
            "karb-central stream list shows them."
        )
    return found[0]


def conform(unit: Unit) -> bool:
    """Let go of what stands beyond a fence or on a branch that lost; return whether there was any.

    The views are to be made again then.
    """
    cut = False
    for row in unit.connection.execute(select(FENCES)).fetchall():
        stream = StreamId(row.closed_node, row.closed_incarnation, row.store)
        cursor = unit.cursor(stream)
        if cursor.head.seq < row.closed_seq or stream == unit.state.own.stream(stream.scope):
            continue  # what comes now is compared as it comes
        here = journal.hashes(unit.connection, stream, row.closed_seq, row.closed_seq)
        if cursor.head.seq == row.closed_seq and here == [row.closed_hash]:
            continue
        if row.closed_seq == 0:
            here = [genesis(stream)]
        keep = row.closed_seq if here == [row.closed_hash] else 0
        _sever(unit, stream, keep, row.closed_hash if keep else genesis(stream))
        cut = True
    return cut


def _sever(unit: Unit, stream: StreamId, keep: int, digest: bytes) -> None:
    columns = [FACTS.c[column.name] for column in SEVERED.columns]
    beyond = (
        FACTS.c.store == stream.scope,
        FACTS.c.node == stream.node,
        FACTS.c.incarnation == stream.incarnation,
        FACTS.c.seq > keep,
    )
    unit.connection.execute(
        insert(SEVERED)
        .prefix_with("OR IGNORE", dialect="sqlite")
        .from_select([column.name for column in SEVERED.columns], select(*columns).where(*beyond))
    )
    unit.connection.execute(delete(FACTS).where(*beyond))
    cursor = unit.cursor(stream)
    unit.cursors[stream] = Cursor(
        Head(stream, keep, digest), cursor.hlc, min(cursor.safe, keep), frozen=False
    )


def lost_lives(state_over: Mapping[StreamId, object], own: bytes, scope: str) -> list[StreamId]:
    """Return central's own streams of a scope whose lives were lost and are not closed yet.

    While there is one, central promises nothing in that scope: what it had promised under
    it, it may not know. `Published.over` is what to ask with.
    """
    return [stream for stream in state_over if stream.node == own and stream.scope == scope]
