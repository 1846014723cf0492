"""How is a read rewritten? Every base table becomes a subquery that holds only what the principal may see."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from sqlglot import exp

from gatebook_hub.errors import PolicyInvalid, StatementRefused, UnknownColumn, UnknownRelation
from gatebook_hub.model import Engine, RowFilter, Schema, Table, TableObligation, TableUse
from gatebook_hub.sql.analysis import BASE, CTE_INDEX, ROW_IDS, Analysis
from gatebook_hub.sql.conversions import Kinds, kinds_of
from gatebook_hub.sql.dialects import fold, fold_identifiers
from gatebook_hub.sql.fences import can_raise, repeatable
from gatebook_hub.sql.functions import TABLE_FUNCTION_COLUMNS
from gatebook_hub.sql.generating import Plan, cte_name, generate
from gatebook_hub.sql.labels import label_projections
from gatebook_hub.sql.masks import MASK_FUNCTIONS, masked
from gatebook_hub.sql.parsing import parse_condition

PRINCIPAL_PARAMETER = "gb_principal"
# Of these no comparison raises; and a list inside of a list is no item of it.
_PLAIN = re.compile(r"((small|big)?int(eger)?|numeric|real|double precision|boolean|date|timestamp|time|uuid|array)\b")


def rewrite(analysis: Analysis, obligations: Mapping[str, TableObligation], schema: Schema, *, nonce: str) -> Plan:
    """Turn an analysed read and its obligations into a plan; `nonce` is a fresh random word.

    Raises UnknownRelation when a table has no obligation, ConstructRefused when the text cannot be written safely.
    """
    tree = analysis.tree.copy()
    engine = schema.engine
    fold_identifiers(tree, engine)
    label_projections(tree, analysis.statement)
    masked_names = {name for obligation in obligations.values() for name in obligation.masks}
    kinds = kinds_of(tree, [schema.tables[use.table] for use in analysis.uses], engine, masked_names)
    # What a data owner's own mask does with the value of a hidden row is not known here.
    is_fenced = any(mask.expression for obligation in obligations.values() for mask in obligation.masks.values())
    # Nor what the owner's own expression does, in a view or a column that the database computes.
    is_fenced = is_fenced or any(_is_computed(use, schema) for use in analysis.uses)
    is_fenced = is_fenced or any(can_raise(node, kinds) for node in tree.walk())
    is_apart = _must_be_apart(tree, engine)
    row_ids = {use.table for use in analysis.uses if use.reads & ROW_IDS}
    # A `*` would take columns that the table got since it was looked at: they are listed, but where row ids are read.
    wholes = {use.table for use in analysis.uses if use.is_whole} - row_ids
    reads: dict[str, frozenset[str]] = dict.fromkeys(row_ids, frozenset({"rowid"}))
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
        world = _Governed(obligation, schema, nonce, is_whole=obligation.table in wholes)
        if row_ids & {world.table.name} and not world.is_plain:
            raise UnknownColumn(f"`{node.name}` shows no row ids, since you may not see all of it")
        node.replace(world.relation(node, kinds, is_fenced=is_fenced, is_apart=is_apart))
        for table, columns in world.reads.items():
            reads[table] = reads.get(table, frozenset()) | columns
    functions = MASK_FUNCTIONS[engine] | analysis.statement.functions | schema.functions
    return generate(
        tree,
        engine=engine,
        namespace=schema.namespace,
        reads=reads,
        nonce=nonce,
        functions=functions,
        views=_views(analysis, reads, schema),
    )


def _is_computed(use: TableUse, schema: Schema) -> bool:
    table = schema.tables[use.table]
    return table.is_view or any(
        column.is_generated and (use.is_whole or column.name in use.reads) for column in table.columns
    )


def _must_be_apart(tree: exp.Expr, engine: Engine) -> bool:
    """Whether MariaDB would reckon wrongly: merged into an outer join, columns are not NULL to its windows."""
    return (
        engine is Engine.MARIADB and tree.find(exp.Window) is not None and any(j.side for j in tree.find_all(exp.Join))
    )


def _views(analysis: Analysis, reads: Mapping[str, frozenset[str]], schema: Schema) -> set[str]:
    """The views of the schema, if the statement or a row filter uses one: it may stand on others."""
    every = {name for name, table in schema.tables.items() if table.is_view}
    return every if any(use.table in every for use in analysis.uses) or not every.isdisjoint(reads) else set()


def _without_statistics(column: exp.Expr) -> exp.Expr:
    """The same value, which PostgreSQL's planner knows nothing of.

    It tries a person's pattern on the commonest values of a column, those of hidden rows among them, and through any
    fence: a pattern that raises there tells.
    """
    listed = exp.Paren(this=exp.Array(expressions=[column], bracket_notation=True))
    return exp.Bracket(this=listed, expressions=[exp.Literal.number(1)], offset=1)


def tables_in(conditions: Iterable[str], schema: Schema) -> frozenset[str]:
    """The tables that conditions of policy look at beside the one that they are about."""
    found = set()
    for text in conditions:
        condition = parse_condition(text, schema.engine, schema.functions)
        found |= {fold(table.this, schema.engine) for table in condition.find_all(exp.Table)}
    return frozenset(found)


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

    def __init__(self, obligation: TableObligation, schema: Schema, nonce: str, *, is_whole: bool = False) -> None:
        self.obligation = obligation
        self.schema = schema
        self.is_whole = is_whole
        self.engine = schema.engine
        self.table = schema.tables[obligation.table]
        self.alias = f"gb_{nonce}_t"
        self.reads: dict[str, frozenset[str]] = {self.table.name: frozenset(obligation.columns)}

    @property
    def is_plain(self) -> bool:
        """Whether the principal sees all of the table as it is."""
        return self.obligation.shows_all_of(self.table)

    def relation(self, node: exp.Table, kinds: Kinds | None, *, is_fenced: bool, is_apart: bool) -> exp.Expr:
        """What stands in place of `node`, under the name that the statement knows it by."""
        written = node.args.get("alias")
        name = written.this if written is not None and written.this is not None else node.this
        joins = node.args.get("joins")
        alias = exp.TableAlias(this=name.copy(), columns=written.args.get("columns") if written is not None else None)
        if self.is_plain and not self.is_whole and not self.table.is_view:
            base = self._base(self.table.name, name.name)
            base.set("alias", alias)
            base.set("joins", joins)
            return base
        select = self._select(node, name.name, kinds, is_fenced=is_fenced)
        if is_apart:
            self._fence(select)
        return exp.Subquery(this=select, alias=alias, joins=joins)

    def _select(self, node: exp.Table, name: str, kinds: Kinds | None, *, is_fenced: bool) -> exp.Select:
        conditions = self.conditions()
        projections = [
            self._projection(column, is_fenced=(bool(conditions) or self.table.is_view) and is_fenced)
            for column in self.obligation.columns
            if self._is_shown(column)
        ]
        select = exp.Select(expressions=projections, from_=exp.From(this=self._base(self.table.name, self.alias)))
        if (conditions or self.table.is_view) and is_fenced:
            conditions += repeatable(node, name, self._own_column, kinds)
            self._fence(select)
        if conditions:
            select.set("where", exp.Where(this=exp.and_(*conditions)))
        return select

    def _is_shown(self, name: str) -> bool:
        described = self.table.column(name)
        return not (self.is_whole and described is not None and described.is_invisible)

    def _own_column(self, column: exp.Column) -> exp.Column | None:
        name = fold(column.this, self.engine)
        described = self.table.column(name)
        is_computed = self.table.is_view or (described is not None and described.is_generated)
        is_open = name in self.obligation.columns and name not in self.obligation.masks and not is_computed
        return self._column(name, self.alias) if is_open else None

    def conditions(self) -> list[exp.Expr]:
        """The row filters, every column bound to its table so that none is captured from the statement."""
        found: list[exp.Expr] = []
        for row_filter in self.obligation.row_filters:
            condition = exp.Paren(this=parse_condition(row_filter.condition, self.engine, self.schema.functions))
            for placeholder in condition.find_all(exp.Placeholder):
                if placeholder.name != "principal":
                    raise PolicyInvalid(f"a row filter may use `:principal` alone, not `:{placeholder.name}`")
                placeholder.set("this", PRINCIPAL_PARAMETER)
            self._bind(condition, {self.alias: self.table})
            found.append(condition)
        return found

    def _projection(self, name: str, *, is_fenced: bool = False) -> exp.Expr:
        value: exp.Expr = self._column(name, self.alias)
        described = self.table.column(name)
        assert described is not None
        mask = self.obligation.masks.get(name)
        if mask is not None:
            value = masked(self._column(name, self.alias), mask, described, self.schema)
        elif self.engine is Engine.POSTGRESQL and is_fenced and not _PLAIN.match(described.type):
            value = _without_statistics(value)
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
        name = fold(column.this, self.engine)
        wanted = column.table.lower()
        for alias, table in tables.items():
            is_named = not wanted or alias.endswith(f"_{wanted}") or (table is self.table and wanted == table.name)
            if is_named and table.column(name) is not None:
                column.replace(self._column(name, alias))
                self.reads[table.name] = self.reads.get(table.name, frozenset()) | {name}
                return
        raise UnknownRelation(f"a row filter names the column `{column.sql()}`, which none of its tables has")
