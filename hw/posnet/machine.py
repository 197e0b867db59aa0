"""The POSNET printer behind the simulator: frames in, answers out. Pure.

Commands are executed in order, each answered once executed; those with `!` at once. While
the printer is stopped (paper, cover, a person needed) the rest waits in its queue. The last
32 answers are kept for `rpt`, up to 1 KiB of them.
"""

from collections import deque
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta

from hw.fiscal import LETTERS
from hw.fiscal_machine import FiscalMachine, MachineRefuses, Sold
from hw.posnet.codec import Command, Frame, command, encode, milli, rate_field, truth
from hw.posnet.refusals import BUSY, TOKEN_NOT_FOUND

KEPT_ANSWERS = 32
KEPT_BYTES = 1024
MAX_QUEUE = 64

NEVER = datetime.fromisoformat("2000-01-01T01:00:00+01:00")
"""What the printer tells of a link it never had."""

_AT_ONCE = {"sprn", "sdev"}
_MEANS = {0: "GOTÓWKA", 2: "KARTA", 3: "CZEK", 4: "BON", 5: "KREDYT", 6: "INNA", 7: "VOUCHER"}
_SALE = {"trinit", "trline", "trpack", "trpayment", "trnipset", "trend", "eparagonidznext"}


class PosnetMachine:
    """One printer, shared by all its connections."""

    def __init__(self, module: FiscalMachine) -> None:
        self.module = module
        self.paper_out = False
        self.paper_low = False
        self.cover_open = False
        self.operator = 0
        """`sdev ds`: 2 or 3 when it waits for a person."""

        self.lines_left: int | None = None
        """Paper runs out after so many more lines; None: it lasts."""

        self.busy = False
        """Another computer holds the transaction."""

        self.reached_at = NEVER
        self.failed_at = NEVER
        self.executed: list[str] = []
        """Commands in the order executed."""

        self._block = False
        self._kept: deque[tuple[int, bytes]] = deque()
        self._qr = ""
        self._electronic = 0
        self._commands: Mapping[str, Callable[[Mapping[str, str]], Command]] = {
            "scomm": self._scomm,
            "scnt": self._scnt,
            "strns": self._strns,
            "sfsk": self._sfsk,
            "sprn": self._sprn,
            "sdev": self._sdev,
            "vatget": self._vatget,
            "getrealid": self._getrealid,
            "rtcget": self._rtcget,
            "eclastdocnoget": self._eclastdocnoget,
            "repositoryeventhubstate": self._office,
            "stot": self._stot,
            "ftrcfg": self._ftrcfg,
            "qrcode": self._qrcode,
            "trinit": self._trinit,
            "trline": self._trline,
            "trpack": self._trpack,
            "trpayment": self._trpayment,
            "trnipset": self._trnipset,
            "eparagonidznext": self._eparagon,
            "trend": self._trend,
            "prncancel": self._cancel,
            "trcancel": self._cancel,
            "dailyrep": self._dailyrep,
            "monthlyrep": self._monthlyrep,
        }

    @property
    def stopped(self) -> bool:
        """It keeps what it gets, and goes on when somebody has helped it."""
        return self.paper_out or self.cover_open or self.operator > 0

    def runs_dry(self, frame: Frame) -> bool:
        """Whether the paper runs out while this command prints; it is then done later."""
        if frame.name not in {"trend", "dailyrep", "monthlyrep"} or self.lines_left is None:
            return False
        self.lines_left -= 12
        if self.lines_left > 0:
            return False
        self.lines_left, self.paper_out = None, True
        return True

    def answer(self, frame: Frame) -> bytes:
        """Execute a command; the answer's frame."""
        name = frame.name.removeprefix("!")
        if name == "rpt":
            return self._repeat(frame.token)
        self.executed.append(name)
        told = self._execute(frame, name)
        if frame.token is not None and name not in _AT_ONCE:
            self._kept.append((frame.token, told))
            while len(self._kept) > KEPT_ANSWERS or sum(len(t) for _, t in self._kept) > KEPT_BYTES:
                self._kept.popleft()
        return told

    def lose_power(self) -> None:
        """What is only in working memory is gone."""
        self.module.lose_power()
        self._kept.clear()

    def _execute(self, frame: Frame, name: str) -> bytes:
        known = self._commands.get(name)
        if known is None:
            return encode(command("ERR", cm=name), frame.token, error=1)
        if frame.name.startswith("!") and name not in _AT_ONCE:
            return encode(command("ERR", cm=name), frame.token, error=12)
        if self.busy and name in _SALE | {"prncancel", "dailyrep"}:
            return encode(Command(name), frame.token, error=BUSY)
        try:
            return encode(known(frame.fields), frame.token)
        except MachineRefuses as refusal:
            return encode(Command(name), frame.token, error=refusal.number)
        except KeyError:
            return encode(Command(name), frame.token, error=2)
        except ValueError:
            return encode(Command(name), frame.token, error=3)

    def _repeat(self, token: int | None) -> bytes:
        for kept, told in reversed(self._kept):
            if kept == token:
                return told
        return encode(command("ERR", er=str(TOKEN_NOT_FOUND), cm="rpt"), token)

    def _scomm(self, _: Mapping[str, str]) -> Command:
        module = self.module
        return command(
            "scomm",
            fs=_flag(module.fiscal),
            tz=_flag(module.empty),
            ts=self._kind(),
            hr="T",
            nu=module.unique_number,
            td=_flag(module.read_only),
        )

    def _kind(self) -> int:
        if self.module.draft is None:
            return 0
        return 17 if self._block else 16

    def _scnt(self, _: Mapping[str, str]) -> Command:
        module = self.module
        return command(
            "scnt",
            rd=module.reports,
            hn=module.headers,
            bn=module.receipts,
            fn=0,
            nu=module.unique_number,
            bc=module.cancelled,
            bt=module.last,
            fc=0,
        )

    def _strns(self, _: Mapping[str, str]) -> Command:
        draft = self.module.draft
        totals = draft.totals() if draft else self.module.last_totals
        return command(
            "strns",
            to=int(draft is not None),
            ts=self._kind() or 16 * any(totals.values()),
            **{f"v{letter.lower()}": totals[letter] for letter in LETTERS},
            fe=False,
        )

    def _sfsk(self, _: Mapping[str, str]) -> Command:
        module = self.module
        return command("sfsk", fs=_flag(module.fiscal), cl=module.resets, rd=module.reports)

    def _stot(self, _: Mapping[str, str]) -> Command:
        module = self.module
        totals = {f"p{letter.lower()}": module.totals[letter] for letter in LETTERS}
        return command("stot", no=module.reports + 1, **totals, pn=module.receipts)

    def _sprn(self, _: Mapping[str, str]) -> Command:
        return command("sprn", pr=5 if self.paper_out else 1 if self.cover_open else 0)

    def _sdev(self, _: Mapping[str, str]) -> Command:
        return command(
            "sdev",
            ds=self.operator,
            cp="T",
            qe=_flag(not self.stopped),
            pe=_flag(self.paper_low),
            tl=2 if self.busy else 1 if self.module.draft else 0,
        )

    def _vatget(self, _: Mapping[str, str]) -> Command:
        rates = self.module.rates
        return command(
            "vatget", **{f"v{letter.lower()}": rate_field(rates.get(letter)) for letter in LETTERS}
        )

    def _getrealid(self, _: Mapping[str, str]) -> Command:
        nu = self.module.unique_number
        return command("getrealid", nm="POSNET THERMAL XL2 ONLINE", vr="30.01", nu=nu)

    def _rtcget(self, _: Mapping[str, str]) -> Command:
        now = self.module.now()
        return command(
            "rtcget",
            da=now.strftime("%Y-%m-%d;%H:%M"),
            tm=now.isoformat(timespec="seconds"),
        )

    def _eclastdocnoget(self, fields: Mapping[str, str]) -> Command:
        kind = {"0": "receipt", "1": "cancelled", "4": "report"}[fields.get("ty", "0")]
        return command("eclastdocnoget", di=self.module.last_document(kind))

    def _office(self, _: Mapping[str, str]) -> Command:
        last = max(self.reached_at, self.failed_at)
        return command(
            "repositoryeventhubstate",
            da=last.isoformat(timespec="seconds"),
            ds=self.reached_at.isoformat(timespec="seconds"),
            df=self.failed_at.isoformat(timespec="seconds"),
            lr=_flag(self.reached_at >= self.failed_at),
            ac="N",
        )

    def _ftrcfg(self, fields: Mapping[str, str]) -> Command:
        footer = self.module.footer
        footer.cashier = fields.get("cc", footer.cashier)[:32]
        footer.register = fields.get("cn", footer.register)[:8]
        footer.number = fields.get("sn", "")[:30]
        footer.qr = self._qr if fields.get("bb", "0") != "0" else ""
        return Command("ftrcfg")

    def _qrcode(self, fields: Mapping[str, str]) -> Command:
        self._qr = fields["tx"]
        self.module.footer.qr = self._qr
        return Command("qrcode")

    def _trinit(self, fields: Mapping[str, str]) -> Command:
        self.module.open()
        self._block = truth(fields.get("bm", "0"))
        return Command("trinit")

    def _trline(self, fields: Mapping[str, str]) -> Command:
        if not 0 < len(fields["na"]) <= 80:
            raise MachineRefuses(10)
        number = int(fields["vt"])
        if not 0 <= number < len(LETTERS):
            raise MachineRefuses(2000)
        price, count = int(fields["pr"]), milli(fields.get("il", "1"))
        sold = Sold(
            name=fields["na"],
            letter=LETTERS[number],
            milli=count,
            price=price,
            total=int(fields.get("wa", (count * price + 500) // 1000)),
            discount=int(fields.get("rw", 0)),
            discount_name=fields.get("rn", ""),
            unit=fields.get("jm", ""),
        )
        if truth(fields.get("st", "0")):
            self.module.take_back(sold)
        else:
            self.module.sell(sold)
        return Command("trline")

    def _trpack(self, fields: Mapping[str, str]) -> Command:
        draft = self.module.opened()
        count, price = int(fields.get("il", 1)), int(fields["pr"])
        if count * price != int(fields.get("wa", count * price)):
            raise MachineRefuses(2803)
        name = fields.get("de", "Opakowanie zwr.")[:40]
        draft.packs.append((name, count, price, truth(fields.get("ne", "0"))))
        return Command("trpack")

    def _trpayment(self, fields: Mapping[str, str]) -> Command:
        draft = self.module.opened()
        kind, amount = int(fields["ty"]), int(fields["wa"])
        if amount <= 0:
            raise MachineRefuses(1962)
        if truth(fields.get("re", "0")):
            draft.change += amount
        else:
            name = f"{_MEANS.get(kind, 'PRZELEW')} {fields.get('na', '')}".rstrip()
            draft.paid.append((name, amount))
        return Command("trpayment")

    def _trnipset(self, fields: Mapping[str, str]) -> Command:
        draft = self.module.opened()
        if len(fields["ni"]) != 10:
            raise MachineRefuses(2096)
        draft.nip = fields["ni"]
        return Command("trnipset")

    def _eparagon(self, fields: Mapping[str, str]) -> Command:
        if not self.module.fiscal:
            raise MachineRefuses(2034)
        if self.module.draft is not None:
            self.module.draft.electronic = fields["id"]
        self._electronic += 1
        return command("eparagonidznext", ha=self._electronic)

    def _trend(self, fields: Mapping[str, str]) -> Command:
        draft = self.module.check_end()
        checks = (
            ("to", sum(draft.totals().values()), 2805),
            ("op", draft.packs_minor(returned=False), 2806),
            ("om", draft.packs_minor(returned=True), 2807),
            ("fp", draft.paid_minor, 2808),
            ("re", draft.change, 2809),
        )
        for field, value, number in checks:
            if field in fields and int(fields[field]) != value:
                raise MachineRefuses(number)  # and the transaction stays open
        self.module.finish()
        return Command("trend")

    def _cancel(self, _: Mapping[str, str]) -> Command:
        self.module.cancel()
        return Command("prncancel")

    def _dailyrep(self, fields: Mapping[str, str]) -> Command:
        if fields["da"] != self.module.now().date().isoformat():
            raise MachineRefuses(2022)
        self.module.daily_report()
        return Command("dailyrep")

    def _monthlyrep(self, fields: Mapping[str, str]) -> Command:
        month = datetime.fromisoformat(fields["da"])
        if month.replace(tzinfo=None) > self.module.now().replace(tzinfo=None) + timedelta(days=1):
            raise MachineRefuses(2045)
        self.module.monthly_report(month.year, month.month)
        return Command("monthlyrep")


def _flag(value: object) -> str:
    return "T" if value else "N"
