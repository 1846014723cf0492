"""Is this text a change of the schema that a sandbox takes, and what is sent for it?

Tables and indexes are made, altered and dropped, under names of the source's own namespace, with constraints and
expressions from the lists that statements have too. Views, functions and the like are none of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from sqlglot import exp

from gatebook_hub.errors import ConstructRefused, KindRefused, UnknownRelation
from gatebook_hub.model import Engine, Schema, TableObligation
from gatebook_hub.sql import agreeing
from gatebook_hub.sql.analysis import Analysis, analyse
from gatebook_hub.sql.asking import bare
from gatebook_hub.sql.called import check_shadowed
from gatebook_hub.sql.checking import check_node
from gatebook_hub.sql.dialects import fold, fold_identifiers
from gatebook_hub.sql.functions import TABLE_FUNCTIONS
from gatebook_hub.sql.generating import check_calls, write
from gatebook_hub.sql.lifting import VALUES
from gatebook_hub.sql.parsing import StatementKind, parse_tree, statement_from
from gatebook_hub.sql.reading import rewrite

_WORDS = re.compile(r"(create|drop|alter)\b", re.IGNORECASE)
_RESERVED = re.compile(r"(gatebook|gb_|sqlite_|pg_|duckdb_|pragma_)", re.IGNORECASE)
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]{0,62}")
# A table of that name would stand before the function, in the gate's own statements too.
_TAKEN = frozenset({"DUAL"}).union(*TABLE_FUNCTIONS.values())
# What a definition is made of beside expressions, with what may be set on it; None for anything.
_NODES: dict[str, frozenset[str] | None] = {
    "Create": frozenset({"this", "kind", "exists", "expression", "unique"}),
    "Drop": frozenset({"this", "tables", "kind", "exists"}),
    "Alter": frozenset({"this", "kind", "actions", "exists"}),
    "Table": frozenset({"this", "db"}),
    "Schema": frozenset({"this", "expressions"}),
    "ColumnDef": frozenset({"this", "kind", "constraints", "exists"}),
    "ColumnConstraint": frozenset({"this", "kind"}),
    "NotNullColumnConstraint": frozenset({"allow_null"}),
    "PrimaryKeyColumnConstraint": frozenset({"this", "desc", "include"}),
    "UniqueColumnConstraint": frozenset({"this", "include"}),
    "DefaultColumnConstraint": frozenset({"this"}),
    "CheckColumnConstraint": frozenset({"this"}),
    "AutoIncrementColumnConstraint": frozenset(),
    "GeneratedAsIdentityColumnConstraint": frozenset({"this", "start", "increment"}),
    "Reference": frozenset({"this", "options"}),
    "ForeignKey": frozenset({"expressions", "reference"}),
    "PrimaryKey": frozenset({"expressions", "include"}),
    "AddConstraint": frozenset({"expressions"}),
    "Constraint": frozenset({"this", "expressions"}),
    "RenameColumn": frozenset({"this", "to"}),
    "Index": frozenset({"this", "table", "params"}),
    "IndexParameters": frozenset({"columns", "where"}),
}
# SQLite keeps the words of a column's type, and an affinity by them; the parser would write its own.
_DECLARED = {
    exp.DType.VARCHAR: "VARCHAR",
    exp.DType.NVARCHAR: "NVARCHAR",
    exp.DType.CHAR: "CHAR",
    exp.DType.NCHAR: "NCHAR",
    exp.DType.BIGINT: "BIGINT",
    exp.DType.SMALLINT: "SMALLINT",
    exp.DType.TINYINT: "TINYINT",
    exp.DType.DOUBLE: "DOUBLE",
    exp.DType.FLOAT: "FLOAT",
    exp.DType.DATE: "DATE",
    exp.DType.TIME: "TIME",
    exp.DType.DATETIME: "DATETIME",
    exp.DType.TIMESTAMP: "TIMESTAMP",
    exp.DType.BOOLEAN: "BOOLEAN",
    exp.DType.JSON: "JSON",
}
# The parser would write an identity for each of these, which is not the same.
_COUNTING = {
    exp.DType.SERIAL: "SERIAL",
    exp.DType.BIGSERIAL: "BIGSERIAL",
    exp.DType.SMALLSERIAL: "SMALLSERIAL",
}
_BEFORE_PARENTHESIS = frozenset({"KEY", "UNIQUE", "CHECK"})
_OPTIONS = re.compile(r"ON (DELETE|UPDATE) (CASCADE|RESTRICT|NO ACTION|SET NULL|SET DEFAULT)", re.IGNORECASE)


@dataclass(frozen=True, slots=True, kw_only=True)
class Definition:
    """A change of the schema: of which table, and the read that a new one is filled from, if there is one."""

    engine: Engine
    text: str
    table: str
    references: frozenset[str]
    is_drop: bool
    query: Analysis | None
    tree: exp.Expr

    @property
    def shape(self) -> str:
        """The text without the values in it."""
        tree = self.tree.copy()
        for literal in list(tree.find_all(*VALUES)):
            if not isinstance(literal.parent, exp.DataTypeParam):
                literal.replace(exp.Var(this="?"))
        return write(tree, self.engine)


def defines(text: str) -> bool:
    """Whether the text begins like a change of the schema."""
    return _WORDS.match(bare(text)) is not None


def parse_definition(text: str, schema: Schema) -> Definition:
    """Parse a change of the schema; raises what `parse` raises, KindRefused for another kind of it."""
    engine = schema.engine
    tree = parse_tree(text, engine)
    kind = str(tree.args.get("kind") or "").upper()
    if not isinstance(tree, exp.Create | exp.Drop | exp.Alter) or kind not in {"TABLE", "INDEX"}:
        raise KindRefused("a sandbox takes `create`, `alter` and `drop` of tables, and of indexes")
    query = tree.args.get("expression") if isinstance(tree, exp.Create) else None
    if query is not None and isinstance(tree.this, exp.Schema):
        raise ConstructRefused("a table is made of columns or of a query, not of both")
    _check(tree, query, engine, schema.functions)
    check_shadowed(tree, schema)
    if engine is Engine.POSTGRESQL:
        copied = tree.copy()
        fold_identifiers(copied, engine)
        _declare_as_typed(copied, engine)
        agreeing.check_reading(text, write(copied, engine), frozenset(), schema.functions, is_read=False)
    return Definition(
        engine=engine,
        text=text,
        table=_table_of(tree, schema),
        references=frozenset(
            _name(table, schema) for table in _tables(tree) if table.find_ancestor(exp.Reference) is not None
        ),
        is_drop=isinstance(tree, exp.Drop),
        query=None if query is None else _query(query, text, schema),
        tree=tree,
    )


def write_definition(
    definition: Definition, schema: Schema, obligations: Mapping[str, TableObligation], *, nonce: str
) -> str:
    """The text that is sent: every table in the source's namespace, the query as it is governed."""
    engine = definition.engine
    tree = definition.tree.copy()
    fold_identifiers(tree, engine)
    query = tree.args.get("expression") if isinstance(tree, exp.Create) else None
    if query is not None:
        tree.set("expression", None)
    for table in tree.find_all(exp.Table):
        _place(table, schema)
    _declare_as_typed(tree, engine)
    sql = write(tree, engine)
    check_calls(sql, engine, schema.functions | _BEFORE_PARENTHESIS)
    if engine in {Engine.POSTGRESQL, Engine.MARIADB}:
        sql = sql.replace("%", "%%")  # as in a plan: the driver takes one for the begin of a parameter
    if definition.query is None:
        return sql
    plan = rewrite(definition.query, obligations, schema, nonce=nonce)
    if plan.parameters:
        raise ConstructRefused("a table is made of what you see without masks and filters, and without parameters")
    return f"{sql} AS {plan.sql}"


def _check(tree: exp.Expr, query: exp.Expr | None, engine: Engine, functions: AbstractSet[str]) -> None:
    within = set(map(id, query.walk())) if query is not None else set()
    for node in tree.walk():
        name = type(node).__name__
        if id(node) in within:
            continue  # looked at as the read that it is
        _check_parts(node)
        allowed = _NODES.get(name)
        if allowed is None and _is_declared(node, engine):
            continue
        if allowed is None:
            check_node(node, engine, functions, is_top=False)
            continue
        for argument, value in node.args.items():
            if value and argument not in allowed:
                raise ConstructRefused(f"`{argument.strip('_')}` is not taken in a change of the schema")
        for option in node.args.get("options") or []:
            if not isinstance(option, str) or not _OPTIONS.fullmatch(option):
                raise ConstructRefused("a reference has no other options than `on delete` and `on update`")


def _is_declared(node: exp.Expr, engine: Engine) -> bool:
    """Whether it is a type that columns alone have: any of SQLite's, and PostgreSQL's numbers that count."""
    if not isinstance(node, exp.DataType) or not isinstance(node.parent, exp.ColumnDef):
        return False
    if engine is Engine.POSTGRESQL:
        return node.this in _COUNTING and not node.expressions
    if engine is not Engine.SQLITE or node.this not in _DECLARED:
        return False
    return all(isinstance(part, exp.DataTypeParam) and part.this.is_int for part in node.expressions)


def _declare_as_typed(tree: exp.Expr, engine: Engine) -> None:
    for column in tree.find_all(exp.ColumnDef):
        kind = column.args.get("kind")
        if kind is not None and _is_declared(kind, engine):
            digits = ", ".join(part.name for part in kind.expressions)
            spelled = {**_DECLARED, **_COUNTING}[kind.this] + (f"({digits})" if digits else "")
            column.set("kind", exp.DataType(this=exp.DType.USERDEFINED, kind=spelled))


def _check_parts(node: exp.Expr) -> None:
    match node:
        case exp.Identifier() if not _NAME.fullmatch(node.name):
            raise ConstructRefused("names are of letters, digits and `_`, at most 63 of them")
        case exp.DefaultColumnConstraint() if node.find(exp.Column):
            raise ConstructRefused("a default is a value, or made of values")
        case exp.Drop() if isinstance(node.parent, exp.Alter) and str(node.args.get("kind")).upper() != "COLUMN":
            raise KindRefused("columns are dropped alone; a constraint goes with its table")
        case exp.Index() if isinstance(node.this, exp.Identifier) and _RESERVED.match(node.name):
            raise ConstructRefused("names that begin with `gatebook`, `gb_` and those of the engine are not yours")
        case exp.Query():
            raise ConstructRefused("a default or a check holds no query")
        case _:
            pass


def _query(query: exp.Expr, text: str, schema: Schema) -> Analysis:
    statement = statement_from(
        query.copy(), kind=StatementKind.READ, text=text, engine=schema.engine, functions=schema.functions
    )
    return analyse(statement, schema)


def _table_of(tree: exp.Expr, schema: Schema) -> str:
    """The one table that is changed; an index belongs to one too."""
    found = [table for table in _tables(tree) if table.find_ancestor(exp.Reference) is None]
    if isinstance(tree, exp.Drop) and str(tree.args.get("kind")).upper() == "INDEX":
        raise KindRefused("an index goes with its table; drop that, or leave it")
    if len(found) != 1:
        raise KindRefused("one table is changed at a time")
    return _name(found[0], schema)


def _tables(tree: exp.Expr) -> Iterable[exp.Table]:
    query = tree.args.get("expression") if isinstance(tree, exp.Create) else None
    within = set(map(id, query.walk())) if query is not None else set()
    return [table for table in tree.find_all(exp.Table) if id(table) not in within]


def _name(table: exp.Table, schema: Schema) -> str:
    namespaces = {"main", schema.namespace, schema.source}
    if not isinstance(table.this, exp.Identifier) or (table.db and table.db.lower() not in namespaces):
        raise UnknownRelation(f"a table of `{schema.source}` has a name without a schema")
    name = fold(table.this, schema.engine)
    if any(known != name and known.lower() == name.lower() for known in schema.tables):
        raise UnknownRelation(f"there is a table whose name differs from `{name}` in capitals alone")
    if _RESERVED.match(name) or name.upper() in _TAKEN:
        raise UnknownRelation("names that begin with `gatebook`, `gb_` and those of the engine are not yours")
    return name


def _place(table: exp.Table, schema: Schema) -> None:
    """Write the namespace before the table, where the engine's grammar has a place for it."""
    name = _name(table, schema)
    if schema.engine is Engine.MARIADB:
        table.set("this", exp.to_identifier(name, quoted=True))  # what was decided about, in any case
    is_inside = table.find_ancestor(exp.Index, exp.Reference) is not None
    # The file's engines take no namespace there, and there is but one.
    has_place = not (is_inside and schema.engine in {Engine.SQLITE, Engine.DUCKDB})
    table.set("db", exp.to_identifier(schema.namespace, quoted=True) if has_place else None)
