"""What a driver has been ordered, and how far it came: noted before each next step.

    begun ──▶ closing ──▶ done
      │          ├──────▶ refused     nothing happened; the job may be tried anew
      └──────────┴──────▶ person      the device answered, and its answers prove nothing

`begun`: what follows can still be taken back. `closing`: the one step that cannot is about
to be sent. Both are unsettled: the device is asked before anything else is ordered.
"""

import hashlib
from collections.abc import Mapping
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
        self._notes: dict[str, Note] | None = None

    async def load(self) -> None:
        """Read what was noted. Harmless when repeated.

        Raises:
            DeviceMisconfigured: There is nowhere to note, or it cannot be read.
        """
        if self._memory is None:
            raise DeviceMisconfigured(
                f"Device {self._device}: option state is missing; expected a file to note in "
                "what was ordered.",
                cure="Name a file in Karb's data folder.",
            )
        if self._notes is None:
            self._notes = await self._memory.load()

    def note_of(self, job: str) -> Note:
        """What is noted of a job; empty when nothing is."""
        return (self._notes or {}).get(_PREFIX + job, {})

    def told(self, job: str, order: str | None = None) -> Outcome | None:
        """What may be answered without asking the device; None: it must be asked or tried.

        Args:
            job: Its id.
            order: Digest of what is ordered now; another than before is refused.
        """
        note = self.note_of(job)
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
        return [
            key.removeprefix(_PREFIX)
            for key, note in (self._notes or {}).items()
            if key.startswith(_PREFIX) and note["stage"] in {"begun", "closing"}
        ]

    async def keep(self, job: str, stage: Stage, **facts: Any) -> None:
        """Note a step; facts noted earlier stay. On disk when it returns.

        Raises:
            DeviceUnavailable: It could not be written; then nothing may be sent.
        """
        before = {} if stage == "begun" else self.note_of(job)
        await self._save(_PREFIX + job, {**before, **facts, "stage": stage})

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

    async def by_person(self, job: str, document: str | None, device: str, by: str) -> Outcome:
        """A person has said how it ended.

        Raises:
            DeviceUnavailable: It could not be written.
        """
        note = self.note_of(job)
        if note.get("stage") not in {"begun", "closing", "person"}:
            return self.told(job) or Refused(
                f"Job {job}: expected one that is unknown, got one that is not.",
                "Look its id up again.",
            )
        if document is None:
            return await self.settle(job, Refused(f"{by} found no receipt of it.", "Try again."))
        evidence = Evidence(device=note.get("device", device), document=document)
        if note["kind"] != "receipt":
            return await self.settle(job, Done(f"{by} saw it"))
        return await self.settle(job, Fiscalised(f"{by} saw it", evidence))

    def own(self, key: str) -> Note:
        """A note of the driver's own."""
        return (self._notes or {}).get(key, {})

    async def keep_own(self, key: str, note: Mapping[str, Any]) -> None:
        """Keep a note of the driver's own.

        Raises:
            DeviceUnavailable: It could not be written.
        """
        await self._save(key, note)

    async def _save(self, key: str, note: Note) -> None:
        assert self._memory is not None and self._notes is not None, "load() comes first"  # noqa: PT018, S101
        await self._memory.save(key, note)
        self._notes[key] = note


def digest(order: object) -> str:
    """Tells one order from another."""
    return hashlib.blake2b(repr(order).encode(), digest_size=12).hexdigest()
