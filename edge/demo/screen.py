"""What the visitor sees: bars while the shops sell, then the tables."""

import time
from collections.abc import Sequence

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn
from rich.table import Table

from edge.demo.head_office import Received
from edge.demo.neighbours import Neighbours, Trial
from edge.demo.shop import Shop
from edge.demo.sums import Sums, Till, Verdict
from edge.demo.web import Tally

KEYS = "[bold]c[/] cut a link   [bold]h[/] heal   [bold]k[/] kill -9 a node   [bold]q[/] quit"

_KOPIA = (
    "Where a program or a printer died in the middle of a slip, nobody can know whether it "
    "came out: it is never printed again as an original, but headed KOPIA, or left unknown."
)


class Screen:
    """One visitor's terminal, or a file."""

    def __init__(self, console: Console | None = None) -> None:
        """Write to standard output, unless told otherwise."""
        self.console = console or Console(highlight=False)
        self._began = time.monotonic()
        self._bars: Progress | None = None
        self._tasks: dict[str, TaskID] = {}

    def tell(self, text: str) -> None:
        """Say what happens now, with the second it happens in."""
        seconds = time.monotonic() - self._began
        self.console.print(f"[dim]{seconds:5.1f} s[/]  {text}", soft_wrap=True)

    def open_bars(self, shops: Sequence[Shop], total: int) -> None:
        """Show a bar for every shop until `close_bars`; a file gets none."""
        if not self.console.is_terminal:
            return
        bars = Progress(
            TextColumn("         [bold]{task.description}"),
            BarColumn(bar_width=30),
            MofNCompleteColumn(),
            TextColumn("[cyan]baskets"),
            TextColumn("{task.fields[link]}"),
            TextColumn("{task.fields[waiting]}"),
            console=self.console,
            transient=True,
        )
        self._tasks = {
            shop.goods.id: bars.add_task(
                escape(shop.goods.name), total=total, link=_link(shop), waiting=""
            )
            for shop in shops
        }
        self._bars = bars
        bars.start()

    def move_bars(self, shops: Sequence[Shop]) -> None:
        """Show how far they are."""
        if self._bars is None:
            return
        for shop in shops:
            waiting = shop.waiting
            self._bars.update(
                self._tasks[shop.goods.id],
                completed=shop.sold,
                link=_link(shop),
                waiting=f"[yellow]{waiting} facts wait[/]" if waiting > 1 else "",
            )

    def close_bars(self) -> None:
        """Take them away. Harmless when repeated."""
        if self._bars is not None:
            self._bars.stop()
            self._bars = None

    def tables(
        self, shops: Sequence[Shop], received: dict[str, Received], verdicts: Sequence[Verdict]
    ) -> None:
        """Print how the evening went, then the second sums."""
        for table in (_evening(shops, received, verdicts), _second(shops, verdicts)):
            self.console.print()
            self.console.print(table)
        if any(verdict.doubtful for verdict in verdicts):
            self.console.print(_KOPIA, style="dim")
        for shop, verdict in zip(shops, verdicts, strict=True):
            for difference in verdict.differences:
                self.console.print(f"  [red]✗ {escape(shop.goods.name)}: {escape(difference)}[/]")
        wrong = sum(len(verdict.differences) for verdict in verdicts)
        if wrong:
            self.console.print(f"\n[bold red]{wrong} differences.[/]")
        else:
            self.console.print(
                "\n[bold green]Every difference is zero:[/] no sale lost, none counted twice, "
                "to the grosz and the thousandth."
            )

    def trial(self, trial: Trial) -> None:
        """Tell what came of a trial."""
        self.tell(f"{_mark(trial)} {escape(trial.what)}: {escape(trial.result)}")

    def trials(self, two: Neighbours) -> None:
        """Print what the two nodes of a store were seen to do with no internet."""
        table = _table(f"Two nodes of {escape(two.shop.goods.name)}, with no internet")
        table.add_column("")
        table.add_column("what must be", ratio=2)
        table.add_column("what was seen", ratio=3)
        for trial in two.trials:
            table.add_row(f"{_mark(trial)} ", f"{escape(trial.what)} ", escape(trial.result))
        self.console.print()
        self.console.print(table)

    def web(self, tally: Tally) -> None:
        """Print how the web channel did."""
        table = _table("The web channel, by head office's own answers and the shops' counters")
        for name in (
            "\nbuyers",
            "\npromised",
            "shop cut\noff then",
            "changed\ntheir mind",
            "handed\nover",
            "broken\npromises",
            "\nrefused",
            "a right lay\nelsewhere",
        ):
            table.add_column(name, justify="right")
        table.add_row(
            str(tally.asked),
            str(tally.promised),
            str(tally.while_cut),
            str(tally.changed_their_minds),
            str(tally.handed),
            f"[green]{tally.broken}[/]" if not tally.broken else f"[red]{tally.broken}[/]",
            str(tally.refused),
            str(tally.elsewhere),
        )
        self.console.print()
        self.console.print(table)
        if tally.raced:
            self.console.print(
                f"Two buyers raced for the last unit of the shop of two nodes, both cut off: "
                f"{tally.raced} "
                "got it, and the other was refused."
            )

    def invite(self, page: str) -> None:
        """Say what the visitor can do now."""
        console = self.console
        console.print()
        console.rule("[bold cyan]Your turn", align="left", style="cyan")
        console.print("The shops go on selling. Head office's status page is at")
        console.print(f"[bold cyan]{page}[/]", soft_wrap=True)
        console.print("(your browser does not know its certificate; go on all the same)\n")
        console.print(KEYS)
        console.rule(style="cyan")


def _table(title: str) -> Table:
    """A table that fits 80 columns."""
    return Table(
        title=title,
        title_justify="left",
        title_style="bold",
        box=box.SIMPLE_HEAD,
        show_edge=False,
        pad_edge=False,
        padding=0,
    )


def _evening(
    shops: Sequence[Shop], received: dict[str, Received], verdicts: Sequence[Verdict]
) -> Table:
    table = _table("The evening, by Karb's own answers and the printers' paper")
    table.add_column("\nShop", no_wrap=True)
    for name in (
        "\nsold",
        "\nlines",
        "\nvalue",
        "\nslips",
        "\nKOPIA",
        "un-\nknown",
        "longest\nbacklog",
        "bytes/\nsale",
        "central\nhas",
        "differ-\nence",
    ):
        table.add_column(name, justify="right")
    for shop, verdict in zip(shops, verdicts, strict=True):
        there = received[shop.goods.id]
        got = Sums(there.sales, there.lines, there.quantity_milli, there.total_minor)
        table.add_row(
            escape(shop.goods.name),
            str(shop.sold),
            str(verdict.wanted.lines),
            money(verdict.wanted.value_minor),
            *_paper(verdict.tills),
            str(shop.longest_backlog),
            str(shop.wire_per_sale),
            str(there.sales),
            _zero(got.less(verdict.wanted)),
        )
        if len(shop.machines) > 1:
            for machine, till in zip(shop.machines, verdict.tills, strict=True):
                table.add_row(
                    f"· {escape(machine.name)}",
                    str(till.sold),
                    "",
                    "",
                    *_paper([till]),
                    str(machine.course.longest_backlog),
                    style="dim",
                )
    return table


def _second(shops: Sequence[Shop], verdicts: Sequence[Verdict]) -> Table:
    table = _table("A second time: plain sqlite3 over the closed files, and the data set")
    for name in ("\nShop", "\nby"):
        table.add_column(name)
    for name in ("\nsales", "\nlines", "\nquantity", "\nvalue", "stock\nright", "differ-\nence"):
        table.add_column(name, justify="right")
    for shop, verdict in zip(shops, verdicts, strict=True):
        rows: list[tuple[str, Sums, int | None]] = [("data set", verdict.wanted, None)]
        rows += [
            ("the shop" if len(verdict.nodes) == 1 else found.who, found.sums, found.stock_right)
            for found in verdict.nodes
        ]
        rows.append(("central", verdict.central.sums, verdict.central.stock_right))
        for n, (who, sums, right) in enumerate(rows):
            table.add_row(
                escape(shop.goods.name) if not n else "",
                who,
                str(sums.sales),
                str(sums.lines),
                quantity(sums.quantity_milli),
                money(sums.value_minor),
                "" if right is None else f"{right} of {verdict.articles}",
                "" if right is None else _zero(sums.less(verdict.wanted)),
            )
    return table


def money(minor: int) -> str:
    """Return grosz as a person writes zloty."""
    sign = "-" if minor < 0 else ""
    return f"{sign}{abs(minor) // 100:,}.{abs(minor) % 100:02}".replace(",", " ")


def quantity(milli: int) -> str:
    """Return thousandths as a person writes them."""
    sign = "-" if milli < 0 else ""
    return f"{sign}{abs(milli) // 1000:,}.{abs(milli) % 1000:03}".replace(",", " ")


def _zero(gap: Sums) -> str:
    if gap == Sums():
        return "[green]0[/]"
    return f"[red]{gap.sales:+} sales, {gap.lines:+} lines, {money(gap.value_minor)}[/]"


def _link(shop: Shop) -> str:
    cut, all_ = len(shop.cut), len(shop.machines)
    if cut and cut < all_:
        return f"[yellow]{cut} of {all_} links cut[/]"
    return "[red]link cut[/]" if cut else "[green]link up[/]"


def _paper(tills: Sequence[Till]) -> tuple[str, str, str]:
    """Slips, copies and slips of which nobody knows, for people."""
    return (
        str(sum(till.printed for till in tills)),
        str(sum(till.copies for till in tills)),
        str(sum(till.unknown for till in tills)),
    )


def _mark(trial: Trial) -> str:
    return "[green]✓[/]" if trial.well else "[red]✗[/]"
