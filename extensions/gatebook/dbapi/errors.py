"""Which error of PEP 249 does an answer of the gate stand for?

Error
├── InterfaceError                    no gate is set, or the driver was used in a way that it has no meaning for
└── DatabaseError
    ├── DataError                     a value does not fit
    ├── OperationalError              the gate or the source is away, too slow, or over a limit
    │   └── TransactionLost           the transaction is over, and nothing of it remains
    ├── IntegrityError                a unique value, a reference or a check of the database
    ├── InternalError
    ├── ProgrammingError              the statement, its names or its parameters; also what policy refuses
    ├── NotSupportedError             a kind of statement, a construct or a function that does not pass
    ├── ApprovalRequired              a write inside of a transaction that people must look at; it was rolled back
    └── ChangeRequested               a write that waits for review now: its `id` and its `url`

Each has the gate's own error as `problem`, with its code, its rule and what to ask for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import ParamSpec, TypeVar

from gatebook import errors as ours
from gatebook.changes import Change

P = ParamSpec("P")
R = TypeVar("R")


class Warning(Exception):  # noqa: A001 - PEP 249 names it
    """Never raised; PEP 249 wants the name."""


class Error(Exception):
    """The base; `problem` is the gate's own error, where there is one."""

    def __init__(self, message: str = "", problem: ours.GatebookError | None = None) -> None:
        super().__init__(message)
        self.problem = problem

    @property
    def code(self) -> str | None:
        """The gate's stable code, `GB-…`."""
        return self.problem.code if self.problem else None


class InterfaceError(Error):
    """The driver, not the database."""


class DatabaseError(Error):
    """The gate or the database."""


class DataError(DatabaseError):
    """A value does not fit."""


class OperationalError(DatabaseError):
    """The gate or the source is away, too slow, or over a limit."""


class TransactionLost(OperationalError):
    """The transaction is over, and nothing of it remains; after a rollback the next statement begins another."""


class IntegrityError(DatabaseError):
    """A rule of the database itself is broken."""


class InternalError(DatabaseError):
    """Something went wrong inside the gate."""


class ProgrammingError(DatabaseError):
    """The statement, its names or parameters, or what policy says of them."""


class NotSupportedError(DatabaseError):
    """What does not pass the gate."""


class ApprovalRequired(DatabaseError):
    """The write needs people, for whom no transaction waits. The transaction was rolled back."""


class ChangeRequested(DatabaseError):
    """The write became a change request: nothing is written until it is approved."""

    def __init__(self, change: Change) -> None:
        super().__init__(f"the write waits for review: {change.summary} ({change.url})")
        self.change = change
        self.id = change.id
        self.url = change.url


_BY_CODE: dict[str, type[Error]] = {
    "GB-104": ProgrammingError,
    "GB-107": OperationalError,
    "GB-203": NotSupportedError,
    "GB-204": NotSupportedError,
    "GB-205": NotSupportedError,
    "GB-402": OperationalError,
    "GB-406": ApprovalRequired,
    "GB-501": OperationalError,
    "GB-503": OperationalError,
    "GB-504": OperationalError,
    "GB-506": OperationalError,
    "GB-507": OperationalError,
    "GB-508": IntegrityError,
    "GB-509": TransactionLost,
    "GB-701": OperationalError,
    "GB-901": InterfaceError,
    "GB-902": OperationalError,
    "GB-903": OperationalError,
    "GB-904": ProgrammingError,
}
_BY_FAMILY: dict[str, type[Error]] = {"GB-1": OperationalError, "GB-2": ProgrammingError, "GB-3": ProgrammingError}
# The class of an SQLSTATE, where the source tells one.
_BY_STATE: dict[str, type[Error]] = {
    "21": DataError,
    "22": DataError,
    "23": IntegrityError,
    "40": OperationalError,
    "53": OperationalError,
    "55": OperationalError,
    "57": OperationalError,
    "42": ProgrammingError,
    "0A": NotSupportedError,
}
_STATE = re.compile(r"SQLSTATE ([0-9A-Z]{5})")


def error_of(problem: ours.GatebookError) -> Error:
    """The gate's error as PEP 249 knows it."""
    if problem.code == "GB-502":
        state = _STATE.search(str(problem))
        kind = _BY_STATE.get(state[1][:2], DatabaseError) if state else DatabaseError
    else:
        kind = _BY_CODE.get(problem.code) or _BY_FAMILY.get(problem.code[:4], DatabaseError)
    return kind(f"{problem} [{problem.code}]", problem)


def translated(function: Callable[P, R]) -> Callable[P, R]:
    """A function whose errors are those of PEP 249."""

    @wraps(function)
    def called(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return function(*args, **kwargs)
        except ours.GatebookError as problem:
            raise error_of(problem) from problem

    return called
