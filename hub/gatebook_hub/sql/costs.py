"""Would parsing this text cost more than it may? Looked at in its tokens, before the parser sees it.

The parser tries some constructs in two ways, at every level anew, and nothing can interrupt it: without these rules a
text of a hundred characters keeps it busy for ever.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from sqlglot.tokenizer_core import Token, TokenType

from gatebook_hub.errors import ConstructRefused, NotParsed

MAX_DEPTH = 200
_MAX_BARE_JOINS = 6
_MAX_SET_PARENTHESES = 3
_NEEDS_NO_CONDITION = {TokenType.CROSS, TokenType.NATURAL}
_BETWEEN = {TokenType.LEFT, TokenType.RIGHT, TokenType.FULL, TokenType.INNER, TokenType.OUTER}
_NESTED_TYPES = {TokenType.ARRAY, TokenType.LIST, TokenType.MAP, TokenType.NESTED, TokenType.OBJECT, TokenType.STRUCT}
_SETS = {TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT}
_NEVER = {TokenType.L_BRACE, TokenType.R_BRACE, TokenType.L_BRACKET, TokenType.R_BRACKET}


def check_cost(tokens: Sequence[Token]) -> None:
    """Raise NotParsed for deep nesting, ConstructRefused for what the parser would try again and again."""
    _check_nesting(tokens)
    _check_joins(tokens)
    for token, following in pairwise(tokens):
        kind, next_kind = token.token_type, following.token_type
        if kind in _NESTED_TYPES and next_kind in {TokenType.L_PAREN, TokenType.LT}:
            raise ConstructRefused(f"the type `{token.text.lower()}` is not taken")
        if token.text.upper() == "IF" and kind is not TokenType.IDENTIFIER and next_kind is not TokenType.L_PAREN:
            raise ConstructRefused("`if` is taken as a function alone: `if(condition, value, value)`")


def _check_nesting(tokens: Sequence[Token]) -> None:
    depth = 0
    sets: list[int] = []
    before: TokenType | None = None
    for token in tokens:
        kind = token.token_type
        if kind in _NEVER:
            raise ConstructRefused(f"`{token.text}` is not taken")
        if kind is TokenType.L_PAREN:
            depth += 1
            if before in _SETS:
                sets.append(depth)
            if depth > MAX_DEPTH:
                raise NotParsed("the statement is nested too deeply; split it with common table expressions")
            if len(sets) > _MAX_SET_PARENTHESES:
                raise ConstructRefused("set operations are nested too deeply; split them with common table expressions")
        elif kind is TokenType.R_PAREN:
            depth -= 1
            sets = [place for place in sets if place <= depth]
        before = kind


def _check_joins(tokens: Sequence[Token]) -> None:
    """What follows a join without ON or USING of its own is tried twice."""
    bare = 0
    waiting = [False]
    is_free = False
    for token in tokens:
        kind = token.token_type
        if kind is TokenType.L_PAREN:
            waiting.append(False)
        elif kind is TokenType.R_PAREN:
            bare += waiting.pop() if len(waiting) > 1 else False
        elif kind in {TokenType.JOIN, TokenType.STRAIGHT_JOIN}:
            bare += waiting[-1]
            waiting[-1] = not is_free
        elif kind in {TokenType.ON, TokenType.USING}:
            waiting[-1] = False
        is_free = kind in _NEEDS_NO_CONDITION or (is_free and kind in _BETWEEN)
        if bare > _MAX_BARE_JOINS:
            raise ConstructRefused("several joins have no condition; write `on`, `using` or `cross join` after each")
