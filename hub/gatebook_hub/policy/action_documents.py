"""Which keys may an action's file have? pydantic models of the YAML, as in `documents`."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, Field, model_validator

from gatebook_hub.policy.documents import Document, Name, RequirementDocument
from gatebook_hub.policy.patterns import why_slow

PLACE = re.compile(r"\{([a-z][a-z0-9_]{0,62})\}")
_ADDRESS = r"^(https://[A-Za-z0-9.-]+(:[0-9]{1,5})?|http://(127\.0\.0\.1|localhost|\[::1\])(:[0-9]{1,5})?)(/[A-Za-z0-9._~/-]*)?$"
_HEADER = r"^[A-Za-z][A-Za-z0-9-]{0,63}$"
_PATH = r"^(/[A-Za-z0-9_~-][A-Za-z0-9._~-]*|/\{[a-z][a-z0-9_]{0,62}\})*/?$"


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


class ConnectionDocument(Document):
    """connections/NAME.yaml: a service that actions call over HTTP."""

    connection: Name = Field(description="The name that actions use; no source has it.")
    title: str = Field(description="What people read.")
    url: str = Field(
        pattern=_ADDRESS,
        description="What the paths of calls follow: `https://host/…`; `http://` on this machine alone. No call goes "
        "elsewhere, and no redirect is followed.",
    )
    headers: dict[Annotated[str, Field(pattern=_HEADER)], str] = Field(
        default_factory=dict,
        description="Sent with each call; `${env:NAME}` and `${file:PATH}` are filled in by the gateway alone.",
    )
    idempotency_header: str | None = Field(
        None,
        pattern=_HEADER,
        description="The header by which the service knows a repeated call, such as `Idempotency-Key`; without one no "
        "call is repeated.",
    )
    timeout_s: float = Field(10, gt=0, le=60, description="Seconds that one try may take.")
    retries: int = Field(2, ge=0, le=5, description="How often a call without an answer is repeated.")
    default_quorum: list[RequirementDocument] = Field(
        min_length=1, description="Who must approve a call that no approval rule matches."
    )


class HttpDocument(Document):
    """What is called instead of `sql`. A value that is `{name}` as a whole is the parameter with its type."""

    connection: Name = Field(description="By which connection.")
    method: Literal["POST", "PUT", "PATCH", "DELETE"] = Field("POST", description="The method.")
    path: str = Field(
        pattern=_PATH, description="After the connection's URL; `{name}` is a parameter, as one part of the path."
    )
    query: dict[str, str] = Field(default_factory=dict, description="Query parameters; `{name}` is a parameter.")
    body: Any = Field(None, description="Sent as JSON; `{name}` in its texts is a parameter.")
    expect: list[Annotated[int, Field(ge=200, le=299)]] = Field(
        default_factory=lambda: [200, 201, 202, 204], min_length=1, description="Answers that mean that it is done."
    )
    result: dict[Name, str] = Field(
        default_factory=dict, description="What is told of a JSON answer: names, and paths such as `ticket.id`."
    )


class BulkDocument(Document):
    """Of which parameter an action takes several values at once: its statement is done for each, as one change."""

    parameter: Name = Field(description="The parameter, an integer or a string.")
    most: int = Field(100, ge=2, le=1_000, description="How many values it takes at most.")


class ActionDocument(Document):
    """actions/NAME.yaml: one controlled write, or one call of another service."""

    action: Name = Field(description="The name that callers use.")
    title: str = Field(description="Label of its button.")
    description: str = Field("", description="What it does.")
    source: Name | None = Field(None, description="Where its statements run; with `http`, its checks and choices.")
    params: dict[Name, ParameterDocument] = Field(default_factory=dict, description="Its parameters.")
    checks: list[CheckDocument] = Field(
        default_factory=list,
        max_length=10,
        description="What must be true, asked in this order in the write's transaction.",
    )
    sql: str = Field(
        "",
        description="One insert, update or delete, or several with a semicolon between them, in one transaction; "
        "`:gb_principal` and `:gb_now` are filled in.",
    )
    http: HttpDocument | None = Field(None, description="In place of `sql`: a call of another service.")
    expect_rows: int | None = Field(None, ge=0, description="How many rows it must change, else nothing is written.")
    otherwise: str = Field("the action does not apply", description="What to say when it does not.")
    bulk: BulkDocument | None = Field(
        None, description="For marked rows: a parameter of which one call may give a list, with one statement in `sql`."
    )
    confirm: str = Field("", description="Question before it is sent; `{name}` is a parameter.")
    rates: list[RateDocument] = Field(
        default_factory=list, max_length=3, description="How often one caller may call it; dry runs do not count."
    )

    @model_validator(mode="after")
    def _one_effect(self) -> Self:
        if bool(self.sql.strip()) == (self.http is not None):
            raise ValueError("an action has exactly one of `sql` and `http`")
        asks = self.checks or any(one.choices is not None for one in self.params.values())
        if self.source is None and (self.http is None or asks):
            raise ValueError("`source` is missing: where the statements, checks and choices of the action run")
        if self.http is not None and self.expect_rows is not None:
            raise ValueError("`expect_rows` is about rows, and a call of another service changes none here")
        return self

    @model_validator(mode="after")
    def _takes_lists(self) -> Self:
        if self.bulk is None:
            return self
        found = self.params.get(self.bulk.parameter)
        if found is None or found.type not in {"integer", "string"}:
            raise ValueError("`bulk` names a parameter of the action, an integer or a string")
        if self.http is not None:
            raise ValueError("`bulk` is about rows, and a call of another service changes none here")
        return self

    @model_validator(mode="after")
    def _known_names(self) -> Self:
        for name in self.params:
            if name.startswith("gb_"):
                raise ValueError(f"`{name}`: names that begin with `gb_` belong to the gate")
        texts = [] if self.http is None else [self.http.path, *self.http.query.values(), *_texts(self.http.body)]
        for name in (name for text in texts for name in PLACE.findall(text)):
            if name not in self.params:
                raise ValueError(f"`{{{name}}}` in the call is no parameter")
        return self


def _texts(body: Any) -> Iterator[str]:
    """The texts in a JSON value."""
    match body:
        case str():
            yield body
        case dict():
            for value in body.values():
                yield from _texts(value)
        case list():
            for value in body:
                yield from _texts(value)
        case _:
            return
