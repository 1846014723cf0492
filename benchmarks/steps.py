"""What is one step of a foreign test script, and is it a read?"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, MutableMapping
from dataclasses import dataclass, field
from pathlib import Path

_COMMENTS = re.compile(r"(?:\s|--[^\n]*(?:\n|\Z)|/\*(?![!M]).*?\*/|\()*", re.DOTALL)
_WORD = re.compile(r"[A-Za-z]+")
_READS = {"SELECT", "WITH", "VALUES", "TABLE"}
_QUOTED = re.compile(r"'(?:[^']|'')*'|\"(?:[^\"]|\"\")*\"|`[^`]*`|\$(\w*)\$.*?\$\1\$|--[^\n]*|/\*.*?\*/", re.DOTALL)
_LOCKS = re.compile(r"\bFOR\s+(NO\s+KEY\s+)?(UPDATE|SHARE|KEY\s+SHARE)\b|\bLOCK\s+IN\s+SHARE\s+MODE\b", re.IGNORECASE)
_WRITES = re.compile(
    r"\b(INSERT\s+INTO|UPDATE\s+[\w.\"]+\s+(?:\w+\s+)?SET|DELETE\s+FROM|MERGE\s+INTO)\b", re.IGNORECASE
)
_INTO = re.compile(r"\bINTO\b", re.IGNORECASE)
_HARMLESS = set(
    """
    INSERT UPDATE DELETE COPY SET RESET ANALYZE VACUUM EXPLAIN SHOW SAVEPOINT RELEASE BEGIN START COMMIT DECLARE FETCH
    CLOSE PREPARE REPLACE PRAGMA SELECT WITH VALUES TABLE COMMENT GRANT REVOKE FLUSH DESCRIBE DESC
    """.split()  # noqa: SIM905 - a list of names reads better as text
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A statement as the script sends it. `data` is what a COPY takes, `store` gets the first row of an answer."""

    sql: str
    data: str | None = None
    store: Callable[[dict[str, str]], None] | None = None
    is_reset: bool = False
    is_read: bool = True  # False: run it, but do not measure it


@dataclass(frozen=True, slots=True, kw_only=True)
class Script:
    """A test file: its steps in order, made lazily since variables may change on the way."""

    corpus: str
    name: str
    steps: Callable[[MutableMapping[str, str]], Iterator[Step]]
    variables: dict[str, str] = field(default_factory=dict)
    is_fresh: bool = True  # starts with an empty database
    time_s: int = 5  # what the engine alone may take over one statement


def first_word(sql: str) -> str:
    """The first word behind blanks, comments and parentheses, in capitals."""
    start = _COMMENTS.match(sql)
    found = _WORD.match(sql, start.end() if start else 0)
    return found.group().upper() if found else ""


def bare(sql: str) -> str:
    """The statement without quoted texts and comments."""
    return _QUOTED.sub(" '' ", sql)


def is_read(sql: str) -> bool:
    """Whether it is a SELECT, WITH, VALUES or TABLE that neither writes nor locks nor stores its answer."""
    if first_word(sql) not in _READS:
        return False
    text = bare(sql)
    return not (_LOCKS.search(text) or _WRITES.search(text) or _INTO.search(text))


def changes_schema(sql: str) -> bool:
    """Whether the tables may be others afterwards; rather once too often."""
    return first_word(sql) not in _HARMLESS or bool(_INTO.search(bare(sql)) and first_word(sql) != "INSERT")


def is_ordered(sql: str) -> bool:
    """Whether the outermost query has an ORDER BY."""
    depth, found = 0, False
    for part in re.finditer(r"[()]|\border\s+by\b", bare(sql), re.IGNORECASE):
        if part.group() == "(":
            depth += 1
        elif part.group() == ")":
            depth -= 1
        elif depth == 0:
            found = True
    return found


def read_text(path: Path) -> str | None:
    """A file's text; None if it is not UTF-8, since its statements would not be what they were."""
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return None
