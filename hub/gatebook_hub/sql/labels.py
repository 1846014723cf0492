"""Under which name does an unnamed expression come back? SQLite and MariaDB label it by the text as typed.

They would label it by the text that they get, which is the rewritten one: it holds masks and row filters.
"""

from __future__ import annotations

import sqlglot
from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from gatebook_hub.model import Engine
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.parsing import Statement

# MariaDB takes aliases of up to 256 characters.
_MAX_LABEL = 250
_ENDS = {TokenType.FROM, TokenType.WHERE, TokenType.UNION, TokenType.LIMIT, TokenType.ORDER_BY, TokenType.GROUP_BY}


def label_projections(tree: exp.Expr, statement: Statement) -> None:
    """Alias every unnamed expression of every select list, in place; the top ones as the engine would label them."""
    if statement.engine is Engine.POSTGRESQL:
        return  # it labels by names of functions and columns, never by text
    typed = _texts(statement) if isinstance(tree, exp.Select) and not tree.args.get("with_") else []
    for select in list(tree.find_all(exp.Select)):
        is_typed = select is tree and len(typed) == len(select.expressions)
        for index, node in enumerate(list(select.expressions)):
            if isinstance(node, exp.Alias | exp.Column | exp.Star) or node.alias:
                continue
            text = typed[index] if is_typed else node.sql(dialect=dialect_of(statement.engine), comments=False)
            label = text[:_MAX_LABEL].strip() or "?"
            node.replace(exp.Alias(this=node.copy(), alias=exp.to_identifier(label, quoted=True)))


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
