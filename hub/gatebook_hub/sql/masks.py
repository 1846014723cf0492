"""How is a masked column written in each engine? NULL stays NULL; the templates' `x` is the column."""

from __future__ import annotations

from functools import lru_cache

import sqlglot
from sqlglot import exp

from gatebook_hub.model import Engine, Mask
from gatebook_hub.sql.dialects import dialect_of

_NULL = "NULLIF(x, x)"
_REDACT = "CASE WHEN x IS NULL THEN NULL ELSE '***' END"
_TEMPLATES: dict[str, dict[Engine, str]] = {
    "null": dict.fromkeys(Engine, _NULL),
    "redact": dict.fromkeys(Engine, _REDACT),
    "email": {
        Engine.SQLITE: "CASE WHEN x IS NULL THEN NULL WHEN INSTR(x, '@') < 2 THEN '***' "
        "ELSE SUBSTR(x, 1, 1) || '***' || SUBSTR(x, INSTR(x, '@')) END",
        Engine.POSTGRESQL: "CASE WHEN x IS NULL THEN NULL WHEN STRPOS(x, '@') < 2 THEN '***' "
        "ELSE LEFT(x, 1) || '***' || SUBSTR(x, STRPOS(x, '@')) END",
        Engine.MARIADB: "CASE WHEN x IS NULL THEN NULL WHEN INSTR(x, '@') < 2 THEN '***' "
        "ELSE CONCAT(LEFT(x, 1), '***', SUBSTR(x, INSTR(x, '@'))) END",
    },
    "last": {
        Engine.SQLITE: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(x) <= {n} THEN '***' "
        "ELSE '***' || SUBSTR(x, LENGTH(x) - {n} + 1) END",
        Engine.POSTGRESQL: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(x) <= {n} THEN '***' "
        "ELSE '***' || RIGHT(x, {n}) END",
        Engine.MARIADB: "CASE WHEN x IS NULL THEN NULL WHEN CHAR_LENGTH(x) <= {n} THEN '***' "
        "ELSE CONCAT('***', RIGHT(x, {n})) END",
    },
    "first": {
        Engine.SQLITE: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(x) <= {n} THEN '***' "
        "ELSE SUBSTR(x, 1, {n}) || '***' END",
        Engine.POSTGRESQL: "CASE WHEN x IS NULL THEN NULL WHEN LENGTH(x) <= {n} THEN '***' "
        "ELSE LEFT(x, {n}) || '***' END",
        Engine.MARIADB: "CASE WHEN x IS NULL THEN NULL WHEN CHAR_LENGTH(x) <= {n} THEN '***' "
        "ELSE CONCAT(LEFT(x, {n}), '***') END",
    },
    "year": {
        Engine.SQLITE: "STRFTIME('%Y-01-01', x)",
        Engine.POSTGRESQL: "CAST(DATE_TRUNC('YEAR', x) AS DATE)",
        Engine.MARIADB: "DATE_FORMAT(x, '%Y-01-01')",
    },
}


def masked(column: exp.Column, mask: Mask, engine: Engine) -> exp.Expr:
    """The expression that stands for the column wherever the principal reads it."""
    template = _template(mask.name, mask.argument, engine).copy()

    def put(node: exp.Expr) -> exp.Expr:
        is_slot = isinstance(node, exp.Column) and node.name == "x" and not node.table
        return column.copy() if is_slot else node

    return template.transform(put)


@lru_cache(maxsize=256)
def _template(name: str, argument: int | None, engine: Engine) -> exp.Expr:
    text = _TEMPLATES[name][engine].replace("{n}", str(int(argument or 0)))
    return sqlglot.parse_one(text, dialect=dialect_of(engine))
