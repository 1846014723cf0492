"""Under which name does an unnamed expression come back? SQLite and MariaDB label it by the text as typed."""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.tokens import Token, TokenType

from gatebook_hub.model import Engine
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.parsing import Statement

_ENDS = {TokenType.FROM, TokenType.WHERE, TokenType.UNION, TokenType.LIMIT, TokenType.ORDER_BY, TokenType.GROUP_BY}


def label_projections(tree: exp.Expression, statement: Statement) -> None:
    """Alias the unnamed top-level expressions of a plain select, in place, as the engine would label them."""
    if statement.engine is Engine.POSTGRESQL or not isinstance(tree, exp.Select) or tree.args.get("with_"):
        return
    texts = _texts(statement)
    if len(texts) != len(tree.expressions):
        return
    for node, text in zip(list(tree.expressions), texts, strict=True):
        if not isinstance(node, exp.Alias | exp.Column | exp.Star):
            node.replace(exp.Alias(this=node.copy(), alias=exp.to_identifier(text, quoted=True)))


def _texts(statement: Statement) -> list[str]:
    """The select list as typed, cut at its commas."""
    tokens = sqlglot.tokenize(statement.text, dialect=dialect_of(statement.engine))
    if not tokens or tokens[0].token_type is not TokenType.SELECT:
        return []
    tokens = tokens[2:] if len(tokens) > 1 and tokens[1].token_type is TokenType.DISTINCT else tokens[1:]
    groups: list[list[Token]] = [[]]
    depth = 0
    for token in tokens:
        if depth == 0 and (token.token_type in _ENDS or token.token_type is TokenType.SEMICOLON):
            break
        depth += (token.token_type is TokenType.L_PAREN) - (token.token_type is TokenType.R_PAREN)
        if depth == 0 and token.token_type is TokenType.COMMA:
            groups.append([])
        else:
            groups[-1].append(token)
    return [statement.text[group[0].start : group[-1].end + 1] for group in groups if group]
