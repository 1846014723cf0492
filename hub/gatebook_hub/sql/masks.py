"""How is a masked column written in each engine? NULL stays NULL; in templates `x` is the column, `t` the same as text.

The keyed hash is HMAC-SHA-256 (RFC 2104), truncated to 128 bits and written in hexadecimal: the two padded keys are
bound as parameters that belong to the gate, so no statement and no error holds them.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache

import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from gatebook_hub.errors import PolicyInvalid, StatementRefused
from gatebook_hub.model import Column, Engine, Mask, Schema
from gatebook_hub.sql.dialects import dialect_of
from gatebook_hub.sql.parsing import parse_value

HASH_INNER = "gb_mask_inner"
HASH_OUTER = "gb_mask_outer"
# Functions of masks and of masks alone: statements may not call them.
MASK_FUNCTIONS: Mapping[Engine, frozenset[str]] = {
    Engine.SQLITE: frozenset({"GATEBOOK_HASH"}),
    Engine.POSTGRESQL: frozenset({"ENCODE", "SHA256", "CONVERT_TO"}),
    Engine.MARIADB: frozenset({"SHA2", "UNHEX", "CONVERT"}),
    Engine.DUCKDB: frozenset({"SHA256", "UNHEX", "ENCODE", "MAKE_DATE", "YEAR"}),
}
# What `custom` expressions call the column.
VALUE = "value"

_TEXT = ("char", "text", "clob", "string", "enum", "set")
_NUMBER = ("int", "numeric", "decimal", "real", "float", "double", "serial", "number", "hugeint")
_INEXACT = ("real", "float", "double")
_TEXT_TYPES = {Engine.MARIADB: "CHAR"}

_TEMPLATES: dict[str, dict[Engine, str]] = {
    # Constant, and still of the column's type.
    "null": dict.fromkeys(Engine, "CASE WHEN 1 = 0 THEN x END"),
    "redact": dict.fromkeys(Engine, "CASE WHEN x IS NULL THEN NULL ELSE '***' END"),
    "hash": {
        Engine.SQLITE: "GATEBOOK_HASH(:gb_mask_outer, :gb_mask_inner, t)",
        Engine.POSTGRESQL: "LEFT(ENCODE(SHA256(:gb_mask_outer || SHA256(:gb_mask_inner || CONVERT_TO(t, 'UTF8'))), "
        "'hex'), 32)",
        # Beside a text the key would be read as one, and few keys are valid UTF-8.
        Engine.MARIADB: "LEFT(SHA2(CONCAT(:gb_mask_outer, UNHEX(SHA2(CONCAT(:gb_mask_inner, "
        "CAST(CONVERT(t USING utf8mb4) AS BINARY)), 256))), 256), 32)",
        Engine.DUCKDB: "LEFT(SHA256(:gb_mask_outer || UNHEX(SHA256(:gb_mask_inner || ENCODE(t)))), 32)",
    },
    "email": {
        Engine.SQLITE: "CASE WHEN x IS NULL THEN NULL WHEN INSTR(t, '@') < 2 THEN '***' "
        "ELSE SUBSTR(t, 1, 1) || '***' || SUBSTR(t, INSTR(t, '@')) END",
        Engine.POSTGRESQL: "CASE WHEN x IS NULL THEN NULL WHEN STRPOS(t, '@') < 2 THEN '***' "
        "ELSE LEFT(t, 1) || '***' || SUBSTR(t, STRPOS(t, '@')) END",
        Engine.MARIADB: "CASE WHEN x IS NULL THEN NULL WHEN INSTR(t, '@') < 2 THEN '***' "
        "ELSE CONCAT(LEFT(t, 1), '***', SUBSTR(t, INSTR(t, '@'))) END",
        Engine.DUCKDB: "CASE WHEN x IS NULL THEN NULL WHEN STRPOS(t, '@') < 2 THEN '***' "
        "ELSE LEFT(t, 1) || '***' || SUBSTR(t, STRPOS(t, '@')) END",
    },
    "last": {
        Engine.SQLITE: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(t) <= {n} THEN '***' "
        "ELSE '***' || SUBSTR(t, LENGTH(t) - {n} + 1) END",
        Engine.POSTGRESQL: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(t) <= {n} THEN '***' "
        "ELSE '***' || RIGHT(t, {n}) END",
        Engine.MARIADB: "CASE WHEN x IS NULL THEN NULL WHEN CHAR_LENGTH(t) <= {n} THEN '***' "
        "ELSE CONCAT('***', RIGHT(t, {n})) END",
        Engine.DUCKDB: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(t) <= {n} THEN '***' ELSE '***' || RIGHT(t, {n}) END",
    },
    "first": {
        Engine.SQLITE: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(t) <= {n} THEN '***' "
        "ELSE SUBSTR(t, 1, {n}) || '***' END",
        Engine.POSTGRESQL: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(t) <= {n} THEN '***' "
        "ELSE LEFT(t, {n}) || '***' END",
        Engine.MARIADB: "CASE WHEN x IS NULL THEN NULL WHEN CHAR_LENGTH(t) <= {n} THEN '***' "
        "ELSE CONCAT(LEFT(t, {n}), '***') END",
        Engine.DUCKDB: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(t) <= {n} THEN '***' ELSE LEFT(t, {n}) || '***' END",
    },
    "year": {
        Engine.SQLITE: "STRFTIME('%Y-01-01', x)",
        Engine.POSTGRESQL: "CAST(DATE_TRUNC('YEAR', x) AS DATE)",
        Engine.MARIADB: "DATE_FORMAT(x, '%Y-01-01')",
        Engine.DUCKDB: "MAKE_DATE(YEAR(x), 1, 1)",
    },
    # The lower end of the value's bucket; integers and exact numbers keep their type.
    "bucket": {
        Engine.SQLITE: "CASE TYPEOF(x) WHEN 'integer' THEN x - (x % {n} + {n}) % {n} "
        "WHEN 'real' THEN FLOOR(x / {n}.0) * {n} END",
        Engine.POSTGRESQL: "x - MOD(MOD(x, {n}) + {n}, {n})",
        Engine.MARIADB: "x - MOD(MOD(x, {n}) + {n}, {n})",
        Engine.DUCKDB: "x - (x % {n} + {n}) % {n}",
    },
}
_INEXACT_BUCKET = "FLOOR(x / {n}) * {n}"


def masked(place: exp.Column, mask: Mask, column: Column, schema: Schema) -> exp.Expr:
    """The expression that stands for the column wherever the principal reads it; raises PolicyInvalid if none fits."""
    engine = schema.engine
    if mask.expression is not None:
        return _custom(mask.expression, engine, schema.functions).transform(_slots({VALUE: place}))
    kind = column.type.lower()
    is_text = any(word in kind for word in _TEXT) and not kind.endswith("]")
    as_text: exp.Expr = place
    if not is_text:
        as_text = exp.cast(place.copy(), _TEXT_TYPES.get(engine, "TEXT"), dialect=dialect_of(engine))
    return _template(mask, kind, engine).transform(_slots({"x": place, "t": as_text}))


def check_mask(mask: Mask, column: Column, schema: Schema) -> None:
    """Raise PolicyInvalid if the mask does not fit the column's type, or its expression is not understood."""
    masked(exp.column(exp.to_identifier(column.name, quoted=True)), mask, column, schema)


def _slots(values: Mapping[str, exp.Expr]) -> Callable[[exp.Expr], exp.Expr]:
    def put(node: exp.Expr) -> exp.Expr:
        is_slot = isinstance(node, exp.Column) and not node.table and node.name in values
        return values[node.name].copy() if is_slot else node

    return put


def _template(mask: Mask, kind: str, engine: Engine) -> exp.Expr:
    is_number = any(word in kind for word in _NUMBER) and "interval" not in kind and not kind.endswith("]")
    if mask.name == "bucket" and not is_number:
        raise PolicyInvalid(f"the mask `{mask}` (rule `{mask.rule}`) is for numbers, and the column is `{kind}`")
    is_inexact = any(word in kind for word in _INEXACT) and engine is not Engine.SQLITE
    text = _INEXACT_BUCKET if mask.name == "bucket" and is_inexact else _TEMPLATES[mask.name][engine]
    return _parsed(text.replace("{n}", str(int(mask.argument or 0))), engine)


@lru_cache(maxsize=256)
def _parsed(text: str, engine: Engine) -> exp.Expr:
    return sqlglot.parse_one(text, dialect=dialect_of(engine))


@lru_cache(maxsize=256)
def _custom(text: str, engine: Engine, functions: frozenset[str]) -> exp.Expr:
    """A data owner's expression over `value` alone."""
    try:
        tree = parse_value(text, engine, functions)
    except (StatementRefused, SqlglotError) as error:
        raise PolicyInvalid(f"the mask expression `{text}`: {error}") from error
    for node in tree.walk():
        if isinstance(node, exp.Query | exp.Placeholder | exp.Table):
            raise PolicyInvalid(f"the mask expression `{text}` may use `{VALUE}` and functions alone")
        if isinstance(node, exp.Column) and (node.table or node.name.lower() != VALUE):
            raise PolicyInvalid(f"the mask expression `{text}` names `{node.sql()}`; the column is called `{VALUE}`")
        if isinstance(node, exp.Column):
            node.set("this", exp.to_identifier(VALUE))
    return tree
