"""What is a saved query, and who may see or change it? A named text with typed parameters, whose versions never change.

To share one shares its text: whoever runs it gets what they may see themselves.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from enum import StrEnum
from typing import Any

from gatebook_hub.errors import InvalidInput
from gatebook_hub.model import Principal

MOST_PARAMETERS = 20
MOST_NAMES = 20
LONGEST_TEXT = 50_000
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}\Z")
# Ids look like this; a name that does too would be taken for one.
_ID = re.compile(r"[0-9a-f]{16}\Z")
_PARTIES = ("group:", "job:")
_LONGEST_LINE = 200
_LONGEST_PROSE = 2_000
_LONGEST_PARTY = 128


class Kind(StrEnum):
    """What a parameter takes."""

    TEXT = "text"
    INTEGER = "integer"
    NUMBER = "number"
    BOOLEAN = "boolean"
    DATE = "date"


class ChartKind(StrEnum):
    """How a result is drawn."""

    BAR = "bar"
    LINE = "line"


Value = str | int | Decimal | bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameter:
    """A parameter of a saved query; one without a default has to be given. A date is its ISO form (`2026-03-31`)."""

    name: str
    kind: Kind
    title: str
    default: Value | None = None
    choices: tuple[Value, ...] = ()
    minimum: Decimal | None = None
    maximum: Decimal | None = None

    def schema(self) -> dict[str, Any]:
        """The parameter in JSON Schema's vocabulary, as those of actions are."""
        found: dict[str, Any] = {"title": self.title, "type": "string"}
        match self.kind:
            case Kind.DATE:
                found["format"] = "date"
            case Kind.INTEGER | Kind.NUMBER | Kind.BOOLEAN:
                found["type"] = str(self.kind)
            case Kind.TEXT:
                pass
        for key, value in (("minimum", self.minimum), ("maximum", self.maximum), ("default", self.default)):
            if value is not None:
                found[key] = _plain(value)
        if self.choices:
            found["enum"] = [_plain(value) for value in self.choices]
        return found


@dataclass(frozen=True, slots=True, kw_only=True)
class Chart:
    """Which column of a result is drawn over which."""

    kind: ChartKind
    x: str
    y: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Draft:
    """What somebody wants to save; `note` says why."""

    title: str
    source: str
    sql: str
    description: str = ""
    parameters: tuple[Parameter, ...] = ()
    chart: Chart | None = None
    note: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """One version: what was saved, by whom and when (ISO 8601 in UTC)."""

    number: int
    author: str
    at: str
    draft: Draft

    @property
    def schema(self) -> dict[str, Any]:
        """Its parameters as a JSON Schema object."""
        return schema_of(self.draft.parameters)


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A saved query; `seen_by` and `edited_by` are names as rules write them, `version` is the newest one's number."""

    id: str
    name: str
    author: str
    created_at: str
    version: int
    seen_by: frozenset[str] = frozenset()
    edited_by: frozenset[str] = frozenset()
    deleted_at: str | None = None
    deleted_by: str | None = None

    def is_visible_to(self, principal: Principal) -> bool:
        """Whether the principal may read and run it: its author, and those whom the author named."""
        names = principal.names
        is_named = not names.isdisjoint(self.seen_by | self.edited_by)
        return self.deleted_at is None and (principal.id == self.author or is_named)

    def is_editable_by(self, principal: Principal) -> bool:
        """Whether the principal may save a new version: its author, and groups whom the author named for that."""
        is_named = not principal.names.isdisjoint(self.edited_by)
        return self.deleted_at is None and (principal.id == self.author or is_named)

    def is_owned_by(self, principal: Principal) -> bool:
        """Whether the principal may share and delete it."""
        return self.deleted_at is None and principal.id == self.author


def schema_of(parameters: Iterable[Parameter]) -> dict[str, Any]:
    """Parameters as a JSON Schema object."""
    known = tuple(parameters)
    return {
        "type": "object",
        "properties": {one.name: one.schema() for one in known},
        "required": [one.name for one in known if one.default is None],
        "additionalProperties": False,
    }


def read_value(name: str, kind: Kind, text: str) -> Value:
    """The value of a form's field; raises InvalidInput naming the parameter."""
    stripped = text.strip()
    match kind:
        case Kind.TEXT:
            return text
        case Kind.INTEGER:
            if not re.fullmatch(r"[+-]?[0-9]{1,40}", stripped):
                raise InvalidInput(f"`{name}` is a whole number")
            return int(stripped)
        case Kind.NUMBER:
            return read_number(name, stripped)
        case Kind.BOOLEAN:
            if stripped not in {"true", "false"}:
                raise InvalidInput(f"`{name}` is true or false")
            return stripped == "true"
        case Kind.DATE:
            return read_date(name, stripped).isoformat()


def read_number(name: str, text: str) -> Decimal:
    """A finite number as it is written; raises InvalidInput naming the parameter."""
    try:
        number = Decimal(text) if text.isascii() and len(text) <= _LONGEST_LINE else Decimal("nan")
    except InvalidOperation as error:
        raise InvalidInput(f"`{name}` is a number") from error
    if not number.is_finite() or abs(number.adjusted()) > _LONGEST_LINE:
        raise InvalidInput(f"`{name}` is a number")
    return number


def read_date(name: str, text: str) -> dt.date:
    """A day in its ISO form; raises InvalidInput naming the parameter."""
    try:
        if not re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", text):
            raise InvalidInput(f"`{name}` is a date such as 2026-03-31")
        return dt.date.fromisoformat(text)
    except ValueError as error:
        raise InvalidInput(f"`{name}` is a date such as 2026-03-31") from error


def is_id(reference: str) -> bool:
    """Whether this is the id of a saved query: no name looks like one."""
    return _ID.match(reference) is not None


def check_name(name: str) -> None:
    """Raise InvalidInput unless a saved query may be called that."""
    if not _NAME.match(name):
        raise InvalidInput("a name has small letters, digits and `_`, begins with a letter and has at most 63 of them")
    if is_id(name):
        raise InvalidInput("a name does not look like the id of a saved query")


def check_draft(draft: Draft) -> None:
    """Raise InvalidInput for what is missing or too long, and for parameters that contradict themselves."""
    if not draft.title.strip():
        raise InvalidInput("enter a title")
    for what, text, most in (
        ("title", draft.title, _LONGEST_LINE),
        ("description", draft.description, _LONGEST_PROSE),
        ("note", draft.note, _LONGEST_PROSE),
        ("statement", draft.sql, LONGEST_TEXT),
    ):
        if len(text) > most:
            raise InvalidInput(f"the {what} has at most {most:,} characters")
    if len(draft.parameters) > MOST_PARAMETERS:
        raise InvalidInput(f"a saved query has at most {MOST_PARAMETERS} parameters")
    if draft.chart is not None and not (draft.chart.x.strip() and draft.chart.y.strip()):
        raise InvalidInput("a chart needs a column for its labels and one for its values")
    for parameter in draft.parameters:
        _check_parameter(parameter)


def check_named(parameters: Iterable[Parameter], wanted: Iterable[str]) -> None:
    """Raise InvalidInput unless the parameters are exactly those that the statement names."""
    known, named = [one.name for one in parameters], frozenset(wanted)
    if missing := sorted(named - set(known)):
        raise InvalidInput(f"say what the parameter `{missing[0]}` takes")
    if unknown := sorted(set(known) - named):
        raise InvalidInput(f"the statement has no parameter `{unknown[0]}`")
    if len(known) != len(set(known)):
        raise InvalidInput("a parameter is declared once")


def in_order(names: Iterable[str], text: str) -> tuple[str, ...]:
    """Names of parameters as they come in the text."""

    def place(name: str) -> tuple[int, str]:
        found = re.search(rf":{re.escape(name)}\b", text)
        return (found.start() if found else len(text), name)

    return tuple(sorted(names, key=place))


def parties_of(text: str, *, are_editors: bool = False) -> frozenset[str]:
    """Names of groups, and of jobs after `job:`, between commas or lines; raises InvalidInput for others."""
    found = set()
    for part in re.split(r"[,\n]", text):
        name = part.strip()
        if not name:
            continue
        party = name if name.startswith(_PARTIES) else f"group:{name}"
        if are_editors and not party.startswith("group:"):
            raise InvalidInput("editors are groups of people")
        bare = party.partition(":")[2]
        if not bare or ":" in bare or not bare.isprintable() or len(party) > _LONGEST_PARTY:
            raise InvalidInput("name groups, such as `analysts`, or jobs, such as `job:nightly_revenue`")
        found.add(party)
    if len(found) > MOST_NAMES:
        raise InvalidInput(f"at most {MOST_NAMES} names are taken")
    return frozenset(found)


def fact_of(query: SavedQuery, number: int) -> Mapping[str, str]:
    """What the book says of a saved query in one of its versions."""
    author = query.author.removeprefix("user:")
    return {"id": query.id, "name": f"{author}/{query.name}", "version": str(number)}


def _check_parameter(parameter: Parameter) -> None:
    if len(parameter.title) > _LONGEST_LINE:
        raise InvalidInput(f"the title of `{parameter.name}` has at most {_LONGEST_LINE} characters")
    low, high = parameter.minimum, parameter.maximum
    if (low is not None or high is not None) and parameter.kind not in {Kind.INTEGER, Kind.NUMBER}:
        raise InvalidInput(f"`{parameter.name}` is not a number, so it has no smallest or largest value")
    if low is not None and high is not None and low > high:
        raise InvalidInput(f"the smallest value of `{parameter.name}` is above its largest")
    if parameter.choices and parameter.kind is Kind.BOOLEAN:
        raise InvalidInput(f"`{parameter.name}` is yes or no, which needs no choices")


def _plain(value: Value) -> str | int | float | bool:
    if not isinstance(value, Decimal):
        return value
    return int(value) if value == value.to_integral_value() else float(value)
