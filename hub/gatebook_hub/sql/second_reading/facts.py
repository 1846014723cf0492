"""What does PostgreSQL itself find in a text: which kind, relations, functions and types?"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading.differences import TOO_DEEP
from gatebook_hub.sql.second_reading.engine_parser import read
from gatebook_hub.sql.second_reading.labels import column_labels, label
from gatebook_hub.sql.second_reading.nodes import KNOWN
from gatebook_hub.sql.second_reading.trees import PLACES, Body, Tree, class_of, words

Name = tuple[str, str]
_Ctes = frozenset[str]
# Functions that the grammar knows by name; an unnamed column takes that name too.
_NAMED_BY_GRAMMAR = frozenset({"CoalesceExpr", "GroupingFunc", "MinMaxExpr", "SQLValueFunction"})


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineFacts:
    """One text as PostgreSQL's parser sees it; names are (schema, name), the schema is empty where none is written.

    `kind` is the class of the one statement, empty unless `statements` is 1. `relations` are all that is no common
    table expression in scope, `written` the targets of writes among them. `functions` holds everything that computes
    by name, the grammar's own (`coalesce`, `current_date`, `nullif`) among them. `unknown` names node classes, and
    fields of classes, that are not on the list: a text with any is to be refused. `labels` are the names of the output
    columns, None for a star.
    """

    statements: int
    kind: str
    relations: frozenset[Name]
    written: frozenset[Name]
    functions: frozenset[Name]
    operators: frozenset[Name]
    types: frozenset[Name]
    parameters: frozenset[int]
    unknown: frozenset[str]
    labels: tuple[str | None, ...]

    @property
    def is_plain_read(self) -> bool:
        """One query that writes nothing, locks nothing and holds nothing unknown."""
        return self.kind == "SelectStmt" and not self.written and not self.unknown


def facts_of(text: str) -> EngineFacts:
    """Read a text with PostgreSQL's own parser; raises NotParsed.

    `into`, locks, utility statements, functions with a column list and whatever else is not known are in `unknown`.
    """
    statements = read(text)
    try:
        labels = column_labels(statements[0]) if len(statements) == 1 else ()
    except RecursionError as error:
        raise NotParsed(TOO_DEEP) from error
    walk = _Walk()
    for statement in statements:
        walk.stack.append((statement, "", frozenset()))
    walk.run()
    return EngineFacts(
        statements=len(statements),
        kind=next(iter(statements[0]), "") if len(statements) == 1 else "",
        relations=frozenset(walk.relations),
        written=frozenset(walk.written),
        functions=frozenset(walk.functions),
        operators=frozenset(walk.operators),
        types=frozenset(walk.types),
        parameters=frozenset(walk.parameters),
        unknown=frozenset(walk.unknown),
        labels=labels,
    )


@dataclass(slots=True)
class _Walk:
    """Every node once, without recursion, with the field that holds it and the common table expressions in scope."""

    stack: list[tuple[Any, str, _Ctes]] = field(default_factory=list)
    relations: set[Name] = field(default_factory=set)
    written: set[Name] = field(default_factory=set)
    functions: set[Name] = field(default_factory=set)
    operators: set[Name] = field(default_factory=set)
    types: set[Name] = field(default_factory=set)
    parameters: set[int] = field(default_factory=set)
    unknown: set[str] = field(default_factory=set)

    def run(self) -> None:
        while self.stack:
            value, holder, ctes = self.stack.pop()
            if isinstance(value, list):
                self.stack.extend((item, holder, ctes) for item in value)
            elif isinstance(value, dict) and value:
                self._node(value, holder, ctes)

    def _node(self, value: Tree, holder: str, ctes: _Ctes) -> None:
        name, body = class_of(value, holder) or (holder, value)
        known = KNOWN.get(name)
        if known is None:
            self.unknown.add(name)
            return
        if "withClause" in body:
            ctes = self._with(body["withClause"], ctes)
        self._note(name, body, holder, ctes)
        for key, inner in body.items():
            if key in PLACES or key == "withClause":
                continue
            if key not in known:
                self.unknown.add(f"{name}.{key}")
            elif isinstance(inner, list | dict):
                self.stack.append((inner, key, ctes))

    def _with(self, clause: Body, outer: _Ctes) -> _Ctes:
        """Look into each common table expression with those that it sees; return what the statement sees."""
        self.unknown.update(f"WithClause.{key}" for key in clause.keys() - PLACES - KNOWN["WithClause"])
        expressions = [item["CommonTableExpr"] for item in clause["ctes"]]
        everything = outer | {expression["ctename"] for expression in expressions}
        seen = outer
        for expression in expressions:
            scope = everything if clause.get("recursive") else seen
            self.stack.append(({"CommonTableExpr": expression}, "ctes", scope))
            seen |= {expression["ctename"]}
        return everything

    def _note(self, name: str, body: Body, holder: str, ctes: _Ctes) -> None:
        if name == "RangeVar":
            self._relation(body, holder, ctes)
        elif name == "FuncCall":
            self.functions.add(_name(body["funcname"]))
        elif name in _NAMED_BY_GRAMMAR or body.get("kind") == "AEXPR_NULLIF":
            self.functions.add(("", label({name: body})))
        elif name == "A_Expr":
            self.operators.add(_name(body["name"]))
        elif name == "SubLink" and "operName" in body:
            self.operators.add(_name(body["operName"]))
        elif name == "TypeName":
            self.types.add(_name(body["names"]))
        elif name == "ParamRef":
            self.parameters.add(body.get("number", 0))

    def _relation(self, body: Body, holder: str, ctes: _Ctes) -> None:
        relation = (body.get("schemaname", ""), body["relname"])
        # A write goes to a table even where a common table expression has its name.
        if holder == "relation":
            self.written.add(relation)
        if relation[0] or holder == "relation" or relation[1] not in ctes:
            self.relations.add(relation)


def _name(parts: list[Tree]) -> Name:
    """Schema and name; what has more parts keeps them in the schema, where nothing allowed is found."""
    *schema, name = words(parts)
    return ".".join(schema), name
