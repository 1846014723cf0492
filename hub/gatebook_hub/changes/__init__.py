"""What is a change request, and who may move it on? Pure: every function gives the next value or says why not."""

from gatebook_hub.changes.digest import diff_digest, digest_of
from gatebook_hub.changes.request import ChangeRequest, Draft, Returned, Review, RowChange, RowDiff, State, Verdict
from gatebook_hub.changes.transitions import (
    begin,
    expire,
    fail,
    file,
    finish,
    may_review,
    missing_quorum,
    open_request,
    review,
    withdraw,
)

__all__ = [
    "ChangeRequest",
    "Draft",
    "Returned",
    "Review",
    "RowChange",
    "RowDiff",
    "State",
    "Verdict",
    "begin",
    "diff_digest",
    "digest_of",
    "expire",
    "fail",
    "file",
    "finish",
    "may_review",
    "missing_quorum",
    "open_request",
    "review",
    "withdraw",
]
