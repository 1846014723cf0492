"""Would parsing this text cost more than it may? Looked at in its tokens, before the parser sees it.

The parser tries some constructs in two ways, at every level anew, and nothing can interrupt it: without these rules a
text of a hundred characters keeps it busy for ever. Each construct that doubles its work is counted along with all
that stand around it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from sqlglot.parser import Parser
from sqlglot.tokenizer_core import Token, TokenType

from gatebook_hub.errors import ConstructRefused, NotParsed
from gatebook_hub.model import Engine
from gatebook_hub.sql.dialects import NUMBER

MAX_DEPTH = 200
# About a second of work; a list of ten thousand values has twenty thousand.
MAX_TOKENS = 30_000
_MOST_OPEN = 6
_MOST_DOUBLINGS = 8
_SETS = {TokenType.UNION, TokenType.EXCEPT, TokenType.INTERSECT}
_LIMITS = {TokenType.LIMIT, TokenType.OFFSET, TokenType.FETCH}
_JOINS = {TokenType.JOIN, TokenType.STRAIGHT_JOIN}
_NEEDS_NO_CONDITION = {TokenType.CROSS, TokenType.NATURAL}
_BETWEEN = {TokenType.LEFT, TokenType.RIGHT, TokenType.FULL, TokenType.INNER, TokenType.OUTER}
_DEFINED = {"TABLE", "INDEX", "COLUMN"}
_BRACES = {TokenType.L_BRACE, TokenType.R_BRACE}
_OPENS = {TokenType.L_PAREN, TokenType.L_BRACE, TokenType.L_BRACKET}
_CLOSES = {TokenType.R_PAREN, TokenType.R_BRACE, TokenType.R_BRACKET}
_COMPARES = {
    TokenType.EQ, TokenType.NEQ, TokenType.GT, TokenType.GTE, TokenType.LT, TokenType.LTE, TokenType.NULLSAFE_EQ,
    TokenType.IS, TokenType.IN, TokenType.LIKE, TokenType.RLIKE,
}  # fmt: skip
# What parts one comparison from the next.
_PARTS = {
    TokenType.AND, TokenType.OR, TokenType.XOR, TokenType.NOT, TokenType.COMMA, TokenType.SELECT, TokenType.FROM,
    TokenType.WHERE, TokenType.ON, TokenType.HAVING, TokenType.WHEN, TokenType.THEN, TokenType.ELSE, TokenType.END,
    TokenType.CASE, TokenType.SET, TokenType.GROUP_BY, TokenType.ORDER_BY, TokenType.LIMIT, TokenType.UNION,
    TokenType.EXCEPT, TokenType.INTERSECT, TokenType.JOIN, TokenType.BETWEEN, TokenType.ALIAS,
}  # fmt: skip
# Words that may be a type or a function: both are tried.
_TYPES = frozenset(Parser.TYPE_TOKENS)


@dataclass(slots=True)
class _Level:
    """What is open inside one pair of parentheses or brackets, and how often what stands there is parsed."""

    doublings: int = 0
    has_limit: bool = False
    has_bare_join: bool = False


def check_cost(tokens: Sequence[Token], engine: Engine) -> None:
    """Raise NotParsed for length and deep nesting, ConstructRefused for what the parser would try again and again."""
    if len(tokens) > MAX_TOKENS:
        raise NotParsed(f"a statement may have {MAX_TOKENS:,} words and signs, this one has {len(tokens):,}")
    _check_words(tokens, engine)
    if engine is Engine.MARIADB:
        _check_comparisons(tokens)
    levels = [_Level()]
    bare = 0
    is_free = False
    before: TokenType | None = None
    for token in tokens:
        kind = token.token_type
        level = levels[-1]
        if kind in _OPENS:
            is_tried_twice = before in _SETS or before in _TYPES or kind is not TokenType.L_PAREN
            levels.append(_Level(doublings=level.doublings + level.has_limit + is_tried_twice))
        elif kind in _CLOSES and len(levels) > 1:
            bare += levels.pop().has_bare_join
        elif kind in _LIMITS:
            level.has_limit = True
        elif kind in _JOINS:
            bare += level.has_bare_join
            level.has_bare_join = not is_free
        elif kind in {TokenType.ON, TokenType.USING}:
            level.has_bare_join = False
        is_free = kind in _NEEDS_NO_CONDITION or (is_free and kind in _BETWEEN)
        before = kind
        if kind in _OPENS or kind in _JOINS:
            _check_levels(levels, bare)


def _check_words(tokens: Sequence[Token], engine: Engine) -> None:
    compared = 0
    before = ""
    for token, following in pairwise(tokens):
        kind, next_kind = token.token_type, following.token_type
        word = token.text.upper()
        if kind in _BRACES and engine is not Engine.DUCKDB:
            raise ConstructRefused(f"`{token.text}` is not taken")
        is_of_definition, before = before in _DEFINED, word  # `drop table if exists`
        is_bare_if = word == "IF" and kind is not TokenType.IDENTIFIER and next_kind is not TokenType.L_PAREN
        if is_bare_if and not is_of_definition:
            raise ConstructRefused("`if` is taken as a function alone: `if(condition, value, value)`")
        is_quoted = next_kind is TokenType.STRING and NUMBER.fullmatch(following.text) is not None
        if kind is TokenType.INTERVAL and engine is Engine.MARIADB and is_quoted:
            raise ConstructRefused(f"write `interval {following.text} …`, without the quotes")
        if kind is TokenType.OVER and next_kind not in {TokenType.L_PAREN, TokenType.VAR, TokenType.IDENTIFIER}:
            raise ConstructRefused("`over` is followed by a window, `over (…)` or `over name`")
        if engine is Engine.MARIADB:
            _check_mariadb(token, following)
        compared += kind in _TYPES and next_kind is TokenType.LT
        if compared > _MOST_OPEN:
            raise ConstructRefused("too many types stand before `<`; put the casts into parentheses")


def _check_comparisons(tokens: Sequence[Token]) -> None:
    """MariaDB reads all comparisons from the left, at one level; the parser knows levels."""
    compared = [False]
    for token in _without_shifts(tokens):
        kind = token.token_type
        if kind in _OPENS:
            compared.append(False)
        elif kind in _CLOSES and len(compared) > 1:
            compared.pop()
        elif kind in _COMPARES:
            if compared[-1]:
                raise ConstructRefused("comparisons of comparisons are written with parentheses: `(a = b) = c`")
            compared[-1] = True
        elif kind in _PARTS:
            compared[-1] = False


def _without_shifts(tokens: Sequence[Token]) -> Sequence[Token]:
    """Without `<<` and `>>`, which come as two signs each."""
    found: list[Token] = []
    for token in tokens:
        is_sign = token.token_type in {TokenType.LT, TokenType.GT}
        if is_sign and found and found[-1].token_type is token.token_type and found[-1].end + 1 == token.start:
            found.pop()
        else:
            found.append(token)
    return found


def _check_mariadb(token: Token, following: Token) -> None:
    """Literals that would be written back as another value, or as the same value of another type."""
    if token.token_type is TokenType.TIME and following.token_type is TokenType.STRING:
        raise ConstructRefused("a time is written as a call: `time('…')`")
    if token.token_type is TokenType.INTERVAL and following.token_type is TokenType.STRING and following.text.isdigit():
        raise ConstructRefused("a number of an interval is written without quotes")
    is_hex = following.token_type is TokenType.HEX_STRING
    if is_hex and following.end - following.start + 1 == len(following.text) + len("0x"):
        raise ConstructRefused("`0x…` is a number or a text by what stands around it; write `x'…'` for a text")


def _check_levels(levels: Sequence[_Level], bare: int) -> None:
    if len(levels) > MAX_DEPTH:
        raise NotParsed("the statement is nested too deeply; split it with common table expressions")
    if bare + sum(level.has_bare_join for level in levels) > _MOST_OPEN:
        raise ConstructRefused("several joins have no condition; write `on`, `using` or `cross join` after each")
    if levels[-1].doublings > _MOST_DOUBLINGS:
        raise ConstructRefused("this is nested too deeply for the parser; use common table expressions")
