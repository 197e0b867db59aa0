"""Reference data by date: articles, VAT rates; and lines sold at a price that was over."""

import sqlalchemy as sa
from alembic import op

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    """Add columns and tables."""
    op.add_column(
        "articles", sa.Column("from_ms", sa.BigInteger, nullable=False, server_default="0")
    )
    op.add_column("articles", sa.Column("compared", sa.Text, nullable=False, server_default=""))
    op.add_column("prices", sa.Column("told_ms", sa.BigInteger, nullable=False, server_default="0"))
    op.create_index("articles_revision", "articles", ["store", "revision"])
    op.create_index("articles_compared", "articles", ["store", "compared"])
    op.create_index("prices_revision", "prices", ["store", "revision"])
    op.create_index("sales_at", "sales", ["at_ms"])
    op.create_table(
        "vat_rates",
        sa.Column("store", sa.Text, primary_key=True),
        sa.Column("code", sa.Text, primary_key=True),
        sa.Column("since", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("revision", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("basis_points", sa.BigInteger, nullable=False),
        sa.Column("exempt", sa.BigInteger, nullable=False),
        sa.Column("node", sa.LargeBinary, nullable=False),
        sa.Column("incarnation", sa.BigInteger, nullable=False),
        sa.Column("seq", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_table(
        "stale_prices",
        sa.Column("store", sa.Text, primary_key=True),
        sa.Column("event", sa.LargeBinary, primary_key=True),
        sa.Column("line", sa.BigInteger, primary_key=True, autoincrement=False),
        sa.Column("due_minor", sa.BigInteger, nullable=False),
        sa.Column("due_version", sa.BigInteger, nullable=False),
        sqlite_with_rowid=False,
    )
    op.execute("INSERT OR REPLACE INTO own VALUES ('', 'stale', '1')")  # `views.refresh`
