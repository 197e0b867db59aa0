"""Who may ask: bearer tokens, and the cookie that stands for one in a browser."""

import hmac
import time
from collections import OrderedDict
from dataclasses import dataclass, field

from aiohttp import web

from central.api import session
from central.api.refusals import Denied, TooMany
from central.ledger import tokens
from central.ledger.ledger import Ledger, wall_ms
from sync.contract import token

ADMIN = "admin"
"""The scope of this machine's own commands; no such token is ever handed out."""

SCOPES = ("read", "write", ADMIN)
_IMPLIED = {"read": {"read"}, "write": {"read", "write"}, ADMIN: {"read", "write", ADMIN}}


@dataclass(frozen=True, slots=True)
class Access:
    """Knows tokens by their digests."""

    ledger: Ledger
    admin: token.Token
    """What this run's commands show."""

    cookie_key: bytes = field(repr=False)

    async def demand(self, request: web.Request, scope: str) -> None:
        """Let a request pass that shows a token of a scope; a cookie does for reading.

        Raises:
            Denied: It does not.
        """
        header = request.headers.get("Authorization")
        if header is None and scope == "read" and await self.knows_browser(request):
            return
        try:
            shown = token.from_header(header, SCOPES)
        except token.BadToken as error:
            raise Denied(401, str(error)) from error
        granted = await self.scope_of(shown)
        if granted is None:
            raise Denied(401, "Token: not known here; make one with `karb-central token create`.")
        if scope not in _IMPLIED[granted]:
            raise Denied(
                403,
                f"Token of scope {granted!r}: expected {scope!r}; "
                f"make one with `karb-central token create --scope {scope}`.",
            )

    async def knows_browser(self, request: web.Request) -> bool:
        """Whether a request brings the cookie of a token that is still known."""
        cookie = request.cookies.get(session.NAME)
        digest = session.read(self.cookie_key, cookie, wall_ms()) if cookie else None
        return digest is not None and await self._known(digest) is not None

    async def scope_of(self, shown: token.Token) -> str | None:
        """Return the scope a token was made with; None: it is not known."""
        if shown.scope == ADMIN:
            return ADMIN if hmac.compare_digest(shown.digest, self.admin.digest) else None
        return await self._known(shown.digest)

    async def _known(self, digest: bytes) -> str | None:
        return await self.ledger.read(lambda connection: tokens.scope(connection, digest))


@dataclass(slots=True)
class Throttle:
    """Counts failures by address: a few a minute are people, more are not."""

    most: int
    per_s: float = 60.0
    _failures: "OrderedDict[str, list[float]]" = field(default_factory=OrderedDict)

    def check(self, address: str) -> None:
        """Let an attempt pass.

        Raises:
            TooMany: Too many of the address's have failed lately.
        """
        recent = self._recent(address)
        if len(recent) >= self.most:
            wait = int(recent[0] + self.per_s - time.monotonic()) + 1
            raise TooMany(
                f"Too many failed attempts from {address}; try again in {wait} seconds.", wait
            )

    def failed(self, address: str) -> None:
        """Count a failure."""
        self._failures[address] = [*self._recent(address), time.monotonic()][-self.most :]
        self._failures.move_to_end(address)
        while len(self._failures) > 10_000:
            self._failures.popitem(last=False)

    def _recent(self, address: str) -> list[float]:
        since = time.monotonic() - self.per_s
        return [at for at in self._failures.get(address, []) if at > since]
