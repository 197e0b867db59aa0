"""What every payment terminal driver does alike: note, order, ask, undo, never guess.

A driver adds what its protocol can say: `_order` sends, `_ask` asks about what was sent,
and each brings back an `Answer`. An error of either is an answer that did not come.

Options of every terminal: `state` (file that outlives the process; needed unless the
program gives the driver a memory), `answer_timeout_s` (5), `job_timeout_s` (180) while a
customer is at it, `resolve_timeout_s` (10) for asking after a loss.
"""

import asyncio
import hashlib
from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path

from hw.device import Health
from hw.errors import DeviceMisconfigured, DeviceUnavailable, HwError
from hw.memory import FileMemory, Memory
from hw.outcome import Done, Outcome, Refused, Unknown
from hw.payment import (
    CHARGED,
    Answer,
    Approval,
    Attempt,
    Availability,
    NoAnswer,
    PaymentIntent,
    PaymentOutcome,
    Pending,
    Totals,
)
from hw.registry import DeviceConfig, check_options, positive

OPTIONS = ("state", "answer_timeout_s", "job_timeout_s", "resolve_timeout_s")
ASK_AGAIN = "Karb asks the terminal again when it answers; do not charge again."
LOOK = "Look at the terminal's slip, and say in Karb whether it was paid."
GIVE_BACK = "Give the money back at the terminal by hand, and say so in Karb."

UNDO_TRIES = 3
"""Reversals the terminal may decline; then a person gives the money back."""

_PREFIX = "payment "


class Terminal(ABC):
    """One terminal. One payment at a time; one that broke is resolved before the next."""

    can_refund = can_reverse = False
    """Whether the protocol has it."""

    def __init__(
        self, config: DeviceConfig, memory: Memory | None = None, *, options: tuple[str, ...] = ()
    ) -> None:
        check_options(config, (*OPTIONS, *options))
        self.id = config.id
        self.till = config.till
        state = config.options.get("state")
        self._memory = FileMemory(Path(state)) if memory is None and state else memory
        self._answer_timeout_s = positive(config, "answer_timeout_s", 5.0)
        self._job_timeout_s = positive(config, "job_timeout_s", 180.0)
        self._resolve_timeout_s = positive(config, "resolve_timeout_s", 10.0)
        self._lock = asyncio.Lock()
        self._waiting: dict[str, Attempt] | None = None
        """Attempts that are open or to be given back, by id; as noted."""

    async def pay(self, intent: PaymentIntent) -> PaymentOutcome:
        """See `PaymentTerminal.pay`."""
        return await self._paid(replace(intent, kind="sale"))

    async def refund(self, intent: PaymentIntent) -> PaymentOutcome:
        """See `PaymentTerminal.refund`."""
        if not self.can_refund:
            return self._has_no("refund")
        return await self._paid(replace(intent, kind="refund", cashback_minor=0))

    async def status_of(self, attempt: str) -> PaymentOutcome:
        """See `PaymentTerminal.status_of`."""
        async with self._lock:
            try:
                found = await self._load(attempt)
                if found is None or found.state == "created":
                    return Refused(f"Attempt {attempt}: nothing was ever sent.", "Order it.")
                if found.open:
                    found = await self._resolve(found)
                await self._undo_waiting()
                found = await self._load(attempt) or found
            except HwError as error:
                return Unknown(error.problem, error.cure)
            return found.told() or Unknown(found.problem, found.cure)

    async def reverse(self, attempt: str) -> Outcome:
        """See `PaymentTerminal.reverse`."""
        async with self._lock:
            try:
                found = await self._load(attempt)
                if found is None:
                    return Done("nothing was ever ordered")
                if found.state == "created":
                    stopped = found.moved("aborted", problem="Cancelled before it was sent.")
                    await self._keep(replace(stopped, cure="Pay anew.", code="aborted"))
                    return Done("nothing was sent")
                if found.open or (found.state in CHARGED and not found.undo):
                    await self._keep(found := replace(found, undo=True))
                if found.open:
                    found = await self._resolve(found)
                await self._undo_waiting()
                found = await self._load(attempt) or found
            except HwError as error:
                return Unknown(error.problem, error.cure)
        if found.open:
            return Unknown(found.problem, found.cure)
        if not found.task:
            return Done("reversed" if found.state == "reversed" else "no money had moved")
        return self._undone_by_hand(found)

    async def settle(self, attempt: str, approval: Approval | None, *, by: str) -> PaymentOutcome:
        """See `PaymentTerminal.settle`."""
        async with self._lock:
            try:
                found = await self._load(attempt)
                if found is None or not (found.state == "unknown" or self._idle_task(found)):
                    told = found.told() if found is not None else None
                    return told or Refused(
                        f"Attempt {attempt}: expected one that is unknown or to be given back.",
                        "Look its id up again.",
                    )
                await self._keep(found := found.settled(approval, by))
                await self._undo_waiting()
            except HwError as error:
                return Unknown(error.problem, error.cure)
            return found.told() or Unknown(found.problem, found.cure)

    @property
    def unresolved(self) -> list[str]:
        """See `PaymentTerminal.unresolved`."""
        return [name for name, found in (self._waiting or {}).items() if found.open]

    @property
    def tasks(self) -> list[str]:
        """See `PaymentTerminal.tasks`."""
        return [name for name, found in (self._waiting or {}).items() if self._by_hand(found)]

    def health(self) -> Health:
        """See `Device.health`."""
        if self.unresolved:
            return Health(
                f"Terminal {self.id}: attempt {self.unresolved[0]} is not resolved.", ASK_AGAIN
            )
        if self.tasks:
            return Health(
                f"Terminal {self.id}: attempt {self.tasks[0]} was paid for a cancelled sale.",
                GIVE_BACK,
            )
        return Health()

    async def abort(self, attempt: str) -> None:  # noqa: B027 - not every protocol can
        """See `PaymentTerminal.abort`."""

    async def availability(self) -> Availability:
        """See `PaymentTerminal.availability`. Most protocols do not tell."""
        return Availability()

    async def reconcile(self) -> Totals | None:
        """See `PaymentTerminal.reconcile`. Most protocols do not tell."""
        return None

    # What a protocol adds.

    @abstractmethod
    async def _reach(self) -> str:
        """Be connected to the terminal; its identity.

        Raises:
            DeviceUnavailable: It is not there, or closed.
        """

    @abstractmethod
    async def _order(self, attempt: Attempt) -> Answer:
        """Send an order, once, and wait for its end.

        Raises:
            DeviceUnavailable: The answer did not come.
        """

    @abstractmethod
    async def _ask(self, attempt: Attempt) -> Answer:
        """Ask about an order, without repeating it.

        Raises:
            DeviceUnavailable: The answer did not come.
        """

    async def _noted(self) -> None:  # noqa: B027 - most have nothing to confirm
        """The end of an order is on disk: the terminal may be told that it arrived."""

    # The order of things.

    async def _start(self) -> None:
        """Read what is not settled, and ask about it. In `open`, once connected.

        Raises:
            HwError: It cannot be read.
        """
        await self._read()
        for found in self._open_attempts():
            await self._resolve(found)
        await self._undo_waiting()

    async def _paid(self, intent: PaymentIntent) -> PaymentOutcome:
        async with self._lock:
            try:
                await self._read()
                found = await self._load(intent.attempt)
                if found is not None and found.intent != intent:
                    return Refused(
                        f"Attempt {intent.attempt}: expected the same order as before.",
                        "Give another payment another id.",
                    )
                for earlier in self._open_attempts():
                    await self._resolve(earlier)
                await self._undo_waiting()
                found = await self._load(intent.attempt)
                if found is not None and found.state != "created":
                    return found.told() or Unknown(found.problem, found.cure)
                if self.unresolved:
                    earlier = (self._waiting or {})[self.unresolved[0]]
                    return Refused(
                        f"Terminal {self.id}: attempt {self.unresolved[0]} is not resolved: "
                        f"{earlier.problem}",
                        earlier.cure,
                    )
                # The intent first: nothing has left when this fails.
                await self._keep(found or Attempt(intent=intent))
                device = await self._reach()
                found = Attempt(intent=intent).moved("sent", device=device)
                await self._keep(found)
            except HwError as error:
                return Refused(error.problem, error.cure)
            return await self._carried_out(found)

    async def _carried_out(self, found: Attempt) -> PaymentOutcome:
        """From the first byte to an outcome. Whatever breaks here is not refused."""
        try:
            try:
                answer = await self._order(found)
            except HwError as error:
                answer = NoAnswer(error.problem, error.cure)
            found = (self._waiting or {}).get(found.intent.attempt, found)
            if isinstance(answer, Pending):
                answer = NoAnswer(answer.problem, ASK_AGAIN)
            await self._keep(found := found.answered(answer))
            if found.open:
                found = await self._resolve(found)
            else:
                await self._confirm()
        except HwError as error:  # the notes: what they say stands, and it is still open
            return Unknown(error.problem, error.cure)
        return found.told() or Unknown(found.problem, found.cure)

    async def _resolve(self, found: Attempt) -> Attempt:
        """Ask about an open attempt, as long as there is hope of an answer.

        Raises:
            DeviceUnavailable: What was learnt could not be noted.
        """
        if found.state != "unknown":
            await self._keep(found := found.doubted("Karb stopped while it was paid.", ASK_AGAIN))
        loop = asyncio.get_running_loop()
        began, wait_s = loop.time(), 0.02
        while True:
            patience_s = self._resolve_timeout_s
            answer = await self._asked(found)
            if isinstance(answer, Pending):
                patience_s = self._job_timeout_s
            elif not isinstance(answer, NoAnswer):
                await self._keep(found := found.answered(answer))
                await self._confirm()
                return found
            if isinstance(answer, NoAnswer):
                known = replace(found, problem=answer.problem, cure=answer.cure)
                if known != found:
                    await self._keep(found := known)
                if answer.final:
                    return found
            if not self._reachable or loop.time() + wait_s > began + patience_s:
                return found
            await asyncio.sleep(wait_s)
            wait_s = min(1.0, 2 * wait_s)

    async def _asked(self, found: Attempt) -> Answer:
        try:
            device = await self._reach()
            if device != found.device:
                return NoAnswer(
                    f"Terminal {self.id}: attempt {found.intent.attempt} went to "
                    f"{found.device}, this is {device}.",
                    "Connect that terminal again, or look at its slip.",
                    final=True,
                )
            return await self._ask(found)
        except HwError as error:
            return NoAnswer(error.problem, ASK_AGAIN)

    @property
    def _reachable(self) -> bool:
        """Whether trying again makes sense: false once closed."""
        return True

    async def _confirm(self) -> None:
        try:
            await self._noted()
        except DeviceUnavailable:
            return  # it will say so again, and be told again

    async def _undo_waiting(self) -> None:
        """Reverse what was paid for cancelled sales, where the protocol can.

        Raises:
            DeviceUnavailable: A note could not be written.
        """
        for found in [a for a in (self._waiting or {}).values() if a.task]:
            if not self.can_reverse or self.unresolved:
                return
            await self._undo(found)

    async def _undo(self, found: Attempt) -> None:
        """One reversal, an attempt of its own; tried anew only when it is proven to have failed."""
        name, approval = found.intent.attempt, found.approval
        if approval is None:
            return
        last = await self._load(_undoing(name, found.undo_tries)) if found.undo_tries else None
        if last is None or last.state not in CHARGED:
            if found.undo_tries >= UNDO_TRIES or not approval.reference:
                return
            try:
                device = await self._reach()
            except HwError:
                return
            await self._keep(found := replace(found, undo_tries=found.undo_tries + 1))
            intent = PaymentIntent(
                attempt=_undoing(name, found.undo_tries),
                sale=found.intent.sale,
                amount_minor=max(1, approval.amount_minor),
                cashback_minor=approval.cashback_minor,
                currency=approval.currency,
                kind="reversal",
                of=name,
                of_reference=approval.reference,
                of_moment=approval.moment,
            )
            last = Attempt(intent=intent)
            await self._keep(last)
            await self._keep(last := last.moved("sent", device=device))
            await self._carried_out(last)
            last = await self._load(last.intent.attempt) or last
        if last.state in CHARGED:
            await self._keep(found.moved("reversed", by="the terminal"))

    def _undone_by_hand(self, found: Attempt) -> Outcome:
        name = found.intent.attempt
        if not self._by_hand(found):
            return Unknown(
                f"Attempt {name} was paid, and its reversal is not done yet.",
                "Karb tries again; do not give the money back by hand.",
            )
        return Refused(
            f"Attempt {name} was paid, and terminal {self.id} cannot reverse by itself.", GIVE_BACK
        )

    def _idle_task(self, found: Attempt) -> bool:
        """Whether it is to be given back, and the terminal is not about to have done so."""
        return found.task and _undoing(found.intent.attempt, found.undo_tries) not in (
            self.unresolved
        )

    def _by_hand(self, found: Attempt) -> bool:
        """Whether only a person can give it back: the terminal will not be asked to any more."""
        tries = self.can_reverse and found.approval is not None and found.approval.reference
        return self._idle_task(found) and not (tries and found.undo_tries < UNDO_TRIES)

    def _has_no(self, what: str) -> Refused:
        return Refused(f"Terminal {self.id}: its protocol has no {what}.", GIVE_BACK)

    # Notes.

    def _open_attempts(self) -> list[Attempt]:
        return [found for found in (self._waiting or {}).values() if found.open]

    async def _read(self) -> None:
        if self._waiting is not None:
            return
        memory = self._kept()
        waiting = {}
        for key in await memory.pending():
            if key.startswith(_PREFIX):
                waiting[key.removeprefix(_PREFIX)] = Attempt.of_note(await memory.load(key))
        self._waiting = waiting

    async def _load(self, attempt: str) -> Attempt | None:
        note = await self._kept().load(_PREFIX + attempt)
        return Attempt.of_note(note) if note else None

    async def _keep(self, found: Attempt) -> None:
        name, pending = found.intent.attempt, found.open or found.task
        await self._kept().save(_PREFIX + name, found.as_note(), pending=pending)
        if self._waiting is None:
            return
        if pending:
            self._waiting[name] = found
        else:
            self._waiting.pop(name, None)

    def _kept(self) -> Memory:
        if self._memory is None:
            raise DeviceMisconfigured(
                f"Device {self.id}: option state is missing; expected a file to note payments in.",
                cure="Name a file in Karb's data folder.",
            )
        return self._memory


def wire_id(attempt: str, letters: int, *, of: str = "abcdefghijklmnopqrstuvwxyz") -> str:
    """A short name of an attempt for the wire: the same at every call, letters only.

    Args:
        attempt: Its id.
        letters: How many; 10 letters tell some 10^14 attempts apart.
        of: The alphabet.
    """
    number = int.from_bytes(hashlib.blake2b(attempt.encode(), digest_size=24).digest())
    name = ""
    for _ in range(letters):
        number, place = divmod(number, len(of))
        name += of[place]
    return name


def _undoing(attempt: str, number: int) -> str:
    return f"{attempt}~{number}"
