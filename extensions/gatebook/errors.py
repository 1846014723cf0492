"""What can go wrong for a caller, and how is it told?

GatebookError                 the base, never raised
├── NotConfigured             GB-901  no gateway is set for this process
├── GatewayUnreachable        GB-902  nobody answered, or the answer broke off before it began
├── StreamCut                 GB-903  rows ended without the outcome that closes them
├── ParameterRefused          GB-904  a value has no place in a statement's parameters
├── NotATable                 GB-905  a write was asked for as a table
├── LibraryMissing            GB-906  what the rows are asked for as is not installed
├── NotAuthenticated          GB-101  the token is missing, wrong, expired or revoked
├── NotPermitted              GB-102, GB-103  you are known, but this is not for you
├── InvalidInput              GB-104, GB-106  the request is malformed
├── NotFound                  GB-105  it does not exist, or not for you
├── Refused                   the base of what the gate refuses, never raised
│   ├── StatementRefused      GB-2xx  the statement itself
│   └── AccessRefused         GB-301  policy says no
├── ChangeRefused             GB-4xx  a change request cannot move on
├── SourceUnavailable         GB-501  the database cannot be reached
│   └── SourceChanged         GB-506  another database answers than the one that is known, so nothing was sent
├── StatementFailed           GB-502, other GB-5xx  the database refused the statement
├── LimitExceeded             GB-107, GB-503, GB-504, GB-507  too many, too long or too large
└── GatewayFailed             everything else that the gateway answers

Codes below GB-900 are the gateway's; those from GB-901 are this client's own.
"""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from pathlib import Path
from typing import ClassVar

_PACKAGE = str(Path(__file__).parent)


class GatebookError(Exception):
    """The base of every error of this package; never raised itself.

    `code` is stable; `rule` names the policy rule that decided; `ask` says what to ask for; `reference` is the id of
    the event in the book, for a question to the people who run the gate.
    """

    default_code: ClassVar[str] = "GB-900"
    sentence: ClassVar[str] = "something went wrong"

    def __init__(
        self,
        detail: str = "",
        *,
        code: str | None = None,
        rule: str | None = None,
        ask: str | None = None,
        reference: str | None = None,
    ) -> None:
        super().__init__(detail)
        self.detail = detail
        self.code = code or self.default_code
        self.rule = rule
        self.ask = ask
        self.reference = reference

    def __str__(self) -> str:
        text = _as_clause(self.detail or self.sentence)
        rule = f" (rule `{self.rule}`)" if self.rule and f"`{self.rule}`" not in text else ""
        ask = f"; {_as_clause(self.ask)}" if self.ask else ""
        return f"{text}{rule}{ask}"

    def __reduce__(self) -> tuple[object, ...]:
        # Errors cross process borders (joblib, concurrent.futures); keyword-only parts would be lost by default.
        return (_rebuild, (type(self), self.detail, self.__dict__))

    def _render_traceback_(self) -> list[str]:
        """What IPython shows instead of a traceback: the sentence, what to ask for, and where it happened."""
        red, bold, reset = "\x1b[31m", "\x1b[1m", "\x1b[0m"
        text = _as_clause(self.detail or self.sentence)
        lines = [f"{red}{bold}{type(self).__name__} {self.code}{reset}: {text[:1].upper()}{text[1:]}."]
        if self.rule:
            lines.append(f"Rule: {self.rule}.")
        if self.ask:
            ask = _as_clause(self.ask)
            lines.append(f"What to do: {ask}.")
        if self.reference:
            lines.append(f"Reference: {self.reference}.")
        where = self._place()
        return [*lines, where] if where else lines

    def _place(self) -> str | None:
        """The innermost line of the caller's own code."""
        for frame in reversed(traceback.extract_tb(self.__traceback__)):
            name = frame.filename
            if name.startswith(_PACKAGE) or "/IPython/" in name or not frame.line or "run_cell_magic" in frame.line:
                continue
            file = "" if "ipykernel_" in name or name.startswith("<") else f"{Path(name).name}, "
            return f"At {file}line {frame.lineno}: {frame.line.strip()}"
        return None


class NotConfigured(GatebookError):
    """No gateway is set for this process."""

    default_code = "GB-901"
    sentence = "no gateway is set"


class GatewayUnreachable(GatebookError):
    """Nobody answered, or the answer broke off before it began; `was_sent` says whether the request may have run."""

    default_code = "GB-902"
    sentence = "the gateway cannot be reached"
    was_sent: bool = False


class StreamCut(GatebookError):
    """Rows ended without the outcome that closes them: what arrived is not the whole answer."""

    default_code = "GB-903"
    sentence = "the answer was cut off before its end"


class ParameterRefused(GatebookError):
    """A value has no place in a statement's parameters, or a bind variable has no value."""

    default_code = "GB-904"
    sentence = "this value cannot be a parameter"


class NotATable(GatebookError):
    """A write was asked for as a table; it went its way, and `answer` is its change request or outcome."""

    default_code = "GB-905"
    sentence = "the statement is a write, so there are no rows"
    answer: object = None


class LibraryMissing(GatebookError):
    """The library that the rows are asked for as is not installed here."""

    default_code = "GB-906"
    sentence = "a library is not installed"


class NotAuthenticated(GatebookError):
    """The token is missing, wrong, expired or revoked."""

    default_code = "GB-101"
    sentence = "who you are is not proven"


class NotPermitted(GatebookError):
    """You are known, but this is not for you."""

    default_code = "GB-102"
    sentence = "this is not permitted"


class InvalidInput(GatebookError):
    """The request is malformed."""

    default_code = "GB-104"
    sentence = "the request is malformed"


class NotFound(GatebookError):
    """It does not exist, or not for you."""

    default_code = "GB-105"
    sentence = "it does not exist, or not for you"


class Refused(GatebookError):
    """The gate refused; the base of `StatementRefused` and `AccessRefused`, never raised itself."""

    sentence = "refused"


class StatementRefused(Refused):
    """The statement itself is refused: it does not parse, is not one statement, uses what the gate does not take."""

    default_code = "GB-200"
    sentence = "the statement is refused"


class AccessRefused(Refused):
    """Policy says no."""

    default_code = "GB-301"
    sentence = "refused by policy"


class ChangeRefused(GatebookError):
    """A change request cannot move on: its state, its rows or the person do not allow it."""

    default_code = "GB-400"
    sentence = "the change request cannot move on"


class SourceUnavailable(GatebookError):
    """The database behind the source cannot be reached."""

    default_code = "GB-501"
    sentence = "the source is unavailable"


class SourceChanged(SourceUnavailable):
    """Another database answers than the one that is known as this source, so nothing was sent to it."""

    default_code = "GB-506"
    sentence = "another database answers, so nothing was sent to it"


class StatementFailed(GatebookError):
    """The database refused the statement."""

    default_code = "GB-502"
    sentence = "the database refused the statement"


class LimitExceeded(GatebookError):
    """Too many requests, too long a run, too large an answer or too much memory."""

    default_code = "GB-504"
    sentence = "a limit is exceeded"


class GatewayFailed(GatebookError):
    """The gateway could not do it: the book cannot be written, or it failed."""

    default_code = "GB-700"
    sentence = "the gateway failed"


_BY_CODE: Mapping[str, type[GatebookError]] = {
    "GB-101": NotAuthenticated,
    "GB-102": NotPermitted,
    "GB-103": NotPermitted,
    "GB-104": InvalidInput,
    "GB-105": NotFound,
    "GB-106": InvalidInput,
    "GB-107": LimitExceeded,
    "GB-301": AccessRefused,
    "GB-501": SourceUnavailable,
    "GB-503": LimitExceeded,
    "GB-504": LimitExceeded,
    "GB-506": SourceChanged,
    "GB-507": LimitExceeded,
}
_BY_FAMILY: Mapping[str, type[GatebookError]] = {
    "GB-2": StatementRefused,
    "GB-3": AccessRefused,
    "GB-4": ChangeRefused,
    "GB-5": StatementFailed,
    "GB-7": GatewayFailed,
    "GB-8": GatewayFailed,
}
_BY_STATUS: Mapping[int, type[GatebookError]] = {
    400: InvalidInput,
    401: NotAuthenticated,
    403: NotPermitted,
    404: NotFound,
    409: ChangeRefused,
    413: InvalidInput,
    422: InvalidInput,
    429: LimitExceeded,
    502: SourceUnavailable,
    503: SourceUnavailable,
    504: SourceUnavailable,
}


def error_of(problem: Mapping[str, object], status: int = 0) -> GatebookError:
    """The error that a problem document (RFC 9457) stands for; unknown codes fall back to the HTTP status."""
    code = _text(problem.get("code"))
    kind = _BY_CODE.get(code or "") or _BY_FAMILY.get((code or "")[:4])
    if kind is None:
        reported = problem.get("status")
        kind = _BY_STATUS.get(status or (reported if isinstance(reported, int) else 0), GatewayFailed)
    return kind(
        _text(problem.get("detail")) or _text(problem.get("title")) or "",
        code=code,
        rule=_text(problem.get("rule")),
        ask=_text(problem.get("ask")),
        reference=_text(problem.get("reference")),
    )


def _text(value: object) -> str | None:
    return None if value is None or value == "" else str(value)


def _as_clause(text: str) -> str:
    """Lower case and without final stop, unless the first word is an abbreviation or a quoted name."""
    text = text.strip().rstrip(".")
    first = text.split(" ", 1)[0]
    return text[:1].lower() + text[1:] if first[1:].islower() or len(first) == 1 else text


def _rebuild(kind: type[GatebookError], detail: str, parts: dict[str, object]) -> GatebookError:
    error = kind(detail)
    error.__dict__.update(parts)
    return error
