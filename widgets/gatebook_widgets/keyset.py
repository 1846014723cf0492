"""Which statement gives the next rows of a table, wherever one is? One that begins after the last row that was seen.

No offset and no count: `where sort >= :a and (sort > :a or key > :k)`, which an index of the sort column begins at.
Ties are broken by the key. Engines disagree about where NULLs sort, so nothing is left to them: rows with a value come
first and those without follow, in either direction, and each of the two stretches is a statement of its own.
Names are quoted and come from the gateway's schema; every value is a parameter.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from gatebook_widgets.kinds import Kind

_BACKTICKS = frozenset({"mariadb", "mysql", "sqlite"})


class Comparison(StrEnum):
    """What a filter asks of a column."""

    CONTAINS = "contains"
    EQUALS = "equals"
    AT_LEAST = "at least"
    AT_MOST = "at most"
    IS_NULL = "is NULL"
    IS_SET = "is not NULL"

    @property
    def needs_value(self) -> bool:
        """Whether it compares with something."""
        return self not in {Comparison.IS_NULL, Comparison.IS_SET}


def comparisons_of(kind: Kind) -> tuple[Comparison, ...]:
    """What can be asked of a column of this kind."""
    missing = (Comparison.IS_NULL, Comparison.IS_SET)
    match kind:
        case Kind.TEXT:
            return (Comparison.CONTAINS, Comparison.EQUALS, Comparison.AT_LEAST, Comparison.AT_MOST, *missing)
        case Kind.TRUTH | Kind.ID:
            return (Comparison.EQUALS, *missing)
        case Kind.OTHER:
            return missing
        case _:
            return (Comparison.EQUALS, Comparison.AT_LEAST, Comparison.AT_MOST, *missing)


@dataclass(frozen=True, slots=True, kw_only=True)
class Filter:
    """One condition; `value` is a Python value of the column's kind."""

    column: str
    comparison: Comparison
    value: object = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows of a table, which columns, in which order. `has_nulls` says that the sort column may be NULL."""

    table: str
    columns: tuple[str, ...]
    key: tuple[str, ...]
    sort: str | None = None
    is_descending: bool = False
    has_nulls: bool = False
    filters: tuple[Filter, ...] = ()

    @property
    def order(self) -> tuple[str, ...]:
        """The sort column, then what is left of the key."""
        return tuple(dict.fromkeys((*((self.sort,) if self.sort else ()), *self.key)))

    @property
    def read(self) -> tuple[str, ...]:
        """The columns, and behind them those that the next page begins after."""
        return tuple(dict.fromkeys((*self.columns, *self.order)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Rows whose sort column has a value, or those without; from `after` on, if there is such a row."""

    is_null: bool = False
    after: Mapping[str, object] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """SQL and its parameters."""

    sql: str
    params: Mapping[str, object]


def stretches(wanted: Wanted, mark: Mapping[str, object] | None, *, is_forward: bool) -> tuple[Stretch, ...]:
    """What to read, one after the other until there are enough rows. Without a mark from the beginning, or the end."""
    if wanted.sort is None or not wanted.has_nulls:
        return (Stretch(after=mark),)
    is_null = mark is not None and mark[wanted.sort] is None
    here = Stretch(is_null=is_null, after=mark)
    if mark is None:
        values, nulls = Stretch(), Stretch(is_null=True)
        return (values, nulls) if is_forward else (nulls, values)
    if is_forward:
        return (here,) if is_null else (here, Stretch(is_null=True))
    return (here, Stretch()) if is_null else (here,)


def statement(wanted: Wanted, stretch: Stretch, engine: str, limit: int, *, is_forward: bool) -> Statement:
    """The rows of a stretch, nearest first: backwards they arrive in reverse."""
    return _Writing(engine).write(wanted, stretch, limit, is_forward=is_forward)


def everything(wanted: Wanted, engine: str) -> Statement:
    """All rows that are wanted, in the key's order."""
    return _Writing(engine).write_all(wanted)


def quoted(name: str, engine: str) -> str:
    """A name of the gateway's schema as the engine quotes it."""
    mark = '"' if engine not in _BACKTICKS else "`"
    return mark + name.replace(mark, mark * 2) + mark


class _Writing:
    """One statement while it is written: its parameters are numbered."""

    def __init__(self, engine: str) -> None:
        self._engine = engine
        self._params: dict[str, object] = {}

    def write(self, wanted: Wanted, stretch: Stretch, limit: int, *, is_forward: bool) -> Statement:
        order = tuple(name for name in wanted.order if not (stretch.is_null and name == wanted.sort))
        is_rising = is_forward is not wanted.is_descending
        conditions = [self._filter(one) for one in wanted.filters]
        if wanted.sort is not None and wanted.has_nulls:
            conditions.append(f"{self._name(wanted.sort)} is {'null' if stretch.is_null else 'not null'}")
        if stretch.after is not None:
            conditions.append(self._beyond(order, stretch.after, ">" if is_rising else "<"))
        where = f" where {' and '.join(conditions)}" if conditions else ""
        way = "" if is_rising else " desc"
        columns = ", ".join(map(self._name, wanted.read))
        by = ", ".join(self._name(name) + way for name in order)
        # Names of the schema, quoted, and numbered parameters: nothing else is in the text.
        sql = f"select {columns} from {self._name(wanted.table)}{where} order by {by} limit {limit:d}"  # noqa: S608
        return Statement(sql=sql, params=self._params)

    def write_all(self, wanted: Wanted) -> Statement:
        conditions = [self._filter(one) for one in wanted.filters]
        where = f" where {' and '.join(conditions)}" if conditions else ""
        columns, by = (", ".join(map(self._name, names)) for names in (wanted.columns, wanted.key))
        sql = f"select {columns} from {self._name(wanted.table)}{where} order by {by}"  # noqa: S608 - as above
        return Statement(sql=sql, params=self._params)

    def _beyond(self, order: tuple[str, ...], mark: Mapping[str, object], sign: str) -> str:
        """Rows behind the mark: the first column alone can begin an index, the rest breaks ties."""
        first, rest = order[0], order[1:]
        column, value = self._name(first), self._value(mark[first])
        if not rest:
            return f"{column} {sign} {value}"
        return f"({column} {sign}= {value} and ({column} {sign} {value} or {self._beyond(rest, mark, sign)}))"

    def _filter(self, one: Filter) -> str:
        column = self._name(one.column)
        match one.comparison:
            case Comparison.CONTAINS:
                text = plain_for_like(str(one.value))
                return f"lower({column}) like lower({self._value(f'%{text}%')}) escape '!'"
            case Comparison.EQUALS:
                return f"{column} = {self._value(one.value)}"
            case Comparison.AT_LEAST:
                return f"{column} >= {self._value(one.value)}"
            case Comparison.AT_MOST:
                return f"{column} <= {self._value(one.value)}"
            case Comparison.IS_NULL:
                return f"{column} is null"
            case Comparison.IS_SET:
                return f"{column} is not null"

    def _value(self, value: object) -> str:
        name = f"p{len(self._params)}"
        if isinstance(value, float) and not math.isfinite(value):
            # JSON has no word for these; engines know them as text.
            self._params[name] = "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
            return f"cast(:{name} as double precision)"
        self._params[name] = value
        return f":{name}"

    def _name(self, name: str) -> str:
        return quoted(name, self._engine)


def plain_for_like(text: str) -> str:
    """Text whose `%` and `_` mean themselves in a `like … escape '!'`."""
    return text.replace("!", "!!").replace("%", "!%").replace("_", "!_")
