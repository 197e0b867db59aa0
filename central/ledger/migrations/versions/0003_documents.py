"""Documents that several people edit, and whom to forget."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    """Make the tables."""
    _create(
        "document_changes",
        "t:store b:document b:name t:kind b:generation b:person? b:nonce? b:content i:told",
        "store document name",
    )
    op.create_index("document_changes_told", "document_changes", ["store", "told"])
    op.create_index("document_changes_document", "document_changes", ["document"])
    _create(
        "document_generations",
        "t:store b:document b:name t:kind b:previous i:number b:covered b:person? b:nonce? "
        "b:content",
        "store document name",
    )
    _create(
        "document_settlements",
        "t:store b:document i:hlc t:place b:seen b:keep t:who t:note",
        "store document hlc place",
    )
    _create(
        "basket_recalls",
        "t:store b:document b:name t:till t:cashier b:writer i:at_ms b:covered",
        "store document name till cashier writer at_ms covered",
    )
    _create("basket_ends", "t:store b:document b:recall b:sale", "store document recall")
    _create("document_persons", "t:store b:document b:person", "store document person")
    op.create_index("document_persons_person", "document_persons", ["person"])
    op.create_index("document_persons_document", "document_persons", ["document"])
    _create("forgotten", "t:store b:document", "store document")
    op.create_index("person_keys_person", "person_keys", ["person"])


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
