"""Which fields do the larger answers of the API have? For the OpenAPI document; `views` writes them."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, Field

from gatebook_hub.changes import State
from gatebook_hub.changes.request import RowKind


class ReturnedDocument(BaseModel):
    """What `returning` told of the written rows, to the one who asked for the write."""

    columns: list[str]
    rows: list[list[Any]]


class OutcomeDocument(BaseModel):
    """A write that needed nobody, and is done."""

    kind: Literal["outcome"]
    rows_changed: int | None
    audit_index: int | None = Field(description="Index of its outcome in the book.")
    change: str | None = Field(description="Its change request.")
    returned: ReturnedDocument | None = None
    transaction: str | None = Field(None, description="The transaction that it was done in, and that is open.")
    last_id: int | None = Field(None, description="The number that the database gave the last row that was added.")


class RowDocument(BaseModel):
    """One row before and after."""

    key: list[Any]
    kind: RowKind
    before: list[Any] | None = Field(description="Null for a row that is added.")
    after: list[Any] | None = Field(description="Null for a row that is removed.")
    is_along: bool = Field(description="The database itself changes it: it follows a removed row.")


class DiffDocument(BaseModel):
    """Exact rows of one table by primary key, under the reader's own masks."""

    table: str | None = Field(description="Null where the reader may not know it.")
    total: int = Field(description="How many rows change, also those that are not listed.")
    counts: dict[str, int] = Field(description="Rows changed, added, removed.")
    key: list[str]
    columns: list[str]
    rows: list[RowDocument]
    is_complete: bool = Field(description="Whether `rows` are all of them, and the reader sees them.")
    left: list[list[Any]] = Field(description="Keys of rows that an undo leaves: they were changed since.")
    masked: list[str] = Field(description="Columns whose values are masked for the reader.")
    hidden: list[str] = Field(description="Columns that the reader may not see.")


class QuorumDocument(BaseModel):
    """One part of what must be approved."""

    groups: list[str]
    needed: int
    given: int


class GivenReviewDocument(BaseModel):
    """A verdict that was given."""

    reviewer: str
    verdict: Literal["approve", "reject"]
    reason: str
    at: str
    instead_of: str | None = Field(None, description="In whose place, where that person was away.")


class BrokenDocument(BaseModel):
    """A change that its requester had executed before anybody reviewed it."""

    reason: str
    at: str
    reviews: list[GivenReviewDocument] = Field(description="What others said of it afterwards.")
    missing: list[QuorumDocument] = Field(description="Whose look is still missing.")


class CommentDocument(BaseModel):
    """What somebody wrote about it."""

    author: str
    text: str
    at: str


class ExecutedDocument(BaseModel):
    """What the execution did."""

    rows_changed: int
    audit_index: int | None
    at: str
    returned: ReturnedDocument | None = None


class MayDocument(BaseModel):
    """What the reader may do with it."""

    review: bool
    withdraw: bool
    execute: bool
    undo: bool
    break_glass: bool


class RiskDocument(BaseModel):
    """How much could go wrong."""

    points: int = Field(description="What `risk` means in an approval rule.")
    because: list[str] = Field(description="What counts, the heaviest first.")


class WriteDocument(BaseModel):
    """What a write is about."""

    kind: Literal["change"]
    source: str
    table: str
    operation: Literal["insert", "update", "delete", "merge", "call", "access"]
    statement: str
    params: dict[str, Any] = Field(description="Shown to the requester and to those who see every column.")
    sets: list[dict[str, Any]] = Field(description="The same, where one statement is done many times.")
    requester: str
    reason: str | None
    summary: str
    counts: dict[str, int] = Field(description="Rows changed, added, removed.")
    warnings: list[str]
    risk: RiskDocument
    execution: str = Field(description="When it is carried out once it is approved.")
    quorum: list[QuorumDocument]


class DraftDocument(WriteDocument):
    """What a write would change and who would have to agree: a dry run. It has no id, for nothing was filed."""

    state: Literal["draft"]
    diffs: list[DiffDocument]
    beside: list[DiffDocument] = Field(description="Rows that triggers write, as far as they were found.")
    audit_index: int = Field(description="Index of its intent in the book.")


class ChangeSummaryDocument(WriteDocument):
    """A change request without its rows."""

    id: str
    url: str = Field(description="Its page at the portal.")
    state: State
    action: str | None
    created_at: str
    expires_at: str
    digest: str = Field(description="What a review is bound to.")
    version: int = Field(description="Grows with whatever happens to the request; a review names it.")
    reviews: list[GivenReviewDocument]
    broken: BrokenDocument | None = Field(description="That it was executed before its review, and why.")
    comments: list[CommentDocument]
    undoes: str | None = Field(description="The change that this takes back.")
    undone_by: str | None = Field(description="The change that took this back.")
    outcome: ExecutedDocument | None
    failure: str | None
    may: MayDocument
    why_not: dict[str, str]


class ChangeDocument(ChangeSummaryDocument):
    """A change request with its rows, or without them where a wait ended without news."""

    diffs: list[DiffDocument] | None
    beside: list[DiffDocument] | None = Field(description="Rows that triggers write, as far as they were found.")


class ChangesDocument(BaseModel):
    """Change requests, newest first."""

    changes: list[ChangeSummaryDocument]
    next_before: str | None = Field(description="What `before` is for the next page; null after the last one.")


class BulkDocument(BaseModel):
    """A parameter of which one call may give a list of values."""

    parameter: str
    most: int = Field(description="How long the list is at most.")


class ActionDocument(BaseModel):
    """An action that the caller may call."""

    name: str
    title: str
    description: str
    source: str
    params: dict[str, Any] = Field(description="JSON Schema of its parameters.")
    confirm: str = Field(description="Question before it is sent; `{name}` is a parameter.")
    approval: str | None = Field(description="Who has to agree, in a sentence.")
    bulk: BulkDocument | None = Field(description="The parameter of which one call may give a list.")


class ActionsDocument(BaseModel):
    """The actions that the caller may call."""

    actions: list[ActionDocument]


class EventDocument(BaseModel):
    """An event of the book; further fields are on the page of events."""

    index: int
    v: int
    kind: str
    time: str
    principal: str


class EventsDocument(BaseModel):
    """Events, newest first."""

    events: list[EventDocument]
    next_before: int | None = Field(description="Value of `before` for the next page; null on the last one.")


class ProvenEventDocument(BaseModel):
    """An event with the proof that it is in the tree of the checkpoint (RFC 6962)."""

    event: EventDocument
    leaf_hash: str = Field(description="Base64.")
    inclusion_proof: list[str] = Field(description="Base64, from the leaf upwards.")
    checkpoint: str = Field(description="A signed note.")


class RunDocument(BaseModel):
    """A run of a job."""

    id: str
    job: str
    state: str
    trigger: str
    scheduled_for: str
    started_at: str | None
    finished_at: str | None
    attempt: int
    cells_done: int
    cells_total: int
    parameters: dict[str, Any]
    error: dict[str, Any] | None


class RunsDocument(BaseModel):
    """Runs, newest first."""

    runs: list[RunDocument]


class ClaimedJobDocument(BaseModel):
    """What the worker needs to know of a job."""

    name: str
    notebook: str
    timeout_s: float


class ClaimedDocument(BaseModel):
    """A run that the worker may start now."""

    run: RunDocument
    job: ClaimedJobDocument
    token: str = Field(description="Opens the gateway as the job, until the run ends.")


class ToolDocument(BaseModel):
    """A tool that is in force."""

    name: str
    version: str = Field(description="SHA-256 of its notebook, in hexadecimal.")
    title: str
    summary: str
    by: str = Field(description="Who approved it, or `installation`.")
    since: str | None = Field(description="Since when it is in force; null for a tool of the installation.")


class ToolsDocument(BaseModel):
    """The tools that are in force, by name."""

    tools: list[ToolDocument]


class ToolNotebookDocument(ToolDocument):
    """A tool with its notebook."""

    content: str = Field(description="The notebook, as it was given.")


class StatusDocument(BaseModel):
    """Whether the gateway is well."""

    status: str


class SavedItemDocument(BaseModel):
    """A saved query in a list."""

    id: str
    url: str = Field(description="Its page at the portal.")
    name: str
    author: str
    title: str
    description: str
    source: str
    version: int
    newest: int = Field(description="The number of the newest version.")
    saved_by: str = Field(description="Who saved this version.")
    saved_at: str
    params: dict[str, Any] = Field(description="JSON Schema of its parameters.")


class SavedQueriesDocument(BaseModel):
    """The saved queries that the caller may run, a thousand at most."""

    saved_queries: list[SavedItemDocument]


class SavedChartDocument(BaseModel):
    """How the portal draws the result."""

    kind: Literal["bar", "line"]
    x: str
    y: str


class SavedQueryDocument(SavedItemDocument):
    """A saved query in one version."""

    sql: str
    chart: SavedChartDocument | None
    note: str


class SavedVersionDocument(BaseModel):
    """One version."""

    version: int
    saved_by: str
    saved_at: str
    note: str
    title: str
    source: str
    sql: str
    params: dict[str, Any]


class SavedVersionsDocument(BaseModel):
    """All versions of a saved query, newest first."""

    id: str
    name: str
    author: str
    deleted_at: str | None
    versions: list[SavedVersionDocument]
