"""On which day does the demo live? On one that the whole shop shares, so that its newest invoices are days old."""

from __future__ import annotations

from datetime import date
from typing import Final

from gatebook_hub.demo.fixture import Rows

# The last day of the year in which the fixture's sales end.
_FIXTURE_TODAY: Final = date(2011, 12, 31)

# The fixture counts from 2007, the sample database itself from 2009; with this day every invoice has its known date.
TODAY: Final = date(2013, 12, 31)


def move_calendar(rows: Rows, today: date = TODAY) -> Rows:
    """The same rows with the sales moved by whole days to end just before `today`; people keep their dates."""
    by = today - _FIXTURE_TODAY
    invoices = [row | {"invoicedate": row["invoicedate"] + by} for row in rows["invoice"]]
    return rows | {"invoice": invoices}
