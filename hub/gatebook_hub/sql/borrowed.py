"""Does the engine have what was typed, or would something else be written that gives other rows?

The parser knows what other engines have, and writes a replacement for it: a union for a `full join`, a plain cast for
`try_cast`. PostgreSQL and DuckDB read the text as typed themselves; for the other two this is asked here.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise

from sqlglot import exp
from sqlglot.tokenizer_core import Token, TokenType

from gatebook_hub.errors import ConstructRefused
from gatebook_hub.model import Engine

_NAMES = {Engine.MARIADB: "MariaDB", Engine.SQLITE: "SQLite"}
# MariaDB casts to none of them, and the parser writes a type that holds other values.
_NOT_OF_MARIADB = {
    **dict.fromkeys(("BOOLEAN",), "write `x <> 0`"),
    **dict.fromkeys(("TINYINT", "SMALLINT", "MEDIUMINT"), "write `as signed`, which takes larger numbers too"),
    **dict.fromkeys(("TINYBLOB", "MEDIUMBLOB", "LONGBLOB"), "write `as binary`"),
}
_WORDS_NOT_OF_MARIADB = frozenset({"REAL", "FLOAT4", "TIMESTAMPTZ", "TIMESTAMPLTZ", "TIMESTAMP_LTZ"})
# SQLite knows a type by letters of its name, the parser by the whole of it.
_NOT_OF_SQLITE = {
    **dict.fromkeys(("STRING", "STR"), "write `as text`"),
    **dict.fromkeys(("BYTEA", "BINARY", "VARBINARY"), "write `as blob`"),
    **dict.fromkeys(("BYTE", "SHORT", "LONG"), "write `as integer`"),
}
_CASTS = frozenset({"CAST", "TRY_CAST"})
_PLAIN_KEY = re.compile(r"\$.*|[^.\[]+", re.DOTALL)


def check_borrowed(node: exp.Expr, engine: Engine) -> None:
    """Raise ConstructRefused for a node that the engine has not."""
    name = _NAMES.get(engine)
    hint = None if name is None else _hint(node, engine)
    if hint is not None:
        raise ConstructRefused(f"{name} has no {hint}")


def check_spelling(tokens: Sequence[Token], engine: Engine) -> None:
    """Raise ConstructRefused for what the engine has not, or reads otherwise, where the tree does not show it."""
    if engine not in _NAMES:
        return
    _check_calls(tokens, engine)
    for token, following in pairwise(tokens):
        kind, next_kind = token.token_type, following.token_type
        if kind is TokenType.DCOLON:
            _check_word(following, engine)
        if engine is not Engine.SQLITE:
            continue
        is_glued = following.start == token.end + 1 and next_kind is TokenType.VAR
        if kind is TokenType.NUMBER and is_glued:
            raise ConstructRefused(f"`{token.text}{following.text}` is not a number; put a space or a sign between")
        if kind is TokenType.NOT and token.text == "!":
            raise ConstructRefused("SQLite has no `!`; write `not`")
        if kind is TokenType.BINARY and next_kind is TokenType.STRING:
            raise ConstructRefused("SQLite has no `binary` before a text; write `cast('…' as blob)`")
        is_arrow = kind in {TokenType.ARROW, TokenType.DARROW} and next_kind is TokenType.STRING
        if is_arrow and not _PLAIN_KEY.fullmatch(following.text):
            raise ConstructRefused("versions of SQLite read such a key in two ways; write a path: `'$.a.b'`")


def _hint(node: exp.Expr, engine: Engine) -> str | None:
    """What the engine has not, and what to write for it."""
    match node:
        case exp.TryCast():
            return "`try_cast`; write `cast`, with a condition on the text if it may be something else"
        case exp.Distinct() if node.args.get("on") is not None:
            return "`distinct on`; number the rows with `row_number() over (…)` in a subquery and keep the first"
        case exp.Qualify():
            return "`qualify`; compute the window in a subquery and write the condition around it"
        case exp.ILike():
            return "`ilike`; write `lower(x) like lower(y)`"
        case exp.Between() if node.args.get("symmetric"):
            return "`between symmetric`; write `between least(a, b) and greatest(a, b)`, or both ways with `or`"
        case exp.SetOperation() if isinstance(node.this, exp.Select) and _is_limited(node.this):
            return "`order by` or `limit` before a set operation; put that part into a subquery: `select * from (…) x`"
        case _:
            return _hint_of_one(node, engine)


def _hint_of_one(node: exp.Expr, engine: Engine) -> str | None:
    """As `_hint`, of what one of the two has."""
    match node:
        case exp.Join() if node.side == "FULL" and engine is Engine.MARIADB:
            return "`full join`; write a `left join` and, after `union all`, the rows of the right alone"
        case exp.IntDiv() if engine is Engine.SQLITE:
            return "`div`; write `cast(x / y as integer)`"
        case exp.Extract() if engine is Engine.MARIADB and node.name.upper() == "EPOCH":
            return "`epoch`; write `unix_timestamp(x)`"
        case exp.DataType() if engine is Engine.MARIADB:
            return _of_type(node)
        case _:
            return None


def _is_limited(query: exp.Select) -> bool:
    return any(query.args.get(part) is not None for part in ("order", "limit", "offset"))


def _of_type(node: exp.DataType) -> str | None:
    name = str(getattr(node.this, "name", node.this)).upper()
    if name in _NOT_OF_MARIADB:
        return f"cast to `{name.lower()}`; {_NOT_OF_MARIADB[name]}"
    if name in {"TIMESTAMP", "TIMESTAMPTZ"} and node.expressions:
        return "cast to `timestamp`; write `as datetime(…)`"
    return None


def _check_calls(tokens: Sequence[Token], engine: Engine) -> None:
    """Calls with a syntax of their own: the type of a cast, and what `trim` takes away."""
    opened: list[str] = []
    before = ""
    for token, following in pairwise(tokens):
        inside = opened[-1] if opened else ""
        match token.token_type:
            case TokenType.L_PAREN:
                opened.append(before)
            case TokenType.R_PAREN:
                if opened:
                    opened.pop()
            case TokenType.ALIAS if inside in _CASTS:
                _check_word(following, engine)
            case TokenType.WITH if inside in _CASTS and engine is Engine.MARIADB:
                raise ConstructRefused("MariaDB has no cast to moments with a zone; write `as datetime`")
            case TokenType.COMMA if inside == "TRIM" and engine is Engine.MARIADB:
                raise ConstructRefused("MariaDB has no `trim` of two values; write `trim('…' from x)`")
            case TokenType.FROM if inside == "TRIM" and engine is Engine.SQLITE:
                raise ConstructRefused("SQLite has no `from` in `trim`; write `trim(x, '…')`, which takes letters")
            case _:
                pass
        before = token.text.upper()


def _check_word(token: Token, engine: Engine) -> None:
    word = token.text.upper()
    if engine is Engine.MARIADB and word in _WORDS_NOT_OF_MARIADB:
        hint = "datetime" if word.startswith("TIME") else "double"
        raise ConstructRefused(f"MariaDB has no cast to `{word.lower()}`; write `as {hint}`")
    if engine is Engine.SQLITE and word in _NOT_OF_SQLITE:
        raise ConstructRefused(f"SQLite makes numbers of a `{word.lower()}`; {_NOT_OF_SQLITE[word]}")
