"""Would parsing this text cost more than it may? Looked at in its tokens, before the parser sees it.

The parser tries some constructs in two ways, at every level anew, and nothing can interrupt it: without these rules a
text of a hundred characters keeps it busy for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType

from gatebook_hub.errors import ConstructRefused, NotParsed
from gatebook_hub.model import Engine

MAX_DEPTH = 200
_MOST_OPEN = 6
_SETS = {TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT}
_JOINS = {TokenType.JOIN, TokenType.STRAIGHT_JOIN}
_NEEDS_NO_CONDITION = {TokenType.CROSS, TokenType.NATURAL}
_BETWEEN = {TokenType.LEFT, TokenType.RIGHT, TokenType.FULL, TokenType.INNER, TokenType.OUTER}
_BRACES = {TokenType.L_BRACE, TokenType.R_BRACE}
_OPENS = {TokenType.L_BRACE, TokenType.L_BRACKET}
_CLOSES = {TokenType.R_BRACE, TokenType.R_BRACKET}
# Types that are functions as well; `varchar(20)` and the others hold numbers.
_ALSO_FUNCTIONS = {TokenType.DATE, TokenType.DATETIME, TokenType.TIME, TokenType.TIMESTAMP, TokenType.YEAR}
_TYPES = frozenset(Parser.TYPE_TOKENS) - _ALSO_FUNCTIONS - {TokenType.INTERVAL}


@dataclass(slots=True)
class _Level:
    """What is open inside one pair of parentheses, and how much of it around them."""

    limits: int = 0
    sets: int = 0
    has_limit: bool = False
    has_bare_join: bool = False


def check_cost(tokens: Sequence[Token], engine: Engine) -> None:
    """Raise NotParsed for deep nesting, ConstructRefused for what the parser would try again and again."""
    _check_words(tokens, engine)
    _check_brackets(tokens)
    levels = [_Level()]
    bare = 0
    is_free = False
    before: TokenType | None = None
    for token in tokens:
        kind = token.token_type
        level = levels[-1]
        if kind is TokenType.L_PAREN:
            levels.append(_Level(limits=level.limits + level.has_limit, sets=level.sets + (before in _SETS)))
        elif kind is TokenType.R_PAREN and len(levels) > 1:
            bare += levels.pop().has_bare_join
        elif kind in {TokenType.LIMIT, TokenType.OFFSET, TokenType.FETCH}:
            level.has_limit = True
        elif kind in _JOINS:
            bare += level.has_bare_join
            level.has_bare_join = not is_free
        elif kind in {TokenType.ON, TokenType.USING}:
            level.has_bare_join = False
        is_free = kind in _NEEDS_NO_CONDITION or (is_free and kind in _BETWEEN)
        before = kind
        if kind is TokenType.L_PAREN or kind in _JOINS:
            _check_levels(levels, bare)


def _check_brackets(tokens: Sequence[Token]) -> None:
    depth = 0
    for token in tokens:
        depth += (token.token_type in _OPENS) - (token.token_type in _CLOSES)
        if depth > _MOST_OPEN:
            raise ConstructRefused("brackets are nested too deeply; use common table expressions")


def _check_words(tokens: Sequence[Token], engine: Engine) -> None:
    compared = 0
    for token, following in pairwise(tokens):
        kind, next_kind = token.token_type, following.token_type
        if kind in _BRACES and engine is not Engine.DUCKDB:
            raise ConstructRefused(f"`{token.text}` is not taken")
        if token.text.upper() == "IF" and kind is not TokenType.IDENTIFIER and next_kind is not TokenType.L_PAREN:
            raise ConstructRefused("`if` is taken as a function alone: `if(condition, value, value)`")
        compared += kind in _TYPES and next_kind is TokenType.LT
        if compared > _MOST_OPEN:
            raise ConstructRefused("too many types stand before `<`; put the casts into parentheses")
    for token, parenthesis, inside in zip(tokens, tokens[1:], tokens[2:], strict=False):
        is_type = token.token_type in _TYPES and parenthesis.token_type is TokenType.L_PAREN
        if is_type and inside.token_type is not TokenType.NUMBER:
            raise ConstructRefused(f"`{token.text.lower()}` is not taken as a function; a type holds numbers alone")


def _check_levels(levels: Sequence[_Level], bare: int) -> None:
    if len(levels) > MAX_DEPTH:
        raise NotParsed("the statement is nested too deeply; split it with common table expressions")
    if bare + sum(level.has_bare_join for level in levels) > _MOST_OPEN:
        raise ConstructRefused("several joins have no condition; write `on`, `using` or `cross join` after each")
    if max(levels[-1].limits, levels[-1].sets) > _MOST_OPEN:
        raise ConstructRefused("limits or set operations are nested too deeply; use common table expressions")
