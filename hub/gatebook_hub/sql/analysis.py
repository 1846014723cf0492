"""Which tables and columns does a statement read and write?

Every column is resolved through scopes (common table expressions, derived tables, correlation) against the source's
schema. The answer feeds the decision and the book; safety does not rest on it, since rewriting replaces every base
table by what the principal may see.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TypeAlias

from sqlglot import exp

from gatebook_hub.errors import ConstructRefused, UnknownColumn, UnknownRelation
from gatebook_hub.model import Access, Engine, Schema, Table, TableUse
from gatebook_hub.sql.called import check_notation, check_shadowed
from gatebook_hub.sql.dialects import fold
from gatebook_hub.sql.functions import TABLE_FUNCTION_COLUMNS, output_columns
from gatebook_hub.sql.parsing import Statement, StatementKind
from gatebook_hub.sql.scopes import Relation, Scope

BASE = "gatebook_base"
# How SQLite and DuckDB call what identifies a row of a table; no column, and no `*` has it.
ROW_IDS = frozenset({"rowid", "oid", "_rowid_"})
_HAVE_ROW_IDS = {Engine.SQLITE: ROW_IDS, Engine.DUCKDB: frozenset({"rowid"})}
CTE_INDEX = "gatebook_cte"
# A name of a column that stands for a whole row, or for a part of a value.
COMPOSITE = "gatebook_composite"
_HAVE_WHOLE_ROWS = frozenset({Engine.POSTGRESQL, Engine.DUCKDB})


@dataclass(frozen=True, slots=True, kw_only=True)
class Analysis:
    """What a read touches. `tree` is a copy of the statement's, its tables marked for rewriting."""

    statement: Statement
    uses: tuple[TableUse, ...]
    outputs: tuple[str | None, ...]
    tree: exp.Expr


_CATALOGUE = re.compile(r"(information_schema|pg_catalog|mysql|sys|performance_schema)\.|.*\.(pg_|sqlite_|duckdb_)")

_Ctes: TypeAlias = Mapping[str, tuple[int, tuple[str, ...]]]
_LATER: tuple[int, tuple[str, ...]] = (-1, ())


def analyse(statement: Statement, schema: Schema) -> Analysis:
    """Resolve a read (or the read of a write plan); raises UnknownRelation, UnknownColumn, ConstructRefused."""
    if statement.kind is not StatementKind.READ:
        raise ConstructRefused("only reads are analysed here; a write is planned first")
    tree = statement.tree.copy()
    check_shadowed(tree, schema)
    walker = _Walker(statement.engine, schema)
    outputs = walker.query(tree, {}, None)
    walker.check_invisible(tree)
    walker.check_joins(tree)
    check_notation(tree, schema, walker.reads)
    uses = tuple(
        TableUse(table=table, access=Access.SELECT, reads=frozenset(reads), is_whole=table in walker.wholes)
        for table, reads in sorted(walker.reads.items())
    )
    return Analysis(statement=statement, uses=uses, outputs=tuple(outputs), tree=tree)


class _Walker:
    """Walks queries from the outside in; collects reads and marks tables in the tree's metadata."""

    def __init__(self, engine: Engine, schema: Schema) -> None:
        self.engine = engine
        self.schema = schema
        self.reads: dict[str, set[str]] = {}
        self.wholes: set[str] = set()
        self._ctes = 0
        self._resolved: set[int] = set()

    def query(self, node: exp.Expr, ctes: _Ctes, outer: Scope | None) -> list[str | None]:
        """Resolve a query expression and return the names of its output columns."""
        ctes = self._with(node, ctes, outer)
        match node:
            case exp.Select():
                return self._select(node, ctes, outer)
            case exp.SetOperation():
                left = self.query(node.this, ctes, outer)
                self.query(node.expression, ctes, outer)
                scope = Scope(aliases=frozenset(name for name in left if name), outer=outer)
                self._modifiers(node, ctes, scope)
                return left
            case exp.Subquery():
                inner = self.query(node.this, ctes, outer)
                self._modifiers(node, ctes, Scope(aliases=frozenset(name for name in inner if name), outer=outer))
                return inner
            case exp.Values():
                for row in node.expressions:
                    self._expression(row, ctes, Scope(outer=outer))
                return [*self._values_names(node)] or [None] * len(node.expressions[0].expressions)
            case exp.Table():
                raise ConstructRefused("`table NAME` is not taken; write `select * from NAME`")
            case _:
                raise ConstructRefused(f"`{type(node).__name__.lower()}` is not taken as a query")

    def _with(self, node: exp.Expr, ctes: _Ctes, outer: Scope | None) -> _Ctes:
        clause = node.args.get("with_")
        if clause is None:
            return ctes
        known = dict(ctes)
        names = [self._fold(cte.args["alias"].this) for cte in clause.expressions]
        if self.engine is Engine.SQLITE or (clause.args.get("recursive") and self.engine is not Engine.DUCKDB):
            # Each sees those that follow, too.
            known |= dict.fromkeys(names, _LATER)
        for name, cte in zip(names, clause.expressions, strict=True):
            listed = tuple(self._fold(column) for column in cte.args["alias"].args.get("columns") or [])
            index = self._ctes
            self._ctes += 1
            inner = dict(known)
            # SQLite takes any of them for a recursive one.
            is_recursive = clause.args.get("recursive") or self.engine is Engine.SQLITE
            if is_recursive and _names_itself(cte, name) and isinstance(cte.this, exp.SetOperation):
                first = listed or tuple(self._recursive_outputs(cte.this, known, outer))
                inner[name] = (index, first)
            outputs = self.query(cte.this, inner, outer)
            known[name] = (index, listed or _named(outputs))
            cte.meta[CTE_INDEX] = index
        return known

    def _recursive_outputs(self, node: exp.SetOperation, ctes: _Ctes, outer: Scope | None) -> list[str]:
        anchor = node.this
        while isinstance(anchor, exp.SetOperation):
            anchor = anchor.this
        probe = _Walker(self.engine, self.schema)
        return [name for name in probe.query(anchor.copy(), ctes, outer) if name]

    def _select(self, node: exp.Select, ctes: _Ctes, outer: Scope | None) -> list[str | None]:
        scope = Scope(outer=outer)
        clauses = [node.args.get("from_"), *(node.args.get("joins") or [])]
        for clause in clauses:
            if clause is not None:
                self._relation(clause.this, ctes, scope)
        for lateral in node.args.get("laterals") or []:
            self._relation(lateral, ctes, scope)
        self._joins(node, ctes, scope)
        outputs: list[str | None] = []
        for projection in node.expressions:
            outputs.extend(self._projection(projection, ctes, scope))
        if node.args.get("where") is not None:
            self._expression(node.args["where"], ctes, scope)
        scope.aliases = frozenset(
            self._fold(item.args["alias"]) for item in node.expressions if isinstance(item, exp.Alias)
        )
        for name in ("distinct", "group", "having", "qualify"):
            if node.args.get(name) is not None:
                self._expression(node.args[name], ctes, scope)
        for window in node.args.get("windows") or []:
            self._expression(window, ctes, scope)
        self._modifiers(node, ctes, scope)
        return outputs

    def _modifiers(self, node: exp.Expr, ctes: _Ctes, scope: Scope) -> None:
        for name in ("order", "limit", "offset"):
            if node.args.get(name) is not None:
                self._expression(node.args[name], ctes, scope)

    def _projection(self, item: exp.Expr, ctes: _Ctes, scope: Scope) -> list[str | None]:
        if isinstance(item, exp.Star):
            every = [name for relation in scope.relations.values() for name in self._whole(relation)]
            return self._star(item, every, ctes, scope)
        if isinstance(item, exp.Column) and isinstance(item.this, exp.Star):
            relation = scope.relations.get(self._fold(item.args["table"]))
            if relation is None:
                raise UnknownRelation(f"`{item.table}` is not a table of this query")
            return self._star(item.this, list(self._whole(relation)), ctes, scope)
        self._expression(item, ctes, scope)
        if isinstance(item, exp.Alias):
            return [self._fold(item.args["alias"])]
        return [self._fold(item.this)] if isinstance(item, exp.Column) else [self._label(item)]

    def _label(self, item: exp.Expr) -> str | None:
        """How PostgreSQL calls an unnamed call: by the function, which is one of those that are allowed."""
        if self.engine is not Engine.POSTGRESQL:
            return None
        inner = item.this if isinstance(item, exp.Window | exp.Filter | exp.WithinGroup) else item
        if isinstance(inner, exp.Anonymous):
            return inner.name.lower()
        return inner.sql_name().lower() if isinstance(inner, exp.Count | exp.Coalesce | exp.Exists) else None

    def _star(self, star: exp.Star, every: list[str], ctes: _Ctes, scope: Scope) -> list[str | None]:
        """The columns of a star without those that it excludes; what replaces one has its name."""
        for replaced in star.args.get("replace") or []:
            self._expression(replaced, ctes, scope)
        excluded = set()
        for column in star.args.get("except_") or []:
            if not isinstance(column, exp.Column) or not isinstance(column.this, exp.Identifier):
                raise ConstructRefused("`exclude` is followed by names of columns")
            self._column(column, scope)
            excluded.add(self._fold(column.this))
        return [name for name in every if name not in excluded]

    def _whole(self, relation: Relation) -> tuple[str, ...]:
        if relation.base is None:
            return relation.columns
        self.wholes.add(relation.base)
        return tuple(name for name in relation.columns if name not in self._invisible(relation.base))

    def _invisible(self, base: str) -> frozenset[str]:
        return frozenset(column.name for column in self.schema.tables[base].columns if column.is_invisible)

    def check_invisible(self, tree: exp.Expr) -> None:
        """Refuse what would make a column of those that `*` and `natural join` leave out."""
        has_natural = any(join.args.get("method") == "NATURAL" for join in tree.find_all(exp.Join))
        for base, reads in self.reads.items():
            hidden = sorted(self._invisible(base) & reads) if base in self.wholes else []
            hidden = hidden or (sorted(self._invisible(base)) if has_natural else [])
            if hidden:
                raise ConstructRefused(f"`{base}.{hidden[0]}` is invisible; name the columns instead of `*`")

    def check_joins(self, tree: exp.Expr) -> None:
        """Refuse a join that was not resolved: nothing behind it was looked at."""
        if any(id(join) not in self._resolved for join in tree.find_all(exp.Join)):
            raise ConstructRefused("write one join after the other, each with its own condition")

    def _joins(self, node: exp.Expr, ctes: _Ctes, scope: Scope) -> None:
        """Resolve the conditions of joins; their relations are bound before."""
        for join, seen in self._sides(node, scope):
            self._resolved.add(id(join))
            for name in join.args.get("using") or []:
                self._column(exp.column(name.copy()), seen)
            if join.args.get("on") is not None:
                self._expression(join.args["on"], ctes, seen)

    def _sides(self, node: exp.Expr, scope: Scope) -> Iterator[tuple[exp.Join, Scope]]:
        """Each join with what its condition sees: on PostgreSQL the relations that are joined so far, no others."""
        joins = node.args.get("joins") or []
        clause = node.args.get("from_")
        is_parenthesis = clause is None and isinstance(node, exp.Table | exp.Subquery)
        if self.engine is not Engine.POSTGRESQL or (clause is None and not is_parenthesis):
            yield from ((join, scope) for join in joins)
            return
        seen = self._own_name(node) if clause is None else self._called(clause.this)
        for join in joins:
            is_comma = not any(join.args.get(name) for name in ("on", "using", "kind", "side", "method"))
            seen = self._called(join.this) | (set() if is_comma else seen)
            known = {name: relation for name, relation in scope.relations.items() if name in seen}
            yield join, Scope(relations=known, aliases=scope.aliases, outer=scope.outer)

    def _called(self, node: exp.Expr) -> set[str]:
        """The names under which a from clause knows the item, and those that its own joins bring."""
        inner = set().union(*(self._called(join.this) for join in node.args.get("joins") or []))
        return self._own_name(node) | inner

    def _own_name(self, node: exp.Expr) -> set[str]:
        """Those without the joins that hang on it."""
        alias = node.args.get("alias")
        if alias is not None and alias.this is not None:
            return {self._fold(alias.this)}
        if isinstance(node, exp.Table) and isinstance(node.this, exp.Identifier):
            return {self._fold(node.this)}
        if isinstance(node, exp.Subquery):
            return self._called(node.this)
        call = node.this if isinstance(node, exp.Table | exp.Lateral) else node
        called = call.name if isinstance(call, exp.Anonymous) else call.sql_name() if isinstance(call, exp.Func) else ""
        return {called.lower()}

    def _relation(self, node: exp.Expr, ctes: _Ctes, scope: Scope) -> None:
        match node:
            case exp.Unnest():
                self._function(node, node, ctes, scope)
            case exp.Table() | exp.Lateral() if isinstance(node.this, exp.Func):
                self._function(node, node.this, ctes, scope)
            case exp.Table():
                self._table(node, ctes, scope)
            case exp.Lateral() if isinstance(node.this, exp.Subquery):
                # It sees the relations before it, as a correlated query does.
                self._bind(node, _named(self.query(node.this, ctes, scope.lateral())), None, scope)
            case exp.Subquery() if isinstance(node.this, exp.Table | exp.Subquery):
                self._parenthesis(node, ctes, scope)
            case exp.Subquery():
                self._bind(node, _named(self.query(node, ctes, scope.outer)), None, scope)
            case exp.Values():
                for row in node.expressions:
                    self._expression(row, ctes, Scope(outer=scope.outer))
                self._bind(node, self._values_names(node), None, scope)
            case _:
                raise ConstructRefused(f"`{type(node).__name__.lower()}` is not taken as a table")

    def _table(self, node: exp.Table, ctes: _Ctes, scope: Scope) -> None:
        name = self._fold(node.this)
        if not node.args.get("db") and name in ctes:
            index, columns = ctes[name]
            if ctes[name] is _LATER:
                raise ConstructRefused(f"`{name}` is used before it is defined; write it first")
            node.meta[CTE_INDEX] = index
            self._bind(node, columns, None, scope)
            return
        table = self._base(node, name)
        node.meta[BASE] = table.name
        self.reads.setdefault(table.name, set())
        self._bind(node, tuple(column.name for column in table.columns), table.name, scope)

    def _parenthesis(self, node: exp.Subquery, ctes: _Ctes, scope: Scope) -> None:
        """Joins in parentheses: their relations are this level's, or one relation if they have a name together."""
        has_name = bool(node.args.get("alias"))
        inner = Scope(outer=scope.outer, beside=scope) if has_name else scope
        self._relation(node.this, ctes, inner)
        for join in node.this.args.get("joins") or []:
            self._relation(join.this, ctes, inner)
        self._joins(node.this, ctes, inner)
        if has_name:
            columns = [name for relation in inner.relations.values() for name in self._whole(relation)]
            self._bind(node, tuple(columns), None, scope)

    def _function(self, node: exp.Expr, call: exp.Func, ctes: _Ctes, scope: Scope) -> None:
        """A function as a table: its arguments may name relations before it, its columns are known to the engine."""
        for child in call.iter_expressions():
            if not isinstance(child, exp.TableAlias):
                self._expression(child, ctes, scope.lateral())
        alias = node.args.get("alias")
        called = call.name.lower() if isinstance(call, exp.Anonymous) else call.sql_name().lower()
        name = self._fold(alias.this) if alias is not None and alias.this is not None else called
        # PostgreSQL reads `t.f` as the call `f(t)` if `t` has no column `f`, so there the columns are exact.
        is_exact = self.engine is Engine.POSTGRESQL
        made = (
            output_columns(call, called, name) if is_exact else tuple(sorted({called, name} | TABLE_FUNCTION_COLUMNS))
        )
        ordinality = node.args.get("offset") or node.args.get("ordinality")
        if isinstance(ordinality, exp.Identifier):
            made = (*made, self._fold(ordinality))
        elif ordinality:
            made = (*made, "ordinality")
        self._bind(node, made, None, scope)

    def _values_names(self, node: exp.Values) -> tuple[str, ...]:
        """How the engine calls the columns of a list of values; MariaDB takes its first row for their names."""
        width = len(node.expressions[0].expressions) if isinstance(node.expressions[0], exp.Tuple) else 1
        match self.engine:
            case Engine.DUCKDB:
                return tuple(f"col{index}" for index in range(width))
            case Engine.MARIADB:
                return ()
            case _:
                return tuple(f"column{index + 1}" for index in range(width))

    def _base(self, node: exp.Table, name: str) -> Table:
        namespace = node.args.get("db")
        is_here = namespace is None or self._fold(namespace) in {"main", self.schema.namespace, self.schema.source}
        table = self.schema.tables[name] if is_here and self.schema.knows(name) else None
        if table is None:
            where = f"there is no table `{node.sql()}` in `{self.schema.source}` that you may see"
            is_catalogue = _CATALOGUE.match(f"{node.db}.{node.name}".lower())
            raise UnknownRelation(
                f"{where}; `show tables` and `describe NAME` tell what there is" if is_catalogue else where
            )
        return table

    def _bind(self, node: exp.Expr, columns: tuple[str, ...], base: str | None, scope: Scope) -> None:
        alias = node.args.get("alias")
        name = self._fold(alias.this) if alias is not None and alias.this is not None else None
        if name is None:
            name = self._fold(node.this) if isinstance(node, exp.Table) else f"?{len(scope.relations)}"
        listed = alias.args.get("columns") if alias is not None else None
        if listed:
            if base is not None:
                # By position, of the columns that the principal sees: which those are is not known here.
                self.wholes.add(base)
                columns = () if self.engine is Engine.POSTGRESQL else columns
                base = None
            columns = (*(self._fold(column) for column in listed), *columns[len(listed) :])
        if name in scope.relations:
            raise ConstructRefused(f"the name `{name}` is used twice in one from clause; give an alias")
        scope.relations[name] = Relation(columns, base)

    def _expression(self, node: exp.Expr, ctes: _Ctes, scope: Scope) -> None:
        """Resolve the columns of an expression; nested queries open a scope inside this one."""
        if isinstance(node, exp.Select | exp.SetOperation | exp.Subquery):
            self.query(node, ctes, scope)
            return
        if isinstance(node, exp.Column):
            self._column(node, scope)
            return
        if isinstance(node, exp.Table) or (isinstance(node, exp.Star) and not isinstance(node.parent, exp.Count)):
            raise ConstructRefused(f"`{node.sql()}` is not taken as a value")
        for child in node.iter_expressions():
            self._expression(child, ctes, scope)

    def _column(self, node: exp.Column, scope: Scope) -> None:
        if isinstance(node.this, exp.Star):
            raise ConstructRefused(f"`{node.sql()}` is not taken as a value")
        name = self._fold(node.this)
        table = node.args.get("table")
        if table is None:
            is_found = self._bare(name, node, scope) or self._row(name, node, scope) or self._perhaps(scope)
        else:
            is_found = self._qualified(name, self._fold(table), node, scope) or self._part(table, node, scope)
        if not is_found:
            raise UnknownColumn(f"there is no column `{node.sql()}` in the tables of this query that you may see")

    def _qualified(self, name: str, table: str, node: exp.Column, scope: Scope) -> bool:
        relation = next((level.relations[table] for level in scope.chain() if table in level.relations), None)
        if relation is not None:
            self._read(relation, name, node)
        return relation is not None

    def _bare(self, name: str, node: exp.Column, scope: Scope) -> bool:
        """Whether a level has the name as a column, an alias of its select list, or a row id."""
        for level in scope.chain():
            holders = [relation for relation in level.relations.values() if name in relation.columns]
            for relation in holders:
                self._read(relation, name, node)
            if holders or name in level.aliases or self._row_id(name, list(level.relations.values())):
                return True
        return False

    def _perhaps(self, scope: Scope) -> bool:
        """Whether a relation's columns are known to the engine alone, which resolves the name there or refuses.

        Beside a table it could be a system column, or one that is newer than what we know of the table.
        """
        relations = [relation for level in scope.chain() for relation in level.relations.values()]
        is_any_unknown = any(not relation.columns for relation in relations)
        has_base = any(relation.base is not None for relation in relations)
        return is_any_unknown and not has_base and self.engine is not Engine.POSTGRESQL

    def _part(self, column: exp.Identifier, node: exp.Column, scope: Scope) -> bool:
        """Whether what looks like a table is a column of DuckDB's with parts."""
        if self.engine is not Engine.DUCKDB or not self._bare(self._fold(column), node, scope):
            return False
        node.meta[COMPOSITE] = True
        return True

    def _row(self, name: str, node: exp.Column, scope: Scope) -> bool:
        """Whether the name is a relation's, and stands for its whole row; no column has it, which comes first."""
        if self.engine not in _HAVE_WHOLE_ROWS:
            return False
        relation = next((level.relations[name] for level in scope.chain() if name in level.relations), None)
        if relation is None:
            return False
        self._whole(relation)
        node.meta[COMPOSITE] = True
        return True

    def _row_id(self, name: str, relations: list[Relation]) -> bool:
        """Whether the name is the row id of the one table there is; then it is read."""
        if name not in _HAVE_ROW_IDS.get(self.engine, ()) or len(relations) != 1 or relations[0].base is None:
            return False
        self.reads[relations[0].base].add(name)
        return True

    def _read(self, relation: Relation, name: str, node: exp.Column) -> None:
        is_open = not relation.columns and self.engine is not Engine.POSTGRESQL
        if not is_open and name not in relation.columns and not self._row_id(name, [relation]):
            raise UnknownColumn(f"there is no column `{node.sql()}` that you may see")
        if relation.base is not None:
            self.reads[relation.base].add(name)

    def _fold(self, identifier: exp.Expr) -> str:
        return fold(identifier, self.engine)


def _names_itself(cte: exp.CTE, name: str) -> bool:
    return any(not table.db and table.name.lower() == name.lower() for table in cte.this.find_all(exp.Table))


def _named(outputs: list[str | None]) -> tuple[str, ...]:
    return tuple(name for name in outputs if name)
