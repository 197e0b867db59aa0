"""Sales under way: terminals are asked for money and fiscal printers for receipts.

One task for each sale. It reads how far the sale is, does what `edge.till.checkout` says
comes next, writes down what came of it, and begins again; so a crash anywhere is taken up
by reading. What is done at a device has its own notes on disk (`hw.payment`, `hw.jobs`).
What people say of a sale under way comes in here, too, and is written down first.
"""

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Literal, TypeAlias
from uuid import UUID

import msgspec
import structlog

from edge.clock import Clock
from edge.store.checkouts import (
    APPROVED,
    BY_HAND,
    DECLINED,
    INTENDED,
    UNDO,
    UNDONE,
    UNKNOWN,
    AttemptView,
    CheckoutView,
)
from edge.store.connection import StoreError
from edge.store.store import Store
from edge.store.unit import SaleView, Unit
from edge.till import fiscal, stages
from edge.till.basket import Held
from edge.till.checkout import (
    BY_TERMINAL,
    Ask,
    AskPrinter,
    Charge,
    Close,
    Decide,
    End,
    GiveBack,
    Hold,
    Print,
    Undo,
    Void,
    checkout_of,
    next_effect,
    voided,
)
from edge.till.errors import Conflict, NotFound, NotPossible
from edge.till.fiscal_desk import FORGOTTEN, FiscalDesk
from edge.till.pricing import Draft
from edge.till.printing import INTENDED as SLIP_INTENDED
from edge.till.told import Told
from hw.device import PaymentTerminal
from hw.errors import DeviceRefused, HwError
from hw.outcome import Done, Fiscalised, Outcome, Refused, Unknown, concluded
from hw.payment import Approval, Approved, Declined, PaymentIntent, PaymentOutcome
from hw.supervisor import Supervisor
from sync.facts.sale import Fiscal, PaymentSettled, SaleFiscalised, Stage
from sync.merge.sales import pending

FIRST_WAIT_S = 0.5
LONGEST_WAIT_S = 10.0
STAND_IN_AFTER_S = 20.0

TERMINAL = "terminal"
"""Who decided, where a machine could tell (`PaymentSettled.decided_by`)."""

LOOK = "Look at the terminal's slip, and say in Karb whether it was paid."
GIVE_BACK = "Give the money back at the terminal by hand, and say so in Karb."

_log = structlog.get_logger(__name__)

What: TypeAlias = Literal["moved", "paid", "back", "closed"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Moved:
    """A sale under way is further than it was."""

    event: bytes
    till: str
    what: What
    """``paid``: its till may serve the next buyer; ``back``: it came to nothing, or is to be
    paid otherwise; ``closed``."""

    sale: SaleView
    notes: CheckoutView
    charging: int | None = None
    """The payment that its terminal is at."""


class Paying:
    """The sales under way of one node."""

    def __init__(
        self,
        store: Store,
        clock: Clock,
        told: Told,
        *,
        waits_s: tuple[float, float] = (FIRST_WAIT_S, LONGEST_WAIT_S),
        stand_in_s: float = STAND_IN_AFTER_S,
    ) -> None:
        """Drive nothing until `use`.

        Args:
            store: Where sales are.
            clock: Trusted time.
            told: What head office says of this store.
            waits_s: Between questions about one thing: the first wait, and the longest.
            stand_in_s: How long a fiscal printer may refuse until its reserve is asked.
        """
        self._store, self._clock, self._told = store, clock, told
        self._waits_s, self._stand_in_s = waits_s, stand_in_s
        self._devices: Supervisor | None = None
        self._desk: FiscalDesk | None = None
        self._fresh: set[bytes] = set()
        self._tasks: dict[bytes, asyncio.Task[None]] = {}
        self._wakes: dict[bytes, asyncio.Event] = {}
        self._charging: dict[bytes, int] = {}
        self.listener: Callable[[Moved], None] = lambda _: None
        self.slips: Callable[[str], bool] = lambda _: False
        """Whether a till prints slips of sales that are not fiscal."""

    def use(self, devices: Supervisor, *, forgot: bool) -> None:
        """Ask these devices; `forgot`: what they know of earlier orders was lost."""
        self._devices = devices
        self._desk = FiscalDesk(
            self._store,
            self._clock,
            self._told,
            devices,
            forgot=forgot,
            stand_in_s=self._stand_in_s,
        )

    async def left(self) -> list[Moved]:
        """Return the sales whose payment the last run left under way at a till."""
        return [
            Moved(event=sale.event, till=notes.till, what="moved", sale=sale, notes=notes)
            for sale, notes in await self.under_way()
            if sale.stage is Stage.TENDERED and not notes.aside
        ]

    async def resume(self) -> None:
        """Go on with what the last run left."""
        for notes in await self._store.checkouts():
            self._begin(notes.event)

    async def close(self) -> None:
        """Stop. What is under way is taken up at the next start."""
        tasks = list(self._tasks.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._tasks.clear()

    def wake(self) -> None:
        """Try again at once what waits: a device has changed."""
        for wake in self._wakes.values():
            wake.set()

    @property
    def charging(self) -> Mapping[bytes, int]:
        """Sales whose terminal is at a payment, and at which."""
        return self._charging

    async def under_way(self, till: str | None = None) -> list[tuple[SaleView, CheckoutView]]:
        """Return the sales under way, of one till or of all, that begun first first."""
        found = []
        for notes in await self._store.checkouts():
            sale = await self._store.sale(notes.event)
            if sale is not None and till in (None, notes.till):
                found.append((sale, notes))
        return found

    # For the till.

    async def ready(self, till: str) -> str:
        """Return which fiscal printer takes a till's sale; empty in a store that is not fiscal.

        Raises:
            NoFiscalEvidence: The till has no fiscal printer.
            NotPossible: It cannot print now, its VAT rates are others than ours, or an
                earlier receipt waits for it.
        """
        if not (await self._told.settings()).fiscal or self._desk is None:
            return ""
        for sale, notes in await self.under_way(till):
            if sale.stage is Stage.APPROVED and notes.problem and not notes.aside:
                raise NotPossible(
                    f"Receipt {sale.series}/{sale.number} is not printed yet: {notes.problem}",
                    notes.cure,
                )
        return await self._desk.ready(till)

    def plan(self, till: str, event: bytes, draft: Draft) -> tuple[AttemptView, ...]:
        """Return the payments of a sale that the till's terminal will be asked for."""
        terminal = self._devices.payment_terminal(till) if self._devices is not None else None
        if terminal is None:
            return ()
        return tuple(
            AttemptView(n, f"{UUID(bytes=event)}-{n}", terminal.id, INTENDED)
            for n, payment in enumerate(draft.payments)
            if payment.method in BY_TERMINAL
        )

    def begin(self, event: bytes) -> None:
        """Go on with a sale that was just written: nothing of it has left yet."""
        self._fresh.add(event)
        self._begin(event)

    # What people say.

    async def cancel(self, event: bytes, by: str) -> None:
        """Have a sale come to nothing: what was taken is given back, now or when it shows.

        Raises:
            NotFound: No device has a part in it.
            Conflict: It is closed, or its receipt is printed.
        """

        def work(unit: Unit) -> CheckoutView:
            sale, notes = there(unit, event)
            if sale.stage in (Stage.CLOSED, Stage.FISCALISED):
                raise Conflict(
                    f"Sale {UUID(bytes=event)}: expected one that is not closed, it is "
                    f"{sale.stage.name.lower()}.",
                    "Take the goods back as a return.",
                )
            unit.checkouts.cancel(event, by)
            return notes

        notes = await self._store.write(work)
        charging = self._charging.get(event)
        part = next((part for part in notes.attempts if part.payment == charging), None)
        terminal = self._terminal(part) if part is not None else None
        if part is not None and terminal is not None:
            with suppress(HwError):
                await terminal.abort(part.attempt)
        self._begin(event)

    async def put_aside(self, event: bytes) -> None:
        """Let the till serve others while it is not known what became of a sale.

        Raises:
            NotFound: No device has a part in it.
            Conflict: Its terminal is at it now.
        """
        self._idle(event)

        def work(unit: Unit) -> None:
            there(unit, event)
            unit.checkouts.put_aside(event)

        await self._store.write(work)
        await self._tell(event, "paid")

    async def decide(self, event: bytes, payment: int, *, approved: bool, by: str) -> bool:
        """Take a person's word about a payment, or that its money was given back.

        Returns:
            Whether the sale is under way here; if not, nothing was done.

        Raises:
            NotFound: No such payment.
            Conflict: It is known already, and otherwise; or its terminal is at it now.
            NotPossible: It cannot be noted.
        """
        notes, sale = await self._store.checkout(event), await self._store.sale(event)
        if notes is None or sale is None:
            return False
        self._idle(event)
        part = next((part for part in notes.attempts if part.payment == payment), None)
        if part is None:
            await self._word_alone(event, payment, approved=approved, by=by)
        elif part.state == UNKNOWN:
            await self._word(sale, part, approved=approved, by=by)
        elif part.state in (BY_HAND, UNDO) and not approved:
            await self._given_back(event, part, by)
        elif approved is not (part.state == APPROVED) or part.state == INTENDED:
            raise Conflict(
                f"Payment {payment}: expected one that is unknown, it is {part.state}.",
                "Correct it with another sale.",
            )
        self._begin(event)
        return True

    async def found(self, event: bytes, document: str | None, by: str) -> SaleView:
        """Take a person's word about a fiscal receipt.

        Args:
            event: Of the sale.
            document: Number on the paper; None: there is no receipt.
            by: Who looked.

        Raises:
            NotFound: No device has a part in the sale.
            Conflict: It is known whether it is printed.
            NotPossible: It cannot be noted.
        """
        sale, notes = await self._store.write(lambda unit: there(unit, event))
        if not notes.printer or sale.stage is not Stage.APPROVED or self._desk is None:
            raise Conflict(
                f"Sale {UUID(bytes=event)}: expected one whose receipt is in doubt, it is "
                f"{sale.stage.name.lower()}.",
                "Look at the sale again.",
            )
        told = await self._desk.told(sale, notes, document, by)
        if isinstance(told, Unknown):
            raise NotPossible(told.problem, told.cure)
        lost = told is None or (self._desk.forgot and event not in self._fresh)
        if isinstance(told, Fiscalised):
            await self._fiscalised(event, fiscal.proof(told.evidence))
        elif document is None and lost:
            self._fresh.add(event)  # a person saw that there is none: it may be ordered
        elif document is not None and lost:
            await self._fiscalised(event, Fiscal(fiscal.BY, notes.printer, document))
        elif isinstance(told, Refused) and document is not None:
            raise Conflict(told.problem, told.cure)
        self._begin(event)
        return (await self._store.sale(event)) or sale

    async def _word_alone(self, event: bytes, payment: int, *, approved: bool, by: str) -> None:
        """Note what a person says of a payment that no terminal was asked for."""

        def work(unit: Unit) -> SaleView:
            sale, _ = there(unit, event)
            if payment in sale.settled and sale.settled[payment] is approved:
                return sale
            if payment not in pending(sale.body, sale.settled) or payment in sale.settled:
                raise Conflict(
                    f"Payment {payment}: expected one that nobody has decided.",
                    "Correct it with another sale.",
                )
            said = PaymentSettled(payment, approved, decided_by=stages.PERSON + by)
            unit.append(said, event)
            return self._go_on(unit, event)

        await self._settled(event, await self._store.write(work))

    async def _word(self, sale: SaleView, part: AttemptView, *, approved: bool, by: str) -> None:
        owed = sale.body.payments[part.payment].amount_minor
        slip = Approval(amount_minor=owed, currency=sale.body.currency) if approved else None
        word: PaymentOutcome = (
            Approved(f"{by} saw it", slip)
            if slip is not None
            else Refused(f"{by} found no payment.", "Pay again.")
        )
        terminal = self._terminal(part)
        told = await terminal.settle(part.attempt, slip, by=by) if terminal is not None else word
        if isinstance(told, Unknown):
            raise NotPossible(told.problem, told.cure)
        if isinstance(told, Refused) and not isinstance(told, Declined):
            told = word  # the terminal knows nothing of it: the person does
        agrees = isinstance(told, Approved) is approved
        await self._learn(sale, part, told, stages.PERSON + by if agrees else TERMINAL)
        if not agrees:
            raise Conflict(
                f"Payment {part.payment}: its terminal says that it was "
                f"{'declined' if approved else 'approved'}.",
                "Look at the sale again.",
            )

    async def _given_back(self, event: bytes, part: AttemptView, by: str) -> None:
        terminal = self._terminal(part)
        if terminal is not None:
            told = await terminal.settle(part.attempt, None, by=by)
            if isinstance(told, Unknown):
                raise NotPossible(told.problem, told.cure)
        known = part._replace(state=UNDONE, decided_by=by, problem="", cure="")
        await self._note(event, known)

    # The task of one sale.

    def _begin(self, event: bytes) -> None:
        if event in self._tasks:
            self._wakes[event].set()
            return
        self._wakes[event] = asyncio.Event()
        self._tasks[event] = asyncio.create_task(self._run(event), name=f"sale {event.hex()[:8]}")

    async def _run(self, event: bytes) -> None:
        first_s, longest_s = self._waits_s
        wake, wait_s = self._wakes[event], first_s
        try:
            while True:
                wake.clear()
                going: bool | None = None
                try:
                    going = await self._step(event)
                except StoreError as error:
                    _log.error("checkout.not_noted", sale=event.hex(), problem=str(error))
                except Exception:  # noqa: BLE001 - it is tried again; what is owed to a buyer is not given up
                    _log.exception("checkout.failed", sale=event.hex())
                if going is False and not wake.is_set():
                    return
                if going:
                    wait_s = first_s
                if going is not None:
                    continue
                with suppress(TimeoutError):
                    async with asyncio.timeout(wait_s):
                        await wake.wait()
                wait_s = min(2 * wait_s, longest_s)
        finally:
            self._tasks.pop(event)
            self._wakes.pop(event)

    async def _step(self, event: bytes) -> bool | None:  # noqa: C901 - one case an effect
        """Do one thing; True: go on, None: wait, False: nothing is to be done now."""
        notes, sale = await self._store.checkout(event), await self._store.sale(event)
        if notes is None or sale is None or notes.over:
            self._fresh.discard(event)
            return False
        store_is_fiscal = (await self._told.settings()).fiscal
        now = checkout_of(sale, notes, fiscal=store_is_fiscal, fresh=event in self._fresh)
        match next_effect(now):
            case Charge(part):
                return await self._charge(sale, part)
            case Ask(part):
                return await self._ask(sale, part)
            case Print():
                return await self._print(sale, notes)
            case AskPrinter():
                return await self._unless_printed(sale, notes)
            case Close():
                after = await self._store.write(lambda unit: self._go_on(unit, event))
                await self._settled(event, after)
                return True
            case Void(why):
                return await self._void(sale, why)
            case Undo(part):
                return await self._undo(event, part)
            case Hold():
                await self._tell(event, "back")
                return False
            case GiveBack() | Decide():
                return None  # until a person says something
            case End():
                await self._store.write(lambda unit: unit.checkouts.end(event))
                self._fresh.discard(event)
                await self._tell(event, "moved")
                return False

    # Payments.

    async def _charge(self, sale: SaleView, part: AttemptView) -> bool | None:
        event, payment = sale.event, sale.body.payments[part.payment]
        terminal = self._terminal(part)
        outcome: Outcome = Refused(f"Terminal {part.device}: is no longer there.", "Pay otherwise.")
        self._charging[event] = part.payment
        try:
            await self._tell(event, "moved")
            notes = await self._store.checkout(event)
            if notes is None or notes.cancelled:
                return True
            if terminal is not None:
                intent = PaymentIntent(
                    attempt=part.attempt,
                    sale=str(UUID(bytes=event)),
                    amount_minor=payment.amount_minor,
                    currency=sale.body.currency,
                )
                outcome = await concluded(part.device, terminal.pay(intent))
        except DeviceRefused as error:
            outcome = Refused(error.problem, error.cure)
        finally:
            self._charging.pop(event, None)
        return await self._learn(sale, part, outcome)

    async def _ask(self, sale: SaleView, part: AttemptView) -> bool | None:
        terminal = self._terminal(part)
        if terminal is None:
            gone = f"Terminal {part.device}: is no longer there, and may have charged."
            return await self._learn(sale, part, Unknown(gone, LOOK))
        outcome = await concluded(part.device, terminal.status_of(part.attempt))
        lost = self._forgot(sale.event)
        if lost and isinstance(outcome, Refused) and not isinstance(outcome, Declined):
            outcome = Unknown(f"{FORGOTTEN} Nobody knows what terminal {part.device} did.", LOOK)
        return await self._learn(sale, part, outcome)

    async def _learn(
        self, sale: SaleView, part: AttemptView, outcome: Outcome, by: str = TERMINAL
    ) -> bool | None:
        """Write down what became of a payment."""
        event, owed = sale.event, sale.body.payments[part.payment].amount_minor
        if isinstance(outcome, Unknown):
            known = part._replace(state=UNKNOWN, problem=outcome.problem, cure=outcome.cure)
            if known != part:
                await self._note(event, known)
            return None
        approval = outcome.approval if isinstance(outcome, Approved) else None
        approved = approval is not None and approval.amount_minor == owed
        reference = approval.reference or approval.auth_code if approval is not None else ""
        if approval is not None and not approved:
            # Less than asked, as a prepaid card may give: it is not what the buyer owes.
            problem = f"The terminal took {approval.amount_minor} grosz, expected {owed}."
            known = part._replace(state=UNDO, problem=problem, cure="It is given back.")
        elif approved:
            known = part._replace(state=APPROVED, problem="", cure="")
        else:
            told = outcome if isinstance(outcome, Refused) else Refused("No money moved.", "")
            known = part._replace(state=DECLINED, problem=told.problem, cure=told.cure)
        known = known._replace(reference=reference, decided_by="" if by == TERMINAL else by)

        def work(unit: Unit) -> SaleView:
            now, _ = there(unit, event)
            if part.payment in now.settled:  # a person was faster, or the machine
                return now
            said = PaymentSettled(part.payment, approved, reference=reference, decided_by=by)
            unit.append(said, event)
            unit.checkouts.note(event, known)
            return self._go_on(unit, event)

        await self._settled(event, await self._store.write(work))
        return True

    async def _undo(self, event: bytes, part: AttemptView) -> bool | None:
        terminal = self._terminal(part)
        if terminal is None:
            gone = f"Terminal {part.device}: is no longer there, and may have charged."
            outcome: Outcome = Refused(gone, GIVE_BACK)
        elif self._forgot(event):
            outcome = Refused(f"{FORGOTTEN} It may have charged.", GIVE_BACK)
        else:
            outcome = await concluded(part.device, terminal.reverse(part.attempt))
        match outcome:
            case Done():
                known = part._replace(state=UNDONE, problem="", cure="")
            case Refused(problem=problem, cure=cure):
                known = part._replace(state=BY_HAND, problem=problem, cure=cure)
            case Unknown(problem=problem, cure=cure):
                known = part._replace(problem=problem, cure=cure)
        if known != part:
            await self._note(event, known)
        return None if isinstance(outcome, Unknown) else True

    # The fiscal receipt.

    async def _print(self, sale: SaleView, notes: CheckoutView) -> bool | None:
        event, desk = sale.event, self._desk
        if desk is None:
            return None
        outcome = await desk.issued(sale, notes, fresh=event in self._fresh)
        if isinstance(outcome, Fiscalised):
            await self._fiscalised(event, fiscal.proof(outcome.evidence))
            return True
        await self._trouble(notes, outcome)
        reserve = await desk.reserve(sale, notes) if isinstance(outcome, Refused) else None
        if reserve is None:
            return None
        await self._store.write(lambda unit: unit.checkouts.move(event, reserve))
        return True

    async def _unless_printed(self, sale: SaleView, notes: CheckoutView) -> bool | None:
        """Void a cancelled sale, unless its receipt turns out to be printed."""
        event, desk = sale.event, self._desk
        if desk is None:
            return None
        outcome = await desk.asked(sale, notes, fresh=event in self._fresh)
        if isinstance(outcome, Fiscalised):
            await self._fiscalised(event, fiscal.proof(outcome.evidence))
        elif isinstance(outcome, Refused):
            await self._void(sale, "cancelled")
        else:
            await self._trouble(notes, outcome)
            return None
        return True

    async def _fiscalised(self, event: bytes, proof: Fiscal) -> None:
        def work(unit: Unit) -> SaleView:
            sale, _ = there(unit, event)
            if sale.stage < Stage.FISCALISED:
                unit.append(SaleFiscalised(proof), event)
                stages.advance(unit, there(unit, event)[0])
                unit.checkouts.printed(event, msgspec.msgpack.encode(proof))
            return there(unit, event)[0]

        await self._settled(event, await self._store.write(work))

    async def _trouble(self, notes: CheckoutView, outcome: Outcome) -> None:
        if isinstance(outcome, Done):
            return
        problem, cure = outcome.problem, outcome.cure
        if (notes.problem, notes.cure) != (problem, cure):
            await self._store.write(lambda unit: unit.checkouts.trouble(notes.event, problem, cure))
            await self._tell(notes.event, "moved")

    # The ends.

    async def _void(self, sale: SaleView, why: str) -> bool:
        event, fresh = sale.event, sale.event in self._fresh

        def work(unit: Unit) -> None:
            now, notes = there(unit, event)
            if now.stage not in (Stage.TENDERED, Stage.APPROVED):
                return
            stages.void(unit, event, f"{why} by {notes.cancelled}" if notes.cancelled else why)
            unit.checkouts.trouble(event, "", "")
            for part in notes.attempts:
                state = voided(part, fresh=fresh)
                if state != part.state:
                    unit.checkouts.note(event, part._replace(state=state))

        await self._store.write(work)
        await self._tell(event, "back")
        return True

    def _go_on(self, unit: Unit, event: bytes) -> SaleView:
        """Close a sale that waits for nothing, and note its slip, in this commit."""
        sale, notes = there(unit, event)
        if notes.cancelled:
            return sale
        stages.advance(unit, sale)
        after, _ = there(unit, event)
        closed = sale.stage < after.stage is Stage.CLOSED
        if closed and not notes.printer and self.slips(notes.till):
            unit.slip(event, notes.till, SLIP_INTENDED)
        return after

    async def _settled(self, event: bytes, after: SaleView) -> None:
        """Tell how far a sale is after a step."""
        if after.stage is Stage.CLOSED:
            await self._tell(event, "closed")
        else:
            waits = pending(after.body, after.settled)
            await self._tell(event, "moved" if waits else "paid")

    async def _note(self, event: bytes, part: AttemptView) -> None:
        await self._store.write(lambda unit: unit.checkouts.note(event, part))
        await self._tell(event, "moved")

    async def _tell(self, event: bytes, what: What) -> None:
        sale, notes = await self._store.sale(event), await self._store.checkout(event)
        if sale is None or notes is None:
            return
        self.listener(
            Moved(
                event=event,
                till=notes.till,
                what=what,
                sale=sale,
                notes=notes,
                charging=self._charging.get(event),
            )
        )

    def _idle(self, event: bytes) -> None:
        if event in self._charging:
            raise Conflict(
                f"Sale {UUID(bytes=event)}: its terminal is at it.", "Wait, or cancel the payment."
            )

    def _forgot(self, event: bytes) -> bool:
        return self._desk is not None and self._desk.forgot and event not in self._fresh

    def _terminal(self, part: AttemptView) -> PaymentTerminal | None:
        return self._devices.terminal_of(part.device) if self._devices is not None else None


def there(unit: Unit, event: bytes) -> tuple[SaleView, CheckoutView]:
    """Return a sale under way and the notes of it.

    Raises:
        NotFound: No device has a part in it.
    """
    sale, notes = unit.sale(event), unit.checkouts.find(event)
    if sale is None or notes is None:
        raise NotFound(
            f"Sale {UUID(bytes=event)}: expected one that a device of this node has a part in.",
            "Look at GET /v1/incidents.",
        )
    return sale, notes


def held_of(sale: SaleView, notes: CheckoutView) -> tuple[Held, ...]:
    """Return what terminals took for a sale that is to be paid otherwise."""
    return tuple(
        Held(
            sale=sale.event,
            payment=part.payment,
            method=sale.body.payments[part.payment].method,
            amount_minor=sale.body.payments[part.payment].amount_minor,
            reference=part.reference,
            attempt=part.attempt,
            device=part.device,
            decided_by=part.decided_by,
        )
        for part in notes.attempts
        if part.state == APPROVED
    )
