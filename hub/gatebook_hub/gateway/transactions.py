"""POST /api/v1/transactions/{id}: how does a transaction end, and what is undone of it?"""

from __future__ import annotations

from fastapi import APIRouter

from gatebook_hub.gateway.documents import TransactionDocument, TransactionStateDocument
from gatebook_hub.gateway.edge import PROBLEM, Calling, Cases

router = APIRouter()


@router.post("/transactions/{transaction}", operation_id="control_transaction", responses=PROBLEM)
def control(call: Calling, transaction: str, body: TransactionDocument, cases: Cases) -> TransactionStateDocument:
    """Commit, roll back, or set a savepoint."""
    is_open = cases.transactions.control(call, transaction, body.do, body.name)
    return TransactionStateDocument(id=transaction, is_open=is_open)
