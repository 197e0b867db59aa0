"""What can go wrong with the ledger, told so that a person can act."""


class LedgerError(Exception):
    """Base of everything the ledger raises on purpose; nothing was stored."""


class LedgerUnavailable(LedgerError):
    """The database cannot be opened, written or read."""


class UnknownDatabase(LedgerError):
    """The database address is of a kind this version does not take."""


class Refused(LedgerError):
    """The order cannot be carried out; the message names the value and the cure."""


class NotFound(Refused):
    """What was named is not here."""


class Forgotten(LedgerError):
    """Whom it is about was forgotten: the key was destroyed."""
