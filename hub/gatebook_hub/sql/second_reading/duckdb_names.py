"""How does DuckDB spell types and lambdas in the name of an unnamed column?

A column is named before types are looked up, and a spelled statement is written after: `CAST(a AS "TINYINT")` is the
column that is spelled as `CAST(a AS TINYINT)`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

import sqlglot
from sqlglot.dialects.duckdb import DuckDB
from sqlglot.tokenizer_core import Token, TokenType

# The grammar has no words for these, so they are names, and in capitals.
_NAMED = re.compile(
    r'(?<!")\b(TIMESTAMP WITH TIME ZONE|TIME WITH TIME ZONE|TIMESTAMP_(?:S|MS|NS)|U?TINYINT|USMALLINT|UINTEGER|UBIGINT'
    r'|U?HUGEINT|BIGNUM|DOUBLE|DATE|UUID|BLOB)\b(?!")'
)
_DECIMAL = re.compile(r"\bDECIMAL\((\d+),(\d+)\)")
_DEFAULT = "DECIMAL(18,3)"
_BARE = re.compile(r"\b(?:decimal|numeric|dec)\b(?!\s*\()", re.IGNORECASE)
_FULL = re.compile(r"\b(?:decimal|numeric|dec)\s*\(\s*18\s*,\s*3\s*\)", re.IGNORECASE)
_LAMBDA = re.compile(r"\blambda\b", re.IGNORECASE)
_ARROW = re.compile(r'\((\w+|"row"\(\w+(?:, \w+)*\)) -> ')
_CASTS = {"CAST", "TRY_CAST"}


def as_named(spelled: str, typed: str) -> str:
    """The spelled statement with its types and lambdas as they stand in names of columns."""
    found = spelled
    has_bare_decimals = _BARE.search(typed) is not None and _FULL.search(typed) is None
    for start, end in reversed(list(_types(sqlglot.tokenize(spelled, dialect=DuckDB)))):
        kind = spelled[start:end]
        if has_bare_decimals:
            kind = kind.replace(_DEFAULT, "DECIMAL")
        kind = _DECIMAL.sub(r"DECIMAL(\1, \2)", _NAMED.sub(r'"\1"', kind))
        found = found[:start] + kind + found[end:]
    if _LAMBDA.search(typed) is not None and "->" not in typed:
        found = _ARROW.sub(lambda match: f"(lambda {match[1].strip('()')}: ", found)
    return found


def _types(tokens: list[Token]) -> Iterator[tuple[int, int]]:
    """Where the types of casts stand, in order: behind the `AS` of `CAST(… AS …)`."""
    opened: list[int | None] = []  # per parenthesis, where its type starts; None outside of casts, -1 before the `AS`
    before = ""
    spans = []
    for token in tokens:
        match token.token_type:
            case TokenType.L_PAREN:
                opened.append(-1 if before.upper() in _CASTS else None)
            case TokenType.R_PAREN if opened:
                start = opened.pop()
                if start is not None and start >= 0:
                    spans.append((start, token.start))
            case TokenType.ALIAS if opened and opened[-1] == -1:
                opened[-1] = token.end + 1
        before = token.text
    return iter(sorted(spans))
