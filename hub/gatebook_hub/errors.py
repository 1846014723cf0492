"""What can go wrong, with which code?

GatebookError                     the base, never raised
├── AuthenticationError           GB-101  who you are is not proven
├── NotPermitted                  GB-102  you are known, but may not do this
├── PortalOnly                    GB-103  only a person at the portal may do this
├── InvalidInput                  GB-104  the request is malformed
├── NotFound                      GB-105  it does not exist, or not for you
├── BodyTooLarge                  GB-106  the request's body is over the limit
├── TooManyRequests               GB-107  more requests than allowed
├── StatementRefused              the statement itself, GB-2xx
│   ├── NotParsed                 GB-201
│   ├── NotOneStatement           GB-202
│   ├── KindRefused               GB-203
│   ├── ConstructRefused          GB-204
│   ├── FunctionRefused           GB-205
│   ├── UnknownRelation           GB-206
│   ├── UnknownColumn             GB-207
│   ├── ParameterMismatch         GB-208
│   └── WriteRefused              GB-209
├── AccessRefused                 GB-301  policy says no
├── ChangeError                   change requests, GB-4xx
│   ├── ReviewRefused             GB-401
│   ├── StateConflict             GB-402
│   ├── DigestMoved               GB-403
│   ├── Drifted                   GB-404
│   ├── EffectMissed              GB-405
│   ├── ApprovalRequired          GB-406
│   └── BrokenSeal                GB-407
├── SourceError                   governed databases, GB-5xx
│   ├── SourceUnavailable         GB-501
│   ├── StatementFailed           GB-502
│   ├── StatementTimeout          GB-503
│   ├── LimitExceeded             GB-504
│   ├── LedgerMissing             GB-505
│   ├── SourceChanged             GB-506
│   ├── MemoryExceeded            GB-507
│   ├── RuleBroken                GB-508
│   ├── TransactionEnded          GB-509
│   ├── CallRefused               GB-510
│   └── CallUnanswered            GB-511
├── BookUnavailable               GB-701  the intent could not be written, so nothing ran
└── PolicyInvalid                 GB-801  the policy set does not load
"""

from __future__ import annotations

from typing import ClassVar


class GatebookError(Exception):
    """The base of every error of the trusted side; never raised itself.

    `detail` is a sentence, `rule` the rule that decided, `ask` what to ask for, `reference` the event in the book.
    """

    code: ClassVar[str] = "GB-000"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "something went wrong"

    def __init__(self, detail: str = "", *, rule: str | None = None, ask: str | None = None) -> None:
        super().__init__(detail)
        self.detail = detail
        self.rule = rule
        self.ask = ask
        self.reference: int | None = None

    def __str__(self) -> str:
        text = self.detail or self.title
        return f"{text} (rule `{self.rule}`)" if self.rule else text


class AuthenticationError(GatebookError):
    """Who you are is not proven: no token, a wrong one, an expired or revoked one."""

    code, status, title = "GB-101", 401, "not authenticated"


class NotPermitted(GatebookError):
    """You are known, but this is not for you."""

    code, status, title = "GB-102", 403, "not permitted"


class PortalOnly(GatebookError):
    """Only a person with a portal session may do this; tokens of servers, tools, runs and kernels may not."""

    code, status, title = "GB-103", 403, "only at the portal"


class InvalidInput(GatebookError):
    """The request is malformed."""

    code, status, title = "GB-104", 422, "invalid input"


class NotFound(GatebookError):
    """It does not exist, or not for you."""

    code, status, title = "GB-105", 404, "not found"


class BodyTooLarge(GatebookError):
    """The request's body is over the limit."""

    code, status, title = "GB-106", 413, "body too large"


class TooManyRequests(GatebookError):
    """More requests, or more statements at once, than allowed."""

    code, status, title = "GB-107", 429, "too many requests"


class StatementRefused(GatebookError):
    """The statement itself is refused; the base of GB-2xx, never raised."""

    status = 400


class NotParsed(StatementRefused):
    """The SQL does not parse in the source's dialect."""

    code, title = "GB-201", "not understood"


class NotOneStatement(StatementRefused):
    """There is no statement, or more than one where one is taken."""

    code, title = "GB-202", "not one statement"


class KindRefused(StatementRefused):
    """This kind of statement is not taken."""

    code, title = "GB-203", "kind of statement refused"


class ConstructRefused(StatementRefused):
    """The statement uses a construct that the gate does not understand well enough."""

    code, title = "GB-204", "construct refused"


class FunctionRefused(StatementRefused):
    """The statement calls a function that is not on the allow list."""

    code, title = "GB-205", "function refused"


class UnknownRelation(StatementRefused):
    """A table does not exist, or not for you."""

    code, title = "GB-206", "unknown table"


class UnknownColumn(StatementRefused):
    """A column does not exist, or not for you, or it is ambiguous."""

    code, title = "GB-207", "unknown column"


class ParameterMismatch(StatementRefused):
    """The parameters given are not those that the statement names."""

    code, title = "GB-208", "parameters do not match"


class WriteRefused(StatementRefused):
    """This write cannot be previewed, bound to rows or kept inside what you may see."""

    code, title = "GB-209", "write refused"


class AccessRefused(GatebookError):
    """Policy says no; the rule and what to ask for are named."""

    code, status, title = "GB-301", 403, "refused by policy"


class ChangeError(GatebookError):
    """A change request cannot move on; the base of GB-4xx, never raised."""

    status = 409


class ReviewRefused(ChangeError):
    """This person may not review this request."""

    code, status, title = "GB-401", 403, "review refused"


class StateConflict(ChangeError):
    """The request is not in a state that allows this."""

    code, title = "GB-402", "wrong state"


class DigestMoved(ChangeError):
    """The request is not the one that was looked at."""

    code, title = "GB-403", "the request changed"


class Drifted(ChangeError):
    """The rows changed since they were approved; nothing was written."""

    code, title = "GB-404", "the rows changed"


class EffectMissed(ChangeError):
    """The write would not have had the effect that its action declares; nothing was written."""

    code, title = "GB-405", "the action does not apply"


class ApprovalRequired(ChangeError):
    """The write needs people, for whom no transaction waits; it was rolled back, and nothing of it remains."""

    code, title = "GB-406", "the write needs approval"


class BrokenSeal(ChangeError):
    """What is kept of a change request cannot be opened: it was changed, or the key is another one."""

    code, status, title = "GB-407", 500, "a change request cannot be opened"


class SourceError(GatebookError):
    """A governed database; the base of GB-5xx, never raised."""

    status = 400


class SourceUnavailable(SourceError):
    """The database cannot be reached."""

    code, status, title = "GB-501", 503, "source unavailable"


class StatementFailed(SourceError):
    """The database refused the statement; its text is translated and carries no values."""

    code, title = "GB-502", "the database refused the statement"


class StatementTimeout(SourceError):
    """The statement ran longer than allowed and was stopped."""

    code, status, title = "GB-503", 504, "the statement took too long"


class LimitExceeded(SourceError):
    """The answer is larger than allowed."""

    code, status, title = "GB-504", 413, "the answer is too large"


class LedgerMissing(SourceError):
    """The source has no table `gatebook_ledger`, so approved writes could not be exactly once."""

    code, status, title = "GB-505", 409, "the source takes no approved writes"


class SourceChanged(SourceError):
    """The server behind the source is not the one that was met first, so nothing is sent to it."""

    code, status, title = "GB-506", 503, "another database answers"


class MemoryExceeded(SourceError):
    """The statement needs more memory than one may have, and was stopped."""

    code, status, title = "GB-507", 413, "the statement needs too much memory"


class RuleBroken(StatementFailed):
    """The write breaks a unique value, a reference or a check of the database."""

    code, title = "GB-508", "the write breaks a rule of the database"


class TransactionEnded(SourceError):
    """The transaction is over: its time ran out, it failed or the gateway began anew. Nothing of it remains."""

    code, status, title = "GB-509", 409, "the transaction is over"


class CallRefused(SourceError):
    """The service that an action calls said no, or could not be meant; nothing was done there."""

    code, status, title = "GB-510", 502, "the service refused the call"


class CallUnanswered(SourceError):
    """The service that an action calls did not answer: whether it was done is for somebody to look up."""

    code, status, title = "GB-511", 504, "the service did not answer"


class BookUnavailable(GatebookError):
    """The book could not be written, so nothing ran."""

    code, status, title = "GB-701", 503, "the book cannot be written"


class PolicyInvalid(GatebookError):
    """The policy set does not load; the message has file, line and reason."""

    code, status, title = "GB-801", 500, "the policy set does not load"
