"""What has the shop's help desk been doing? Twelve refunds and forty tickets, derived from the sales and nothing else.

Every choice is a matter of order and key, so the same rows always give the same desk.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any, Final

from gatebook_hub.demo.fixture import Rows
from gatebook_hub.demo.letters import ABOUT_REFUND, REASONS, TOPICS

Row = Mapping[str, Any]

_REFUNDS: Final = 12
_TICKETS: Final = 40
_UNSETTLED: Final = 10  # so many of the newest tickets are not closed
_UNASSIGNED: Final = 3  # so many of the newest have been taken by nobody


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """One invoice with what a letter about it would mention."""

    invoice: Row
    customer: Row
    line: Row
    agent: str
    words: Mapping[str, str]


def staff_desk(rows: Rows) -> Rows:
    """The same rows and those of `refund` and `support_ticket`."""
    purchases = _purchases(rows)
    refunds = [_refund(number, one) for number, one in enumerate(purchases[-5 * _REFUNDS :: 5], start=1)]
    refunded = {refund["invoiceid"]: refund for refund in refunds}
    told = purchases[-2 * _TICKETS :: 2]
    letters = [_letter(number, one, refunded.get(one.invoice["invoiceid"])) for number, one in enumerate(told, start=1)]
    letters.sort(key=lambda letter: letter["openedat"])
    tickets = [_ticket(number, letter) for number, letter in enumerate(letters, start=1)]
    return rows | {"refund": refunds, "support_ticket": tickets}


def _purchases(rows: Rows) -> list[Purchase]:
    """All invoices, oldest first, each with its first line."""
    by_key = {table: {row[f"{table}id"]: row for row in rows[table]} for table in ("customer", "employee", "track")}
    albums = {row["albumid"]: row for row in rows["album"]}
    artists = {row["artistid"]: row["name"] for row in rows["artist"]}
    lines = {row["invoiceid"]: row for row in reversed(rows["invoiceline"])}
    purchases = []
    for invoice in sorted(rows["invoice"], key=lambda row: (row["invoicedate"], row["invoiceid"])):
        customer, line = by_key["customer"][invoice["customerid"]], lines[invoice["invoiceid"]]
        track = by_key["track"][line["trackid"]]
        album = albums[track["albumid"]]
        words = {name: str(customer[name] or "-") for name in ("address", "country", "email", "phone")}
        words |= {name: customer[name].strip() for name in ("firstname", "lastname", "city")}
        words |= {"invoice": str(invoice["invoiceid"]), "total": f"${invoice['total']}"}
        words |= {"day": f"{invoice['invoicedate']:%d %B %Y}".lstrip("0")}
        words |= {"track": track["name"], "album": album["title"], "artist": artists[album["artistid"]]}
        # Staff sign with what stands before the @ of their address.
        agent = by_key["employee"][customer["supportrepid"]]["email"].partition("@")[0]
        purchases.append(Purchase(invoice=invoice, customer=customer, line=line, agent=agent, words=words))
    return purchases


def _after(moment: datetime, seed: int, *, days: int) -> datetime:
    """One to `days` days later, within office hours."""
    return moment + timedelta(days=1 + seed * 5 % days, hours=8 + seed % 9, minutes=seed * 7 % 60)


def _refund(number: int, purchase: Purchase) -> dict[str, Any]:
    reason = REASONS[number % len(REASONS)]
    amount: Decimal = purchase.invoice["total"] if reason.is_whole else purchase.line["unitprice"]
    return {
        "refundid": number,
        "invoiceid": purchase.invoice["invoiceid"],
        "amount": amount,
        "reason": reason.text.format(**purchase.words),
        "createdby": purchase.agent,
        "createdat": _after(purchase.invoice["invoicedate"], purchase.invoice["invoiceid"], days=4),
    }


def _letter(number: int, purchase: Purchase, refund: Row | None) -> dict[str, Any]:
    """What the customer wrote, and who answers them."""
    topic = ABOUT_REFUND if refund else TOPICS[number % len(TOPICS)]
    words = {**purchase.words, "amount": f"${refund['amount']}" if refund else ""}
    since = _midnight(refund["createdat"]) if refund else purchase.invoice["invoicedate"]
    return {
        "customerid": purchase.customer["customerid"],
        "subject": topic.subject.format(**words),
        "body": topic.body.format(**words),
        "priority": topic.priority,
        "openedat": _after(since, purchase.invoice["invoiceid"], days=4),
        "assignee": purchase.agent,
    }


def _ticket(number: int, letter: Row) -> dict[str, Any]:
    """What the desk has made of it."""
    newer = _TICKETS - number
    status = "closed" if newer >= _UNSETTLED else "pending" if newer % 3 == 2 else "open"
    closed = _after(_midnight(letter["openedat"]), 3 * number, days=6) if status == "closed" else None
    assignee = None if newer < _UNASSIGNED and status == "open" else letter["assignee"]
    return {"ticketid": number, **letter, "status": status, "closedat": closed, "assignee": assignee}


def _midnight(moment: datetime) -> datetime:
    return moment.replace(hour=0, minute=0)
