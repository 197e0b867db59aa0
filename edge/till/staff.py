"""Who stands at the till: a badge or a name identifies, a PIN proves.

A PIN is keyed with the person's key before Argon2id, and what comes out is sealed under that key:
both travel beside the streams, so every node of the store can check a PIN offline, and no stream
and no stick has anything to try PINs against. A try is counted on disk before it is compared.
"""

import asyncio
import hmac
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from edge.clock import Clock
from edge.store.staff import Failures, UserView
from edge.store.store import Store
from edge.store.unit import PersonKey, Unit
from edge.till.errors import BadStaff, NotLetIn, NotPossible
from sync.facts.person import seal
from sync.facts.staff import Credentials, Role, StaffActed, UserDescribed

_HASHER = PasswordHasher(time_cost=2, memory_cost=19 * 1024, parallelism=1)
"""The least that OWASP's cheat sheet on storing passwords takes (19 MiB, two passes)."""

FREE_TRIES = 4
"""Wrong PINs in a row that cost no waiting."""

FIRST_WAIT_MS, LONGEST_WAIT_MS = 30_000, 3_600_000

_PIN = b"karb.pin.1"


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody whose PIN was right."""

    user: str
    name: str
    role: Role


def wait_ms(failures: int) -> int:
    """How long nothing is tried after so many wrong PINs in a row: doubled each time."""
    over = failures - FREE_TRIES
    return 0 if over <= 0 else min(LONGEST_WAIT_MS, FIRST_WAIT_MS << min(over - 1, 20))


class Staff:
    """The staff of the store, and the checking of PINs: one at a time."""

    def __init__(self, store: Store, clock: Clock, fresh: Callable[[], str]) -> None:
        """Nothing is read yet; `fresh` makes a word never used before."""
        self._store, self._clock, self._fresh = store, clock, fresh
        self._checking = asyncio.Lock()

    async def users(self) -> list[UserView]:
        """Return everybody who works here now."""
        return [user for user in await self._store.users() if user.active]

    async def put(
        self,
        user: str,
        *,
        name: str,
        role: Role,
        pin: str | None,
        badge: str | None,
        active: bool,
        fresh: PersonKey,
    ) -> None:
        """Describe somebody who works here; a PIN or badge that is not given stays.

        Raises:
            BadStaff: There is no PIN yet, or the badge is somebody else's.
        """
        there = {one.user: one for one in await self._store.users()}
        known = there.get(user)
        if badge and any(
            one.credentials.badge == badge and one.user != user for one in there.values()
        ):
            raise BadStaff("Badge: expected nobody else's.", "Give another one.", field="/badge")
        if pin is None and known is None:
            raise BadStaff(f"User {user!r}: expected a PIN.", "Give one.", field="/pin")
        key = fresh.key if known is None else known.key
        person = fresh.person if known is None else known.sealed.person
        verifier = known.credentials.verifier if known else ""
        if pin is not None:
            verifier = await asyncio.to_thread(_HASHER.hash, _keyed(key, pin))
        kept_badge = known.credentials.badge if known else ""
        sealed = seal(
            Credentials(name, verifier, kept_badge if badge is None else badge),
            person,
            key,
            fresh.nonce,
        )

        def work(unit: Unit) -> None:
            now = unit.now
            unit.person_key(person, key)
            unit.append(
                UserDescribed(user, int(role), active, sealed, now.ms, int(now.trust)), person
            )
            unit.note_failure(user, Failures(0, 0))

        await self._store.write(work)

    async def prove(self, who: str, pin: str, till: str) -> Person:
        """Check a PIN.

        Args:
            who: A user, or what a badge says.
            pin: As typed.
            till: Where.

        Raises:
            NotLetIn: It is wrong, or it is not time to try again. Which of them nobody is told
                who does not know the user.
        """
        async with self._checking:
            found = next(
                (u for u in await self.users() if who in (u.user, u.credentials.badge)), None
            )
            name = found.user if found else "?"
            now_ms = self._clock.now().ms

            def counted(unit: Unit) -> Failures:
                before = unit.failures(name)
                if before.until_ms > now_ms:
                    return before
                failures = before.failures + 1
                after = Failures(failures, now_ms + wait_ms(failures))
                unit.note_failure(name, after)
                return before

            before = await self._store.write(counted)
            if before.until_ms > now_ms:
                left = -(-(before.until_ms - now_ms) // 1000)
                raise NotLetIn(
                    f"Too many wrong PINs: locked for {left} s.", "Wait, or ask a manager."
                )
            right = await asyncio.to_thread(_right, found, pin)
            if found is None or not right:
                if wait_ms(before.failures + 1) and found is not None:
                    await self.note(found.user, till, "locked")
                raise NotLetIn("User or PIN: not right.", "Try again.")
            await self._store.write(lambda unit: unit.note_failure(name, Failures(0, 0)))
            return Person(found.user, found.credentials.name, Role(min(found.role, max(Role))))

    async def approve(self, manager: str, pin: str, till: str, what: str, asked_by: str) -> Person:
        """Have a second person, a manager, let something through.

        Raises:
            NotLetIn: The PIN is wrong.
            NotPossible: It is no manager, or the one who asks.
        """
        person = await self.prove(manager, pin, till)
        if person.role is not Role.MANAGER or person.user == asked_by:
            raise NotPossible(
                f"User {person.user!r}: expected a manager, and another person than asks.",
                "Have one come to the till.",
            )
        await self.note(person.user, till, "approved", what=what, asked_by=asked_by)
        return person

    async def note(
        self, user: str, till: str, act: str, *, what: str = "", asked_by: str = ""
    ) -> None:
        """Put down what somebody did."""
        event = sha256(f"staff {self._fresh()}".encode()).digest()[:16]

        def work(unit: Unit) -> None:
            now = unit.now
            unit.append(StaffActed(user, till, act, now.ms, int(now.trust), what, asked_by), event)

        await self._store.write(work)


def _right(found: UserView | None, pin: str) -> bool:
    """Compare; nobody's PIN takes as long as somebody's."""
    if found is None:
        _HASHER.hash(_keyed(bytes(32), pin))
        return False
    try:
        return _HASHER.verify(found.credentials.verifier, _keyed(found.key, pin))
    except (VerificationError, InvalidHashError):
        return False


def _keyed(key: bytes, pin: str) -> bytes:
    return hmac.digest(hmac.digest(key, _PIN, sha256), pin.encode(), sha256)
