"""What a buyer gets back of a line, whole or part by part, to the grosz.

A line's price after discounts belongs to its quantity evenly. What is given back for a part is
what the part still there is worth before, less what it is worth after: however a line is cut
up, its parts add up to what was paid, and each discount comes off where it was given. Only who
knows how much is left may say so, which is what the right to refund is for (`sync.merge.rights`).

Money is an int in grosz (`_minor`), quantity an int in thousandths (`_milli`).

>>> [refund_minor(1000, 3000, left, 1000) for left in (3000, 2000, 1000)]
[333, 334, 333]
"""

from sync.errors import SyncError
from sync.rules.money import divide_half_away

KIND = "refund"
"""Of the cells of the right to refund: one a line of a sale (`sync.merge.rights.cell`)."""


class CannotRefund(SyncError):
    """More is given back than is left of the line."""


def key(sale: bytes, line: int) -> str:
    """Name a line of a sale among the cells of `KIND`.

    Args:
        sale: Its event, 16 bytes.
        line: Index in the sale, from 0.
    """
    return f"{sale.hex()}.{line}"


def refund_minor(total_minor: int, whole_milli: int, left_milli: int, back_milli: int) -> int:
    """Return what is given back for a part of a line.

    Args:
        total_minor: What the whole line cost, after discounts; of goods or of deposits.
        whole_milli: Its whole quantity, above zero.
        left_milli: What of it has not been given back before.
        back_milli: What is given back now.

    Raises:
        CannotRefund: Nothing, or more than is left.
    """
    if not 0 < back_milli <= left_milli <= whole_milli:
        raise CannotRefund(
            f"{back_milli} thousandths: expected 1 to {max(0, min(left_milli, whole_milli))}, "
            "which have not been given back before."
        )
    before = divide_half_away(total_minor * left_milli, whole_milli)
    return before - divide_half_away(total_minor * (left_milli - back_milli), whole_milli)
