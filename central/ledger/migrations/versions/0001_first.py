"""The first tables: journal, views, and what stands beside them."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make them."""
    _create(
        "streams",
        "t:store b:node i:incarnation i:seq b:hash i:hlc i:safe i:frozen",
        "store node incarnation",
    )
    _create(
        "facts",
        "t:store b:node i:incarnation i:seq i:hlc t:kind i:version b:event b:body "
        "b:hash b:signature?",
        "store node incarnation seq",
    )
    _create(
        "forks",
        "t:store b:node i:incarnation i:seq b:theirs b:ours i:our_head b:our_head_hash "
        "b:our_signature i:their_head b:their_head_hash b:their_signature i:seen_ms",
        "store node incarnation seq theirs",
    )
    _create(
        "quarantine",
        "t:store b:node i:incarnation i:seq t:kind i:version t:reason",
        "store node incarnation seq",
    )
    _create(
        "unreadable",
        "t:store b:node i:incarnation i:seq t:kind i:version",
        "store node incarnation seq",
    )
    _create(
        "sales",
        "t:store i:sale b:node i:incarnation i:seq b:event i:change i:stage t:till "
        "t:series i:number i:at_ms i:trust i:business_day t:cashier t:channel i:lines "
        "i:quantity_milli i:total_minor",
        "store sale",
    )
    op.create_index("sales_change", "sales", ["store", "change"], unique=False)
    op.create_index("sales_event", "sales", ["store", "event"], unique=True)
    _create(
        "sale_lines",
        "t:store i:sale i:line t:sku i:quantity_milli i:unit_minor i:discount_minor "
        "i:total_minor t:vat i:price_version t:name",
        "store sale line",
    )
    _create(
        "sale_marks",
        "t:store b:event b:node i:incarnation i:seq i:stage i:payment i:approved",
        "store event node incarnation seq",
    )
    _create(
        "deliveries",
        "t:store b:node i:incarnation i:seq b:event i:at_ms t:supplier t:reference i:lines",
        "store node incarnation seq",
    )
    op.create_index("deliveries_event", "deliveries", ["store", "event"], unique=True)
    _create(
        "duplicates",
        "t:store b:node i:incarnation i:seq b:event t:kind",
        "store node incarnation seq",
    )
    _create(
        "stock",
        "t:store t:sku i:quantity_milli i:as_of_ms",
        "store sku",
    )
    _create(
        "totals",
        "t:store i:sales i:lines i:quantity_milli i:total_minor",
        "store",
    )
    _create(
        "articles",
        "t:store t:sku i:revision t:name t:fiscal_name t:unit t:vat t:codes "
        "i:deposit_minor i:age_min t:product_group b:node i:incarnation i:seq",
        "store sku revision",
    )
    _create(
        "prices",
        "t:store t:sku i:revision i:from_ms i:unit_minor b:node i:incarnation i:seq",
        "store sku revision from_ms",
    )
    _create(
        "stores",
        "t:store t:name t:zone t:currency t:taxpayer i:fiscal i:day_starts_minute i:hlc "
        "b:node i:incarnation i:seq",
        "store",
    )
    _create(
        "nodes",
        "t:store b:subject t:name b:certificate i:hlc b:node i:incarnation i:seq",
        "store subject",
    )
    _create(
        "revoked",
        "t:store b:subject t:why i:hlc b:node i:incarnation i:seq",
        "store subject",
    )
    _create(
        "own",
        "t:store t:name t:value",
        "store name",
    )
    _create(
        "feeds",
        "t:store i:change",
        "store",
    )
    _create(
        "codes",
        "t:store b:digest i:expires_ms b:used_by?",
        "store digest",
    )
    op.create_index("codes_digest", "codes", ["digest"], unique=False)
    _create(
        "tokens",
        "t:store b:digest t:name t:scope i:made_ms",
        "store digest",
    )
    _create(
        "person_keys",
        "t:store b:person b:key? b:node i:incarnation i:seq",
        "store person",
    )
    op.create_index(
        "person_keys_place", "person_keys", ["store", "node", "incarnation", "seq"], unique=False
    )
    _create(
        "contacts",
        "t:store b:node i:heard_ms i:bytes_in i:bytes_out",
        "store node",
    )


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
