"""Which tables does the demo have? Chinook's eleven, and the two of its help desk: refunds and support tickets.

All names are lower case, so that they need no quotes on any engine.
"""

from __future__ import annotations

from typing import Any, Final

from sqlalchemy import (
    TIMESTAMP,
    CheckConstraint,
    Column,
    Date,
    ForeignKey,
    Identity,
    Integer,
    MetaData,
    Numeric,
    String,
    Table,
    Text,
    func,
)
from sqlalchemy.dialects import mysql, sqlite


class _SqliteTimestamp(sqlite.DATETIME):
    """SQLite keeps text; without the fraction it compares with what `datetime('now')` and people write."""

    __visit_name__ = "TIMESTAMP"

    def __init__(self) -> None:
        super().__init__(truncate_microseconds=True)  # type: ignore[no-untyped-call]


METADATA: Final = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)

# MariaDB's own TIMESTAMP ends in 2038, follows the session's zone and may update itself: there it is DATETIME.
_TIMESTAMP: Final = (
    TIMESTAMP().with_variant(_SqliteTimestamp(), "sqlite").with_variant(mysql.DATETIME(), "mariadb", "mysql")
)
_MONEY: Final = Numeric(10, 2)
# A binary collation, so that `=`, GROUP BY and ORDER BY on text answer alike on all three engines.
_OPTIONS: Final[dict[str, Any]] = {
    f"{dialect}_{option}": value
    for dialect in ("mariadb", "mysql")
    for option, value in (("engine", "InnoDB"), ("charset", "utf8mb4"), ("collate", "utf8mb4_bin"))
}


def _key(name: str) -> Column[int]:
    """A key that the engine counts on by itself, while the fixture's rows bring their own."""
    return Column(name, Integer, Identity(always=False), primary_key=True)


def _text(name: str, length: int, *, required: bool = False) -> Column[str]:
    return Column(name, String(length), nullable=not required)


def _points_at(name: str, target: str, *, required: bool = True, **options: Any) -> Column[int]:
    return Column(name, Integer, ForeignKey(target), nullable=not required, index=not options, **options)


def _address(prefix: str = "") -> list[Column[str]]:
    parts = (("address", 70), ("city", 40), ("state", 40), ("country", 40), ("postalcode", 10))
    return [_text(prefix + name, length) for name, length in parts]


def _reached_by() -> list[Column[str]]:
    return [_text("phone", 24), _text("fax", 24)]


def _table(name: str, *parts: Column[Any] | CheckConstraint) -> Table:
    return Table(name, METADATA, *parts, **_OPTIONS)


ARTIST: Final = _table("artist", _key("artistid"), _text("name", 120))
ALBUM: Final = _table(
    "album", _key("albumid"), _text("title", 160, required=True), _points_at("artistid", "artist.artistid")
)
EMPLOYEE: Final = _table(
    "employee",
    _key("employeeid"),
    _text("lastname", 20, required=True),
    _text("firstname", 20, required=True),
    _text("title", 30),
    _points_at("reportsto", "employee.employeeid", required=False),
    Column("birthdate", Date),
    Column("hiredate", Date),
    *_address(),
    *_reached_by(),
    _text("email", 60),
)
CUSTOMER: Final = _table(
    "customer",
    _key("customerid"),
    _text("firstname", 40, required=True),
    _text("lastname", 20, required=True),
    _text("company", 80),
    *_address(),
    *_reached_by(),
    _text("email", 60, required=True),
    _points_at("supportrepid", "employee.employeeid", required=False),
)
GENRE: Final = _table("genre", _key("genreid"), _text("name", 120))
MEDIATYPE: Final = _table("mediatype", _key("mediatypeid"), _text("name", 120))
TRACK: Final = _table(
    "track",
    _key("trackid"),
    _text("name", 200, required=True),
    _points_at("albumid", "album.albumid", required=False),
    _points_at("mediatypeid", "mediatype.mediatypeid"),
    _points_at("genreid", "genre.genreid", required=False),
    _text("composer", 220),
    Column("milliseconds", Integer, nullable=False),
    Column("bytes", Integer),
    Column("unitprice", _MONEY, nullable=False),
)
INVOICE: Final = _table(
    "invoice",
    _key("invoiceid"),
    _points_at("customerid", "customer.customerid"),
    Column("invoicedate", _TIMESTAMP, nullable=False),
    *_address("billing"),
    Column("total", _MONEY, nullable=False),
)
INVOICELINE: Final = _table(
    "invoiceline",
    _key("invoicelineid"),
    _points_at("invoiceid", "invoice.invoiceid"),
    _points_at("trackid", "track.trackid"),
    Column("unitprice", _MONEY, nullable=False),
    Column("quantity", Integer, nullable=False),
)
PLAYLIST: Final = _table("playlist", _key("playlistid"), _text("name", 120))
PLAYLISTTRACK: Final = _table(
    "playlisttrack",
    # The key itself is the index of its first column.
    _points_at("playlistid", "playlist.playlistid", primary_key=True, autoincrement=False),
    Column("trackid", Integer, ForeignKey("track.trackid"), primary_key=True, autoincrement=False, index=True),
)
REFUND: Final = _table(
    "refund",
    _key("refundid"),
    _points_at("invoiceid", "invoice.invoiceid"),
    Column("amount", _MONEY, nullable=False),
    _text("reason", 200, required=True),
    _text("createdby", 60, required=True),
    Column("createdat", _TIMESTAMP, nullable=False, server_default=func.current_timestamp()),
    CheckConstraint("amount > 0", name="amount"),
)
SUPPORT_TICKET: Final = _table(
    "support_ticket",
    _key("ticketid"),
    _points_at("customerid", "customer.customerid"),
    _text("subject", 200, required=True),
    Column("body", Text, nullable=False),
    Column("status", String(10), nullable=False, server_default="open"),
    Column("priority", String(10), nullable=False, server_default="normal"),
    Column("openedat", _TIMESTAMP, nullable=False, server_default=func.current_timestamp()),
    Column("closedat", _TIMESTAMP),
    _text("assignee", 60),
    CheckConstraint("status IN ('open', 'pending', 'closed')", name="status"),
    CheckConstraint("priority IN ('low', 'normal', 'high', 'urgent')", name="priority"),
)
