"""What a driver has been ordered, and how far it came: noted before each next step.

    begun ──▶ closing ──▶ done
      │          ├──────▶ refused     nothing happened; the job may be tried anew
      └──────────┴──────▶ person      the device answered, and its answers prove nothing

`begun`: what follows can still be taken back. `closing`: the one step that cannot is about
to be sent. Both are unsettled: the device is asked before anything else is ordered.
"""

import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import asdict
from typing import Any, Literal, TypeAlias

from hw.errors import DeviceMisconfigured
from hw.memory import Memory, Note
from hw.outcome import Done, Evidence, Fiscalised, Outcome, Refused, Unknown

Stage: TypeAlias = Literal["begun", "closing", "done", "refused", "person"]

_PREFIX = "job "


class Jobs:
    """The jobs of one device."""

    def __init__(self, memory: Memory | None, device: str) -> None:
        self._memory = memory
        self._device = device
        self._unsettled: dict[str, None] | None = None

    async def load(self) -> None:
        """Read what is not settled. Harmless when repeated.

        Raises:
            DeviceMisconfigured: There is nowhere to note, or it cannot be read.
        """
        if self._unsettled is None:
            keys = await self._kept().pending()
            self._unsettled = dict.fromkeys(key.removeprefix(_PREFIX) for key in keys)

    async def note_of(self, job: str) -> Note:
        """What is noted of a job; empty when nothing is.

        Raises:
            DeviceMisconfigured: There is nowhere to note, or it cannot be read.
        """
        return await self._kept().load(_PREFIX + job)

    async def told(self, job: str, order: str | None = None) -> Outcome | None:
        """What may be answered without asking the device; None: it must be asked or tried.

        Args:
            job: Its id.
            order: Digest of what is ordered now; another than before is refused.

        Raises:
            DeviceMisconfigured: There is nowhere to note, or it cannot be read.
        """
        note = await self.note_of(job)
        if note and order is not None and note["order"] != order:
            return Refused(
                f"Job {job}: expected the same order as before, got another one.",
                "Give another sale another id.",
            )
        match note.get("stage"):
            case "done":
                proof, evidence = note["proof"], note.get("evidence")
                return Fiscalised(proof, Evidence(**evidence)) if evidence else Done(proof)
            case "person":
                return Unknown(note["problem"], note["cure"])
        return None

    def unsettled(self) -> list[str]:
        """Jobs the device must be asked about, in the order begun."""
        return list(self._unsettled or ())

    async def keep(self, job: str, stage: Stage, **facts: Any) -> None:
        """Note a step; facts noted earlier stay. On disk when it returns.

        Raises:
            DeviceUnavailable: It could not be written; then nothing may be sent.
        """
        before = {} if stage == "begun" else await self.note_of(job)
        pending = stage in {"begun", "closing"}
        await self._kept().save(_PREFIX + job, {**before, **facts, "stage": stage}, pending=pending)
        unsettled = self._unsettled if self._unsettled is not None else {}
        if pending:
            unsettled.setdefault(job)
        else:
            unsettled.pop(job, None)

    async def settle(self, job: str, outcome: Outcome) -> Outcome:
        """Note how it ended; `Unknown` here means that no machine can tell.

        Raises:
            DeviceUnavailable: It could not be written.
        """
        match outcome:
            case Fiscalised(proof=proof, evidence=evidence):
                await self.keep(job, "done", proof=proof, evidence=asdict(evidence))
            case Done(proof=proof):
                await self.keep(job, "done", proof=proof)
            case Refused(problem=problem, cure=cure):
                await self.keep(job, "refused", problem=problem, cure=cure)
            case Unknown(problem=problem, cure=cure):
                await self.keep(job, "person", problem=problem, cure=cure)
        return outcome

    async def earlier(
        self, job: str, resolve: Callable[[str], Awaitable[Outcome]]
    ) -> Outcome | None:
        """Have every job settled that broke; None when this one may be tried (again).

        Args:
            job: The one that is wanted now.
            resolve: Asks the device what became of one.

        Raises:
            DeviceMisconfigured: There is nowhere to note, or it cannot be read.
        """
        for broken in self.unsettled():
            outcome = await resolve(broken)
            if isinstance(outcome, Unknown):
                if broken == job:
                    return outcome
                if await self.told(broken) is None:
                    return Refused(
                        f"Device {self._device}: job {broken} is not settled yet: "
                        f"{outcome.problem}",
                        outcome.cure,
                    )
        return await self.told(job)

    async def asked(self, job: str, resolve: Callable[[str], Awaitable[Outcome]]) -> Outcome:
        """What became of a job, by its note if that says it.

        Args:
            job: Its id.
            resolve: Asks the device.

        Raises:
            DeviceMisconfigured: There is nowhere to note, or it cannot be read.
        """
        note = await self.note_of(job)
        if not note or note["stage"] == "refused":
            problem = note.get("problem", f"Job {job}: nothing is known of it.")
            return Refused(problem, note.get("cure", "Order it."))
        return await self.told(job) or await resolve(job)

    async def by_person(self, job: str, document: str | None, device: str, by: str) -> Outcome:
        """A person has said how it ended.

        Raises:
            DeviceUnavailable: It could not be written.
        """
        note = await self.note_of(job)
        if note.get("stage") not in {"begun", "closing", "person"}:
            return await self.told(job) or Refused(
                f"Job {job}: expected one that is unknown, got one that is not.",
                "Look its id up again.",
            )
        if document is None:
            return await self.settle(job, Refused(f"{by} found no receipt of it.", "Try again."))
        evidence = Evidence(device=note.get("device", device), document=document)
        if note["kind"] != "receipt":
            return await self.settle(job, Done(f"{by} saw it"))
        return await self.settle(job, Fiscalised(f"{by} saw it", evidence))

    async def own(self, key: str) -> Note:
        """A note of the driver's own; empty when there is none."""
        return await self._kept().load(key)

    async def keep_own(self, key: str, note: Mapping[str, Any]) -> None:
        """Keep a note of the driver's own.

        Raises:
            DeviceUnavailable: It could not be written.
        """
        await self._kept().save(key, note)

    def _kept(self) -> Memory:
        if self._memory is None:
            raise DeviceMisconfigured(
                f"Device {self._device}: option state is missing; expected a file to note in "
                "what was ordered, as the program keeps no notes for it.",
                cure="Name a file in Karb's data folder.",
            )
        return self._memory


def digest(order: object) -> str:
    """Tells one order from another."""
    return hashlib.blake2b(repr(order).encode(), digest_size=12).hexdigest()
