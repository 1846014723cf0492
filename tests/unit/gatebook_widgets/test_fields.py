"""Does what was typed fit the action's schema?"""

from __future__ import annotations

from decimal import Decimal
from typing import Any

import pytest

from gatebook_widgets.fields import Field, NotFitting, fields_of

AMOUNT = {"type": "number", "exclusiveMinimum": 0, "maximum": 100, "multipleOf": 0.01}
COUNT = {"type": "integer", "minimum": 1}
WHY = {"type": "string", "minLength": 3, "maxLength": 10, "pattern": "^[a-z ]+$"}


def read(schema: dict[str, Any], raw: object) -> object:
    return Field(name="x", schema=schema, is_required=True).read(raw)


@pytest.mark.parametrize(
    "schema, raw, value",
    [
        (AMOUNT, "1", Decimal(1)),
        (AMOUNT, " 4,50 ", Decimal("4.50")),
        (AMOUNT, "100.00", Decimal(100)),
        (AMOUNT, "0.01", Decimal("0.01")),
        (COUNT, "12", 12),
        (COUNT, 12, 12),
        (WHY, " charged ", "charged"),
        ({"type": "string", "enum": ["a", "b"]}, "b", "b"),
        ({"type": "boolean"}, True, True),
        ({"type": "boolean"}, False, False),
    ],
)
def test_fits(schema: dict[str, Any], raw: object, value: object) -> None:
    assert read(schema, raw) == value
    assert type(read(schema, raw)) is type(value)


@pytest.mark.parametrize(
    "schema, raw",
    [
        *((AMOUNT, raw) for raw in ("", "x", "0", "-1", "100.01", "1.005", "NaN", "Infinity", "1,000.5")),
        *((AMOUNT, raw) for raw in ("1e99999999", "9" * 50)),
        *((COUNT, raw) for raw in ("", "0", "1.5", "1e3", "12 3", "0x1", "١٢", "9" * 19)),
        *((WHY, raw) for raw in (None, "", "ab", "charged twice", "Ab1")),
        ({"type": "string", "enum": ["a"]}, "b"),
    ],
)  # fmt: skip
def test_does_not_fit(schema: dict[str, Any], raw: object) -> None:
    with pytest.raises(NotFitting) as why:
        read(schema, raw)
    assert str(why.value)


def test_optional_fields_may_be_empty() -> None:
    fields = fields_of({"properties": {"a": COUNT, "b": COUNT}, "required": ["a"]})
    assert [field.is_required for field in fields] == [True, False]
    assert fields[1].read("") is None


def test_without_a_list_of_required_ones_all_are() -> None:
    """The gateway asks for every parameter that has no default."""
    fields = fields_of({"properties": {"a": COUNT, "b": {**COUNT, "default": 1}}})
    assert [field.is_required for field in fields] == [True, False]
    assert fields[1].widget().value == "1"
