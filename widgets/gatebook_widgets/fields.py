"""Which field does a parameter of an action get, and does what was typed fit it? As its JSON Schema says.

This spares a person a round trip. The gateway checks the same schema again, and it alone decides.
"""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

import ipywidgets

from gatebook_widgets.wording import label_of

_LONG_TEXT = 120


class NotFitting(Exception):
    """What was typed does not fit; the text says how, to follow the field's label."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Field:
    """One parameter."""

    name: str
    schema: Mapping[str, Any]
    is_required: bool

    @property
    def label(self) -> str:
        """What a person reads."""
        return str(self.schema.get("title") or label_of(self.name))

    @property
    def choices(self) -> tuple[tuple[str | int, str], ...]:
        """The values to choose from, with what people read; none where anything may be typed."""
        given = self.schema.get("oneOf")
        if given is not None:
            return tuple((one["const"], str(one.get("title", one["const"]))) for one in given)
        return tuple((one, str(one)) for one in self.schema.get("enum") or ())

    @property
    def has_choices(self) -> bool:
        """Whether one has to choose, though there may be nothing to choose from."""
        return "oneOf" in self.schema or bool(self.schema.get("enum"))

    @property
    def hint(self) -> str:
        """What fits, in words."""
        schema = self.schema
        parts = [str(schema["description"])] if schema.get("description") else []
        if "exclusiveMinimum" in schema:
            parts.append(f"above {schema['exclusiveMinimum']}")
        if "minimum" in schema:
            parts.append(f"at least {schema['minimum']}")
        if "maximum" in schema:
            parts.append(f"at most {schema['maximum']}")
        if schema.get("minLength"):
            parts.append(f"at least {schema['minLength']} characters")
        if self.has_choices and not self.choices:
            parts.append("there is nothing to choose from now")
        if not self.is_required:
            parts.append("may be left empty")
        return ", ".join(parts)

    def widget(self) -> ipywidgets.Widget:
        """Return an empty field."""
        schema, common = self.schema, {"description": self.label, "style": {"description_width": "initial"}}
        default = schema.get("default")
        if self.has_choices:
            options = [("", None), *((label, value) for value, label in self.choices)]
            return ipywidgets.Dropdown(options=options, value=default, **common)
        if schema.get("type") == "boolean":
            return ipywidgets.Checkbox(value=bool(default), indent=False, **common)
        if schema.get("format") == "date":
            return ipywidgets.DatePicker(value=None, **common)
        text = "" if default is None else str(default)
        is_long = schema.get("type") == "string" and int(schema.get("maxLength", 0)) > _LONG_TEXT
        return (ipywidgets.Textarea if is_long else ipywidgets.Text)(value=text, **common)

    def read(self, raw: object) -> object:
        """Return the value for the gateway, or None for an optional field left empty; raises `NotFitting`."""
        if raw is None or (isinstance(raw, str) and not raw.strip()):
            if self.is_required:
                raise NotFitting("is missing")
            return None
        match self.schema.get("type"):
            case "integer":
                value: object = self._whole(raw)
            case "number":
                value = self._number(raw)
            case "boolean":
                value = bool(raw)
            case _:
                value = self._text(raw)
        if self.has_choices and value not in {choice for choice, _ in self.choices}:
            raise NotFitting("is not one of the choices")
        return value

    def _whole(self, raw: object) -> int:
        text = str(raw).strip()
        if not re.fullmatch(r"[+-]?[0-9]{1,18}", text):
            raise NotFitting("has to be a whole number")
        self._within(Decimal(text))
        return int(text)

    def _number(self, raw: object) -> Decimal:
        text = str(raw).strip()
        if text.count(",") == 1 and "." not in text:
            text = text.replace(",", ".")
        try:
            number = Decimal(text)
        except InvalidOperation:
            raise NotFitting("has to be a number") from None
        if not number.is_finite() or len(text) > 40:
            raise NotFitting("has to be a number")
        self._within(number)
        return number

    def _within(self, number: Decimal) -> None:
        def bound(key: str) -> Decimal | None:
            return Decimal(str(self.schema[key])) if key in self.schema else None

        least, above = bound("minimum"), bound("exclusiveMinimum")
        most, below, step = bound("maximum"), bound("exclusiveMaximum"), bound("multipleOf")
        if least is not None and number < least:
            raise NotFitting(f"has to be at least {least}")
        if above is not None and number <= above:
            raise NotFitting(f"has to be above {above}")
        if most is not None and number > most:
            raise NotFitting(f"has to be at most {most}")
        if below is not None and number >= below:
            raise NotFitting(f"has to be below {below}")
        if step is not None and step > 0 and number % step != 0:
            raise NotFitting(f"has to be a multiple of {step}")

    def _text(self, raw: object) -> str:
        text = raw.isoformat() if isinstance(raw, dt.date) else str(raw).strip()
        least, most = int(self.schema.get("minLength", 0)), int(self.schema.get("maxLength", 10_000))
        if len(text) < least:
            raise NotFitting(f"has to have at least {least} characters")
        if len(text) > most:
            raise NotFitting(f"may have at most {most} characters, and has {len(text)}")
        pattern = self.schema.get("pattern")
        if pattern and not re.search(str(pattern), text):
            raise NotFitting("does not have the expected form")
        return text


def fields_of(schema: Mapping[str, Any]) -> tuple[Field, ...]:
    """Return the fields of an action's JSON Schema, in its order."""
    properties: Mapping[str, Any] = schema.get("properties") or {}
    required = set(schema.get("required") or properties)
    return tuple(
        Field(name=name, schema=one, is_required=name in required and "default" not in one)
        for name, one in properties.items()
    )
