"""What does `returning` tell of the rows that a write wrote? A governed read of each of them, by its key."""

from __future__ import annotations

from sqlglot import exp

from gatebook_hub.errors import WriteRefused
from gatebook_hub.model import Table
from gatebook_hub.sql.steps import RETURNED_KEY, Composer, Returning, base_of, called, spans_rows


def plan_returning(composer: Composer, tree: exp.Expr, table: Table, target: exp.Table) -> Returning | None:
    """The clause of an insert, update or delete of `table`, None if there is none; raises WriteRefused."""
    clause = tree.args.get("returning")
    if clause is None:
        return None
    name = called(target)
    items = []
    for node in clause.expressions:
        _check(node, name, is_alone=not _has_others(tree))
        items.append(None if node.is_star else node.alias_or_name)
    conditions = [
        exp.EQ(
            this=exp.column(exp.to_identifier(part, quoted=True), table=name.copy()),
            expression=exp.Placeholder(this=f"{RETURNED_KEY}{index}"),
        )
        for index, part in enumerate(table.key)
    ]
    relation = base_of(exp.Table(this=target.this.copy(), alias=exp.TableAlias(this=name.copy())))
    select = exp.Select(
        expressions=[node.copy() for node in clause.expressions],
        from_=exp.From(this=relation),
        where=exp.Where(this=exp.and_(*conditions)) if conditions else None,
    )
    return Returning(read=composer.analysed(select), items=tuple(items))


def _check(node: exp.Expr, name: exp.Identifier, *, is_alone: bool) -> None:
    """Refuse what a written row alone does not tell, or tells under a name that engines do not agree on."""
    if node.find(exp.Query):
        raise WriteRefused("`returning` tells of the written row; put the query into a read of its own")
    if any(spans_rows(part) for part in node.find_all(exp.Func, exp.Window)):
        raise WriteRefused("`returning` tells of one row; put the aggregate into a read of its own")
    if not isinstance(node, exp.Column | exp.Star | exp.Alias):
        raise WriteRefused("give what is returned a name: `returning a + b as total`")
    if is_alone:
        return
    columns = list(node.find_all(exp.Column))
    if isinstance(node, exp.Star) or any(column.table.lower() != name.name.lower() for column in columns):
        raise WriteRefused(f"with other tables beside it, `returning` names columns as `{name.name}.column`")


def _has_others(tree: exp.Expr) -> bool:
    """Whether the statement names other relations than the one that it writes."""
    tables = [tree.this, *(tree.args.get("using") or [])]
    has_joins = any(isinstance(table, exp.Table) and table.args.get("joins") for table in tables)
    return has_joins or bool(tree.args.get("from_") or tree.args.get("using"))
