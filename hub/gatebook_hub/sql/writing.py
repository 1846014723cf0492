"""How does a write become two steps? A governed read yields keys and new values; the gate writes by key alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlglot import exp

from gatebook_hub.errors import UnknownColumn, UnknownRelation, WriteRefused
from gatebook_hub.model import Engine, Schema, Table, TableUse
from gatebook_hub.sql.analysis import Analysis, analyse
from gatebook_hub.sql.dialects import fold
from gatebook_hub.sql.functions import AGGREGATES
from gatebook_hub.sql.generating import bound, quote
from gatebook_hub.sql.parsing import Statement, StatementKind, statement_from

# One writer at a time has the whole database there.
_LOCKS_ALL = frozenset({Engine.SQLITE, Engine.DUCKDB})


@dataclass(frozen=True, slots=True, kw_only=True)
class WritePlan:
    """A write as the gate will do it.

    `read` yields, per row, the key (update, delete) followed by the new values of `columns` (update, insert).
    `value_reads` are the columns that the new values may be made from: none of them may be masked.
    """

    kind: StatementKind
    table: Table
    columns: tuple[str, ...]
    read: Analysis
    use: TableUse
    value_reads: Mapping[str, frozenset[str]]
    has_condition: bool


def plan_write(statement: Statement, schema: Schema) -> WritePlan:
    """Plan an insert, update or delete; raises WriteRefused, UnknownRelation, UnknownColumn."""
    tree = statement.tree
    match tree:
        case exp.Update():
            return _update(statement, tree, schema)
        case exp.Delete():
            return _delete(statement, tree, schema)
        case exp.Insert():
            return _insert(statement, tree, schema)
        case _:
            raise WriteRefused("this is not a write")


def _update(statement: Statement, tree: exp.Update, schema: Schema) -> WritePlan:
    table = _target(tree.this, schema, statement.engine)
    key = _key(table)
    columns, values = [], []
    for assignment in tree.expressions:
        if not isinstance(assignment, exp.EQ) or not isinstance(assignment.this, exp.Column):
            raise WriteRefused("write each assignment as `column = value`")
        columns.append(_column(assignment.this.this, table, statement.engine))
        values.append(assignment.expression)
    if set(columns) & set(key):
        raise WriteRefused(f"the key of `{table.name}` cannot be changed; delete the row and insert another")
    if len(set(columns)) != len(columns):
        raise WriteRefused("a column is set twice")
    if any(_spans_rows(node) for value in values for node in value.find_all(exp.Func, exp.Window)):
        raise WriteRefused("an update makes each row's values from that row; put the aggregate into a query of its own")
    read = _keyed_read(tree, key, values, schema, statement)
    alone = analyse(_as_read(_select(tree, values, has_condition=False), statement), schema)
    value_reads = _value_reads(alone, schema)
    return _plan(statement, table, columns, read, value_reads, has_condition=tree.args.get("where") is not None)


def _delete(statement: Statement, tree: exp.Delete, schema: Schema) -> WritePlan:
    table = _target(tree.this, schema, statement.engine)
    read = _keyed_read(tree, _key(table), [], schema, statement)
    return _plan(statement, table, [], read, {}, has_condition=tree.args.get("where") is not None)


def _insert(statement: Statement, tree: exp.Insert, schema: Schema) -> WritePlan:
    target = tree.this
    if not isinstance(target, exp.Schema):
        raise WriteRefused("name the columns: `insert into table (column, …) …`")
    table = _target(target.this, schema, statement.engine)
    _key(table)
    columns = [_column(identifier, table, statement.engine) for identifier in target.expressions]
    if len(set(columns)) != len(columns):
        raise WriteRefused("a column is named twice")
    source = tree.expression
    if isinstance(source, exp.Values):
        rows = [exp.select(*[value.copy() for value in row.expressions]) for row in source.expressions]
        query: exp.Expr = rows[0]
        for row in rows[1:]:
            query = exp.Union(this=query, expression=row, distinct=False)
    elif isinstance(source, exp.Query):
        query = source.copy()
        if tree.args.get("with_"):
            query.set("with_", tree.args["with_"].copy())
    else:
        raise WriteRefused("an insert takes `values (…)` or a select")
    read = analyse(_as_read(query, statement), schema)
    is_star = any(item.find(exp.Star) and not item.find(exp.Count) for item in getattr(query, "selects", []))
    if is_star or len(read.outputs) != len(columns):
        raise WriteRefused(f"{len(columns)} columns are named, so list {len(columns)} values, without `*`")
    return _plan(statement, table, columns, read, _value_reads(read, schema), has_condition=True)


def _plan(
    statement: Statement,
    table: Table,
    columns: list[str],
    read: Analysis,
    value_reads: Mapping[str, frozenset[str]],
    *,
    has_condition: bool,
) -> WritePlan:
    reads = _reads(read).get(table.name, frozenset())
    use = TableUse(table=table.name, access=statement.kind.access, reads=reads, writes=frozenset(columns))
    return WritePlan(
        kind=statement.kind,
        table=table,
        columns=tuple(columns),
        read=read,
        use=use,
        value_reads=value_reads,
        has_condition=has_condition,
    )


def _keyed_read(
    tree: exp.Expr, key: tuple[str, ...], values: list[exp.Expr], schema: Schema, statement: Statement
) -> Analysis:
    target = tree.this
    name = target.args["alias"].this if target.args.get("alias") else target.this
    keys = [exp.column(exp.to_identifier(part, quoted=True), table=name.copy()) for part in key]
    return analyse(_as_read(_select(tree, [*keys, *values]), statement), schema)


def _select(tree: exp.Expr, projections: Sequence[exp.Expr], *, has_condition: bool = True) -> exp.Select:
    named = [
        exp.Alias(this=item.copy(), alias=exp.to_identifier(f"gb_{index}", quoted=True))
        for index, item in enumerate(projections)
    ]
    select = exp.Select(expressions=named, from_=exp.From(this=tree.this.copy()))
    if has_condition and tree.args.get("where") is not None:
        select.set("where", tree.args["where"].copy())
    return select


def _as_read(tree: exp.Expr, statement: Statement) -> Statement:
    return statement_from(tree, kind=StatementKind.READ, text=statement.text, engine=statement.engine)


def _reads(analysis: Analysis) -> dict[str, frozenset[str]]:
    return {use.table: use.reads for use in analysis.uses}


def _value_reads(analysis: Analysis, schema: Schema) -> dict[str, frozenset[str]]:
    """The columns behind new values; a `*` may hand on every column of its table."""
    return {
        use.table: frozenset(column.name for column in schema.tables[use.table].columns) if use.is_whole else use.reads
        for use in analysis.uses
    }


def _spans_rows(node: exp.Expr) -> bool:
    """Whether an aggregate or a window looks at the updated table's other rows; SQLite's max(a, b) does not."""
    if isinstance(node, exp.Func):
        called = node.name.upper() if isinstance(node, exp.Anonymous) else node.sql_name()
        is_scalar = called in {"MAX", "MIN"} and len(node.expressions) > 1
        if called not in AGGREGATES or is_scalar:
            return False
    return node.find_ancestor(exp.Select) is None


def _target(node: exp.Expr, schema: Schema, engine: Engine) -> Table:
    if not isinstance(node, exp.Table):
        raise WriteRefused("one table is written at a time")
    name = fold(node.name, engine, is_quoted=bool(node.this.args.get("quoted")))
    table = schema.tables.get(name)
    if table is None or (node.db and node.db.lower() not in {schema.namespace, schema.source, "main"}):
        raise UnknownRelation(f"there is no table `{node.name}` in `{schema.source}` that you may see")
    return table


def _key(table: Table) -> tuple[str, ...]:
    if not table.key:
        raise WriteRefused(f"`{table.name}` has no primary key, so a change could not be bound to its rows")
    return table.key


def _column(identifier: exp.Expr, table: Table, engine: Engine) -> str:
    name = fold(identifier.name, engine, is_quoted=bool(identifier.args.get("quoted")))
    column = table.column(name)
    if column is None:
        raise UnknownColumn(f"`{table.name}` has no column `{identifier.name}` that you may see")
    if column.is_generated:
        raise WriteRefused(f"the database computes `{table.name}.{name}`; it cannot be written")
    return name


@dataclass(frozen=True, slots=True, kw_only=True)
class KeyedStatements:
    """The gate's own statements for one table: bound by key, values as parameters `v0…`, keys as `k0…`."""

    select: str
    select_locked: str
    insert: str
    update: str
    delete: str


def keyed_statements(table: Table, columns: Sequence[str], schema: Schema) -> KeyedStatements:
    """Compose the keyed statements that write `columns` of `table`."""
    engine = schema.engine
    name = f"{quote(schema.namespace or '', engine)}.{quote(table.name, engine)}"
    where = " AND ".join(f"{quote(part, engine)} = {bound(f'k{i}', engine)}" for i, part in enumerate(table.key))
    everything = ", ".join(quote(column.name, engine) for column in table.columns)
    pairs = [(quote(column, engine), bound(f"v{i}", engine)) for i, column in enumerate(columns)]
    select = f"SELECT {everything} FROM {name} WHERE {where}"  # noqa: S608 - quoted names and bound values only
    into = f"({', '.join(column for column, _ in pairs)}) VALUES ({', '.join(value for _, value in pairs)})"
    returning = f" RETURNING {', '.join(quote(part, engine) for part in table.key)}"
    return KeyedStatements(
        select=select,
        select_locked=select if engine in _LOCKS_ALL else f"{select} FOR UPDATE",
        insert=f"INSERT INTO {name} {into}{returning}",
        update=f"UPDATE {name} SET {', '.join(f'{column} = {value}' for column, value in pairs)} WHERE {where}",  # noqa: S608
        delete=f"DELETE FROM {name} WHERE {where}",  # noqa: S608 - as above
    )


def keyed_lookup(table: Table, schema: Schema) -> Statement:
    """The read that finds a row by its key, as parameters `k0…`; the gate's own, governed like any other."""
    keys = [exp.column(exp.to_identifier(part, quoted=True)) for part in table.key]
    conditions = [exp.EQ(this=key.copy(), expression=exp.Placeholder(this=f"k{i}")) for i, key in enumerate(keys)]
    tree = exp.select(*keys).from_(exp.Table(this=exp.to_identifier(table.name, quoted=True))).where(*conditions)
    return statement_from(tree, kind=StatementKind.READ, text="", engine=schema.engine)
