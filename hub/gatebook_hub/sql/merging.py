"""How does a write that inserts some rows and changes others become steps?

No `on conflict` and no `merge` is ever sent: governed reads tell which rows there are and which there are not.
"""

from __future__ import annotations

from collections.abc import Sequence

from sqlglot import exp

from gatebook_hub.errors import ConstructRefused, WriteRefused
from gatebook_hub.model import Table
from gatebook_hub.sql.parsing import StatementKind
from gatebook_hub.sql.steps import Assignments, Composer, WritePlan, WriteStep, base_of, called

_SOURCE = "gb_source"
_TARGET = "gb_target"


def plan_upsert(
    composer: Composer, tree: exp.Insert, table: Table, columns: tuple[str, ...], query: exp.Expr
) -> WritePlan:
    """Plan `on conflict`, `on duplicate key update`, `insert ignore`; the conflict is one of the primary key."""
    conflict = tree.args.get("conflict")
    if any(alias.name.lower() == "excluded" for alias in tree.find_all(exp.TableAlias)):
        raise WriteRefused("`excluded` is the inserted row; give another name")
    alternative = str(tree.args.get("alternative") or "").lower()
    if alternative not in {"", "ignore"}:
        raise WriteRefused(f"`insert or {alternative}` is not taken; write `on conflict (…) do update set …`")
    if not table.key:
        raise WriteRefused(f"`{table.name}` has no primary key, by which a conflict would be found")
    if missing := set(table.key) - set(columns):
        raise WriteRefused(f"a conflict is found by the key of `{table.name}`, so give `{min(missing)}` too")
    source = _named_source(query, len(columns))
    own = called(tree.this.this)
    assignments: Assignments = []
    if conflict is not None:
        _check_conflict(conflict, table, composer)
        assignments = [
            (column, _from_source(value, columns, own))
            for column, value in composer.assignments(conflict.expressions, table, own.name)
        ]
    steps = [_missing_rows(composer, table, columns, source)]
    if assignments:
        join = exp.Join(this=source.copy(), on=_same_key(table, columns, own))
        skeleton = exp.Select(from_=exp.From(this=base_of(tree.this.this)), joins=[join])
        condition = conflict.args.get("where") if conflict is not None else None
        if condition is not None:
            skeleton.set("where", exp.Where(this=_from_source(condition.this, columns, own)))
        steps.append(composer.keyed(StatementKind.UPDATE, table, own, assignments, skeleton))
    return WritePlan(kind=StatementKind.INSERT, table=table, steps=tuple(steps), has_condition=True)


def plan_merge(composer: Composer, tree: exp.Merge) -> WritePlan:
    """Plan a merge: each `when` is a step, for the rows that no earlier one took."""
    table = composer.target(tree.this)
    own = called(tree.this)
    source = tree.args["using"]
    if not isinstance(source, exp.Table | exp.Subquery):
        raise WriteRefused("a merge uses a table or a query in parentheses with a name")
    earlier: dict[bool, list[exp.Expr]] = {True: [], False: []}
    steps: list[WriteStep] = []
    for when in tree.args["whens"].expressions:
        if when.args.get("source"):
            raise WriteRefused("`when not matched by source` is not taken; write a delete or update of its own")
        is_matched = bool(when.args.get("matched"))
        condition = when.args.get("condition") or exp.true()
        skeleton = _matched(tree) if is_matched else _unmatched(tree, table, own)
        _narrow(skeleton, condition, earlier[is_matched])
        earlier[is_matched].append(condition)
        step = _when(composer, when.args["then"], table, own, skeleton, is_matched=is_matched)
        if step is not None:
            steps.append(step)
    if not steps:
        raise WriteRefused("this merge does nothing")
    if len({frozenset(step.columns) for step in steps if step.kind is StatementKind.INSERT}) > 1:
        # What an insert does not name is given at execution, and no approval binds it: it must be the same for all.
        raise WriteRefused("every `insert` of a merge names the same columns")
    return WritePlan(kind=StatementKind.MERGE, table=table, steps=tuple(steps), has_condition=True)


def _narrow(skeleton: exp.Select, condition: exp.Expr, earlier: Sequence[exp.Expr]) -> None:
    """Keep the rows that meet the condition and that no earlier `when` took, in place."""
    known = skeleton.args.get("where")
    parts: list[exp.Expr] = [known.this] if known is not None else []
    parts += [exp.Not(this=exp.Is(this=exp.Paren(this=item.copy()), expression=exp.true())) for item in earlier]
    if not isinstance(condition, exp.Boolean):
        parts.append(exp.Paren(this=condition.copy()))
    if parts:
        skeleton.set("where", exp.Where(this=exp.and_(*parts)))


def _when(
    composer: Composer, then: exp.Expr, table: Table, own: exp.Identifier, skeleton: exp.Select, *, is_matched: bool
) -> WriteStep | None:
    match then:
        case exp.Update() if is_matched and then.expressions:
            values = composer.assignments(then.expressions, table, own.name)
            return composer.keyed(StatementKind.UPDATE, table, own, values, skeleton)
        case exp.Insert() if (
            not is_matched and isinstance(then.this, exp.Tuple) and isinstance(then.expression, exp.Tuple)
        ):
            columns = composer.columns([item.this for item in then.this.expressions], table)
            given = then.expression.expressions
            if len(given) != len(columns):
                raise WriteRefused(f"{len(columns)} columns are named, so list {len(columns)} values")
            return composer.added(table, list(zip(columns, given, strict=True)), skeleton)
        case exp.Var() if then.name.upper() == "DELETE" and is_matched:
            return composer.keyed(StatementKind.DELETE, table, own, [], skeleton)
        case exp.Var() if then.name.upper() == "DO NOTHING":
            return None
        case _:
            raise WriteRefused("a merge takes `update set …`, `delete`, `insert (columns) values (…)` and `do nothing`")


def _matched(tree: exp.Merge) -> exp.Select:
    join = exp.Join(this=tree.args["using"].copy(), on=tree.args["on"].copy())
    return exp.Select(from_=exp.From(this=base_of(tree.this)), joins=[join])


def _unmatched(tree: exp.Merge, table: Table, own: exp.Identifier) -> exp.Select:
    """The source's rows without a partner; a join, so that a name that both have is as ambiguous as in the merge."""
    join = exp.Join(this=base_of(tree.this), on=tree.args["on"].copy(), side="LEFT")
    absent = exp.Is(this=_column(table.key[0], own), expression=exp.Null())
    return exp.Select(from_=exp.From(this=tree.args["using"].copy()), joins=[join], where=exp.Where(this=absent))


def _named_source(query: exp.Expr, width: int) -> exp.Subquery:
    """The inserted rows under names that no table has."""
    named = query.copy()
    first = named
    while isinstance(first, exp.SetOperation | exp.Subquery):
        first = first.this
    for index, item in enumerate(list(first.expressions)):
        value = item.this if isinstance(item, exp.Alias) else item
        item.replace(exp.Alias(this=value.copy(), alias=exp.to_identifier(f"gb_v{index}")))
    assert len(first.expressions) == width
    return exp.Subquery(this=named, alias=exp.TableAlias(this=exp.to_identifier(_SOURCE)))


def _missing_rows(composer: Composer, table: Table, columns: tuple[str, ...], source: exp.Subquery) -> WriteStep:
    """Those of the inserted rows whose key the target does not have."""
    target = exp.to_identifier(_TARGET)
    aliased = base_of(exp.Table(this=exp.to_identifier(table.name, quoted=True), alias=exp.TableAlias(this=target)))
    join = exp.Join(this=aliased, side="LEFT", on=_same_key(table, columns, target))
    absent = exp.Is(this=_column(table.key[0], target), expression=exp.Null())
    skeleton = exp.Select(from_=exp.From(this=source.copy()), joins=[join], where=exp.Where(this=absent))
    values = [(column, _source_column(index)) for index, column in enumerate(columns)]
    return composer.added(table, values, skeleton)


def _same_key(table: Table, columns: Sequence[str], target: exp.Identifier) -> exp.Expr:
    pairs = [exp.EQ(this=_column(part, target), expression=_source_column(columns.index(part))) for part in table.key]
    return exp.and_(*pairs)


def _check_conflict(conflict: exp.Expr, table: Table, composer: Composer) -> None:
    if conflict.args.get("constraint") or conflict.args.get("index_where"):
        raise ConstructRefused("a conflict is named by the columns of the key: `on conflict (…)`")
    keys = conflict.args.get("conflict_keys") or []
    named = set()
    for key in keys:
        column = key.this if isinstance(key, exp.Ordered) else key
        if not isinstance(column, exp.Column | exp.Identifier):
            raise ConstructRefused("a conflict is named by the columns of the key: `on conflict (…)`")
        named.add(composer.column(column.this if isinstance(column, exp.Column) else column, table))
    if named and named != set(table.key):
        raise WriteRefused(f"a conflict is found by the primary key of `{table.name}`: {', '.join(table.key)}")


def _from_source(value: exp.Expr, columns: Sequence[str], own: exp.Identifier) -> exp.Expr:
    """`excluded.x` and `values(x)` are the inserted row's; a bare name is the target's."""

    def put(node: exp.Expr) -> exp.Expr:
        name = _inserted_name(node)
        if name is not None:
            matching = [index for index, column in enumerate(columns) if column == name.lower()]
            if not matching:
                raise WriteRefused(f"`{name}` is not among the inserted columns")
            return _source_column(matching[0])
        if isinstance(node, exp.Column) and not node.table and node.find_ancestor(exp.Query) is None:
            return _column(node.name, own, is_quoted=bool(node.this.args.get("quoted")))
        return node

    found: exp.Expr = value.copy().transform(put)
    return found


def _inserted_name(node: exp.Expr) -> str | None:
    if isinstance(node, exp.Column) and node.table.lower() == "excluded":
        return node.name
    if isinstance(node, exp.Anonymous) and node.name.upper() == "VALUES" and len(node.expressions) == 1:
        return str(node.expressions[0].name)
    return None


def _column(name: str, table: exp.Identifier, *, is_quoted: bool = True) -> exp.Column:
    return exp.column(exp.to_identifier(name, quoted=is_quoted), table=table.copy())


def _source_column(index: int) -> exp.Column:
    return exp.column(exp.to_identifier(f"gb_v{index}"), table=exp.to_identifier(_SOURCE))
