"""Who works in the shop: described here, known to every node of the store and to head office."""

from pathlib import Path
from typing import Annotated

import typer

from edge.cli.ask import ask
from edge.cli.say import ending, out

staff = typer.Typer(help="Who works here.", no_args_is_help=True)

Data = Annotated[
    Path, typer.Option("--data", envvar="KARB_DATA", help="Folder of the node.", metavar="DIR")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON value.")]
HERE = Path("karb-data")


@staff.command("set")
def describe(  # noqa: PLR0913 - one option each
    *,
    user: Annotated[str, typer.Argument(help="As it stands in sales: small letters, digits.")],
    name: Annotated[str, typer.Option(help="As people say it.")],
    pin: Annotated[
        str,
        typer.Option(
            prompt="PIN, empty to keep the one there is",
            prompt_required=True,
            hide_input=True,
            envvar="KARB_PIN",
            help="Asked for: what stands in a command is seen by others.",
        ),
    ] = "",
    manager: Annotated[bool, typer.Option("--manager", help="May let things through.")] = False,
    badge: Annotated[str | None, typer.Option(help="What a scanner says of it.")] = None,
    gone: Annotated[bool, typer.Option("--gone", help="Works here no more.")] = False,
    data: Data = HERE,
    as_json: Json = False,
) -> None:
    """Describe somebody, new or known."""
    with ending(as_json=as_json):
        body = {
            "name": name,
            "role": "manager" if manager else "cashier",
            "pin": pin or None,
            "badge": badge,
            "active": not gone,
        }
        _tell(ask(data, "PUT", f"/v1/staff/{user}", body), as_json=as_json)


@staff.command("list")
def listed(*, data: Data = HERE, as_json: Json = False) -> None:
    """Tell who works here."""
    with ending(as_json=as_json):
        _tell(ask(data, "GET", "/v1/staff"), as_json=as_json)


def _tell(answer: dict[str, list[dict[str, str]]], *, as_json: bool) -> None:
    lines = [f"{one['user']}: {one['name']}, {one['role']}" for one in answer["staff"]]
    out(answer, "\n".join(lines) or "Nobody is known to work here.", as_json=as_json)
