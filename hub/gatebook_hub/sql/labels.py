"""Under which name does an unnamed expression come back? SQLite and MariaDB label it by the text as typed.

They would label it by the text that they get, which is the rewritten one: it holds masks and row filters. PostgreSQL
labels it by what it calls, DuckDB by its own spelling, and both say themselves how they would call the text as typed.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from gatebook_hub.model import Engine
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.parsing import Statement
from gatebook_hub.sql.second_reading.duckdb_names import as_named

# MariaDB takes aliases of up to 256 characters.
_MAX_LABEL = 250
_ENDS = {
    TokenType.FROM, TokenType.WHERE, TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT, TokenType.LIMIT,
    TokenType.ORDER_BY, TokenType.GROUP_BY, TokenType.HAVING, TokenType.WINDOW, TokenType.SEMICOLON,
}  # fmt: skip
_BEFORE_LIST = {TokenType.DISTINCT, TokenType.ALL}
_OPENS = {TokenType.L_PAREN, TokenType.L_BRACE, TokenType.L_BRACKET}
_CLOSES = {TokenType.R_PAREN, TokenType.R_BRACE, TokenType.R_BRACKET}


def label_projections(tree: exp.Expr, statement: Statement) -> None:
    """Alias every unnamed expression of every select list, in place, as the engine would label it."""
    if statement.engine is Engine.POSTGRESQL:
        _label_as_told(tree, statement)
        return
    typed = list(_texts(statement))
    selects = [select for select in _selects(tree) if not _is_made(select)]
    for position, select in enumerate(selects):
        # DuckDB spells some parts as selects of their own; the first one is the statement's, unless it defines tables.
        is_sure = len(typed) == len(selects) or (position == 0 and bool(typed) and not tree.args.get("with_"))
        texts = typed[position] if is_sure else []
        is_typed = len(texts) == len(select.expressions)
        labelled = list(select.expressions)
        for index, node in enumerate(select.expressions):
            # What a window calls an alias is the name of another window.
            if isinstance(node, exp.Alias | exp.Column | exp.Star) or (node.alias and not isinstance(node, exp.Window)):
                continue
            text = texts[index] if is_typed else node.sql(dialect=dialect_of(statement.engine), comments=False)
            label = _mariadb_label(node, text) if statement.engine is Engine.MARIADB else text.strip() or "?"
            is_moment = isinstance(node, exp.CurrentDate | exp.CurrentTimestamp | exp.CurrentTime)
            if is_moment and statement.engine is Engine.DUCKDB:
                continue  # it would mean itself there
            labelled[index] = exp.Alias(this=node.copy(), alias=exp.to_identifier(label, quoted=True))
        select.set("expressions", labelled)


def _mariadb_label(node: exp.Expr, text: str) -> str:
    """MariaDB calls a text in quotes by what it says."""
    inner = node.unnest()
    is_text = isinstance(inner, exp.Literal) and inner.is_string and bool(inner.name.strip())
    return (inner.name.lstrip() if is_text else text.strip() or "?")[:_MAX_LABEL]


def _label_as_told(tree: exp.Expr, statement: Statement) -> None:
    """PostgreSQL labels by names of functions and columns: those that it would give to the text as typed."""
    select = tree
    while isinstance(select, exp.SetOperation | exp.Subquery):
        select = select.this
    if not isinstance(select, exp.Select) or len(statement.labels) != len(select.expressions):
        return
    labelled = list(select.expressions)
    for index, (label, node) in enumerate(zip(statement.labels, select.expressions, strict=True)):
        if label is not None and not isinstance(node, exp.Alias | exp.Column | exp.Star):
            labelled[index] = exp.Alias(this=node.copy(), alias=exp.to_identifier(label, quoted=True))
    select.set("expressions", labelled)


def _selects(node: exp.Expr) -> Iterator[exp.Select]:
    """The selects of a tree in the order in which they are typed: common table expressions come first."""
    clause = node.args.get("with_")
    if clause is not None:
        yield from _selects(clause)
    if isinstance(node, exp.Select):
        yield node
    for child in node.iter_expressions():
        if child is not clause:
            yield from _selects(child)


def _is_made(select: exp.Select) -> bool:
    """Whether the parser made it around a list of values."""
    clause = select.args.get("from_")
    return clause is not None and isinstance(clause.this, exp.Values) and clause.this.alias == "_values"


def _texts(statement: Statement) -> Iterator[list[str]]:
    """The select lists as typed, or as DuckDB spells them, each cut at its commas."""
    text = statement.text if statement.spelled is None else as_named(statement.spelled, statement.text)
    tokens = sqlglot.tokenize(text, dialect=dialect_of(statement.engine))
    for position, token in enumerate(tokens):
        if token.token_type is TokenType.SELECT:
            yield [text[group[0].start : group[-1].end + 1] for group in _items(tokens[position + 1 :])]


def _items(tokens: Sequence[Token]) -> list[list[Token]]:
    groups: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        kind = token.token_type
        if depth == 0 and (kind in _ENDS or kind in _CLOSES):
            break
        if kind in _BEFORE_LIST and groups == [[]]:
            continue
        depth += (kind in _OPENS) - (kind in _CLOSES)
        if depth == 0 and kind is TokenType.COMMA:
            groups.append([])
        else:
            groups[-1].append(token)
    return [group for group in groups if group]
