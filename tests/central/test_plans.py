"""What a batch costs does not grow with the journal: rows are sought by key, never walked.

SQLite has no statistics of our tables, and its guess that a store has ten rows once made
four sales taken in read all the sales of their store.
"""

import re
from contextlib import contextmanager

from sqlalchemy import event

from central.ledger import selling
from sync.facts.sale import Fiscal, PaymentSettled, SaleClosed, SaleFiscalised, Stage
from tests.central.machine import delivery, sale

GROWING = ("facts", "sales", "sale_marks", "deliveries", "duplicates", "person_keys")
"""Tables with a row a fact or so."""

SOUGHT = re.compile(r"AND (event|sale|seq|change|person|node)[=><]")
"""By more than the store."""


@contextmanager
def watched(engine):
    """Collect what an engine is asked, with values."""
    asked = []

    def note(_connection, _cursor, statement, values, _context, _many):
        asked.append((statement, values))

    event.listen(engine, "before_cursor_execute", note)
    try:
        yield asked
    finally:
        event.remove(engine, "before_cursor_execute", note)


def walks(connection, asked):
    """Name the statements that walk a growing table."""
    found = set()
    for statement, values in asked:
        if not statement.lstrip().startswith(("SELECT", "UPDATE", "DELETE")):
            continue
        for *_, step in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", values):
            verb, table = step.split()[:2]
            if table in GROWING and (verb != "SEARCH" or not SOUGHT.search(step)):
                found.add((step, statement))
    return found


def test_nothing_walks_a_growing_table(desk):
    one, two = sorted((desk.member(), desk.member()), key=lambda writer: writer.stream)
    stages = [
        sale(stage=Stage.TENDERED, method="card"),
        PaymentSettled(0, approved=True),
        SaleFiscalised(Fiscal("karb", "EAZ1", "7")),
        SaleClosed(1, 2),
    ]
    events = [n.to_bytes(16, "big") for n in range(300)]
    with watched(desk.ledger._database._writer) as written:
        for body in stages:  # a batch each: the sale is read back from the journal
            for number, event_id in enumerate(events[:9]):
                at = two.write(body, event_id).seq - number
            desk.take(two.batch(at))
        at = len(two.facts) + 1
        for event_id in events[9:]:
            two.write(sale(), event_id)
        two.write(delivery(("A", 1000)), events[0])
        desk.take(two.batch(at))
        for event_id in events[:20]:  # the lower stream wins: sales are taken back
            one.write(sale(), event_id)
        one.write(delivery(("A", 2000)), events[0])
        desk.take(one.batch())
        desk.take(one.batch())  # a repeat
    database = desk.ledger._database
    with watched(database._reader) as told, database.reading() as connection:
        page = selling.page(connection, "S1", 0, 1000, desk.ledger.own.incarnation)
        assert len(page.sales) == len(events)
    with database.reading() as connection:
        assert len(written) > len(stages)
        assert len(told) > 1
        assert walks(connection, written + told) == set()
