"""Which SQL do DuckDB's own tests run? sqllogictest files, their loops written out for the first rounds."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence

from steps import Step

_ROUNDS = 3
_GROUPS = {
    "<integral>": ["tinyint", "smallint", "integer", "bigint", "hugeint"],
    "<signed>": ["tinyint", "smallint", "integer", "bigint", "hugeint"],
    "<unsigned>": ["utinyint", "usmallint", "uinteger", "ubigint"],
    "<numeric>": ["tinyint", "integer", "bigint", "hugeint", "float", "double"],
    "<alltypes>": ["bool", "integer", "varchar"],
}
_TEMPORARY = re.compile(r"\A(\s*CREATE\s+(?:OR\s+REPLACE\s+)?)TEMP(?:ORARY)?\s+(TABLE|VIEW|SEQUENCE)\b", re.IGNORECASE)
# What would change the process that measures, and not a session.
_PROCESS = re.compile(
    r"\A\s*(PRAGMA|SET|RESET|CALL|FORCE|ATTACH|INSTALL|LOAD|EXPORT|IMPORT|CHECKPOINT)\b", re.IGNORECASE
)
_HARMLESS = re.compile(r"\A\s*SET\s+(SESSION\s+|variable\s+|timezone|calendar)", re.IGNORECASE)


def sqllogic_steps(text: str) -> Iterator[Step]:
    """The statements of a test file on its first connection, without settings that a gate's session would not have."""
    return _steps(text.splitlines(), {})


def _steps(lines: Sequence[str], variables: Mapping[str, str]) -> Iterator[Step]:
    index = 0
    while index < len(lines):
        words = lines[index].split()
        index += 1
        match words:
            case ["statement" | "query", *rest]:
                block, index = _block(lines, index)
                sql = _filled(block, variables).strip().removesuffix(";")
                is_other = words[0] == "statement" and len(rest) > 1
                if sql and not is_other and "${" not in sql and "__" not in sql and not _is_setting(sql):
                    yield Step(sql=_TEMPORARY.sub(r"\1\2", sql))
            case ["loop" | "foreach" | "concurrentloop" | "concurrentforeach", name, *values]:
                body, index = _loop(lines, index)
                for value in _values(words[0], values)[:_ROUNDS]:
                    yield from _steps(body, {**variables, name: value})
            case ["load", *_]:
                yield Step(sql="", is_reset=True)
            case ["mode", "skip"]:
                while index < len(lines) and lines[index].split() != ["mode", "unskip"]:
                    index += 1
            case _:
                pass


def _is_setting(sql: str) -> bool:
    return bool(_PROCESS.match(sql)) and not _HARMLESS.match(sql)


def _block(lines: Sequence[str], start: int) -> tuple[str, int]:
    """The lines of a statement, up to a blank line or the expected answer, which is skipped."""
    end = start
    while end < len(lines) and lines[end].strip() and lines[end].strip() != "----":
        end += 1
    text = "\n".join(lines[start:end])
    while end < len(lines) and lines[end].strip():
        end += 1
    return text, end


def _loop(lines: Sequence[str], start: int) -> tuple[Sequence[str], int]:
    depth, end = 1, start
    while end < len(lines):
        words = lines[end].split()
        if words[:1] == ["endloop"]:
            depth -= 1
        elif words[:1] in (["loop"], ["foreach"], ["concurrentloop"], ["concurrentforeach"]):
            depth += 1
        if depth == 0:
            break
        end += 1
    return lines[start:end], end + 1


def _values(kind: str, words: Sequence[str]) -> list[str]:
    if kind.endswith("loop"):
        return [str(number) for number in range(int(words[0]), int(words[1]))] if words[1].isdigit() else []
    return [value for word in words for value in _GROUPS.get(word, [word])]


def _filled(text: str, variables: Mapping[str, str]) -> str:
    for name, value in variables.items():
        text = text.replace(f"${{{name}}}", value)
    return text
