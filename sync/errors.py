"""What can go wrong between two nodes, and whose fault it is."""


class SyncError(Exception):
    """Base of everything `sync` raises on purpose."""


class RemoteProtocolError(SyncError):
    """The peer talked nonsense: drop the link, keep our data."""


class LocalProtocolError(SyncError):
    """We called the session out of turn: a bug of ours."""


class TooLarge(RemoteProtocolError):
    """A message, batch or its unpacked form is over its cap."""


class BrokenChain(RemoteProtocolError):
    """A batch does not continue the stream it says it continues."""


class BadSignature(RemoteProtocolError):
    """The head of a batch was not signed by the stream's node."""


class NotAllowed(RemoteProtocolError):
    """The peer asked for, or wrote into, a scope its certificate does not cover."""


class BadFact(SyncError):
    """A fact's body cannot be what its kind says: quarantined, never applied."""


class BadIdentity(SyncError):
    """A certificate is not ours, out of date, or says too little."""
