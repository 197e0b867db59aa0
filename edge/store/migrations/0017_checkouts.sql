-- Sales under way at a till: what was ordered of which device. Of this node alone, no fact.
CREATE TABLE checkouts (
    event BLOB PRIMARY KEY,
    till TEXT NOT NULL,
    -- Fiscal printer that is asked for it; empty: none.
    printer TEXT NOT NULL,
    -- The fiscal receipt as it is ordered, without whom it is made out to; empty: none.
    receipt BLOB NOT NULL,
    -- What names the receipt once it is printed (`sync.facts.sale.Fiscal`); empty: not yet.
    proof BLOB NOT NULL,
    -- Who cancelled it; empty: nobody.
    cancelled TEXT NOT NULL,
    -- 1: the till serves the next buyer meanwhile.
    aside INTEGER NOT NULL,
    -- What stands in the way, and what to do about it.
    problem TEXT NOT NULL,
    cure TEXT NOT NULL,
    -- Unix milliseconds.
    began_ms INTEGER NOT NULL,
    -- 1: nothing is left to do.
    over INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX checkouts_under_way ON checkouts (event) WHERE over = 0;
CREATE TABLE attempts (
    event BLOB NOT NULL,
    -- Index in the sale's payments.
    payment INTEGER NOT NULL,
    -- What its terminal calls it.
    attempt TEXT NOT NULL,
    -- The terminal it goes to.
    device TEXT NOT NULL,
    -- intended, unknown, approved, declined, moved, undo, by_hand, undone.
    state TEXT NOT NULL,
    reference TEXT NOT NULL,
    -- Who said so where no machine could; empty: the terminal.
    decided_by TEXT NOT NULL,
    problem TEXT NOT NULL,
    cure TEXT NOT NULL,
    PRIMARY KEY (event, payment)
) WITHOUT ROWID;
