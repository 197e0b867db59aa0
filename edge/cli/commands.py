"""The commands, one function each. What is heavy is imported by the command that needs it."""
# ruff: noqa: PLC0415 - see above

import asyncio
import secrets
import shutil
from pathlib import Path
from socket import gethostname
from typing import Annotated, Any

import typer

from edge import folder
from edge.cli.ask import ask
from edge.cli.devices import devices
from edge.cli.records import returns
from edge.cli.say import FAILED, OK, REFUSED, UNREACHABLE, USAGE, Failure, ending, out
from edge.cli.staff import staff
from edge.cli.status import status_text

app = typer.Typer(
    help="A shop that goes on selling while its internet is gone.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)
sync = typer.Typer(help="The exchange with head office.", invoke_without_command=True)
journal = typer.Typer(help="What was written down.", no_args_is_help=True)
token = typer.Typer(help="Who may use the API.", no_args_is_help=True)
app.add_typer(sync, name="sync")
app.add_typer(journal, name="journal")
app.add_typer(token, name="token")
app.add_typer(devices, name="devices")
app.add_typer(returns, name="returns")
app.add_typer(staff, name="staff")

Data = Annotated[
    Path, typer.Option("--data", envvar="KARB_DATA", help="Folder of the node.", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value on standard output.")]
HERE = Path("karb-data")
TOKEN_SCOPES = ("read", "sell", "print", "fiscal", "pay")
"""What a token may be made for; the commands have a wider one of their own."""


@app.command()
def init(
    *,
    central: Annotated[str, typer.Option(help="Address of head office.", metavar="URL")],
    code: Annotated[str, typer.Option(help="One-time code of karb-central enrol-code.")],
    data: Data = HERE,
    name: Annotated[str, typer.Option(help="What to call this machine.")] = "",
    as_json: Json = False,
) -> None:
    """Make this machine a node of head office."""
    from edge.config import FILE
    from edge.enrol import EnrolRefused, enrol
    from edge.link.carrier import LinkRefused, LinkUnreachable

    name = name or gethostname()
    with ending(as_json=as_json):
        try:
            enrolled = asyncio.run(enrol(data, central, code, name))
        except LinkUnreachable as error:
            raise Failure(UNREACHABLE, str(error)) from error
        except (EnrolRefused, LinkRefused) as error:
            raise Failure(REFUSED, str(error)) from error
        except OSError as error:
            raise _failed(data, error) from error
        node = enrolled.node.hex()
        out(
            {"node": node, "store": enrolled.store, "name": name, "data": str(data)},
            f"{data}: node {node[:12]} of store {enrolled.store} ({enrolled.store_name}).\n"
            f"Tills and devices stand in {data / FILE}; start it with karb run --data {data}.",
            as_json=as_json,
        )


@app.command()
def run(
    *,
    data: Data = HERE,
    listen: Annotated[
        str | None, typer.Option(help="Where to serve; port 0: any.", metavar="HOST:PORT")
    ] = None,
    tls_cert: Annotated[Path | None, typer.Option(help="Chain, PEM.", metavar="FILE")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="Its key, PEM.", metavar="FILE")] = None,
    as_json: Json = False,
) -> None:
    """Run the node until SIGTERM."""
    from edge.memory import log_without_colours, share_one_heap

    share_one_heap()  # before anything starts a thread
    log_without_colours()

    import uvloop

    from edge import app as node
    from edge.config import BadConfig, load, moved
    from edge.store.connection import StoreError
    from hw.errors import HwError

    def announce(told: folder.Running) -> None:
        out(told, f"karb listens on {told.address}", as_json=as_json)

    node.log_to_stderr()
    with ending(as_json=as_json):
        try:
            config = moved(load(data), listen, tls_cert, tls_key)
            with folder.locked(data):
                uvloop.run(node.serve(config, announce))
        except BadConfig as error:
            raise Failure(USAGE, str(error)) from error
        except (folder.AlreadyRunning, node.NotEnrolled) as error:
            raise Failure(REFUSED, str(error)) from error
        except (OSError, ValueError, StoreError, HwError) as error:
            raise _failed(data, error) from error


@app.command()
def status(*, data: Data = HERE, as_json: Json = False) -> None:
    """Say how the node is."""
    with ending(as_json=as_json):
        _require_running(data)
        answer = ask(data, "GET", "/v1/status")
        out(answer, status_text(answer), as_json=as_json)


@sync.callback()
def sync_by_hand(
    context: typer.Context,
    *,
    target: Annotated[
        Path | None, typer.Option("--to", help="Write a file to be carried.", metavar="FILE")
    ] = None,
    source: Annotated[
        Path | None, typer.Option("--from", help="Read the one that came.", metavar="FILE")
    ] = None,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Exchange with head office: now, or by a file carried there and back."""
    if context.invoked_subcommand is not None:
        return
    from edge.cli.stick import carry

    with ending(as_json=as_json):
        if (target is None) == (source is None):
            raise Failure(USAGE, "sync: expected now, --to FILE or --from FILE.")
        answer, text = carry(data, target, source)
        out(answer, text, as_json=as_json)


@sync.command("now")
def sync_now(*, data: Data = HERE, as_json: Json = False) -> None:
    """Exchange with head office now, until nothing waits."""
    with ending(as_json=as_json):
        _require_running(data)
        answer = ask(data, "POST", "/v1/sync")
        text = f"Sent {answer['sent']} facts; {answer['waiting']} wait."
        out(answer, text, as_json=as_json)


@journal.command("verify")
def journal_verify(
    *,
    data: Data = HERE,
    file: Annotated[
        Path | None, typer.Option(help="A copy of the database instead.", metavar="COPY")
    ] = None,
    as_json: Json = False,
) -> None:
    """Check every fact, hash and signature, and the views against them."""
    with ending(as_json=as_json):
        if file is None and folder.is_locked(data):
            answer = ask(data, "POST", "/v1/journal/verification")
        else:
            answer = _verify_here(data, file)
        word = "sound" if answer["sound"] else "NOT SOUND"
        counts = "{facts} facts in {streams} streams, {heads} signed heads".format_map(answer)
        text = "\n".join((f"{counts}: {word}.", *answer["findings"]))
        out(answer, text, as_json=as_json)
    raise typer.Exit(OK if answer["sound"] else FAILED)


@journal.command("prune")
def journal_prune(*, data: Data = HERE, as_json: Json = False) -> None:
    """Drop facts that are old and safe at head office; done once a day by itself, too."""
    with ending(as_json=as_json):
        _require_running(data)
        answer = ask(data, "POST", "/v1/journal/pruning")
        text = f"Dropped {answer['dropped']} facts."
        if answer["why_not"]:
            text += f" Nothing more: {answer['why_not']}."
        out(answer, text, as_json=as_json)


@journal.command("again")
def journal_again(*, data: Data = HERE, as_json: Json = False) -> None:
    """Append facts kept aside: of a lost machine's stream, beyond where head office closed it."""
    with ending(as_json=as_json):
        _require_running(data)
        answer = ask(data, "POST", "/v1/journal/again")
        out(answer, f"Appended {answer['appended']} facts.", as_json=as_json)


@app.command()
def backup(
    *,
    file: Annotated[Path, typer.Argument(help="Where to; must not exist yet.")],
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Copy the database, while the node runs or not. Keys of persons go to FILE.keys."""
    from edge.enrol import DATABASE
    from edge.store.backup import BadCopy, copy

    with ending(as_json=as_json):
        try:
            if file.exists():
                raise Failure(REFUSED, f"{file}: exists already; name a new file.")
            if folder.is_locked(data):
                answer = ask(data, "POST", "/v1/backups")
                for part in (".keys", ""):
                    made = Path(answer["file"] + part)
                    if made.exists():
                        shutil.move(made, file.with_name(file.name + part))
                answer["file"] = str(file)
            else:
                with folder.locked(data):
                    answer = copy(data / DATABASE, file.absolute())._asdict()
        except (folder.AlreadyRunning, BadCopy) as error:
            raise Failure(REFUSED, str(error)) from error
        except OSError as error:
            raise _failed(data, error) from error
        text = "{file}: {bytes} bytes, {facts} facts of {streams} streams.".format_map(answer)
        out(answer, text, as_json=as_json)


@app.command()
def restore(
    *,
    file: Annotated[Path, typer.Argument(help="A copy made by karb backup.")],
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Put a copy in place of the database, while nothing runs; what was there is kept."""
    from edge.enrol import DATABASE
    from edge.keys import NodeKey
    from edge.link import tls
    from edge.store.backup import BadCopy, put_back

    with ending(as_json=as_json):
        try:
            with folder.locked(data):
                node = NodeKey.load(data / tls.KEY).node
                done = put_back(file, data / DATABASE, node)
        except (folder.AlreadyRunning, BadCopy) as error:
            raise Failure(REFUSED, str(error)) from error
        except (OSError, ValueError) as error:
            raise _failed(data, error) from error
        out(
            done._asdict(),
            f"{done.file}: put back, {done.facts} facts; what was there is in {done.aside}.\n"
            "At the next start a new life begins: receipts in new series, from 1. What head "
            "office and the other machines of the store have comes back by itself; what never "
            "left this machine since the copy is only in the folder named above.",
            as_json=as_json,
        )


@token.command("create")
def token_create(
    *,
    scope: Annotated[
        str, typer.Option(help="read, sell (reads and prints, too), print, fiscal or pay.")
    ],
    name: Annotated[str, typer.Option(help="Who will use it.")],
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Make a token for the API; it is shown once."""
    with ending(as_json=as_json):
        if scope not in TOKEN_SCOPES:
            raise Failure(USAGE, f"--scope {scope!r}: expected one of {', '.join(TOKEN_SCOPES)}.")
        if not name.strip() or len(name) > 64 or not name.isprintable():
            raise Failure(USAGE, "--name: expected 1 to 64 printable characters.")
        if folder.is_locked(data):
            answer = ask(data, "POST", "/v1/tokens", {"scope": scope, "name": name})
        else:
            answer = _token_here(data, scope, name)
        out(answer, answer["token"], as_json=as_json)


@token.command("pair")
def token_pair(
    *,
    till: Annotated[str, typer.Option(help="The only one it will act for.", metavar="ID")],
    scope: Annotated[list[str], typer.Option(help="What it may do; may be given again.")],
    name: Annotated[str, typer.Option(help="Who will use it.")] = "till",
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Show a code that a browser or a foreign till changes for its token; good once."""
    with ending(as_json=as_json):
        _require_running(data)
        body = {"till": till, "scopes": scope, "name": name}
        answer = ask(data, "POST", "/v1/pairing-codes", body)
        text = "{code}: to be typed at the till, within {expires_s} s.".format_map(answer)
        out(answer, text, as_json=as_json)


@app.command()
def demo(
    *,
    stores: Annotated[int, typer.Option(min=1, help="Shops.")] = 3,
    baskets: Annotated[int, typer.Option(min=1, help="Baskets each of them sells.")] = 150,
    seed: Annotated[int, typer.Option(help="Which baskets, and what is cut and killed.")] = 1,
    once: Annotated[bool, typer.Option("--once", help="End after the table.")] = False,
) -> None:
    """Show a chain of shops at work: its link cut, a store killed, and nothing lost."""
    from edge.demo import main

    raise typer.Exit(main(stores, baskets, seed, once=once))


def _require_running(data: Path) -> None:
    if not folder.is_locked(data):
        raise Failure(UNREACHABLE, f"{data}: not running; start it with karb run --data {data}.")


def _failed(data: Path, error: Exception) -> Failure:
    """Name the folder, where the error does not do so itself."""
    said = str(error)
    return Failure(FAILED, said if str(data) in said else f"{data}: {said}")


def _verify_here(data: Path, file: Path | None) -> dict[str, Any]:
    from edge.enrol import DATABASE
    from edge.store.verify import verify_file

    path = file or data / DATABASE
    try:
        found = verify_file(path, copy=file is not None)
    except FileNotFoundError as error:
        raise Failure(FAILED, str(error)) from error
    return {"sound": found.sound, **found._asdict()}


def _token_here(data: Path, scope: str, name: str) -> dict[str, Any]:
    """Make a token in the database of a node that does not run."""
    from edge import app as node
    from edge.config import BadConfig, load
    from edge.store.connection import StoreError
    from sync.contract import token as tokens

    made = tokens.make(scope, secrets.token_bytes(tokens.SECRET_BYTES), TOKEN_SCOPES)

    async def add() -> None:
        async with node.opened(config) as (store, _):
            await store.write(lambda unit: unit.add_token(made.digest, scope, name))

    try:
        config = load(data)
        with folder.locked(data):
            asyncio.run(add())
    except BadConfig as error:
        raise Failure(USAGE, str(error)) from error
    except (folder.AlreadyRunning, node.NotEnrolled) as error:
        raise Failure(REFUSED, str(error)) from error
    except (OSError, ValueError, StoreError) as error:
        raise _failed(data, error) from error
    return {"token": made.text, "scope": scope, "name": name}
