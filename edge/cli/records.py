"""The two records that Polish law wants beside the fiscal ones: returns, and obvious mistakes."""
# ruff: noqa: PLC0415 - what is heavy is imported by the command that needs it

import csv
import io
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from edge.cli.ask import ask
from edge.cli.say import ending, out

if TYPE_CHECKING:
    from edge.till.returns import ReturnsPage

returns = typer.Typer(help="Goods given back, and mistakes.", no_args_is_help=True)

COLUMNS = (
    "data_sprzedazy", "data_zwrotu", "towar", "ilosc", "wartosc_brutto", "vat_stawka",
    "kaucja", "razem_brutto", "razem_vat", "paragon", "nr_fiskalny", "przyczyna",
    "prawidlowa_rejestracja", "kasa", "kasjer", "zatwierdzil", "id",
)  # fmt: skip
"""Of the exported records, in the words of the law that asks for them."""


@returns.command("export")
def export(
    *,
    data: Annotated[
        Path, typer.Option("--data", envvar="KARB_DATA", help="Folder of the node.", metavar="DIR")
    ] = Path("karb-data"),
    first: Annotated[str, typer.Option("--from", help="First business day.", metavar="DAY")],
    last: Annotated[str, typer.Option("--to", help="Last business day.", metavar="DAY")],
    mistakes: Annotated[
        bool, typer.Option("--mistakes", help="The record of obvious mistakes, not of returns.")
    ] = False,
    file: Annotated[
        Path | None, typer.Option("--out", help="Where to write it; without: here.", metavar="FILE")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON value.")] = False,
) -> None:
    """Write one of the two records, of some days, as a spreadsheet reads it (CSV)."""
    import msgspec

    from edge.till.returns import ReturnsPage

    with ending(as_json=as_json):
        record = "mistakes" if mistakes else "returns"
        told = ask(data, "GET", f"/v1/returns?from={first}&to={last}&record={record}")
        page = msgspec.convert(told, ReturnsPage)
        sheet = as_csv(page)
        if file is not None:
            file.write_bytes(sheet)
        text = f"{file}: {len(page.returns)} {record}." if file else sheet.decode("utf-8-sig")
        out(told, text, as_json=as_json)


def as_csv(record: "ReturnsPage") -> bytes:
    """Write a record as a Polish spreadsheet reads it: UTF-8 with its mark, semicolons, commas."""
    text = io.StringIO()
    sheet = csv.writer(text, delimiter=";", lineterminator="\r\n")
    sheet.writerow(COLUMNS)
    for one in record.returns:
        vat = sum(total.vat_minor for total in one.vat)
        for line in one.lines:
            sheet.writerow(
                _plain(cell)
                for cell in (
                    one.sold_at[:10], one.at[:10], line.name, _comma(line.quantity_milli, 3),
                    _comma(line.goods_minor), line.vat, _comma(line.deposit_minor),
                    _comma(one.goods_minor), _comma(vat), one.receipt, one.fiscal, one.reason,
                    one.correction, one.till, one.cashier, one.approved_by, one.uuid,
                )
            )  # fmt: skip
    return b"\xef\xbb\xbf" + text.getvalue().encode()


def _plain(cell: str) -> str:
    """Take from a text what a spreadsheet would run as a formula."""
    return f"'{cell}" if cell.startswith(("=", "+", "-", "@", "\t", "\r")) else cell


def _comma(value: int, places: int = 2) -> str:
    whole, part = divmod(value, 10**places)
    return f"{whole},{part:0{places}}"
