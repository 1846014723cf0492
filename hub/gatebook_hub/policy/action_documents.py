"""Which keys may an action's file have? pydantic models of the YAML, as in `documents`."""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gatebook_hub.policy.documents import Document, Name
from gatebook_hub.policy.patterns import why_slow


def _is_quick(pattern: str | None) -> str | None:
    reason = why_slow(pattern) if pattern is not None else None
    if reason is not None:
        raise ValueError(reason)
    return pattern


class ParameterDocument(Document):
    """A parameter of an action, in JSON Schema's vocabulary."""

    type: Literal["integer", "number", "string", "boolean"] = Field(description="The JSON type.")
    title: str = Field("", description="Label in forms.")
    description: str = Field("", description="Hint in forms.")
    minimum: Decimal | None = Field(None, description="Smallest value.")
    maximum: Decimal | None = Field(None, description="Largest value.")
    exclusiveMinimum: Decimal | None = Field(None, description="The value must be above this.")  # noqa: N815 - JSON Schema
    multipleOf: Decimal | None = Field(None, description="The value is a multiple of this.")  # noqa: N815 - JSON Schema
    minLength: int | None = Field(None, ge=0, description="Fewest characters.")  # noqa: N815 - JSON Schema
    maxLength: int | None = Field(None, ge=0, description="Most characters.")  # noqa: N815 - JSON Schema
    pattern: Annotated[str | None, AfterValidator(_is_quick)] = Field(
        None, description="Regular expression; no repetition inside a repetition, which a long value could stall."
    )
    enum: list[str | int] | None = Field(None, description="The values to choose from.")
    choices: str | None = Field(
        None,
        min_length=1,
        description="A select of the values to choose from and, in a second column, their labels.",
    )
    default: str | int | bool | None = Field(None, description="Value when none is given; makes it optional.")

    @model_validator(mode="after")
    def _one_list(self) -> Self:
        if self.choices is not None and (self.enum is not None or self.type not in {"integer", "string"}):
            raise ValueError("`choices` are for an integer or a string without `enum`")
        return self


class CheckDocument(Document):
    """What must be true before anything is written."""

    sql: str = Field(min_length=1, description="A select that finds a row if it is; it may use the parameters.")
    otherwise: str = Field(min_length=1, max_length=300, description="What to say if it finds none.")


class RateDocument(Document):
    """How often one caller may call it."""

    times: int = Field(ge=1, le=1_000, description="So often.")
    per: Literal["minute", "hour", "day"] = Field(description="In any stretch of this length.")


class ActionDocument(Document):
    """actions/NAME.yaml: one controlled write."""

    action: Name = Field(description="The name that callers use.")
    title: str = Field(description="Label of its button.")
    description: str = Field("", description="What it does.")
    source: Name = Field(description="Where its statements run.")
    params: dict[Name, ParameterDocument] = Field(default_factory=dict, description="Its parameters.")
    checks: list[CheckDocument] = Field(
        default_factory=list,
        max_length=10,
        description="What must be true, asked in this order in the write's transaction.",
    )
    sql: str = Field(
        description="One insert, update or delete, or several with a semicolon between them, in one transaction; "
        "`:gb_principal` and `:gb_now` are filled in."
    )
    expect_rows: int | None = Field(None, ge=0, description="How many rows it must change, else nothing is written.")
    otherwise: str = Field("the action does not apply", description="What to say when it does not.")
    confirm: str = Field("", description="Question before it is sent; `{name}` is a parameter.")
    rates: list[RateDocument] = Field(
        default_factory=list, max_length=3, description="How often one caller may call it; dry runs do not count."
    )
