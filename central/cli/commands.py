"""The commands, each a few lines: words into an order, its result onto the screen."""

# ruff: noqa: FBT002 - how typer spells a flag

import json
import sys
from collections.abc import Callable
from decimal import Decimal, InvalidOperation
from pathlib import Path
from typing import Annotated, Any, NoReturn

import typer

from central import orders
from central.cli import desk, show
from central.config import (
    DEFAULT_LISTEN,
    BadConfig,
    Busy,
    Config,
    Folder,
    check_host,
    parse_listen,
)
from central.ledger.errors import LedgerError, Refused, UnknownDatabase
from sync.rules.fiscal_name import NARROWEST, WIDTH

FAILED, USAGE, NOT_REACHABLE, REFUSED = 1, 2, 3, 4

_CODES: dict[type[Exception], int] = {
    BadConfig: USAGE,
    UnknownDatabase: USAGE,
    desk.NotReachable: NOT_REACHABLE,
    Busy: REFUSED,
    Refused: REFUSED,
    LedgerError: FAILED,
    desk.Failed: FAILED,
    OSError: FAILED,
}
"""The first that fits; special ones stand before general ones."""

app = typer.Typer(
    help="Karb head office.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
store = typer.Typer(help="Stores.", no_args_is_help=True)
token = typer.Typer(help="Tokens for programs and people.", no_args_is_help=True)
catalogue = typer.Typer(help="What is sold, and for how much.", no_args_is_help=True)
promotions = typer.Typer(help="What is given.", no_args_is_help=True)
node = typer.Typer(help="Machines in stores.", no_args_is_help=True)
customer = typer.Typer(help="Customers.", no_args_is_help=True)
stream = typer.Typer(help="Streams that are over.", no_args_is_help=True)
journal = typer.Typer(help="The journal of facts.", no_args_is_help=True)
stock = typer.Typer(help="How stock is promised, and goods between stores.", no_args_is_help=True)
hours = typer.Typer(help="When something is not sold.", no_args_is_help=True)
policy = typer.Typer(help="How articles are promised.", no_args_is_help=True)
promise = typer.Typer(help="Promises.", no_args_is_help=True)
stock.add_typer(policy, name="policy")
vat = typer.Typer(help="VAT rates by their days.", no_args_is_help=True)
for name, group in {
    "store": store,
    "token": token,
    "catalogue": catalogue,
    "promotions": promotions,
    "hours": hours,
    "node": node,
    "customer": customer,
    "stock": stock,
    "stream": stream,
    "journal": journal,
    "promise": promise,
    "vat": vat,
}.items():
    app.add_typer(group, name=name)

Data = Annotated[Path, typer.Option("--data", help="Folder of head office.", metavar="DIR")]
AsJson = Annotated[bool, typer.Option("--json", help="Answer in JSON.")]


@app.command()
def init(
    data: Data,
    host: Annotated[
        list[str] | None,
        typer.Option(help="Name or address under which stores and browsers reach it. Repeatable."),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Make a head office: its keys, its authority, an empty ledger."""

    def work() -> dict[str, Any]:
        from central.founding import create  # noqa: PLC0415 - loaded by the command that needs it

        hosts = [check_host(name) for name in host or []]
        authority = create(Folder(data), hosts)
        from sync.identity import fingerprint  # noqa: PLC0415 - loaded by the command that needs it

        return {
            "data": str(data),
            "hosts": hosts,
            "fingerprint": fingerprint(authority.certificate).hex(),
        }

    _answer(work, as_json, show.init)


@app.command()
def run(
    data: Data,
    listen: Annotated[str, typer.Option(help="HOST:PORT; port 0: any.")] = DEFAULT_LISTEN,
    database: Annotated[
        str | None, typer.Option(help="SQLAlchemy URL; only SQLite in this version.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Run head office until it is told to stop."""

    def work() -> dict[str, Any]:
        from central.cli.serving import run as serve  # noqa: PLC0415 - loaded by the command that needs it

        host, port = parse_listen(listen)
        serve(Config(Folder(data), host, port, database), as_json=as_json)
        return {}

    _answer(work, as_json, None)


@store.command("add")
def store_add(
    id: Annotated[str, typer.Argument(help="Short id, such as KRK1; never changes.")],  # noqa: A002 - shown to the user as ID
    data: Data,
    name: Annotated[str, typer.Option(help="As people call it.")],
    nip: Annotated[str, typer.Option(help="NIP of the seller.")] = "",
    fiscal: Annotated[bool, typer.Option(help="No sale without a fiscal receipt.")] = False,
    zone: Annotated[str, typer.Option(help="IANA time zone.")] = "Europe/Warsaw",
    as_json: AsJson = False,
) -> None:
    """Add a store, or change what is said of it."""
    order = orders.StoreAdd(id, name, nip, fiscal, zone)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.store_add)


@app.command("enrol-code")
def enrol_code(
    data: Data,
    store: Annotated[str, typer.Option(help="The store's id.")],
    minutes: Annotated[int, typer.Option(help="How long the code is good.")] = 15,
    as_json: AsJson = False,
) -> None:
    """Make a one-time code for a machine of a store."""
    order = orders.EnrolCode(store, minutes)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.enrol_code)


@token.command("create")
def token_create(
    data: Data,
    scope: Annotated[str, typer.Option(help="read or write.")],
    name: Annotated[str, typer.Option(help="What it is for.")],
    as_json: AsJson = False,
) -> None:
    """Make a token; it is shown once."""
    order = orders.TokenCreate(scope, name)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.token_create)


@catalogue.command("import")
def catalogue_import(
    file: Annotated[Path, typer.Argument(help="CSV as a spreadsheet writes it, or JSON.")],
    data: Data,
    name_width: Annotated[
        int | None,
        typer.Option(
            min=NARROWEST,
            max=WIDTH,
            help="Characters of a name on your narrowest fiscal printer; remembered.",
        ),
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Take in a catalogue: all of it, or nothing and every mistake named."""

    def work() -> dict[str, Any]:
        return desk.ask(Folder(data), orders.CatalogueImport(file.name, _content(file), name_width))

    _answer(work, as_json, show.catalogue_import)


@promotions.command("import")
def promotions_import(
    file: Annotated[Path, typer.Argument(help="JSON, as POST /v1/promotions takes it.")],
    data: Data,
    as_json: AsJson = False,
) -> None:
    """Take in promotions: all of them, or nothing and every mistake named."""

    def work() -> dict[str, Any]:
        return desk.ask(Folder(data), orders.PromotionsImport(_content(file)))

    _answer(work, as_json, show.promotions_import)


@vat.command("set")
def vat_set(
    code: Annotated[str, typer.Argument(help="23, 8, 5, 0, zw or np.")],
    data: Data,
    rate: Annotated[str, typer.Option(help="Percent, such as 22; or zw.")],
    since: Annotated[str, typer.Option(help="First day, such as 2027-01-01.")],
    as_json: AsJson = False,
) -> None:
    """Say what a VAT code means from a midnight on, in every store."""
    order = orders.VatSet(code, rate, since)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.vat_set)


@vat.command("list")
def vat_list(data: Data, as_json: AsJson = False) -> None:
    """List what VAT codes mean, by their days."""
    _answer(lambda: desk.ask(Folder(data), orders.VatList()), as_json, show.vat_list)


@app.command()
def status(data: Data, as_json: AsJson = False) -> None:
    """Tell how things stand."""
    _answer(lambda: desk.ask(Folder(data), orders.Status()), as_json, show.status)


@stock.command("transfers")
def stock_transfers(
    data: Data,
    store: Annotated[str, typer.Option(help="From or to it only.")] = "",
    as_json: AsJson = False,
) -> None:
    """List what stores sent each other: what is under way, and what arrived otherwise."""
    order = orders.StockTransfers(store)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.stock_transfers)


@node.command("list")
def node_list(data: Data, as_json: AsJson = False) -> None:
    """List the machines that were certified."""
    _answer(lambda: desk.ask(Folder(data), orders.NodeList()), as_json, show.node_list)


@node.command("revoke")
def node_revoke(
    node: Annotated[str, typer.Argument(help="Its name, or the beginning of it.")],
    data: Data,
    why: Annotated[str, typer.Option(help="For the record.")],
    as_json: AsJson = False,
) -> None:
    """Take nothing more from a machine, from now on."""
    _answer(lambda: desk.ask(Folder(data), orders.NodeRevoke(node, why)), as_json, show.node_revoke)


@customer.command("forget")
def customer_forget(
    uuid: Annotated[str, typer.Argument(help="The customer's id.")],
    data: Data,
    why: Annotated[str, typer.Option(help="For the record; names nobody.")] = "",
    as_json: AsJson = False,
) -> None:
    """Destroy the key to a customer's profile, here and in every store; for ever."""
    order = orders.CustomerForget(uuid, why)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.customer_forget)


@app.command()
def backup(
    file: Annotated[Path, typer.Argument(help="Where to; must not exist yet.")],
    data: Data,
    as_json: AsJson = False,
) -> None:
    """Copy the ledger while it runs; what is copied counts as safe."""
    order = orders.Backup(str(file.absolute()))
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.backup)


@app.command()
def sync(
    data: Data,
    source: Annotated[
        Path | None, typer.Option("--from", help="Read a stick of a store.", metavar="FILE")
    ] = None,
    target: Annotated[
        Path | None, typer.Option("--to", help="Write one for it.", metavar="FILE")
    ] = None,
    store: Annotated[str, typer.Option(help="For whom; by default, whose was read.")] = "",
    as_json: AsJson = False,
) -> None:
    """Exchange with a store that has no line, by a file carried there and back."""

    def work() -> dict[str, Any]:
        if source is None and target is None:
            raise BadConfig("sync: expected --from FILE, --to FILE, or both.")
        read, written = (str(path.absolute()) if path else "" for path in (source, target))
        return desk.ask(Folder(data), orders.Sync(read, written, store))

    _answer(work, as_json, show.sync)


@app.command()
def restore(
    file: Annotated[Path, typer.Argument(help="A copy made by karb-central backup.")],
    data: Data,
    as_json: AsJson = False,
) -> None:
    """Put a copy in place of the ledger, while nothing runs; what was there is kept."""

    def work() -> dict[str, Any]:
        from central.ledger import upkeep  # noqa: PLC0415 - loaded by the command that needs it

        folder = Folder(data)
        with folder.locked():
            return upkeep.restore(file, folder.ledger)

    _answer(work, as_json, show.restore)


@stream.command("list")
def stream_list(data: Data, as_json: AsJson = False) -> None:
    """List the streams that are over and not closed yet, and whom that waits for."""
    _answer(lambda: desk.ask(Folder(data), orders.StreamList()), as_json, show.stream_list)


@stream.command("close")
def stream_close(
    stream: Annotated[str, typer.Argument(help="Its name, or the beginning of it.")],
    data: Data,
    why: Annotated[str, typer.Option(help="For the record.")],
    successor: Annotated[str, typer.Option(help="Who inherits, if no later life is known.")] = "",
    as_json: AsJson = False,
) -> None:
    """Close a stream where it stands, whoever was not heard."""
    order = orders.StreamClose(stream, why, successor)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.stream_close)


@journal.command("verify")
def journal_verify(data: Data, as_json: AsJson = False) -> None:
    """Check every number, hash and signature, and the file itself."""

    def work() -> dict[str, Any]:
        told = desk.ask(Folder(data), orders.JournalVerify())
        if told["faults"]:
            raise Faults(told)
        return told

    _answer(work, as_json, show.journal_verify)


Who = Annotated[str, typer.Option(help="Who decides it.")]
Why = Annotated[str, typer.Option(help="For the record.")]


@hours.command("set")
def hours_set(
    target: Annotated[str, typer.Argument(help="sku:SKU or group:NAME.")],
    data: Data,
    forbid: Annotated[
        list[str] | None,
        typer.Option(help="Not sold then, as 22:00-06:00; again for more; without: always sold."),
    ] = None,
    days: Annotated[
        str, typer.Option(help="Weekdays of it, 1 is Monday: 5,6; without: every day.")
    ] = "",
    store: Annotated[str | None, typer.Option(help="At one store only.")] = None,
    as_json: AsJson = False,
) -> None:
    """Say in which hours an article, or a group, is not sold."""

    def work() -> dict[str, Any]:
        if days and not all(day.strip().isdecimal() for day in days.split(",")):
            raise Refused(f"--days {days!r}: expected weekdays as 5,6; 1 is Monday.")
        weekdays = tuple(int(day) for day in days.split(",") if day)
        order = orders.HoursSet(target, tuple(forbid or ()), store, weekdays)
        return desk.ask(Folder(data), order)

    _answer(work, as_json, show.hours_set)


@hours.command("list")
def hours_list(data: Data, as_json: AsJson = False) -> None:
    """Tell what is not sold in which hours."""
    _answer(lambda: desk.ask(Folder(data), orders.HoursList()), as_json, show.hours_list)


@policy.command("set")
def policy_set(
    target: Annotated[str, typer.Argument(help="A sku, group:NAME, or '*' for all.")],
    data: Data,
    store: Annotated[str | None, typer.Option(help="At one store only.")] = None,
    mode: Annotated[
        str | None, typer.Option(help="Beyond its right the counter is strict or lenient.")
    ] = None,
    floor: Annotated[
        str | None,
        typer.Option(help="Units the counter keeps of what nobody asked for.", metavar="N"),
    ] = None,
    web_share: Annotated[
        int | None, typer.Option(help="Percent of what comes in that head office may promise.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Say how an article, a group or everything is promised; what is left out stays."""

    def work() -> dict[str, Any]:
        milli = None if floor is None else _milli("--floor", floor)
        order = orders.PolicySet(target, store, mode, milli, web_share)
        return desk.ask(Folder(data), order)

    _answer(work, as_json, show.policy_set)


@policy.command("list")
def policy_list(data: Data, as_json: AsJson = False) -> None:
    """Tell how articles are promised."""
    _answer(lambda: desk.ask(Folder(data), orders.PolicyList()), as_json, show.policy_list)


@promise.command("give-up")
def promise_give_up(
    id: Annotated[str, typer.Argument(help="The promise's id.")],  # noqa: A002 - its name on the screen
    data: Data,
    store: Annotated[str, typer.Option(help="The store that is short of it.")],
    who: Who,
    why: Why = "",
    as_json: AsJson = False,
) -> None:
    """Break a promise that a store is short of and nobody else can serve."""
    order = orders.PromiseGiveUp(id, store, who, why)
    _answer(lambda: desk.ask(Folder(data), order), as_json, show.promise_give_up)


def _milli(option: str, text: str) -> int:
    """Read units into thousandths."""
    try:
        milli = Decimal(text.replace(",", ".")) * 1000
        if milli == int(milli) >= 0:
            return int(milli)
    except (InvalidOperation, OverflowError, ValueError):
        pass
    raise BadConfig(f"{option} {text!r}: expected units, 0 or more, such as 3 or 1.5.")


class Faults(Exception):
    """The journal is damaged."""

    def __init__(self, told: dict[str, Any]) -> None:
        super().__init__("\n".join(told["faults"]))
        self.told = told


def _content(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise BadConfig(f"{file}: {error.strerror}.") from error


def _answer(
    work: Callable[[], dict[str, Any]],
    as_json: bool,  # noqa: FBT001 - typer's own
    in_words: Callable[[dict[str, Any]], str] | None,
) -> None:
    """Do it, print it, and end with the code that says how it went."""
    try:
        told = work()
    except Faults as error:
        if not as_json:
            _end(FAILED, str(error), as_json)
        print(json.dumps(error.told))  # noqa: T201 - the answer
        raise typer.Exit(FAILED) from error
    except tuple(_CODES) as error:
        code = next(_CODES[kind] for kind in _CODES if isinstance(error, kind))
        _end(code, str(error), as_json)
    if as_json and told:
        print(json.dumps(told, ensure_ascii=False))  # noqa: T201 - the answer
    elif in_words is not None:
        print(in_words(told))  # noqa: T201 - the answer


def _end(code: int, message: str, as_json: bool) -> NoReturn:  # noqa: FBT001 - typer's own
    if as_json:
        print(json.dumps({"error": message, "exit": code}, ensure_ascii=False))  # noqa: T201 - the answer
    else:
        print(message, file=sys.stderr)  # noqa: T201 - the answer
    raise typer.Exit(code)
