"""Which records are there by what somebody typed? /search."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool

from gatebook_hub.gateway.documents import Document, ProvenanceDocument
from gatebook_hub.gateway.edge import Calling, Cases, answers, with_claims
from gatebook_hub.services.searching import MOST_TYPED, Found

router = APIRouter()


class SearchDocument(Document):
    """What somebody typed. It is sent in a body, since addresses are kept in logs."""

    text: str = Field(min_length=1, max_length=MOST_TYPED)
    entities: list[str] = Field(default_factory=list, max_length=20, description="Only these; all if left out.")
    purpose: str | None = Field(None, max_length=63, pattern=r"^[a-z][a-z0-9_]*$")
    provenance: ProvenanceDocument = Field(default_factory=ProvenanceDocument)


class RecordDocument(BaseModel):
    """A record that was found."""

    entity: str
    title: str
    key: dict[str, Any]
    shown: dict[str, Any] = Field(description="What the entity shows of it; masked columns are masked.")
    masked: list[str]
    url: str | None = Field(description="Where it opens, for those who may open that tool.")


class FoundDocument(BaseModel):
    """What was found."""

    records: list[RecordDocument]
    more: list[str] = Field(description="Entities that have more than is told.")
    failed: dict[str, str] = Field(description="Entities that were not asked, or not wholly, and why.")


@router.post("/search", operation_id="search", **answers(FoundDocument))
async def search(call: Calling, cases: Cases, body: SearchDocument) -> dict[str, Any]:
    """Find records by what somebody knows of them, in the entities that are open to the caller."""
    call = with_claims(call, body.provenance.model_dump(exclude_none=True), None, body.purpose)
    return found_view(await run_in_threadpool(cases.searching.search, call, body.text, tuple(body.entities)))


def found_view(found: Found) -> dict[str, Any]:
    """What was found, as JSON."""
    return {
        "records": [
            {
                "entity": one.entity,
                "title": one.title,
                "key": dict(one.key),
                "shown": dict(one.shown),
                "masked": sorted(one.masked),
                "url": one.url,
            }
            for one in found.records
        ],
        "more": list(found.more),
        "failed": dict(found.failed),
    }
