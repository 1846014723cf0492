r"""How is a script of PostgreSQL's psql cut into statements? Variables, COPY data and `\gset` as psql does them."""

from __future__ import annotations

import re
from collections.abc import Iterator, MutableMapping
from pathlib import Path

from steps import Step, first_word

_TOKEN = re.compile(
    r"""(?P<comment>--[^\n]*|/\*) | (?P<escape>[eE]'(?:[^'\\]|\\.|'')*') | (?P<string>'(?:[^']|'')*')
      | (?P<quoted>"(?:[^"]|"")*") | (?P<dollar>\$(?:[A-Za-z_]\w*)?\$) | (?P<meta>\\) | (?P<end>;)
      | (?P<open>\() | (?P<close>\))
      | (?<!:):'(?P<literal>\w+)' | (?<!:):"(?P<name>\w+)" | (?<!:):(?P<plain>[A-Za-z_]\w*)
      | (?P<word>[A-Za-z_]\w*)""",
    re.VERBOSE | re.DOTALL,
)
_TEMPORARY = re.compile(
    r"\A(\s*CREATE\s+)(?:(?:LOCAL|GLOBAL)\s+)?TEMP(?:ORARY)?\s+(TABLE|VIEW|SEQUENCE)\b", re.IGNORECASE
)
_COPY_FILE = re.compile(r"\A(\s*COPY\s.*?\sFROM\s+)'([^']*)'", re.IGNORECASE | re.DOTALL)
_COPY_STDIN = re.compile(r"\A\s*COPY\s.*\sFROM\s+STDIN\b", re.IGNORECASE | re.DOTALL)


def psql_steps(text: str, variables: MutableMapping[str, str]) -> Iterator[Step]:
    """The statements of a psql script, variables put in as they stand at that moment."""
    return _Cutter(text, variables).steps()


class _Cutter:
    """Where in the text we are, what belongs to the statement so far, and how deep inside brackets or a body it is."""

    def __init__(self, text: str, variables: MutableMapping[str, str]) -> None:
        self._text = text
        self._variables = variables
        self._position = 0
        self._buffer: list[str] = []
        self._depth = 0
        self._body = 0

    def steps(self) -> Iterator[Step]:
        """The steps in order; asks for the variables only when it gets there."""
        while found := _TOKEN.search(self._text, self._position):
            self._buffer.append(self._text[self._position : found.start()])
            self._position = found.end()
            match found.lastgroup:
                case "comment" if found.group() == "/*":
                    self._position = _end_of_comment(self._text, found.end())
                    self._buffer.append(" ")
                case "comment":
                    pass
                case "dollar":
                    self._position = self._after(found.group(), found.end())
                    self._buffer.append(self._text[found.start() : self._position])
                case "literal" | "name" | "plain":
                    self._buffer.append(_value(found, self._variables))
                case "meta":
                    yield from self._meta()
                case "end" if self._depth == 0 and self._body == 0:
                    yield from self._statement()
                case _:
                    self._add(found.group(), found.lastgroup or "")

    def _add(self, piece: str, kind: str) -> None:
        self._buffer.append(piece)
        if kind in {"open", "close"}:
            self._depth = max(0, self._depth + (1 if kind == "open" else -1))
        word = piece.upper()
        if word == "ATOMIC" and first_word("".join(self._buffer)) == "CREATE":
            self._body = 1  # a function's `BEGIN ATOMIC … END` holds semicolons
        elif self._body and word in {"CASE", "BEGIN", "END"}:
            self._body += -1 if word == "END" else 1

    def _taken(self) -> str:
        sql = "".join(self._buffer).strip()
        self._buffer, self._depth, self._body = [], 0, 0
        return sql

    def _statement(self) -> Iterator[Step]:
        sql = self._taken()
        if _COPY_STDIN.match(sql):
            start = self._text.find("\n", self._position) + 1
            end = self._text.find("\n\\.", start - 1)
            end = len(self._text) if end < 0 else end
            yield Step(sql=sql, data=self._text[start : end + 1], is_read=False)
            self._position = self._after("\n", end + 1)
        elif sql:
            yield _step(sql)

    def _meta(self) -> Iterator[Step]:
        """A backslash: a command up to the end of the line, or one with a semicolon, which sends nothing yet."""
        if self._text.startswith(";", self._position):
            self._buffer.append(";")
            self._position += 1
            return
        end = self._text.find("\n", self._position)
        end = len(self._text) if end < 0 else end
        command = self._text[self._position : end]
        self._position = end
        word = command.split(maxsplit=1)[0] if command.strip() else ""
        if word in {"g", "gx", "gset", "gdesc", "gexec", "crosstabview", "watch"}:
            sql = self._taken()
            if sql:
                yield from _sent(sql, command, self._variables)
        elif word in {"r", "reset"}:
            self._taken()
        else:
            yield from _command(command, self._variables)

    def _after(self, mark: str, start: int) -> int:
        end = self._text.find(mark, start)
        return len(self._text) if end < 0 else end + len(mark)


def _end_of_comment(text: str, position: int) -> int:
    depth = 1
    for found in re.compile(r"/\*|\*/").finditer(text, position):
        depth += 1 if found.group() == "/*" else -1
        if depth == 0:
            return found.end()
    return len(text)


def _value(found: re.Match[str], variables: MutableMapping[str, str]) -> str:
    name = found.group("literal") or found.group("name") or found.group("plain")
    if name not in variables:
        return found.group()
    value = variables[name]
    if found.group("literal"):
        return "'" + value.replace("'", "''") + "'"
    return '"' + value + '"' if found.group("name") else value


def _step(sql: str) -> Step:
    """A table of a session alone is one that no gate reads: it becomes an ordinary one."""
    sql = _TEMPORARY.sub(r"\1\2", sql)
    copied = _COPY_FILE.match(sql)
    if copied:
        path = Path(copied.group(2))
        data = path.read_text(encoding="utf-8") if path.exists() else ""
        return Step(sql=f"{copied.group(1)}STDIN{sql[copied.end() :]}", data=data, is_read=False)
    return Step(sql=sql)


def _sent(sql: str, command: str, variables: MutableMapping[str, str]) -> Iterator[Step]:
    word, _, rest = command.partition(" ")
    if word == "gset":
        prefix = rest.strip()

        def store(row: dict[str, str]) -> None:
            variables.update({prefix + name: value for name, value in row.items()})

        yield Step(sql=sql, store=store)
    elif word in {"g", "gx", "crosstabview"}:
        yield Step(sql=sql)


def _command(command: str, variables: MutableMapping[str, str]) -> Iterator[Step]:
    words = command.split()
    match words[:1]:
        case ["set"] if len(words) > 1:
            variables[words[1]] = "".join(_unquoted(word, variables) for word in words[2:])
        case ["getenv"] if len(words) > 2 and words[2] in variables:
            variables[words[1]] = variables[words[2]]
        case ["c" | "connect"]:
            yield Step(sql="", is_reset=True)
        case _:
            pass


def _unquoted(word: str, variables: MutableMapping[str, str]) -> str:
    if word.startswith("'") and word.endswith("'"):
        return word[1:-1]
    if word.startswith(":"):
        return variables.get(word[1:], "")
    return word
