"""Lives that ended, the fences that close them, and what stood beyond a fence."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def _stream() -> list["sa.Column[str] | sa.Column[bytes] | sa.Column[int]"]:
    return [
        sa.Column("store", sa.Text, primary_key=True, nullable=False),
        sa.Column("node", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column(
            "incarnation", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False
        ),
    ]


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "lives",
        *_stream(),
        *_blobs("ended_node"),
        *_ints("ended_incarnation", "ended_seq"),
        *_blobs("ended_hash"),
        sa.Column("cause", sa.Text, nullable=False),
        *_ints("hlc"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "fences",
        sa.Column("store", sa.Text, primary_key=True, nullable=False),
        sa.Column("closed_node", sa.LargeBinary, primary_key=True, nullable=False),
        sa.Column(
            "closed_incarnation",
            sa.BigInteger,
            primary_key=True,
            nullable=False,
            autoincrement=False,
        ),
        *_ints("closed_seq"),
        *_blobs("closed_hash", "successor_node"),
        *_ints("successor_incarnation"),
        sa.Column("why", sa.Text, nullable=False),
        *_ints("hlc"),
        *_blobs("node"),
        *_ints("incarnation", "seq"),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "severed",
        *_stream(),
        sa.Column("seq", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("hash", sa.LargeBinary, primary_key=True, nullable=False),
        *_ints("hlc"),
        sa.Column("kind", sa.Text, nullable=False),
        *_ints("version"),
        *_blobs("event", "body"),
        sa.Column("signature", sa.LargeBinary, nullable=True),
        sqlite_with_rowid=False,
    )


def _ints(*names: str) -> list["sa.Column[int]"]:
    return [sa.Column(name, sa.BigInteger, nullable=False) for name in names]


def _blobs(*names: str) -> list["sa.Column[bytes]"]:
    return [sa.Column(name, sa.LargeBinary, nullable=False) for name in names]
