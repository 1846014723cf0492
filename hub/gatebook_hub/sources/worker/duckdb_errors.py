"""What does an error of DuckDB mean, said without its text? The text may carry values."""

from __future__ import annotations

import duckdb

from gatebook_hub.errors import (
    LedgerMissing,
    MemoryExceeded,
    RuleBroken,
    SourceUnavailable,
    StatementFailed,
    StatementTimeout,
)
from gatebook_hub.sources.source import LEDGER


def translate(error: Exception, *, is_late: bool = False) -> Exception:
    """The class of the error in words."""
    match error:
        case duckdb.InterruptException() if is_late:
            return StatementTimeout("the statement took longer than allowed and was stopped")
        case duckdb.InterruptException():
            return StatementFailed("the statement was cancelled")
        case duckdb.OutOfMemoryException() | MemoryError():
            return MemoryExceeded("the statement needs more memory than it may have; narrow it")
        case duckdb.ConstraintException():
            return RuleBroken(f"the write breaks a rule of the database ({_constraint(error)})")
        case duckdb.CatalogException() if f"Table with name {LEDGER} does not exist" in str(error):
            return LedgerMissing("the source has no ledger yet; the operator runs `gatebook source prepare`")
        case duckdb.IOException() | duckdb.FatalException():
            return SourceUnavailable("the source cannot be read now")
        case duckdb.InternalException():
            return StatementFailed("the database came upon an error of its own; write the statement in another way")
        case duckdb.Error():
            return StatementFailed(f"the database refused the statement ({type(error).__name__})")
        case _:
            return StatementFailed("the values do not fit the statement")


def _constraint(error: Exception) -> str:
    text = str(error)
    known = {
        "violates primary key": "a unique key",
        "violates unique": "a unique value",
        "foreign key": "a reference to another table",
        "NOT NULL": "a value that must not be empty",
        "CHECK": "a check",
    }
    return next((words for sign, words in known.items() if sign in text), "a constraint")
