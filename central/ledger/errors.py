"""What can go wrong with the ledger, told so that a person can act."""


class LedgerError(Exception):
    """Base of everything the ledger raises on purpose; nothing was stored."""


class LedgerUnavailable(LedgerError):
    """The database cannot be opened, written or read."""


class OutcomeUnknown(LedgerUnavailable):
    """The disk failed in such a way that only the next start can tell what was stored."""


class MaybePutBack(LedgerUnavailable):
    """The copy is in place, and the disk did not say that it keeps it: look, or do it again."""


class UnknownDatabase(LedgerError):
    """The database address is of a kind this version does not take."""


class Refused(LedgerError):
    """The order cannot be carried out; the message names the value and the cure."""


class NotFound(Refused):
    """What was named is not here."""


class Forgotten(LedgerError):
    """Whom it is about was forgotten: the key was destroyed."""
