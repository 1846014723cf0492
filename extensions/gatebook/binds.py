"""Which `:name` in a statement are bind variables?

Those outside of strings, comments and quoted identifiers, and not part of a cast (`::`), an assignment (`:=`), a
slice (`a[lo:hi]`) or a struct (`{'a':b}`). What counts as a string or a comment differs between engines; a statement is
only read here, never changed: the gate gets it as it was typed, with the values beside it.
"""

from __future__ import annotations

import re
from functools import lru_cache

_LINE_COMMENT = r"--[^\n]*"
_BLOCK_COMMENT = r"/\*.*?(?:\*/|\Z)"
_STRING = r"'[^']*(?:''[^']*)*(?:'|\Z)"
_NAME = r'"[^"]*(?:""[^"]*)*(?:"|\Z)'
_BACKTICK_NAME = r"`[^`]*(?:``[^`]*)*(?:`|\Z)"
_BIND = r"(?<![\w'\"]):(?P<bind>[^\W\d]\w*)"
_REST = r"::|:=|\w+"

# MySQL and MariaDB: a backslash escapes, "…" is a string, # begins a comment, -- only before white space.
_MYSQL = (
    r"--(?=\s|\Z)[^\n]*",
    r"\#[^\n]*",
    _BLOCK_COMMENT,
    r"'(?:[^'\\]|\\.|'')*(?:'|\Z)",
    r'"(?:[^"\\]|\\.|"")*(?:"|\Z)',
    _BACKTICK_NAME,
    _BIND,
    _REST,
)
_SQLITE = (_LINE_COMMENT, _BLOCK_COMMENT, _STRING, _NAME, _BACKTICK_NAME, r"\[[^\]]*(?:\]|\Z)", _BIND, _REST)
# PostgreSQL: comments nest (read by hand below), E'…' has backslashes, $tag$…$tag$ is a string, [ ] are subscripts.
_POSTGRESQL = (
    _LINE_COMMENT,
    r"(?P<nested>/\*)",
    r"(?<![\w$])[eE]'(?:[^'\\]|\\.|'')*(?:'|\Z)",
    _STRING,
    _NAME,
    r"(?<![\w$])\$(?P<tag>(?:[^\W\d]\w*)?)\$.*?(?:\$(?P=tag)\$|\Z)",
    _BIND,
    _REST,
)
_DIALECTS = {"mariadb": _MYSQL, "mysql": _MYSQL, "sqlite": _SQLITE}


def bind_names(sql: str, engine: str) -> tuple[str, ...]:
    """The names of the bind variables in `sql`, each once, in order; an unknown engine is read like PostgreSQL."""
    pattern = _pattern(engine)
    names: dict[str, None] = {}
    position = 0
    while match := pattern.search(sql, position):
        position = match.end()
        found = match.groupdict()
        if found.get("nested"):
            position = _end_of_comment(sql, position)
        elif found["bind"]:
            names[found["bind"]] = None
    return tuple(names)


@lru_cache
def _pattern(engine: str) -> re.Pattern[str]:
    return re.compile("|".join(_DIALECTS.get(engine, _POSTGRESQL)), re.DOTALL)


def _end_of_comment(sql: str, position: int) -> int:
    """Where the comment that was opened before `position` ends; comments nest."""
    depth = 1
    for mark in re.finditer(r"/\*|\*/", sql[position:]):
        depth += 1 if mark[0] == "/*" else -1
        if depth == 0:
            return position + mark.end()
    return len(sql)
