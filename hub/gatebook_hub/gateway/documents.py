"""Which fields do requests and answers of the API have? The OpenAPI document comes from here."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field


class Document(BaseModel):
    """A request body: unknown keys are errors."""

    model_config = ConfigDict(extra="forbid")


class ProvenanceDocument(BaseModel):
    """What the caller claims about where a call comes from; unknown claims are dropped."""

    model_config = ConfigDict(extra="ignore")
    kernel_id: str | None = Field(None, max_length=500)
    notebook: str | None = Field(None, max_length=500)
    cell: str | None = Field(None, max_length=500)
    cell_id: str | None = Field(None, max_length=500)
    file: str | None = Field(None, max_length=20, description="The format of the file that the rows are read for.")


class QueryDocument(Document):
    """One statement."""

    source: str = Field(min_length=1, max_length=64, description="Name of the source.")
    sql: str = Field(
        min_length=1, max_length=200_000, description="One statement; or several writes, which are one request."
    )
    params: dict[str, Any] = Field(default_factory=dict, description="Values for `:name`.")
    reason: str | None = Field(None, max_length=2_000, description="Why, where a grant asks for it.")
    purpose: str | None = Field(
        None, max_length=63, pattern=r"^[a-z][a-z0-9_]*$", description="For what, where a grant names purposes."
    )
    limit_rows: int | None = Field(None, ge=1, le=2**53, description="Refuse an answer of more rows.")
    many: list[dict[str, Any]] | None = Field(
        None, min_length=1, max_length=50_000, description="One write for each of these, in place of `params`."
    )
    transaction: str | None = Field(
        None,
        max_length=64,
        pattern=r"^[0-9a-z]+$",
        description="The transaction that it belongs to; `new`: a write begins one.",
    )
    dry_run: bool = Field(
        False, strict=True, description="Say what would happen: nothing is filed, and nothing is changed."
    )
    provenance: ProvenanceDocument = Field(default_factory=ProvenanceDocument)


class TransactionDocument(Document):
    """What a transaction shall do."""

    do: Literal["commit", "rollback", "savepoint", "release", "rollback_to"]
    name: str | None = Field(None, min_length=1, max_length=128, description="Of the savepoint.")


class TransactionStateDocument(BaseModel):
    """Where it stands after that."""

    id: str
    is_open: bool


class ReviewDocument(Document):
    """A verdict."""

    verdict: Literal["approve", "reject"]
    reason: str = Field("", max_length=2_000)
    digest: str = Field(min_length=64, max_length=64, description="The digest of what was looked at.")
    version: int = Field(ge=0, description="The version of what was looked at: whoever missed a comment looks again.")


class NoteDocument(Document):
    """A comment on a change request."""

    text: str = Field(min_length=1, max_length=2_000)


class UndoDocument(Document):
    """Why a change is to be taken back."""

    reason: str | None = Field(
        None, max_length=2_000, description="Why, where a grant or an approval rule asks for it."
    )
    purpose: str | None = Field(None, max_length=63, pattern=r"^[a-z][a-z0-9_]*$")


class ActionCallDocument(Document):
    """One call of an action."""

    params: dict[str, Any] = Field(default_factory=dict)
    reason: str | None = Field(None, max_length=2_000)
    purpose: str | None = Field(None, max_length=63, pattern=r"^[a-z][a-z0-9_]*$")
    idempotency_key: str | None = Field(None, min_length=8, max_length=128)
    dry_run: bool = Field(default=False, description="Show what it would do, and do nothing.")
    provenance: ProvenanceDocument = Field(default_factory=ProvenanceDocument)


class SavedRunDocument(Document):
    """One run of a saved query."""

    author: str | None = Field(None, max_length=128, description="Whose it is, where several share one name.")
    version: int | None = Field(None, ge=1, le=2**31, description="An older version; the newest if not given.")
    params: dict[str, Any] = Field(default_factory=dict, description="Values of its parameters.")
    reason: str | None = Field(None, max_length=2_000, description="Why, where a grant asks for it.")
    purpose: str | None = Field(None, max_length=63, pattern=r"^[a-z][a-z0-9_]*$")
    limit_rows: int | None = Field(None, ge=1, le=2**53, description="Refuse an answer of more rows.")
    provenance: ProvenanceDocument = Field(default_factory=ProvenanceDocument)


class RunStartDocument(Document):
    """A run by hand."""

    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict)


class ProgressDocument(Document):
    """How far a run is."""

    done: int = Field(ge=0, le=100_000)
    total: int = Field(ge=0, le=100_000)


class RunErrorDocument(Document):
    """The cell that failed."""

    cell: int | None = None
    source: str = Field("", max_length=20_000)
    name: str = Field("", max_length=200)
    message: str = Field("", max_length=20_000)


class FinishDocument(Document):
    """The report of a run."""

    ok: bool
    token: str = Field(max_length=200, description="The run's token, which ends now.")
    error: RunErrorDocument | None = None
    notebook: str | None = Field(None, description="The executed notebook as JSON text.")


class MeDocument(BaseModel):
    """Who the caller is and what is open to them."""

    name: str
    kind: str
    groups: list[str]
    revision: str
    sources: list[str]
    actions: list[str]
    tools: list[str]
    portal_url: str


class SourceDocument(BaseModel):
    """A source in the list."""

    name: str
    engine: str
    title: str
    production: bool


class SourcesDocument(BaseModel):
    """The sources that the caller may use."""

    sources: list[SourceDocument]


class ColumnDocument(BaseModel):
    """A column as the caller sees it."""

    name: str
    type: str
    nullable: bool
    tags: list[str]
    mask: str | None
    refused: str | None


class TableDocument(BaseModel):
    """A table as the caller sees it."""

    name: str
    kind: str
    comment: str | None
    columns: list[ColumnDocument]
    key: list[str]
    may: list[str]
    rows: str | None


class DetailDocument(BaseModel):
    """A table in detail, as its database describes it, and as far as the caller sees it."""

    name: str
    kind: Literal["table", "view", "materialized_view"]
    comment: str | None
    columns: list[dict[str, Any]] = Field(description="Each with its `type` as a class and its arguments.")
    key: dict[str, Any]
    references: list[dict[str, Any]]
    indexes: list[dict[str, Any]]
    unique: list[dict[str, Any]]
    checks: list[dict[str, Any]]


class DetailsDocument(BaseModel):
    """The tables of a source in detail, for drivers that reflect."""

    source: str
    engine: str
    version: str
    namespace: str | None
    server_version: list[int]
    tables: list[DetailDocument]


class SchemaDocument(BaseModel):
    """The governed schema of a source."""

    source: str
    version: str
    tables: list[TableDocument]
