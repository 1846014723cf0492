"""What is a write made of? Steps: a governed read that yields keys and new values, and one kind of write by key.

A *skeleton* is a select without a select list: where the rows of a step come from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from gatebook_hub.errors import UnknownColumn, UnknownRelation, WriteRefused
from gatebook_hub.model import Engine, Schema, Table, TableUse
from gatebook_hub.sql.analysis import Analysis, analyse
from gatebook_hub.sql.dialects import fold
from gatebook_hub.sql.functions import AGGREGATES, UNREPEATABLE
from gatebook_hub.sql.parsing import Statement, StatementKind, statement_from

Assignments = Sequence[tuple[str, exp.Expr]]
# The key of a written row, under names that no parameter of a statement can have.
RETURNED_KEY = "gb_k"


@dataclass(frozen=True, slots=True, kw_only=True)
class WriteStep:
    """One kind of write to the plan's table.

    `read` yields, per row, the key (update, delete) followed by the new values of `columns` (update, insert).
    `value_reads` are the columns that the new values may be made from: none of them may be masked.
    """

    kind: StatementKind
    columns: tuple[str, ...]
    read: Analysis
    use: TableUse
    value_reads: Mapping[str, frozenset[str]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Returning:
    """The read that yields what a written row returns, its key bound as `gb_k0…`; None stands for `*`."""

    read: Analysis
    items: tuple[str | None, ...]

    def columns(self, table: Table, seen: Sequence[str]) -> tuple[str, ...]:
        """How the columns are called, for somebody who sees these columns of the table."""
        every = [
            column.declared or column.name
            for column in table.columns
            if column.name in seen and not column.is_invisible
        ]
        return tuple(name for item in self.items for name in (every if item is None else [item]))


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePlan:
    """A write as the gate will do it: first all reads, then the rows of each step by key."""

    kind: StatementKind
    table: Table
    steps: tuple[WriteStep, ...]
    has_condition: bool
    returning: Returning | None = None

    @property
    def reached(self) -> frozenset[str]:
        """The tables whose rows go, or change, with the rows that it deletes."""
        is_deleting = any(step.kind is StatementKind.DELETE for step in self.steps)
        return self.table.cascades if is_deleting else frozenset()


@dataclass(frozen=True, slots=True)
class Composer:
    """Makes the steps of one statement; without a key they serve to decide it, and are not carried out."""

    statement: Statement
    schema: Schema
    needs_key: bool = True

    @property
    def engine(self) -> Engine:
        """The engine of the source."""
        return self.statement.engine

    def target(self, node: exp.Expr) -> Table:
        """The table that is written, which must have a key."""
        if not isinstance(node, exp.Table) or isinstance(node.this, exp.Func):
            raise WriteRefused("one table is written at a time")
        schema = self.schema
        name = self._fold(node.this)
        is_here = not node.db or node.db.lower() in {schema.namespace, schema.source, "main"}
        if not (is_here and schema.knows(name)):
            raise UnknownRelation(f"there is no table `{node.name}` in `{schema.source}` that you may see")
        table = schema.tables[name]
        if not table.key and self.needs_key:
            raise WriteRefused(f"`{table.name}` has no primary key, so a change could not be bound to its rows")
        return table

    def column(self, identifier: exp.Expr, table: Table) -> str:
        """The name of a column that may be written."""
        column = table.column(self._fold(identifier))
        if column is None:
            raise UnknownColumn(f"`{table.name}` has no column `{identifier.name}` that you may see")
        if column.is_generated:
            raise WriteRefused(f"the database computes `{table.name}.{column.name}`; it cannot be written")
        return column.name

    def columns(self, identifiers: Sequence[exp.Expr], table: Table) -> tuple[str, ...]:
        """The columns of an insert."""
        found = tuple(self.column(identifier, table) for identifier in identifiers)
        if len(set(found)) != len(found):
            raise WriteRefused("a column is named twice")
        return found

    def assignments(self, pairs: Sequence[exp.Expr], table: Table, name: str) -> Assignments:
        """`column = value` of an update of the table that the statement calls `name`."""
        found: list[tuple[str, exp.Expr]] = []
        for pair in pairs:
            if not isinstance(pair, exp.EQ):
                raise WriteRefused("write each assignment as `column = value`")
            for place, value in _parts(pair):
                if not isinstance(place, exp.Column) or (place.table and place.table.lower() != name.lower()):
                    raise WriteRefused(f"write each assignment as `column = value`, with columns of `{name}` alone")
                found.append((self.column(place.this, table), value))
        columns = [column for column, _ in found]
        if set(columns) & set(table.key):
            raise WriteRefused(f"the key of `{table.name}` cannot be changed; delete the row and insert another")
        if len(set(columns)) != len(columns):
            raise WriteRefused("a column is set twice")
        if followed := sorted(table.followed & set(columns)):
            raise WriteRefused(f"rows of other tables change with `{table.name}.{followed[0]}`; nobody would see them")
        if self.engine is Engine.MARIADB and (name_read := _written_before(found)):
            raise WriteRefused(
                f"MariaDB reads `{name_read}` after it was set here; update it in a statement of its own"
            )
        if any(spans_rows(node) for _, value in found for node in value.find_all(exp.Func, exp.Window)):
            raise WriteRefused("an update makes each row's values from that row; put the aggregate into a query")
        return found

    def keyed(
        self, kind: StatementKind, table: Table, name: exp.Identifier, values: Assignments, skeleton: exp.Select
    ) -> WriteStep:
        """An update or delete of the rows that the skeleton yields of the table that it calls `name`."""
        keys = [exp.column(exp.to_identifier(part, quoted=True), table=name.copy()) for part in table.key]
        read = self._analyse(skeleton, [*keys, *(value for _, value in values)] or [exp.Literal.number(1)])
        return self._step(kind, table, tuple(column for column, _ in values), read, self._value_reads(skeleton, values))

    def added(self, table: Table, values: Assignments, skeleton: exp.Select) -> WriteStep:
        """An insert of the values, for each row that the skeleton yields."""
        read = self._analyse(skeleton, [value for _, value in values])
        reads = self._value_reads(skeleton, values)
        return self._step(StatementKind.INSERT, table, tuple(column for column, _ in values), read, reads)

    def inserted(self, table: Table, columns: tuple[str, ...], query: exp.Expr) -> WriteStep:
        """An insert of what a query yields."""
        read = self.analysed(query)
        if len(read.outputs) != len(columns):
            raise WriteRefused(f"{len(columns)} columns are named, so list {len(columns)} values, without `*`")
        return self._step(StatementKind.INSERT, table, columns, read, _columns_behind(read, self.schema))

    def _as_read(self, tree: exp.Expr) -> Statement:
        """A part of the statement as a read of its own."""
        old = self.statement
        return statement_from(tree, kind=StatementKind.READ, text=old.text, engine=old.engine, functions=old.functions)

    def analysed(self, query: exp.Expr) -> Analysis:
        """A query of the gate's own making, from parts of the statement."""
        return analyse(self._as_read(query), self.schema)

    def check_repeatable(self) -> None:
        """Refuse values that would be others at execution than in the preview; raises WriteRefused."""
        for node in self.statement.tree.find_all(exp.Anonymous):
            if node.name.upper() in UNREPEATABLE:
                raise WriteRefused(f"`{node.name.lower()}()` gives another value at execution than was approved")

    def _analyse(self, skeleton: exp.Select, projections: Sequence[exp.Expr]) -> Analysis:
        select = skeleton.copy()
        named = [
            exp.Alias(this=item.copy(), alias=exp.to_identifier(f"gb_{index}", quoted=True))
            for index, item in enumerate(projections)
        ]
        select.set("expressions", named)
        return self.analysed(select)

    def _value_reads(self, skeleton: exp.Select, values: Assignments) -> Mapping[str, frozenset[str]]:
        """The columns behind new values; conditions decide which rows are written, not what."""
        if not values:
            return {}
        bare = skeleton.copy()
        for clause in ("where", "order", "limit"):
            bare.set(clause, None)
        for join in bare.args.get("joins") or []:
            join.set("on", None)
            join.set("using", None)
        return _columns_behind(self._analyse(bare, [value for _, value in values]), self.schema)

    def _step(
        self,
        kind: StatementKind,
        table: Table,
        columns: tuple[str, ...],
        read: Analysis,
        value_reads: Mapping[str, frozenset[str]],
    ) -> WriteStep:
        reads = next((use.reads for use in read.uses if use.table == table.name), frozenset())
        use = TableUse(table=table.name, access=kind.access, reads=reads, writes=frozenset(columns))
        return WriteStep(kind=kind, columns=columns, read=read, use=use, value_reads=value_reads)

    def _fold(self, identifier: exp.Expr) -> str:
        return fold(identifier, self.engine)


def base_of(target: exp.Table) -> exp.Table:
    """The written table as a relation of a read: the base table, whatever a common table expression is called."""
    found = target.copy()
    found.set("db", exp.to_identifier("main"))
    return found


def called(table: exp.Expr) -> exp.Identifier:
    """The identifier by which a statement calls a relation."""
    if not isinstance(table, exp.Table | exp.Subquery):
        raise WriteRefused("one table is written at a time")
    alias = table.args.get("alias")
    found = alias.this if alias is not None and alias.this is not None else table.this
    if not isinstance(found, exp.Identifier):
        raise WriteRefused("one table is written at a time")
    return found


def _columns_behind(analysis: Analysis, schema: Schema) -> dict[str, frozenset[str]]:
    """What a read takes values from; a `*` may hand on every column of its table."""
    return {
        use.table: frozenset(column.name for column in schema.tables[use.table].columns) if use.is_whole else use.reads
        for use in analysis.uses
    }


def _parts(pair: exp.EQ) -> list[tuple[exp.Expr, exp.Expr]]:
    """`(a, b) = (1, 2)` part by part."""
    if not isinstance(pair.this, exp.Tuple):
        return [(pair.this, pair.expression)]
    if not isinstance(pair.expression, exp.Tuple) or len(pair.this.expressions) != len(pair.expression.expressions):
        raise WriteRefused("write each assignment as `column = value`")
    return list(zip(pair.this.expressions, pair.expression.expressions, strict=True))


def _written_before(found: Assignments) -> str | None:
    """A column that is set and then read: the value it had, says the standard, and MariaDB says the new one."""
    written: set[str] = set()
    for column, value in found:
        for node in value.find_all(exp.Column):
            if node.name.lower() in written:
                return node.name
        written.add(column)
    return None


def spans_rows(node: exp.Expr) -> bool:
    """Whether an aggregate or a window looks at the updated table's other rows; SQLite's max(a, b) does not."""
    if isinstance(node, exp.Func):
        name = node.name.upper() if isinstance(node, exp.Anonymous) else node.sql_name()
        is_scalar = name in {"MAX", "MIN"} and len(node.expressions) > 1
        if name not in AGGREGATES or is_scalar:
            return False
    return node.find_ancestor(exp.Select) is None
