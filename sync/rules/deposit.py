"""Packaging given back: what of its deposit pays for a sale, and what is paid out.

Deposits are outside VAT, given and taken back (art. 29a(12a) of the Polish VAT act), and no
receipt is needed to take them back. What the buyer brings first pays for what they buy; the rest
is money out of the drawer, which no fiscal receipt shows. Money is an int in grosz (`_minor`).

>>> settle(due_minor=399, back_minor=250)
Settled(applied_minor=250, paid_minor=0)
>>> settle(due_minor=399, back_minor=600)
Settled(applied_minor=399, paid_minor=201)
>>> settle(due_minor=0, back_minor=50)
Settled(applied_minor=0, paid_minor=50)
"""

from typing import NamedTuple

VOUCHER = "voucher"
"""Kind of the cells of machine vouchers: each is redeemed once (`sync.merge.rights.cell`)."""

METHOD = "deposit"
"""How a sale says that it was paid with packaging."""


class Settled(NamedTuple):
    """Where the deposit of what was brought back goes."""

    applied_minor: int
    """Pays for the sale."""

    paid_minor: int
    """Paid out."""


def settle(due_minor: int, back_minor: int) -> Settled:
    """Split what is brought back between the sale and the drawer.

    Args:
        due_minor: What the buyer owes, zero where nothing is bought.
        back_minor: Deposit of what they bring.
    """
    applied = min(max(due_minor, 0), back_minor)
    return Settled(applied, back_minor - applied)
