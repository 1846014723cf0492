"""How does a list leave the portal for programs? As JSON, or as CSV that no spreadsheet takes for formulas."""

from __future__ import annotations

import base64
import csv
import datetime as dt
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any
from uuid import UUID

from starlette.responses import JSONResponse, Response

# After these a spreadsheet takes a text for a formula (OWASP, CSV injection); the last ones are their wide forms.
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def json_download(document: Mapping[str, Any]) -> Response:
    """The same list as JSON."""
    return JSONResponse(dict(document))


def csv_download(name: str, columns: Sequence[str], rows: Iterable[Mapping[str, Any]]) -> Response:
    """A CSV file (RFC 4180) with a header; a column that a row does not have is empty."""
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\r\n")
    writer.writerow(columns)
    writer.writerows([csv_cell(row.get(column)) for column in columns] for row in rows)
    headers = {"Content-Disposition": f'attachment; filename="{name}.csv"'}
    # The mark has spreadsheets read UTF-8.
    return Response("\ufeff" + text.getvalue(), media_type="text/csv; charset=utf-8", headers=headers)


def csv_cell(value: Any) -> str:
    """A value as a CSV cell: numbers as they are, a text that would be a formula with an apostrophe before it."""
    match value:
        case None:
            return ""
        case bool():
            return "true" if value else "false"
        case int() | float():
            return str(value)
        case Decimal():
            return format(value, "f") if value.is_finite() else str(value)
        case dt.date() | dt.time():
            return value.isoformat()
        case dt.timedelta() | UUID():
            return str(value)
        case bytes():
            return base64.b64encode(value).decode()
        case str():
            text = value
        case _:
            text = json.dumps(value, ensure_ascii=False, sort_keys=True, default=str)
    return f"'{text}" if text.lstrip(" \u00a0\ufeff").startswith(_FORMULA) else text
