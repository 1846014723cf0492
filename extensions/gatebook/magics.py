"""How does SQL in a notebook cell become a statement at the gate?

    %%sql SOURCE [--into NAME] [--limit N] [--purpose NAME] [--reason "…"] [--explain] [--dry-run]
                 [--progress] [--as pandas|arrow|polars|rows] [--dtypes nullable|arrow]
    select … where country = :country

`:country` is the Python variable `country`, sent beside the statement and never pasted into it. `show tables`,
`describe TABLE` and `explain STATEMENT` are answered by the gate; `--explain` asks the last of the cell as it stands.
With `--dry-run` a write shows the rows that it would change, and a read what `explain` says; nothing is done.
`--progress` tells how far a read is, `--as` and `--dtypes` say what is kept of it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
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
from gatebook.options import USAGE, parse_call
from gatebook.progress import Progress, Unseen, line_here
from gatebook.results import Footer, Told, is_question
from gatebook.rows import NULLABLE, POLARS, check_polars, gathered

if TYPE_CHECKING:
    from IPython.core.interactiveshell import ExecutionInfo, InteractiveShell

display: Callable[[object], object] = _untyped_display
LAST_RESULT = "_sql"


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
        values = _values(names, namespace)
        if call.kind == POLARS:
            check_polars()
        with Progress(line_here() if call.has_progress else Unseen()) as progress:
            answer = connect(call.source).send(
                statement,
                values,
                reason=call.reason,
                purpose=call.purpose,
                limit_rows=call.limit_rows,
                dry_run=call.is_dry_run,
            )
            rows = None if isinstance(answer, (Change, Outcome)) else gathered(answer, progress.seen)
            result = answer if rows is None else rows.to(call.kind, call.dtypes or NULLABLE)
        shell.user_ns[call.into or LAST_RESULT] = result
        if rows is None:
            progress.answered()
            if cell is not None:
                display(result)
        elif cell is None:
            progress.done(Footer(rows.outcome))
        else:
            progress.done(Told(rows.df()) if call.is_dry_run or is_question(statement) else rows)
        return result if cell is None else None  # so that `rows = %sql …` works

    @line_magic
    def gatebook(self, line: str) -> None:
        """Who am I here, which sources and actions are open to me, and where do my requests stand?"""
        del line
        display(catalogue.overview())


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
