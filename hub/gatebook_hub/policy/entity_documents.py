"""Which keys may an entity's file have? pydantic models of the YAML, as in `documents`."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import Field, model_validator

from gatebook_hub.policy.action_documents import RateDocument
from gatebook_hub.policy.documents import Document, Name

Column = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]


class EntityDocument(Document):
    """entities/NAME.yaml: records that people search by name, across sources, without a grant of their table."""

    entity: Name = Field(description="Its name.")
    title: str = Field(description="What people read: `Customer`.")
    source: Name = Field(description="Where its records are.")
    table: Column = Field(description="In which table; its primary key tells the records apart.")
    where: str | None = Field(None, min_length=1, description="Only records that meet this condition.")
    shows: list[Column] = Field(
        min_length=1,
        max_length=8,
        description="The columns that are shown, masked as for everybody.",
    )
    search: list[Column] = Field(default_factory=list, max_length=5, description="Columns of text that are searched.")
    match: Literal["begins", "contains", "is"] = Field("begins", description="How what was typed is found in them.")
    lookups: list[Column] = Field(
        default_factory=list,
        max_length=5,
        description="Columns whose whole value finds a record, also where they are masked: nobody sees the value, and "
        "each look-up is in the book.",
    )
    rate: RateDocument = Field(
        default_factory=lambda: RateDocument(times=60, per="hour"), description="How often one person may look up."
    )
    tool: Name | None = Field(None, description="The tool that opens a record.")
    parameter: Name | None = Field(None, description="The tool's parameter that takes the record's key.")

    @model_validator(mode="after")
    def _is_found_somehow(self) -> Self:
        if not self.search and not self.lookups:
            raise ValueError("an entity is found by `search`, by `lookups` or by both")
        if (self.tool is None) != (self.parameter is None):
            raise ValueError("`tool` and `parameter` go together")
        return self
