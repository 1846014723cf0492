"""What does the first line of a `%%sql` cell ask for?"""

from __future__ import annotations

import re
from dataclasses import dataclass

from IPython.core.error import UsageError

from gatebook.rows import DTYPES, KINDS, PANDAS

USAGE = (
    'usage: %%sql SOURCE [--into NAME] [--limit N] [--purpose NAME] [--reason "…"] [--explain] [--dry-run] '
    f"[--progress] [--as {'|'.join(KINDS)}] [--dtypes {'|'.join(DTYPES)}]"
)
_VALUED = {"into", "limit", "purpose", "reason", "as", "dtypes"}
_OPTION = re.compile(
    r"""\s*--(?P<name>[a-z]+)(?:=|\s+)(?:"(?P<quoted>[^"]*)"|'(?P<single>[^']*)'|(?P<bare>[^\s"']\S*))(?=\s|$)"""
)
_FLAG = re.compile(r"\s*--(?P<name>explain|dry-run|progress)(?=\s|$)")


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """What the first line of a cell asks for; `rest` is what follows the options."""

    source: str
    into: str | None = None
    limit_rows: int | None = None
    purpose: str | None = None
    reason: str | None = None
    kind: str = PANDAS
    dtypes: str | None = None
    is_explained: bool = False
    is_dry_run: bool = False
    has_progress: bool = False
    rest: str = ""


def parse_call(line: str) -> Call:
    """The first line of a `%%sql` cell; raises `UsageError` for what it does not know."""
    source, _, rest = line.strip().partition(" ")
    if not source or source.startswith("-"):
        message = f"name a source first; {USAGE}"
        raise UsageError(message)
    options, flags, rest = _split(rest)
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
    kind, dtypes = options.get("as", PANDAS), options.get("dtypes")
    _check_choice("as", kind, KINDS)
    if dtypes is not None:
        _check_choice("dtypes", dtypes, DTYPES)
        if kind != PANDAS:
            message = f"`--dtypes` is for pandas, and this is `--as {kind}`"
            raise UsageError(message)
    return Call(
        source=source,
        into=into,
        limit_rows=int(limit) if limit else None,
        purpose=options.get("purpose"),
        reason=options.get("reason"),
        kind=kind,
        dtypes=dtypes,
        is_explained="explain" in flags,
        is_dry_run="dry-run" in flags,
        has_progress="progress" in flags,
        rest=rest,
    )


def _split(rest: str) -> tuple[dict[str, str], set[str], str]:
    """Options with a value, options without one, and what follows them."""
    options: dict[str, str] = {}
    flags: set[str] = set()
    while match := _FLAG.match(rest) or _OPTION.match(rest):
        name = match["name"]
        if match.re is _FLAG:
            flags.add(name)
        elif name in _VALUED:
            options[name] = match["quoted"] or match["single"] or match["bare"] or ""
        else:
            break
        rest = rest[match.end() :]
    return options, flags, rest.strip()


def _check_choice(name: str, given: str, choices: tuple[str, ...]) -> None:
    if given not in choices:
        listed = f"{', '.join(f'`{one}`' for one in choices[:-1])} or `{choices[-1]}`"
        message = f"`--{name} {given}` is not known; it is {listed}"
        raise UsageError(message)
