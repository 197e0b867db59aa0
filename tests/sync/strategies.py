"""What Hypothesis draws: facts, sales and streams of every shape a shop can make."""

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import strategies as st

from sync.chain import Batch, Fact, Head, StreamId, extend, genesis, sign
from sync.facts import encode
from sync.facts.sale import Discount, Payment, Sale, SaleLine, SaleLines, Stage
from sync.identity import node_id, raw_public

KEY = Ed25519PrivateKey.from_private_bytes(bytes(range(32)))
PUBLIC = raw_public(KEY.public_key())
NODE = node_id(PUBLIC)
STREAM = StreamId(NODE, 7, "S1")

text = st.text(max_size=12)


@st.composite
def lines(draw):
    quantity = draw(st.integers(1, 100_000))
    unit = draw(st.integers(0, 100_000))
    worth = (quantity * unit + 500) // 1000
    cut = draw(st.integers(0, worth))
    return SaleLine(
        sku=draw(st.from_regex(r"[0-9A-Z]{1,13}", fullmatch=True)),
        quantity_milli=quantity,
        unit_minor=unit,
        discounts=(Discount(draw(text), cut),) if cut else (),
        name=draw(text),
        unit=draw(st.sampled_from(["szt", "kg", ""])),
        vat=draw(st.sampled_from(["23", "8", "5", "0", "zw"])),
        price_version=draw(st.integers(0, 2_000_000_000)),
        deposit_minor=draw(st.sampled_from([0, 0, 50, 100])),
        age_checked=draw(st.sampled_from([0, 18])),
    )


@st.composite
def sales(draw, stage=Stage.CLOSED, methods=("cash", "card")):
    rows = tuple(draw(st.lists(lines(), min_size=1, max_size=6)))
    total = sum(row.total_minor + row.deposits_minor for row in rows)
    first = draw(st.integers(0, total))
    return Sale(
        stage=stage,
        number=draw(st.integers(1, 10_000)),
        at_ms=draw(st.integers(0, 2_000_000_000_000)),
        trust=draw(st.integers(0, 5)),
        lines=SaleLines.of(rows),
        payments=(
            Payment(draw(st.sampled_from(methods)), first),
            Payment("cash", total - first, draw(st.integers(0, 5000))),
        ),
        till=draw(st.sampled_from(["T1", "T2"])),
        cashier=draw(text),
        shift="1",
        business_day=20261123,
    )


@st.composite
def facts(draw, n, bodies=None, start=1):
    """Return `n` consecutive facts of unlike kinds."""
    made, hlc = [], draw(st.integers(0, 1 << 50))
    for number in range(start, start + n):
        hlc += draw(st.integers(1, 1 << 30))
        body = draw(bodies or st.one_of(sales().map(encode), st.binary(max_size=60)))
        made.append(Fact(number, hlc, draw(st.sampled_from(["sale", "x"])), 1, draw(events), body))
    return made


events = st.binary(min_size=16, max_size=16)


def batch_of(made, stream=STREAM, before=None, key=KEY):
    """Sign facts into a batch; return it with the hash of each."""
    hashes = extend(before or genesis(stream), made)
    head = Head(stream, made[-1].seq, hashes[-1])
    return Batch(stream, made, sign(key, head)), hashes
