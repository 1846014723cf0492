"""Which types does DuckDB have, how are they written, and what arrives of them?"""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from typing import Any

from sqlalchemy import types
from sqlalchemy.dialects import postgresql
from sqlalchemy.dialects.postgresql.base import PGTypeCompiler

_SINGLE_BITS = 24


class Whole(types.Integer):
    """A whole number; what is wider than 64 bits, as each sum is, arrives as a decimal."""

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any] | None:
        """It becomes one of Python's."""
        return lambda value: int(value) if isinstance(value, Decimal) else value


class HUGEINT(Whole):
    """128 bits."""

    __visit_name__ = "HUGEINT"


class UHUGEINT(Whole):
    """128 bits, none below nought."""

    __visit_name__ = "UHUGEINT"


class TINYINT(Whole):
    """8 bits."""

    __visit_name__ = "TINYINT"


class UTINYINT(Whole):
    """8 bits, none below nought."""

    __visit_name__ = "UTINYINT"


class USMALLINT(Whole):
    """16 bits, none below nought."""

    __visit_name__ = "USMALLINT"


class UINTEGER(Whole):
    """32 bits, none below nought."""

    __visit_name__ = "UINTEGER"


class UBIGINT(Whole):
    """64 bits, none below nought."""

    __visit_name__ = "UBIGINT"


WHOLE = {kind.__name__: kind for kind in (HUGEINT, UHUGEINT, TINYINT, UTINYINT, USMALLINT, UINTEGER, UBIGINT)}


class INTERVAL(postgresql.INTERVAL):
    """A length of time; one with months has no length, and stays what arrived."""

    @classmethod
    def adapt_emulated_to_native(cls, *_: Any, **__: Any) -> INTERVAL:
        """There is one, whatever was asked for."""
        return cls()

    def result_processor(self, dialect: Any, coltype: object) -> Callable[[Any], Any] | None:
        """It arrives as months, days and nanoseconds."""
        return _length

    def literal_processor(self, dialect: Any) -> Callable[[Any], str]:
        """A text that is cast."""
        return lambda value: f"CAST('{value.days} days {value.seconds}.{value.microseconds:06} seconds' AS INTERVAL)"


def _length(value: Any) -> Any:
    if getattr(value, "months", None) != 0:
        return value
    return dt.timedelta(days=value.days, microseconds=value.nanoseconds // 1_000)


class TypeWords(PGTypeCompiler):
    """PostgreSQL's words, but for those that mean something else to DuckDB or nothing."""

    def visit_FLOAT(self, type_: Any, **kw: Any) -> str:
        """A `float` alone has half of the digits here."""
        return "REAL" if type_.precision and type_.precision <= _SINGLE_BITS else "DOUBLE"

    def visit_TIMESTAMP(self, type_: Any, **kw: Any) -> str:
        """With all six digits: another number of them is another type."""
        return "TIMESTAMP WITH TIME ZONE" if type_.timezone else "TIMESTAMP"

    def visit_TIME(self, type_: Any, **kw: Any) -> str:
        """As above."""
        return "TIME WITH TIME ZONE" if type_.timezone else "TIME"


def _always(word: str) -> Callable[..., str]:
    return lambda _self, _type, **_: word


for _name, _word in {
    "double": "DOUBLE",
    "DOUBLE_PRECISION": "DOUBLE",
    "INTERVAL": "INTERVAL",
    "BIT": "BIT",
    "large_binary": "BLOB",
    "BYTEA": "BLOB",
    "JSONB": "JSON",
    **{name: name for name in WHOLE},
}.items():
    setattr(TypeWords, f"visit_{_name}", _always(_word))
