"""How is a read rewritten? Every base table becomes a subquery that holds only what the principal may see."""

from __future__ import annotations

from collections.abc import Mapping

from sqlglot import exp

from gatebook_hub.errors import PolicyInvalid, StatementRefused, UnknownRelation
from gatebook_hub.model import Engine, RowFilter, Schema, Table, TableObligation
from gatebook_hub.sql.analysis import BASE, CTE_INDEX, Analysis
from gatebook_hub.sql.dialects import fold, fold_identifiers
from gatebook_hub.sql.functions import TABLE_FUNCTION_COLUMNS
from gatebook_hub.sql.generating import Plan, cte_name, generate
from gatebook_hub.sql.labels import label_projections
from gatebook_hub.sql.masks import MASK_FUNCTIONS, masked
from gatebook_hub.sql.parsing import parse_condition

PRINCIPAL_PARAMETER = "gb_principal"
_LONG_PATTERN = 1_000

# What cannot raise an error on any value, so that a planner may evaluate it before a row filter without telling.
# LIKE and queries used as values are looked at more closely by `_can_raise`.
_CANNOT_RAISE = (
    exp.Select | exp.From | exp.Join | exp.Where | exp.Group | exp.Having | exp.Order | exp.Ordered | exp.Limit
    | exp.Offset | exp.With | exp.CTE | exp.TableAlias | exp.Table | exp.Subquery | exp.SetOperation | exp.Distinct
    | exp.Alias | exp.Column | exp.Identifier | exp.Star | exp.Literal | exp.Null | exp.Boolean | exp.Placeholder
    | exp.Paren | exp.Tuple | exp.EQ | exp.NEQ | exp.GT | exp.GTE | exp.LT | exp.LTE | exp.Is | exp.In | exp.Between
    | exp.Like | exp.Not | exp.And | exp.Or | exp.Count | exp.Coalesce | exp.Exists
)  # fmt: skip
_CALLS_THAT_CANNOT_RAISE = frozenset({"MIN", "MAX", "ROW_NUMBER", "RANK", "DENSE_RANK"})


def rewrite(analysis: Analysis, obligations: Mapping[str, TableObligation], schema: Schema, *, nonce: str) -> Plan:
    """Turn an analysed read and its obligations into a plan; `nonce` is a fresh random word.

    Raises UnknownRelation when a table has no obligation, ConstructRefused when the text cannot be written safely.
    """
    tree = analysis.tree.copy()
    engine = schema.engine
    fold_identifiers(tree, engine)
    label_projections(tree, analysis.statement)
    is_fenced = any(_can_raise(node) for node in tree.walk())
    reads: dict[str, frozenset[str]] = {}
    for cte in list(tree.find_all(exp.CTE)):
        name = cte_name(cte.meta[CTE_INDEX], nonce)
        cte.args["alias"].set("this", exp.to_identifier(name, quoted=True))
        # SQLite's authorizer speaks of a counted one as of a table, without a column.
        reads[name] = frozenset()
    for node in list(tree.find_all(exp.Table)):
        if isinstance(node.this, exp.Func):
            # SQLite's authorizer speaks of it as of a table.
            reads[node.this.name.lower()] = TABLE_FUNCTION_COLUMNS
            continue
        if CTE_INDEX in node.meta:
            _rename(node, cte_name(node.meta[CTE_INDEX], nonce))
            continue
        obligation = obligations.get(node.meta.get(BASE, ""))
        if obligation is None:
            raise UnknownRelation(f"there is no table `{node.name}` in `{schema.source}` that you may see")
        world = _Governed(obligation, schema, nonce)
        node.replace(world.subquery(node, is_fenced=is_fenced))
        for table, columns in world.reads.items():
            reads[table] = reads.get(table, frozenset()) | columns
    functions = MASK_FUNCTIONS[engine] | analysis.statement.functions
    return generate(tree, engine=engine, namespace=schema.namespace, reads=reads, nonce=nonce, functions=functions)


def _can_raise(node: exp.Expr) -> bool:
    """Whether evaluating the node can end in an error that depends on the rows it meets."""
    match node:
        case exp.Like():
            # A pattern that ends in a backslash raises on PostgreSQL, once the text matched up to there.
            pattern = node.expression
            is_plain = isinstance(pattern, exp.Literal) and "\\" not in pattern.name
            return not is_plain or len(pattern.name) > _LONG_PATTERN
        case exp.Subquery():
            # As a value, a query of two rows raises.
            is_relation = isinstance(node.parent, exp.From | exp.Join | exp.In | exp.Exists | exp.Query | exp.CTE)
            return not is_relation and node.parent is not None
        case exp.Anonymous():
            return node.name.upper() not in _CALLS_THAT_CANNOT_RAISE
        case _:
            return not isinstance(node, _CANNOT_RAISE)


def check_condition(text: str, table: Table, schema: Schema) -> None:
    """Raise PolicyInvalid unless the text is a condition on that table that can be rewritten."""
    obligation = TableObligation(
        table=table.name,
        columns=tuple(column.name for column in table.columns),
        row_filters=(RowFilter(condition=text, rules=("check",)),),
    )
    try:
        _Governed(obligation, schema, "check").conditions()
    except StatementRefused as error:
        raise PolicyInvalid(f"the condition `{text}` on `{table.name}`: {error}") from error


def _rename(node: exp.Table, name: str) -> None:
    if not node.args.get("alias"):
        node.set("alias", exp.TableAlias(this=node.this.copy()))
    node.set("this", exp.to_identifier(name, quoted=True))


class _Governed:
    """One base table as the principal may see it."""

    def __init__(self, obligation: TableObligation, schema: Schema, nonce: str) -> None:
        self.obligation = obligation
        self.schema = schema
        self.engine = schema.engine
        self.table = schema.tables[obligation.table]
        self.alias = f"gb_{nonce}_t"
        self.reads: dict[str, frozenset[str]] = {self.table.name: frozenset(obligation.columns)}

    def subquery(self, node: exp.Table, *, is_fenced: bool) -> exp.Subquery:
        """The subquery in place of `node`, under the name that the statement knows it by."""
        projections = [self._projection(name) for name in self.obligation.columns]
        source = self._base(self.table.name, self.alias)
        select = exp.Select(expressions=projections, from_=exp.From(this=source))
        conditions = self.conditions()
        if conditions:
            select.set("where", exp.Where(this=exp.and_(*conditions)))
            if is_fenced:
                self._fence(select)
        written = node.args.get("alias")
        name = written.this if written is not None and written.this is not None else node.this
        return exp.Subquery(this=select, alias=exp.TableAlias(this=name.copy()), joins=node.args.get("joins"))

    def conditions(self) -> list[exp.Expr]:
        """The row filters, every column bound to its table so that none is captured from the statement."""
        found: list[exp.Expr] = []
        for row_filter in self.obligation.row_filters:
            condition = exp.Paren(this=parse_condition(row_filter.condition, self.engine))
            for placeholder in condition.find_all(exp.Placeholder):
                if placeholder.name != "principal":
                    raise PolicyInvalid(f"a row filter may use `:principal` alone, not `:{placeholder.name}`")
                placeholder.set("this", PRINCIPAL_PARAMETER)
            self._bind(condition, {self.alias: self.table})
            found.append(condition)
        return found

    def _projection(self, name: str) -> exp.Expr:
        value: exp.Expr = self._column(name, self.alias)
        described = self.table.column(name)
        assert described is not None
        mask = self.obligation.masks.get(name)
        if mask is not None:
            value = masked(self._column(name, self.alias), mask, described, self.engine)
        elif described.declared is None:
            return value
        return exp.Alias(this=value, alias=exp.to_identifier(described.declared or name, quoted=True))

    def _column(self, name: str, table: str) -> exp.Column:
        return exp.column(exp.to_identifier(name, quoted=True), table=exp.to_identifier(table, quoted=True))

    def _base(self, name: str, alias: str) -> exp.Table:
        return exp.Table(
            this=exp.to_identifier(name, quoted=True),
            db=exp.to_identifier(self.schema.namespace, quoted=True),
            alias=exp.TableAlias(this=exp.to_identifier(alias, quoted=True)),
        )

    def _fence(self, select: exp.Select) -> None:
        if self.engine is Engine.SQLITE:
            select.set("limit", exp.Limit(expression=exp.Literal.number(-1)))
        if self.engine in {Engine.MARIADB, Engine.DUCKDB}:
            select.set("limit", exp.Limit(expression=exp.Literal.number(2**62)))
        else:
            select.set("offset", exp.Offset(expression=exp.Literal.number(0)))

    def _bind(self, node: exp.Expr, tables: Mapping[str, Table]) -> None:
        """Qualify each column of a filter with the innermost table that has it; inner queries read raw tables."""
        if isinstance(node, exp.Select):
            tables = {**self._inner_tables(node), **tables}
        for child in list(node.iter_expressions()):
            if isinstance(child, exp.Table):
                continue
            if isinstance(child, exp.Column):
                self._bind_column(child, tables)
            else:
                self._bind(child, tables)

    def _inner_tables(self, select: exp.Select) -> dict[str, Table]:
        clauses = [select.args.get("from_"), *(select.args.get("joins") or [])]
        tables: dict[str, Table] = {}
        for clause in clauses:
            inner = clause.this if clause is not None else None
            if not isinstance(inner, exp.Table) or inner.name.lower() not in self.schema.tables:
                raise UnknownRelation("a query inside a row filter reads plain tables of the same source")
            table = self.schema.tables[inner.name.lower()]
            alias = f"gb_f{len(tables)}_{inner.alias_or_name.lower()}"
            inner.replace(self._base(table.name, alias))
            tables[alias] = table
            self.reads.setdefault(table.name, frozenset())
        return tables

    def _bind_column(self, column: exp.Column, tables: Mapping[str, Table]) -> None:
        name = fold(column.name, self.engine, is_quoted=bool(column.this.args.get("quoted")))
        wanted = column.table.lower()
        for alias, table in tables.items():
            is_named = not wanted or alias.endswith(f"_{wanted}") or (table is self.table and wanted == table.name)
            if is_named and table.column(name) is not None:
                column.replace(self._column(name, alias))
                self.reads[table.name] = self.reads.get(table.name, frozenset()) | {name}
                return
        raise UnknownRelation(f"a row filter names the column `{column.sql()}`, which none of its tables has")
