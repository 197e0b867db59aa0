"""Why something at the counter cannot be done: the value, what was expected, the cure."""


class TillError(Exception):
    """Base. Nothing was stored, nothing in the basket changed."""

    def __init__(self, problem: str, cure: str, *, field: str = "") -> None:
        """Tell a person.

        Args:
            problem: The value, what was expected and what was got.
            cure: What to do about it.
            field: Where in the request, as ``/lines/0/sku``; empty: the whole of it.
        """
        super().__init__(f"{problem} {cure}")
        self.problem, self.cure, self.field = problem, cure, field


class BadSale(TillError):
    """The sale cannot be true."""


class UnknownArticle(BadSale):
    """No such article or code in the catalogue of this store."""


class NotCovered(BadSale):
    """The payments are not what the lines cost."""


class NoFiscalEvidence(BadSale):
    """A fiscal store records no sale without the number of its fiscal receipt."""


class BadBuyer(BadSale):
    """The NIP is mistyped."""


class BeyondRight(BadSale):
    """More than this node may sell of an article whose policy is strict."""


class NotNow(BadSale):
    """It may not be sold at this hour."""


class BadReturn(TillError):
    """The return cannot be true."""


class BadDeposit(TillError):
    """The take-back cannot be true."""


class BadCustomer(TillError):
    """The profile cannot be true."""


class Forgotten(TillError):
    """The customer's key was destroyed."""


class BadDocument(TillError):
    """The delivery cannot be true."""


class NotPossible(TillError):
    """The basket is not in a state for this."""


class NotFound(TillError):
    """No such line, sale or payment."""


class Conflict(TillError):
    """The id already stands for something else."""


class BadStaff(TillError):
    """Somebody who works here cannot be described so."""


class NotLetIn(TillError):
    """The PIN is wrong, or it is not time to try again."""
