"""How does SQL in a notebook cell become a statement at the gate?

    %%sql SOURCE [--into NAME] [--limit N] [--purpose NAME] [--reason "…"] [--explain] [--dry-run]
    select … where country = :country

`:country` is the Python variable `country`, sent beside the statement and never pasted into it. `show tables`,
`describe TABLE` and `explain STATEMENT` are answered by the gate; `--explain` asks the last of the cell as it stands.
With `--dry-run` a write shows the rows that it would change, and a read what `explain` says; nothing is done.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from IPython.core.error import UsageError
from IPython.core.magic import Magics, line_cell_magic, line_magic, magics_class, needs_local_scope, no_var_expand
from IPython.display import display as _untyped_display

from gatebook import catalogue, provenance
from gatebook.binds import bind_names
from gatebook.changes import Change
from gatebook.completion import complete_sql
from gatebook.connection import connect
from gatebook.errors import ParameterRefused
from gatebook.model import Outcome
from gatebook.results import Footer, shown

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell

display: Callable[[object], object] = _untyped_display
USAGE = 'usage: %%sql SOURCE [--into NAME] [--limit N] [--purpose NAME] [--reason "…"] [--explain] [--dry-run]'
LAST_RESULT = "_sql"
_OPTION = re.compile(
    r"""\s*--(?P<name>[a-z]+)(?:=|\s+)(?:"(?P<quoted>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"']\S*))(?=\s|$)"""
)

_FLAG = re.compile(r"\s*--(?P<name>explain|dry-run)(?=\s|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the first line of a cell asks for; `rest` is what follows the options."""

    source: str
    into: str | None = None
    limit_rows: int | None = None
    purpose: str | None = None
    reason: str | None = None
    is_explained: bool = False
    is_dry_run: bool = False
    rest: str = ""


@magics_class
class GatebookMagics(Magics):
    """`%%sql`, `%sql` and `%gatebook`."""

    @no_var_expand  # IPython would paste $name and {name} into the statement
    @needs_local_scope
    @line_cell_magic
    def sql(self, line: str, cell: str | None = None, local_ns: Mapping[str, Any] | None = None) -> object:
        """Run one statement at the gate; see `%gatebook` for the sources that are open to you."""
        call = parse_call(line)
        statement = call.rest if cell is None else cell.removesuffix("\n")  # IPython ends every cell with one
        if cell is not None and call.rest:
            message = f"`{call.rest}` is not understood; {USAGE}"
            raise UsageError(message)
        if not statement.strip():
            message = f"there is no statement; {USAGE}"
            raise UsageError(message)
        statement = f"explain {statement}" if call.is_explained else statement
        shell = self.shell
        assert shell is not None
        namespace = {**shell.user_ns, **(local_ns or {})}
        names = bind_names(statement, catalogue.engine_of(call.source))
        result = connect(call.source).query(
            statement,
            _values(names, namespace),
            reason=call.reason,
            purpose=call.purpose,
            limit_rows=call.limit_rows,
            dry_run=call.is_dry_run,
        )
        shell.user_ns[call.into or LAST_RESULT] = result
        if cell is None:
            if not isinstance(result, (Change, Outcome)):
                display(Footer(result))
            return result  # so that `rows = %sql …` works
        if isinstance(result, (Change, Outcome)):
            display(result)
        else:
            display(shown(statement, result, is_told=call.is_dry_run))
        return None

    @line_magic
    def gatebook(self, line: str) -> None:
        """Who am I here, which sources and actions are open to me, and where do my requests stand?"""
        del line
        display(catalogue.overview())


def parse_call(line: str) -> Call:
    """The first line of a `%%sql` cell; raises `UsageError` for what it does not know."""
    source, _, rest = line.strip().partition(" ")
    if not source or source.startswith("-"):
        message = f"name a source first; {USAGE}"
        raise UsageError(message)
    options: dict[str, str] = {}
    flags = set()
    while match := _FLAG.match(rest) or _OPTION.match(rest):
        name = match["name"]
        if match.re is _FLAG:
            flags.add(name)
            rest = rest[match.end() :]
            continue
        if name not in {"into", "limit", "purpose", "reason"}:
            break
        options[name] = match["quoted"] or match["single"] or match["bare"] or ""
        rest = rest[match.end() :]
    rest = rest.strip()
    if rest.startswith("--"):
        message = f"`{rest.split()[0]}` is not an option, or has no value; {USAGE}"
        raise UsageError(message)
    into, limit = options.get("into"), options.get("limit")
    if into is not None and not into.isidentifier():
        message = f"`{into}` is not a variable's name"
        raise UsageError(message)
    if limit is not None and not (limit.isdecimal() and int(limit) > 0):
        message = f"`--limit {limit}` is not a number of rows"
        raise UsageError(message)
    return Call(
        source=source,
        into=into,
        limit_rows=int(limit) if limit else None,
        purpose=options.get("purpose"),
        reason=options.get("reason"),
        is_explained="explain" in flags,
        is_dry_run="dry-run" in flags,
        rest=rest,
    )


def load(shell: InteractiveShell) -> None:
    """Register the magics, completion and provenance, and put `gatebook` in reach if the name is free."""
    import gatebook

    shell.register_magics(GatebookMagics)
    shell.events.register("pre_run_cell", _remember_cell)
    if complete_sql not in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.append(complete_sql)
    if "gatebook" not in shell.user_ns:
        shell.user_ns["gatebook"] = gatebook
        shell.user_ns_hidden["gatebook"] = gatebook  # not one of the person's own names in %who


def unload(shell: InteractiveShell) -> None:
    """Undo `load` as far as IPython can."""
    shell.events.unregister("pre_run_cell", _remember_cell)
    if complete_sql in shell.Completer.custom_matchers:
        shell.Completer.custom_matchers.remove(complete_sql)


def _remember_cell(info: ExecutionInfo) -> None:
    provenance.begin_cell(str(info.raw_cell or ""), getattr(info, "cell_id", None))


def _values(names: tuple[str, ...], namespace: Mapping[str, object]) -> dict[str, object]:
    missing = [name for name in names if name not in namespace]
    if missing:
        listed = ", ".join(f"`:{name}`" for name in missing)
        message = f"{listed} has no value" if len(missing) == 1 else f"{listed} have no values"
        raise ParameterRefused(message, ask=f"assign the Python variable `{missing[0]}` first")
    return {name: namespace[name] for name in names}
