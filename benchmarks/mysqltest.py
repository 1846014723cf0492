"""Which SQL do MariaDB's own tests run? The language of `mysqltest`, without its loops and connections."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from steps import Step, read_text

_COMMANDS = re.compile(
    r"\s*(let|inc|dec|echo|error|source|eval|evalp|exec|execw|system|connect|connection|disconnect|send|send_eval|reap|"
    r"sleep|real_sleep|query_vertical|query_horizontal|query|enable_\w+|disable_\w+|replace_\w+|vertical_results|"
    r"horizontal_results|sorted_result|lowercase_result|result_format|die|skip|exit|remove_file\w*|copy_file\w*|"
    r"move_file|write_file|append_file|cat_file|diff_files|mkdir|rmdir|list_files\w*|file_exists|chmod|perl|"
    r"character_set|ps_protocol|start_timer|end_timer|wait_for_slave\w*|sync_\w+|save_master_pos|shutdown_server|"
    r"send_quit|change_user|dirty_close|ping|require|optimizer_trace|assert|delimiter|while|if|end|reset_connection|"
    r"output|force-\w+|partially_sorted_result|skip_if_hypergraph|remove_files_wildcard|change_connection)\b",
    re.IGNORECASE,
)
_RUNS = re.compile(r"\s*(query_vertical|query_horizontal|query|evalp?)\s+(?=\S)", re.IGNORECASE)
_SOURCE = re.compile(r"\s*(?:--\s*)?source\s+(\S+?)\s*;?\s*\Z", re.IGNORECASE)
_TEMPORARY = re.compile(r"\A(\s*CREATE\s+(?:OR\s+REPLACE\s+)?)TEMPORARY\s+(TABLE|SEQUENCE)\b", re.IGNORECASE)
_SESSION = re.compile(
    r"\A\s*SET\s+(NAMES|CHARACTER\s+SET|CHARSET)\b"
    r"|\A\s*SET\s.*\b(sql_mode|time_zone|character_set\w*|collation_connection)\b",
    re.IGNORECASE | re.DOTALL,
)
_SERVER = re.compile(r"\A\s*(SHUTDOWN|KILL|INSTALL|UNINSTALL|CHANGE\s+MASTER|SET\s+(@@)?GLOBAL\b)", re.IGNORECASE)
_DEPTH = 4
_MOST = 60_000


def mysqltest_steps(text: str, root: Path, depth: int = 0) -> Iterator[Step]:
    """The statements of a test file and of the files that it names with `source`."""
    return _Cutter(root, depth).steps(text)


class _Cutter:
    """The delimiter in force and the lines of the statement so far."""

    def __init__(self, root: Path, depth: int) -> None:
        self._root = root
        self._depth = depth
        self._delimiter = ";"
        self._buffer: list[str] = []
        self._skip_until: str | None = None

    def steps(self, text: str) -> Iterator[Step]:
        """The steps in order."""
        for line in text.splitlines():
            if self._skip_until is not None:
                self._skip_until = None if line.strip() == self._skip_until else self._skip_until
            elif not self._buffer and self._is_command(line.strip()):
                yield from self._included(line.strip())
            else:
                self._buffer.append(line)
                yield from self._complete()
                if sum(map(len, self._buffer)) > _MOST:
                    return  # a quote that never ends: text in another encoding

    def _is_command(self, line: str) -> bool:
        """Whether a line between statements is nothing for the server; notes delimiters and texts that follow."""
        if not line or line.startswith("#") or line in {"{", "}"} or _SOURCE.match(line):
            return True
        self._skip_until = _heredoc(line.removeprefix("--").strip())
        if line.startswith("--"):
            self._set_delimiter(line[2:].strip())
            return True
        return self._skip_until is not None

    def _set_delimiter(self, command: str) -> bool:
        words = command.split(maxsplit=1)
        if not words or words[0].lower() != "delimiter":
            return False
        self._delimiter = words[1].strip() if len(words) > 1 else ";"
        return True

    def _included(self, line: str) -> Iterator[Step]:
        found = _SOURCE.match(line)
        if found is None or self._depth >= _DEPTH or found.group(1).startswith("include/have_"):
            return
        path = self._root / found.group(1)
        text = read_text(path) if path.is_file() else None
        if text is not None:
            yield from mysqltest_steps(text, self._root, self._depth + 1)

    def _complete(self) -> Iterator[Step]:
        """The statements that end in what was read so far; the rest stays."""
        whole = "\n".join(self._buffer)
        while self._delimiter in whole and (at := _cut(whole, self._delimiter)) is not None:
            statement, whole = whole[:at], whole[at + len(self._delimiter) :].lstrip()
            if not self._set_delimiter(statement.strip()):
                yield from self._statement(statement)
        if whole.lstrip().startswith("#") and "\n" not in whole.strip():
            whole = ""
        self._buffer = [whole] if whole.strip() else []

    def _statement(self, text: str) -> Iterator[Step]:
        sql = re.sub(r"\A(?:\s*#[^\n]*\n|\s*--\s[^\n]*\n|\s*[{}]\s*)+", "", text).strip()
        run = _RUNS.match(sql)
        if run:
            sql = sql[run.end() :].strip()
        elif _COMMANDS.match(sql):
            yield from self._included(sql)
            return
        if sql and "$" not in sql and not _SESSION.match(sql) and not _SERVER.match(sql):
            yield Step(sql=_TEMPORARY.sub(r"\1\2", sql))


def _heredoc(command: str) -> str | None:
    words = command.rstrip(";").split()
    if words and words[0].lower() in {"perl", "write_file", "append_file"}:
        return words[-1] if len(words) > 1 and words[-1].isupper() else "EOF"
    return None


def _cut(text: str, delimiter: str) -> int | None:
    """Where the statement ends: at the first delimiter outside of quotes and comments."""
    pattern = re.compile(
        r"'(?:[^'\\]|\\.|'')*'|\"(?:[^\"\\]|\\.|\"\")*\"|`[^`]*`|/\*.*?\*/|--\s[^\n]*|#[^\n]*|(?P<open>['\"`]|/\*)|(?P<end>"
        + re.escape(delimiter)
        + ")",
        re.DOTALL,
    )
    for found in pattern.finditer(text):
        if found.group("open"):
            return None
        if found.group("end"):
            return found.start()
    return None
