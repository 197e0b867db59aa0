"""Sticks that were read here."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    """Make the table."""
    op.create_table(
        "sticks",
        sa.Column("store", sa.Text, primary_key=True, nullable=False),
        sa.Column("read_ms", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False),
        sa.Column("file", sa.Text, primary_key=True, nullable=False),
        sa.Column("node", sa.LargeBinary, nullable=False),
        sa.Column("written_ms", sa.BigInteger, nullable=False),
        sa.Column("facts", sa.BigInteger, nullable=False),
        sa.Column("reason", sa.Text, nullable=False),
        sa.Column("vector", sa.LargeBinary, nullable=False),
        sqlite_with_rowid=False,
    )
