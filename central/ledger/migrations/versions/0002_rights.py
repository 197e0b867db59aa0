"""Rows of rights in place of plain quantities; promises, orders, policies.

Views are made again from the journal by whoever opens the ledger next (`views.refresh`).
"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"

_COUNTED = "made used held freed done gave got over covered"


def upgrade() -> None:
    """Make them."""
    op.drop_table("stock")
    op.create_index("duplicates_event", "duplicates", ["store", "event"])
    _create(
        "rights",
        f"t:store t:cell b:node i:incarnation {_ints(_COUNTED)} i:as_of_ms",
        "store cell node incarnation",
    )
    op.create_index("rights_cell", "rights", ["cell"])
    _partial("rights_reserved", "rights", "cell store", "held - freed - done > 0")
    _create(
        "policies",
        "t:store t:target i:mode i:floor_milli i:web_percent i:hlc b:node i:incarnation i:seq",
        "store target",
    )
    _create(
        "wanted",
        "t:store t:cell b:node i:incarnation i:seq b:event i:milli b:of_node? "
        "i:of_incarnation? i:at_ms",
        "store cell node incarnation",
    )
    op.create_index("wanted_at", "wanted", ["at_ms"])
    _create("gifts", "t:store b:event", "store event")
    _create(
        "promises",
        "t:store b:event b:node i:incarnation i:seq b:root b:instead_of t:instead_at t:channel "
        "b:digest t:places i:at_ms i:expires_ms i:ended i:ended_ms b:holder_node "
        "i:holder_incarnation",
        "store event node incarnation",
    )
    op.create_index("promises_root", "promises", ["root"])
    _partial("promises_open", "promises", "expires_ms", "ended = 0")
    _create(
        "promise_lines",
        "t:store b:event b:node i:incarnation t:cell i:milli i:at_ms",
        "store event node incarnation cell",
    )
    op.create_index("promise_lines_cell", "promise_lines", ["store", "cell", "at_ms"])
    _create(
        "order_answers",
        "t:store b:node i:incarnation i:seq t:cell b:event i:answer i:milli i:at_ms t:who t:why",
        "store node incarnation seq cell",
    )
    op.create_index("order_answers_event", "order_answers", ["store", "event"])
    _partial("order_answers_short", "order_answers", "event store", "answer = 3")
    _create(
        "broken",
        "t:store b:node i:incarnation i:seq t:cell b:event i:milli t:who t:why",
        "store node incarnation seq cell",
    )
    op.create_index("broken_event", "broken", ["store", "event"])
    _create(
        "refusals",
        "t:store t:cell i:refused i:asked_milli i:short_milli i:elsewhere_milli "
        "i:served_elsewhere i:last_ms",
        "store cell",
    )
    op.execute("INSERT OR REPLACE INTO own VALUES ('', 'stale', '1')")


def _partial(name: str, table: str, columns: str, where: str) -> None:
    op.create_index(name, table, columns.split(), sqlite_where=sa.text(where))


def _ints(names: str) -> str:
    return " ".join(f"i:{name}" for name in names.split())


_TYPES: dict[str, type[sa.Text | sa.LargeBinary | sa.BigInteger]] = {
    "t": sa.Text,
    "b": sa.LargeBinary,
    "i": sa.BigInteger,
}


def _create(name: str, columns: str, key: str) -> None:
    """Make a table; columns as ``t:name`` (text), ``b:`` (bytes), ``i:`` (int); ``?``: null."""
    keys = key.split()
    made = []
    for kind, _, column in (entry.partition(":") for entry in columns.split()):
        bare = column.removesuffix("?")
        made.append(
            sa.Column(
                bare,
                _TYPES[kind](),
                primary_key=bare in keys,
                nullable=column.endswith("?"),
                autoincrement=False,
            )
        )
    op.create_table(name, *made, sqlite_with_rowid=False)
