"""How does a write become two steps? Governed reads yield keys and new values; the gate writes by key alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlglot import exp

from gatebook_hub.errors import WriteRefused
from gatebook_hub.model import Engine, Schema
from gatebook_hub.sql.merging import plan_merge, plan_upsert
from gatebook_hub.sql.parsing import Statement, StatementKind
from gatebook_hub.sql.returning import plan_returning
from gatebook_hub.sql.steps import Composer, WritePlan, base_of, called


def plan_write(statement: Statement, schema: Schema, *, needs_key: bool = True) -> WritePlan:
    """Plan an insert, update, delete, upsert or merge; raises WriteRefused, UnknownRelation, UnknownColumn."""
    composer = Composer(statement, schema, needs_key)
    composer.check_repeatable()
    tree = statement.tree
    match tree:
        case exp.Update():
            plan, target = _update(composer, tree), tree.this
        case exp.Delete():
            plan, target = _delete(composer, tree)
        case exp.Insert():
            plan, target = _insert(composer, tree), tree.this.this
        case exp.Merge():
            return plan_merge(composer, tree)
        case _:
            raise WriteRefused("this is not a write")
    return replace(plan, returning=plan_returning(composer, tree, plan.table, target))


def _update(composer: Composer, tree: exp.Update) -> WritePlan:
    table = composer.target(tree.this)
    clause = tree.args.get("from_")
    skeleton = _skeleton(tree, tree.this, [clause.this] if clause is not None else [])
    name = called(tree.this)
    values = composer.assignments(tree.expressions, table, name.name)
    step = composer.keyed(StatementKind.UPDATE, table, name, values, skeleton)
    return WritePlan(kind=StatementKind.UPDATE, table=table, steps=(step,), has_condition=_has_condition(tree))


def _delete(composer: Composer, tree: exp.Delete) -> tuple[WritePlan, exp.Expr]:
    named = tree.args.get("tables") or []
    others = list(tree.args.get("using") or [])
    target = tree.this
    if len(named) > 1 or (named and named[0].name.lower() != called(target).name.lower()):
        raise WriteRefused("rows of one table are deleted at a time, and it is the first that `from` names")
    is_again = bool(others) and called(others[0]).name.lower() == called(target).name.lower()
    if is_again and composer.engine is Engine.MARIADB:
        target, others = others[0], others[1:]  # it names the target again there
    elif is_again:
        raise WriteRefused(f"`{called(target).name}` is named twice; give another name")
    table = composer.target(target)
    skeleton = _skeleton(tree, target, others)
    step = composer.keyed(StatementKind.DELETE, table, called(target), [], skeleton)
    plan = WritePlan(kind=StatementKind.DELETE, table=table, steps=(step,), has_condition=_has_condition(tree))
    return plan, target


def _insert(composer: Composer, tree: exp.Insert) -> WritePlan:
    target = tree.this
    if not isinstance(target, exp.Schema):
        raise WriteRefused("name the columns: `insert into table (column, …) …`")
    table = composer.target(target.this)
    columns = composer.columns(target.expressions, table)
    query = _source(tree, len(columns))
    if tree.args.get("conflict") or tree.args.get("ignore") or tree.args.get("alternative"):
        return plan_upsert(composer, tree, table, columns, query)
    step = composer.inserted(table, columns, query)
    return WritePlan(kind=StatementKind.INSERT, table=table, steps=(step,), has_condition=True)


def _source(tree: exp.Insert, width: int) -> exp.Expr:
    """The query that yields the rows of an insert."""
    source, outer = tree.expression, tree.args.get("with_")
    if isinstance(source, exp.Values):
        rows = [exp.select(*[value.copy() for value in row.expressions]) for row in source.expressions]
        query: exp.Expr = _all_of(rows)
    elif isinstance(source, exp.Query):
        query = source.copy()
    else:
        raise WriteRefused("an insert takes `values (…)` or a select")
    if outer is not None and any(query.find_all(exp.With)):
        raise WriteRefused("write one `with`, before the `select` of the insert")
    if outer is not None:
        query.set("with_", outer.copy())
    is_star = any(item.find(exp.Star) and not item.find(exp.Count) for item in getattr(query, "selects", []))
    if is_star or len(getattr(query, "selects", [])) != width:
        raise WriteRefused(f"{width} columns are named, so list {width} values, without `*`")
    return query


def _all_of(rows: Sequence[exp.Expr]) -> exp.Expr:
    """One query of many, halved again and again: a chain would be as deep as there are rows."""
    if len(rows) == 1:
        return rows[0]
    middle = len(rows) // 2
    return exp.Union(this=_all_of(rows[:middle]), expression=_all_of(rows[middle:]), distinct=False)


def _skeleton(tree: exp.Expr, target: exp.Expr, others: Sequence[exp.Expr]) -> exp.Select:
    """Where the rows of an update or delete come from: the target, its joins, other relations, the condition."""
    select = exp.Select()
    joins: list[exp.Expr] = []
    for relation in (target, *others):
        copied = base_of(relation) if relation is target and isinstance(relation, exp.Table) else relation.copy()
        own = copied.args.get("joins") or []
        copied.set("joins", None)
        joins.append(copied if relation is target else exp.Join(this=copied, kind="CROSS"))
        joins += own
    select.set("from_", exp.From(this=joins[0]))
    if len(joins) > 1:
        select.set("joins", joins[1:])
    for clause in ("with_", "where", "order", "limit"):
        if tree.args.get(clause) is not None:
            select.set(clause, tree.args[clause].copy())
    return select


def _has_condition(tree: exp.Expr) -> bool:
    where = tree.args.get("where")
    return (where is not None and where.find(exp.Column) is not None) or tree.args.get("limit") is not None
