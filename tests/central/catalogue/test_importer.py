import contextlib
import csv
import io
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from central.catalogue import importer
from central.catalogue.article import ArticleRow, CatalogueDocument
from central.catalogue.importer import BadImport, ImportTooLarge, UnknownFormat, parse
from sync.rules.barcode import check_digit
from sync.rules.fiscal_name import compared
from sync.rules.vat import CODES

SHEET = """\
Indeks;Nazwa;Nazwa fiskalna;Cena;Stawka;Jednostka;Kod kreskowy;Kaucja;Wiek;Grupa;Cena od
M-1;"Mleko ""Łaciate"" 3,2%";;4,29;5%;;5901234123457|96385074;;;Nabiał;
P-2;Piwo jasne 0,5 l;PIWO JASNE;1 234,50 zł;23;but;;0,50;18;;01.07.2026 06:00
"""
ROWS = [
    ArticleRow(
        sku="M-1",
        name='Mleko "Łaciate" 3,2%',
        fiscal_name='Mleko "Łaciate" 3,2%',
        vat="5",
        price_minor=429,
        codes=("5901234123457", "96385074"),
        group="Nabiał",
    ),
    ArticleRow(
        sku="P-2",
        name="Piwo jasne 0,5 l",
        fiscal_name="PIWO JASNE",
        unit="but",
        vat="23",
        price_minor=123450,
        deposit_minor=50,
        age_min=18,
        effective_from_ms=1782878400000,
    ),
]


def _sheet(*lines, heading="sku;name;price;vat;ean"):
    return "\r\n".join([heading, *lines]).encode()


def _json(*articles):
    return msgspec.json.encode({"articles": articles})


def _mistakes(data, content_type="text/csv"):
    with pytest.raises(BadImport) as refusal:
        parse(data, content_type)
    return refusal.value


@pytest.mark.parametrize(
    ("data", "content_type"),
    [
        (SHEET.encode(), "text/csv"),
        (SHEET.encode("utf-8-sig"), "text/csv"),
        (SHEET.encode("cp1250"), "text/csv"),
        (SHEET.encode("cp1250"), "text/csv; charset=windows-1250"),
        (SHEET.encode("utf-8-sig"), 'Text/CSV; Charset="UTF-8"'),
        (SHEET.encode("utf-8-sig"), "text/csv; charset=cp1250"),
        (SHEET.replace("\n", "\r\n").encode(), "application/vnd.ms-excel"),
        (SHEET.encode() + b";;;;;;;;;;\n\n ; ;\n", "text/csv"),
    ],
)
def test_a_polish_spreadsheet(data, content_type):
    assert parse(data, content_type) == ROWS


def test_the_same_in_json():
    data = _json(
        {
            "sku": "M-1",
            "name": 'Mleko "Łaciate" 3,2%',
            "vat": "5",
            "price_minor": 429,
            "codes": ["05901234123457", "96385074"],
            "group": "Nabiał",
            "age_min": None,
        },
        {
            "sku": "P-2",
            "name": "Piwo jasne 0,5 l",
            "fiscal_name": "PIWO JASNE",
            "unit": "but",
            "vat": "23",
            "price_minor": 123450,
            "deposit_minor": 50,
            "age_min": 18,
            "effective_from": "2026-07-01T06:00:00+02:00",
        },
    )
    assert parse(data, "application/json; charset=utf-8") == ROWS
    msgspec.json.decode(data, type=CatalogueDocument)


NAMES = st.text(
    st.sampled_from("aąĄbcćĆdeęĘłŁńŃóÓśŚźŹżŻ \";,|'%/-09"), min_size=1, max_size=60
).filter(lambda text: text.strip())
BODIES = st.text("0123456789", min_size=12, max_size=12).filter(lambda body: body[0] != "0")


@st.composite
def catalogues(draw):
    rows = draw(
        st.lists(
            st.builds(
                ArticleRow,
                sku=NAMES.map(lambda text: text.strip()[:40].strip()),
                name=NAMES.map(str.strip),
                fiscal_name=NAMES.map(lambda text: " ".join(text[:40].split())),
                unit=st.sampled_from(["szt", "kg", "opak", "m"]),
                vat=st.sampled_from(CODES),
                price_minor=st.integers(1, 10**9),
                codes=st.lists(BODIES, max_size=3, unique=True).map(
                    lambda bodies: tuple(body + check_digit(body) for body in bodies)
                ),
                deposit_minor=st.integers(0, 10**9),
                age_min=st.integers(0, 99),
                group=NAMES.map(str.strip),
                effective_from_ms=st.none() | st.integers(946_684_800_000, 4_070_908_800_000),
            ),
            min_size=1,
            max_size=6,
            unique_by=(lambda row: row.sku, lambda row: compared(row.fiscal_name)),
        )
    )
    taken: set[str] = set()
    for index, row in enumerate(rows):
        free = tuple(code for code in row.codes if code not in taken)
        taken.update(free)
        rows[index] = msgspec.structs.replace(row, codes=free)
    return rows


def _zloty(minor, space):
    return f"{minor // 100:,}".replace(",", space) + f",{minor % 100:02}"


@given(
    catalogues(),
    st.sampled_from(";,\t"),
    st.sampled_from(["utf-8", "utf-8-sig", "cp1250"]),
    st.sampled_from(["", " ", "\u00a0"]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.permutations(range(11)),
)
def test_round_trip_in_every_dialect(rows, delimiter, encoding, space, ending, quoting, order):
    def moment(ms):
        return "" if ms is None else _utc(ms).isoformat()

    headings = ["SKU", "Nazwa", "fiscal_name", "jednostka", "VAT", "Cena", "EAN", "Kaucja", "wiek",
                "GRUPA", "Cena od"]  # fmt: skip
    table = [headings] + [
        [r.sku, r.name, r.fiscal_name, r.unit, f"{r.vat}%" if r.vat.isdigit() else r.vat.upper(),
         _zloty(r.price_minor, space), " ".join(r.codes), _zloty(r.deposit_minor, space),
         str(r.age_min), r.group, moment(r.effective_from_ms)]
        for r in rows
    ]  # fmt: skip
    written = io.StringIO(newline="")
    writer = csv.writer(written, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    writer.writerows([[cells[place] for place in order] for cells in table])
    assert parse(written.getvalue().encode(encoding), "text/csv") == rows


def _utc(ms):
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)


@given(catalogues())
def test_json_round_trip(rows):
    articles = []
    for row in rows:
        fields = msgspec.to_builtins(row)
        ms = fields.pop("effective_from_ms")
        if ms is not None:
            fields["effective_from"] = _utc(ms).isoformat()
        articles.append(fields)
    assert parse(_json(*articles), "application/json") == rows


@pytest.mark.parametrize(
    ("line", "where", "value", "expected", "cure"),
    [
        (";Chleb;5,90;5;", "row 2, sku", "", "a SKU of 1 to 40", "number of its own"),
        ("A;;5,90;5;", "row 2, name", "", "a name of 1 to 200", "name the article"),
        ("A;Chleb;5,90x;5;", "row 2, price", "5,90x", "such as 1 234,50", "a comma"),
        ("A;Chleb;0;5;", "row 2, price", "0", "from 0,01", ""),
        ("A;Chleb;5,90;7;", "row 2, vat", "7", "one of 23, 8, 5, 0, zw, np", ""),
        ("A;Chleb;5,90;5;5,90E+12", "row 2, ean", "5,90E+12", "8, 12, 13 or 14", "as text"),
        ("5,90E+12;Chleb;5,90;5;", "row 2, sku", "5,90E+12", "as it was typed", "as text"),
        ("A;Chleb;5,90;5;5901234123456", "row 2, ean", "5901234123456", "digit 7, got 6", "scan"),
        ("A" * 41 + ";Chleb;5,90;5;", "row 2, sku", "A" * 41, "at most 40", "shorten"),
        ("A;" + "x" * 201 + ";5,90;5;", "row 2, name", "x" * 120 + "…", "at most 200", "shorten"),
        ("A;Chl\x07eb;5,90;5;", "row 2, name", "Chl\\u0007eb", "not U+0007", "type it again"),
        ("A;Chleb;5,90;5;;x", "row 2, cell 6", "x", "5 cells", "quotes"),
        ("A;Chleb", "row 2, price", "", "an amount in zloty", "comma"),
    ],
)
def test_a_bad_cell_is_named_with_the_cure(line, where, value, expected, cure):
    wrong = _mistakes(_sheet(line, "B;Masło;7,99;5;"))
    assert wrong.bad_rows == 1
    first = wrong.mistakes[0]
    assert (first.where, first.value) == (where, value)
    assert expected in first.expected
    assert cure in first.cure
    assert where in str(wrong)
    assert "nothing was imported" in str(wrong)


def test_all_bad_rows_are_told_together():
    wrong = _mistakes(_sheet("A;Chleb;x;7;", "B;Masło;7,99;5;", "C;;1;5;", "A;Bułka;1;5;"))
    assert [mistake.where for mistake in wrong.mistakes] == [
        "row 2, price",
        "row 2, vat",
        "row 4, name",
        "row 5, sku",
    ]
    assert wrong.bad_rows == 3
    wrong = _mistakes(_sheet(*(f"{n};Chleb;x;7;" for n in range(500))))
    assert (wrong.bad_rows, len(wrong.mistakes)) == (500, 100)


def test_each_sku_and_each_code_once():
    wrong = _mistakes(
        _sheet(
            "A;Chleb;1;5;5901234123457",
            "A;Chleb;1;5;",
            "B;Masło;1;5;96385074 05901234123457",
        )
    )
    assert [str(mistake) for mistake in wrong.mistakes] == [
        "row 3, sku: got 'A', expected each SKU once, row 2 has it; keep one of them.",
        (
            "row 4, ean: got '5901234123457', expected each barcode on one article, 'A' has it; "
            "remove it from one of them."
        ),
    ]
    assert parse(_sheet("A;Chleb;1;5;96385074|96385074"), "text/csv")[0].codes == ("96385074",)


@pytest.mark.parametrize(
    ("heading", "where", "told"),
    [
        ("a;b;c", "row 1", "headings such as"),
        ("sku;nazwa;cena", "row 1", "a column vat or stawka or stawka vat"),
        ("sku;nazwa;cena;vat;kaucjaa", "row 1", "did you mean 'kaucja'?"),
        ("sku;nazwa;cena;vat;stan", "row 1", "'stan'"),
        ("sku;nazwa;cena;vat;indeks", "row 1", "each column once"),
        ("", "row 1", "headings such as"),
        ("x" * 200_000, "row 1", "at most 100000"),
        ("sku;nazwa;cena;vat" + ";nic" * 5000, "row 1", "'nic'"),
    ],
)
def test_bad_headings(heading, where, told):
    wrong = _mistakes(_sheet("A;Chleb;1;5", heading=heading))
    assert wrong.mistakes[0].where == where
    assert told in " ".join(map(str, wrong.mistakes))
    assert len(wrong.mistakes) <= 100


def test_a_value_under_an_empty_heading_is_not_lost():
    assert parse(_sheet("A;Chleb;1;5;;", heading="sku;name;price;vat;;"), "text/csv")
    wrong = _mistakes(_sheet("A;Chleb;1;5;5901234123457", heading="sku;name;price;vat; "))
    assert "nothing under an empty heading" in str(wrong)


@pytest.mark.parametrize(
    "line", ['"A;Chleb;1;5;', 'A;"Chleb"x;1;5;', '"' + "x" * 90_000 + "\n" + "x" * 90_000 + '";;;;']
)
def test_bad_quotes_name_the_row(line):
    wrong = _mistakes(_sheet("B;Masło;1;5;", line))
    assert wrong.mistakes[0].where == "row 3"
    assert "quot" in str(wrong)


def test_a_row_counts_once_however_many_lines_it_has():
    wrong = _mistakes(_sheet("A;Chleb;1;5;", '"B";"Ma\nsło";1;5;', "C;;1;5;"))
    assert [mistake.where for mistake in wrong.mistakes] == ["row 3, name", "row 4, name"]


@pytest.mark.parametrize(
    ("data", "told"),
    [
        (b"", "JSON in UTF-8"),
        (b"{", "JSON in UTF-8"),
        (b'{"articles":["\xff"]}', "JSON in UTF-8"),
        (b"[" * 100_000, "JSON with an object"),
        (b"[]", 'an object with "articles" alone'),
        (b'{"articles":[],"more":1}', 'an object with "articles" alone'),
        (b'{"articles":{}}', "a list of articles"),
        (b'{"articles":[]}', "at least one article"),
        (b'{"articles":[3]}', "row 1, article"),
    ],
)
def test_bad_json(data, told):
    assert told in str(_mistakes(data, "application/json"))


@pytest.mark.parametrize(
    ("change", "where", "told"),
    [
        ({"price_minor": 5.0}, "price_minor", "a whole number from 1 to 1000000000"),
        ({"price_minor": "590"}, "price_minor", "a whole number"),
        ({"price_minor": True}, "price_minor", "a whole number"),
        ({"price_minor": 0}, "price_minor", "a whole number from 1"),
        ({"price_minor": None}, "price_minor", "a whole number"),
        ({"deposit_minor": -1}, "deposit_minor", "a whole number from 0"),
        ({"age_min": 100}, "age_min", "from 0 to 99"),
        ({"sku": None}, "sku", "a text in quotes"),
        ({"sku": "a\u200bb"}, "sku", "not U+200B"),
        ({"vat": 23}, "vat", "a text in quotes"),
        ({"codes": "5901234123457"}, "codes", "a list of texts"),
        ({"codes": [5901234123457]}, "codes", "a list of texts"),
        ({"codes": [["[" * 9]]}, "codes", "a list of texts"),
        ({"effective_from": 1}, "effective_from", "a text in quotes"),
        ({"price": 1}, "price", "did you mean 'price_minor'?"),
        ({"x" * 500: 1}, "x" * 120 + "…", "remove or rename it"),
    ],
)
def test_a_bad_json_value_is_named(change, where, told):
    wrong = _mistakes(
        _json({"sku": "A", "name": "Chleb", "vat": "5", "price_minor": 1, **change}),
        "application/json",
    )
    assert [mistake.where for mistake in wrong.mistakes] == [f"row 1, {where}"]
    assert told in str(wrong)


@pytest.mark.parametrize(
    "content_type", ["", "text/html", "text/csv; charset=utf-16", "multipart/form-data; boundary=x"]
)
def test_other_formats_are_refused(content_type):
    with pytest.raises(UnknownFormat, match="Content-Type"):
        parse(SHEET.encode(), content_type)


def test_bytes_that_are_no_text():
    assert "UTF-16" in str(_mistakes(SHEET.encode("utf-16")))
    assert "byte 0x81 at 25" in str(_mistakes(_sheet() + b"\r\n\xf3\x81"))
    assert "expected UTF-8;" in str(_mistakes(SHEET.encode("cp1250"), "text/csv;charset=utf-8"))


def test_size_and_rows_are_bounded(monkeypatch):
    with pytest.raises(ImportTooLarge, match="at most 33554432 bytes"):
        parse(bytes(importer.MAX_BYTES + 1), "text/csv")
    with pytest.raises(ImportTooLarge, match="at most 1048576 lines"):
        parse(_sheet() + b"\n" * (importer.MAX_SHEET + 1), "text/csv")
    monkeypatch.setattr(importer, "MAX_ROWS", 2)
    three = [{"sku": str(n), "name": "n", "vat": "5", "price_minor": 1} for n in range(3)]
    assert len(parse(_json(*three[:2]), "application/json")) == 2
    with pytest.raises(ImportTooLarge, match="at most 2 articles"):
        parse(_json(*three), "application/json")
    with pytest.raises(ImportTooLarge, match="at most 2 articles"):
        parse(_sheet(*(f"{n};n;1;5;" for n in range(3))), "text/csv")


TYPES = st.sampled_from(["application/json", "text/csv", "text/csv; charset=cp1250", "text/plain"])
CELLS = st.sampled_from(["", "A", "B", "5,90", "5", "zw", "5901234123457", '"', "\x00", "\ufeff"])
SHEETS = st.lists(st.lists(CELLS | st.text(max_size=8), max_size=8).map(";".join), max_size=8)
VALUES = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()


@given(st.binary() | SHEETS.map(lambda lines: _sheet(*lines)), TYPES)
def test_any_bytes_are_rows_or_a_bad_import(data, content_type):
    with contextlib.suppress(BadImport):
        assert parse(data, content_type)


@given(
    st.lists(
        st.dictionaries(
            st.sampled_from(["sku", "name", "vat", "price_minor", "codes", "age_min", "junk"]),
            VALUES | st.lists(VALUES) | st.sampled_from(["A", "23", 5]),
        )
    )
)
@settings(suppress_health_check=[HealthCheck.too_slow])
def test_any_json_is_rows_or_a_bad_import(articles):
    with contextlib.suppress(BadImport):
        assert len(parse(_json(*articles), "application/json")) == len(articles)
