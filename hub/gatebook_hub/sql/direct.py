"""How is a write sent as one statement? Where nothing hides anything of its tables, there is nothing to go around."""

from __future__ import annotations

from dataclasses import replace

from sqlglot import exp

from gatebook_hub.errors import UnknownRelation
from gatebook_hub.model import Engine, Schema
from gatebook_hub.sql.dialects import fold, fold_identifiers
from gatebook_hub.sql.generating import Plan, cte_name, generate_write, without_replacing
from gatebook_hub.sql.parsing import Statement


def can_be_direct(statement: Statement) -> bool:
    """Whether whoever reads the statement finds that it writes one table, and returns columns by their names."""
    tree = statement.tree
    returning = tree.args.get("returning")
    if returning is not None and (statement.engine is Engine.MARIADB or returning.find(exp.Star)):
        return False
    match tree:
        case exp.Insert():
            meets = any(tree.args.get(name) for name in ("conflict", "ignore", "alternative", "with_"))
            return isinstance(tree.this, exp.Schema) and isinstance(tree.this.this, exp.Table) and not meets
        case exp.Update() | exp.Delete():
            others = [tree.args.get(name) for name in ("from_", "using", "tables", "with_", "order", "limit")]
            return isinstance(tree.this, exp.Table) and not tree.this.args.get("joins") and not any(others)
        case _:
            return False


def write_directly(statement: Statement, schema: Schema, tables: frozenset[str], *, nonce: str) -> Plan:
    """The statement with its tables in the source's namespace; raises UnknownRelation for any but these `tables`."""
    tree = statement.tree.copy()
    engine = schema.engine
    fold_identifiers(tree, engine)
    names = {fold(cte.args["alias"].this, engine): index for index, cte in enumerate(tree.find_all(exp.CTE))}
    for cte in tree.find_all(exp.CTE):
        name = cte_name(names[fold(cte.args["alias"].this, engine)], nonce)
        cte.args["alias"].set("this", exp.to_identifier(name, quoted=True))
    for table in tree.find_all(exp.Table):
        if isinstance(table.this, exp.Func):
            continue
        name = fold(table.this, engine)
        if name in names and not table.db:
            # By name alone: one that is out of its scope is found nowhere, and not a table of the engine's.
            if not table.args.get("alias"):
                table.set("alias", exp.TableAlias(this=table.this.copy()))
            table.set("this", exp.to_identifier(cte_name(names[name], nonce), quoted=True))
        elif name in tables:
            table.set("this", exp.to_identifier(name, quoted=True))
            table.set("db", exp.to_identifier(schema.namespace, quoted=True))
        else:
            raise UnknownRelation(f"there is no table `{table.name}` in `{schema.source}` that you may see")
    functions = statement.functions | schema.functions
    plan = generate_write(
        tree, engine=engine, namespace=schema.namespace or "", tables=tables, nonce=nonce, functions=functions
    )
    return replace(plan, sql=without_replacing(plan.sql, engine))
