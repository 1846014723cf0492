"""POST /api/v1/transactions: how does a transaction begin before its first write, and how does it end?"""

from __future__ import annotations

from fastapi import APIRouter

from gatebook_hub.gateway.documents import BeginDocument, TransactionDocument, TransactionStateDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases

router = APIRouter()


@router.post("/transactions", operation_id="begin_transaction", status_code=201, responses=PROBLEM)
def begin(call: Calling, body: BeginDocument, cases: Cases) -> TransactionStateDocument:
    """Begin one in a sandbox; elsewhere nothing could be written in it."""
    return TransactionStateDocument(id=cases.queries.begin(call, body.source), is_open=True)


@router.post("/transactions/{transaction}", operation_id="control_transaction", responses=PROBLEM)
def control(call: Calling, transaction: str, body: TransactionDocument, cases: Cases) -> TransactionStateDocument:
    """Commit, roll back, or set a savepoint."""
    is_open = cases.transactions.control(call, transaction, body.do, body.name)
    return TransactionStateDocument(id=transaction, is_open=is_open)
