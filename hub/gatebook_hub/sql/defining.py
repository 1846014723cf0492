"""Is this text a change of the schema that a sandbox takes, and what is sent for it?

Tables and indexes are made, altered and dropped, under names of the source's own namespace, with constraints and
expressions from the lists that statements have too. Views, functions and the like are none of it.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
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
from gatebook_hub.sql.sqlite_text import write_for_sqlite

_WORDS = re.compile(r"(create|drop|alter|comment)\b", re.IGNORECASE)
_RESERVED = re.compile(r"(gatebook|gb_|sqlite_|pg_|duckdb_|pragma_)", re.IGNORECASE)
_LONGEST_NAME = 63  # bytes, of PostgreSQL's
# A table of that name would stand before the function, in the gate's own statements too.
_TAKEN = frozenset({"DUAL"}).union(*TABLE_FUNCTIONS.values())
# What a definition is made of beside expressions, with what may be set on it; None for anything.
_NODES: dict[str, frozenset[str] | None] = {
    "Create": frozenset({"this", "kind", "exists", "expression", "unique", "properties"}),
    "Drop": frozenset({"this", "tables", "kind", "exists", "cluster"}),
    "OnProperty": frozenset({"this"}),
    "Comment": frozenset({"this", "kind", "expression"}),
    "Properties": frozenset({"expressions"}),
    "SchemaCommentProperty": frozenset({"this"}),
    "Alter": frozenset({"this", "kind", "actions", "exists", "options"}),
    "Table": frozenset({"this", "db"}),
    "Schema": frozenset({"this", "expressions"}),
    "ColumnDef": frozenset({"this", "kind", "constraints", "exists"}),
    "ColumnConstraint": frozenset({"this", "kind"}),
    "NotNullColumnConstraint": frozenset({"allow_null"}),
    "PrimaryKeyColumnConstraint": frozenset({"this", "desc", "include"}),
    "UniqueColumnConstraint": frozenset({"this", "include"}),
    "DefaultColumnConstraint": frozenset({"this"}),
    "CheckColumnConstraint": frozenset({"this"}),
    "ComputedColumnConstraint": frozenset({"this", "persisted"}),
    "CommentColumnConstraint": frozenset({"this"}),
    "AutoIncrementColumnConstraint": frozenset(),
    "GeneratedAsIdentityColumnConstraint": frozenset(
        {"this", "expression", "start", "increment", "minvalue", "maxvalue", "cycle"}
    ),
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
# No cast is to them.
_LISTED = frozenset({exp.DType.BOOLEAN, exp.DType.ENUM})
_BEFORE_PARENTHESIS = frozenset({"KEY", "UNIQUE", "CHECK", "IDENTITY", "DEFAULT", "ENUM"})
_KINDS = (exp.Create, exp.Drop, exp.Alter, exp.Comment)
# The parser wants a text there; an empty one is the same to the server.
_NO_COMMENT = re.compile(r"\A(\s*comment\s+on\s.*\sis)\s+null\s*;?\s*\Z", re.IGNORECASE | re.DOTALL)
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


def parse_definition(text: str, schema: Schema, table_of_index: Callable[[str], str | None]) -> Definition:
    """Parse a change of the schema; `table_of_index` knows the table of an index, for engines whose `drop` names none.

    Raises what `parse` raises, KindRefused for another kind of change.
    """
    engine = schema.engine
    text = _NO_COMMENT.sub(r"\1 ''", text)
    tree = parse_tree(text, engine)
    kind = str(tree.args.get("kind") or "").upper()
    if isinstance(tree, exp.Comment) and engine is not Engine.POSTGRESQL:
        raise KindRefused(f"{engine} knows no `comment on`")
    if not isinstance(tree, _KINDS) or kind not in {"TABLE", "INDEX", "COLUMN"}:
        raise KindRefused("a sandbox takes `create`, `alter` and `drop` of tables, and of indexes, and `comment on`")
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
        table=_table_of(tree, schema, table_of_index),
        references=frozenset(
            _name(table, schema) for table in _tables(tree) if table.find_ancestor(exp.Reference) is not None
        ),
        is_drop=isinstance(tree, exp.Drop) and kind == "TABLE",
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
    for table in _tables(tree):
        _place(table, schema)
    for index in _indexes(tree):
        index.set("db", None if engine is Engine.MARIADB else exp.to_identifier(schema.namespace, quoted=True))
    if isinstance(tree.this, exp.Column):
        tree.this.set("db", exp.to_identifier(schema.namespace, quoted=True))
    _declare_as_typed(tree, engine)
    sql = write_for_sqlite(tree, nonce) if engine is Engine.SQLITE else write(tree, engine)
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
        _check_by_engine(node, engine)
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
            if isinstance(option, exp.SchemaCommentProperty):
                continue
            if not isinstance(option, str) or not _OPTIONS.fullmatch(option):
                raise ConstructRefused("a reference has no other options than `on delete` and `on update`")


def _is_declared(node: exp.Expr, engine: Engine) -> bool:
    """Whether it is a type that columns alone have: SQLite's words, PostgreSQL's counters, MariaDB's lists."""
    if not isinstance(node, exp.DataType) or not isinstance(node.parent, exp.ColumnDef):
        return False
    if engine is Engine.POSTGRESQL:
        return node.this in _COUNTING and not node.expressions
    if engine is Engine.MARIADB:
        return node.this in _LISTED and all(isinstance(part, exp.Literal) for part in node.expressions)
    if engine is not Engine.SQLITE or node.this not in _DECLARED:
        return False
    return all(isinstance(part, exp.DataTypeParam) and part.this.is_int for part in node.expressions)


def _declare_as_typed(tree: exp.Expr, engine: Engine) -> None:
    if engine is Engine.MARIADB:
        return  # its words are the parser's own
    for column in tree.find_all(exp.ColumnDef):
        kind = column.args.get("kind")
        if kind is not None and _is_declared(kind, engine):
            digits = ", ".join(part.name for part in kind.expressions)
            spelled = {**_DECLARED, **_COUNTING}[kind.this] + (f"({digits})" if digits else "")
            column.set("kind", exp.DataType(this=exp.DType.USERDEFINED, kind=spelled))


def _check_parts(node: exp.Expr) -> None:
    match node:
        case exp.Identifier() if not _is_name(node.name, is_alone=not isinstance(node.parent, exp.Constraint)):
            raise ConstructRefused(f"a name has at most {_LONGEST_NAME} bytes, and no signs that nobody sees")
        case exp.Table() if "." in node.name or "*" in node.name:
            raise ConstructRefused("a table has no `.` and no `*` in its name: rules could not name it")
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


def _check_by_engine(node: exp.Expr, engine: Engine) -> None:
    if engine is Engine.MARIADB and isinstance(node, exp.Identifier) and "`" in node.name:
        raise ConstructRefused("on MariaDB a name has no backtick: its own description of a table spells it doubled")
    if engine is Engine.MARIADB and isinstance(node, exp.Drop) and any(x.name == "PRIMARY" for x in _indexes(node)):
        raise KindRefused("a primary key goes with its table")
    is_counter = isinstance(node, exp.GeneratedAsIdentityColumnConstraint) and not node.args.get("expression")
    if engine is not Engine.POSTGRESQL and is_counter:
        raise ConstructRefused("`generated … as identity` is PostgreSQL's")


def _is_name(name: str, *, is_alone: bool) -> bool:
    """Whether everybody reads the name as the engines do, which agree about capitals of ASCII alone.

    One that stands `is_alone` in rules and statements has no spaces around it.
    """
    is_seen = all(unicodedata.category(sign) not in {"Cc", "Cf", "Cs", "Co", "Cn", "Zl", "Zp"} for sign in name)
    is_folded = all(sign.isascii() or sign == sign.lower() for sign in name)
    is_told_apart = name == name.strip() or not is_alone
    return bool(name) and is_told_apart and len(name.encode()) <= _LONGEST_NAME and is_seen and is_folded


def _query(query: exp.Expr, text: str, schema: Schema) -> Analysis:
    statement = statement_from(
        query.copy(), kind=StatementKind.READ, text=text, engine=schema.engine, functions=schema.functions
    )
    return analyse(statement, schema)


def _table_of(tree: exp.Expr, schema: Schema, table_of_index: Callable[[str], str | None]) -> str:
    """The one table that is changed; an index belongs to one too."""
    found = [_name(table, schema) for table in _tables(tree) if table.find_ancestor(exp.Reference) is None]
    for index in _indexes(tree):
        if schema.engine is Engine.MARIADB:
            continue  # it names the table too
        if schema.engine is Engine.DUCKDB:
            raise KindRefused("an index goes with its table; drop that, or leave it")
        table = table_of_index(fold(index.this, schema.engine))
        if table is None:
            raise UnknownRelation(f"there is no index `{index.name}` in `{schema.source}` that you may see")
        found.append(table)
    if isinstance(tree, exp.Comment) and isinstance(tree.this, exp.Column):
        found.append(_name(_of_column(tree.this), schema))
    if len(found) != 1:
        raise KindRefused("one table is changed at a time")
    return found[0]


def _of_column(column: exp.Column) -> exp.Table:
    if column.args.get("catalog") is not None or column.args.get("table") is None:
        raise KindRefused("name the column as `table.column`")
    return exp.Table(this=column.args["table"].copy(), db=column.args.get("db"))


def _indexes(tree: exp.Expr) -> Sequence[exp.Table]:
    """The indexes that are dropped; the parser has them as tables."""
    is_index = isinstance(tree, exp.Drop) and str(tree.args.get("kind")).upper() == "INDEX"
    return list(tree.args.get("tables") or []) if is_index else []


def _tables(tree: exp.Expr) -> Iterable[exp.Table]:
    query = tree.args.get("expression") if isinstance(tree, exp.Create) else None
    within = set(map(id, query.walk())) if query is not None else set()
    within |= set(map(id, _indexes(tree)))
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
