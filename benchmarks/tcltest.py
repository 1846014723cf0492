"""Which SQL do SQLite's own tests run? Tcl files are not run, their braced blocks of SQL are taken in order."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

from steps import Step

_BLOCK = re.compile(
    r"(?P<named>do_(?:execsql|catchsql|timed_execsql|eqp)_test(?:\s+-db\s+(?P<other>\w+))?\s+\S+\s+)\{"
    r"|(?P<plain>\b(?:execsql2?|catchsql|db\s+eval|db\s+onecolumn|db\s+one|db\s+exists)\s+)\{"
    r"|(?P<reset>\breset_db\b|\b(?:forcedelete|delete_file)\s+test\.db\b)"
)
_TEMPORARY = re.compile(r"\A(\s*CREATE\s+)TEMP(?:ORARY)?\s+(TABLE|VIEW)\b", re.IGNORECASE)


def tcl_steps(text: str) -> Iterator[Step]:
    """The statements of a Tcl test file; those that Tcl would fill with its variables are left out."""
    text = re.sub(r"^\s*#.*$", "", text, flags=re.MULTILINE)
    position = 0
    while found := _BLOCK.search(text, position):
        if found.group("reset"):
            yield Step(sql="", is_reset=True)
            position = found.end()
            continue
        end = _closing(text, found.end())
        position = found.end()
        if end is None or found.group("other") not in {None, "db"}:
            continue
        position = end
        if re.match(r"\s+db\d\b", text[end : end + 8]):
            continue
        for sql in statements(text[found.end() : end - 1]):
            if "$" not in sql and "[" not in sql.replace("[]", ""):
                yield Step(sql=_TEMPORARY.sub(r"\1\2", sql))


def _closing(text: str, position: int) -> int | None:
    depth = 1
    for found in re.compile(r"\\.|[{}]", re.DOTALL).finditer(text, position):
        if found.group() == "{":
            depth += 1
        elif found.group() == "}":
            depth -= 1
            if depth == 0:
                return found.end()
    return None


def statements(block: str) -> Iterator[str]:
    """A text cut at the semicolons where SQLite says that a statement is complete."""
    buffer = ""
    for part in block.split(";"):
        buffer += part + ";"
        if sqlite3.complete_statement(buffer):
            sql = buffer.strip().removesuffix(";").strip()
            buffer = ""
            if sql:
                yield sql
    rest = buffer.removesuffix(";").strip()
    if rest:
        yield rest
