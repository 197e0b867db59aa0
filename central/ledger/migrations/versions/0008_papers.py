"""Transfers between stores, and count sheets."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    """Make the table; what it tells of, no program before this one could write."""
    op.create_table(
        "papers",
        sa.Column("store", sa.Text(), primary_key=True, nullable=False),
        sa.Column("event", sa.LargeBinary(), primary_key=True, nullable=False),
        sa.Column("what", sa.BigInteger(), primary_key=True, nullable=False, autoincrement=False),
        sa.Column("node", sa.LargeBinary(), nullable=False),
        sa.Column("incarnation", sa.BigInteger(), nullable=False),
        sa.Column("seq", sa.BigInteger(), nullable=False),
        sa.Column("other", sa.Text(), nullable=False),
        sa.Column("at_ms", sa.BigInteger(), nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("papers_other", "papers", ["other", "what"], unique=False)
