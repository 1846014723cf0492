"""What does each principal's policy world hold? Said a second time, in each engine's own SQL."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from tests.adversary.rules import COUNTRIES

from gatebook_hub.model import Engine

VIEWS = {
    "genre_sizes": "select genreid, count(*) as tracks from {p}track group by genreid",
    "customer_mails": "select customerid, email, phone, country from {p}customer",
}
_MASKS: Mapping[Engine, Mapping[str, str]] = {
    Engine.SQLITE: {
        "email": "substr({c},1,1) || '***' || substr({c}, instr({c}, '@'))",
        "last": "'***' || substr({c}, -3)",
        "first": "substr({c}, 1, 3) || '***'",
        "hash": "{c}",
        "year": "substr({c}, 1, 4) || '-01-01'",
        "tens": "{c} / 10000 * 10000",
        "ones": "floor({c})",
        "custom": "upper(substr({c}, 1, 4)) || '-' || length({c})",
    },
    Engine.POSTGRESQL: {
        "email": "substring({c} from 1 for 1) || '***' || substring({c} from position('@' in {c}))",
        "last": "'***' || right({c}, 3)",
        "first": "left({c}, 3) || '***'",
        "hash": "cast({c} as text)",
        "year": "make_date(cast(extract(year from {c}) as int), 1, 1)",
        "tens": "{c} / 10000 * 10000",
        "ones": "cast(floor({c}) as numeric(10, 2))",
        "custom": "upper(substr({c}, 1, 4)) || '-' || length({c})",
    },
    Engine.MARIADB: {
        "email": "concat(left({c},1), '***', substr({c}, locate('@', {c})))",
        "last": "concat('***', right({c}, 3))",
        "first": "concat(left({c}, 3), '***')",
        "hash": "cast({c} as char(64))",
        "year": "makedate(year({c}), 1)",
        "tens": "{c} div 10000 * 10000",
        "ones": "cast(floor({c}) as decimal(10, 2))",
        "custom": "concat(upper(substr({c}, 1, 4)), '-', length({c}))",
    },
    Engine.DUCKDB: {
        "email": "{c}[1] || '***' || {c}[position('@' in {c}):]",
        "last": "'***' || {c}[-3:]",
        "first": "{c}[:3] || '***'",
        "hash": "{c}",
        "year": "cast(year({c}) || '-01-01' as date)",
        "tens": "{c} // 10000 * 10000",
        "ones": "cast(floor({c}) as decimal(10, 2))",
        "custom": "upper({c}[:4]) || '-' || length({c})",
    },
}
_ANYWHERE = {"redact": "case when {c} is not null then '***' end", "null": "nullif({c}, {c})"}
_ADDRESS = ["address", "city", "state", "country", "postalcode"]
_REACHED = ["phone", "fax", "email"]
_CUSTOMER = ["customerid", "firstname", "lastname", "company", *_ADDRESS, "phone", "fax", "email", "supportrepid"]
_EMPLOYEE = ["employeeid", "lastname", "firstname", "title", "reportsto", "hiredate", *_ADDRESS, *_REACHED]
_SCOPE = f"customerid in (select r.customerid from {{raw}}customer r where r.country in {COUNTRIES})"
_AMERICAS = "('Brazil', 'USA', 'Canada')"
_ALWAYS = {
    "customer.postalcode": "hash",
    "employee.postalcode": "hash",
    "customer.address": "first",
    "employee.address": "redact",
    "employee.hiredate": "year",
    "track.bytes": "null",
    "track.milliseconds": "tens",
    "track.unitprice": "ones",
    "mediatype.name": "custom",
}
_EMAILS = {"customer.email": "email", "employee.email": "email"}
_PHONES = {f"{table}.{column}": "last" for table in ("customer", "employee") for column in ("phone", "fax")}


@dataclass(frozen=True, slots=True, kw_only=True)
class Sight:
    """Tables with the columns that show (None: all) and the rows; masks by `table.column`."""

    name: str
    tables: Mapping[str, tuple[Sequence[str] | None, str]]
    masks: Mapping[str, str]

    def select(self, engine: Engine, table: str, columns: Sequence[str], prefix: str) -> str:
        """The select that gives one table of the policy world; `columns` are those of the raw table."""
        listed, condition = self.tables[table]
        shown = [self._shown(engine, table, name) for name in listed or columns]
        return f"select {', '.join(shown)} from {prefix}{table} where {condition.format(raw=prefix)}"

    def hashed(self) -> list[tuple[str, str]]:
        """Tables and columns whose values are hashed once they are copied."""
        found = [name.split(".") for name, mask in self.masks.items() if mask == "hash"]
        return [(table, column) for table, column in found if self._holds(table, column)]

    def _holds(self, table: str, column: str) -> bool:
        listed, _ = self.tables.get(table, ([], ""))
        return listed is None or column in listed

    def _shown(self, engine: Engine, table: str, name: str) -> str:
        mask = self.masks.get(f"{table}.{name}")
        if mask is None:
            return name
        text = _ANYWHERE.get(mask) or _MASKS[engine][mask]
        return f"{text.format(c=name)} as {name}"


def keyed_hash(key: bytes, text: str) -> str:
    """What the mask `hash` shows (RFC 2104, 128 bits)."""
    return hmac.new(key, text.encode(), hashlib.sha256).hexdigest()[:32]


MALLORY = Sight(
    name="world",
    tables={
        "artist": (None, "1 = 1"),
        "album": (None, "1 = 1"),
        "genre": (None, "1 = 1"),
        "mediatype": (None, "1 = 1"),
        "track": (None, "composer is null or composer not like '%Hetfield%'"),
        "employee": (_EMPLOYEE, "1 = 1"),
        "customer": (_CUSTOMER, f"country in {COUNTRIES}"),
        "invoice": (None, f"{_SCOPE} and billingcountry <> 'Nowhere'"),
        "support_ticket": (None, _SCOPE),
        "refund": (["refundid", "invoiceid", "amount"], "1 = 1"),
        "genre_sizes": (None, "1 = 1"),
    },
    masks=_ALWAYS | _EMAILS | _PHONES,
)
DORA = Sight(
    name="dora",
    tables={
        "customer": (
            ["customerid", "lastname", "city", "country", "phone", "email", "supportrepid"],
            f"country in {_AMERICAS}",
        ),
        "support_ticket": (None, _SCOPE.replace(COUNTRIES, _AMERICAS)),
        "genre": (None, "1 = 1"),
        "employee": (_EMPLOYEE, "1 = 1"),
    },
    masks=_ALWAYS | _EMAILS,
)
LEA = Sight(
    name="lea",
    tables={
        "invoice": (None, "total < 4"),
        "customer": (None, "1 = 1"),
        "employee": (_EMPLOYEE, "1 = 1"),
        "support_ticket": (None, "1 = 1"),
        "genre": (None, "1 = 1"),
    },
    masks=_ALWAYS | _EMAILS | _PHONES,
)
