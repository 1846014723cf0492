"""Values keep their type and exactness on the way to the gate."""

import datetime as dt
import json
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pandas as pd
import pytest

from gatebook.errors import ParameterRefused
from gatebook.values import Masked, decode, encode_parameters


def encoded(value: Any) -> Any:
    return encode_parameters({"x": value})["x"]


@pytest.mark.parametrize(
    "value, expected",
    [
        (None, None),
        (True, True),
        ("é\n", "é\n"),
        (5, 5),
        (1.5, 1.5),
        (2**63 - 1, 2**63 - 1),
        (2**64, {"$type": "decimal", "value": "18446744073709551616"}),
        (-(2**80), {"$type": "decimal", "value": str(-(2**80))}),
        (Decimal("1.10"), {"$type": "decimal", "value": "1.10"}),
        (Decimal("1E+3"), {"$type": "decimal", "value": "1000"}),
        (dt.date(2020, 2, 29), {"$type": "date", "value": "2020-02-29"}),
        (dt.datetime(2020, 2, 29, 1, 2, 3, 4), {"$type": "datetime", "value": "2020-02-29T01:02:03.000004"}),  # noqa: DTZ001
        (
            dt.datetime(2020, 7, 1, 12, tzinfo=ZoneInfo("Europe/Berlin")),
            {"$type": "datetime", "value": "2020-07-01T12:00:00+02:00"},
        ),
        (dt.time(1, 2), {"$type": "time", "value": "01:02:00"}),
        (dt.timedelta(days=1, microseconds=5), {"$type": "timedelta", "value": "86400.000005"}),
        (dt.timedelta(microseconds=-500_000), {"$type": "timedelta", "value": "-0.500000"}),
        (b"\x00\xff", {"$type": "bytes", "value": "AP8="}),
        (bytearray(b"a"), {"$type": "bytes", "value": "YQ=="}),
        (
            uuid.UUID("12345678-1234-5678-1234-567812345678"),
            {"$type": "uuid", "value": "12345678-1234-5678-1234-567812345678"},
        ),
        (np.int64(5), 5),
        (np.uint64(2**64 - 1), 2**64 - 1),
        (np.float32(0.5), 0.5),
        (np.bool_(1), True),
        (np.str_("a"), "a"),
        (np.array(7), 7),
        (np.datetime64("2020-02-29"), {"$type": "date", "value": "2020-02-29"}),
        (np.datetime64("2020-02-29T01:00", "ns"), {"$type": "datetime", "value": "2020-02-29T01:00:00"}),
        (np.datetime64("NaT"), None),
        (np.timedelta64(90, "s"), {"$type": "timedelta", "value": "90"}),
        (pd.Timestamp("2020-02-29 01:02:03.000004"), {"$type": "datetime", "value": "2020-02-29T01:02:03.000004"}),
        (pd.Timedelta("1s"), {"$type": "timedelta", "value": "1"}),
        (pd.NA, None),
        (pd.NaT, None),
    ],
)
def test_a_value_travels_with_its_type(value: Any, expected: Any) -> None:
    result = encoded(value)
    assert result == expected
    assert type(result) is type(expected)
    json.dumps(result, allow_nan=False)


@pytest.mark.parametrize(
    "value, word",
    [
        ([1, 2], "list"),
        ({"a": 1}, "dict"),
        (object(), "object"),
        (pd.Series([1]), "pandas"),
        (np.array([1, 2]), "numpy.ndarray"),
        (1j, "complex"),
        (float("nan"), "NULL"),
        (float("inf"), "NULL"),
        (np.float64("nan"), "NULL"),
        (Decimal("NaN"), "NULL"),
        (pd.Timestamp("2020-01-01 00:00:00.000000001"), "finer than a microsecond"),
        (np.datetime64("2020-01-01T00:00:00.000000001"), "finer than a microsecond"),
    ],
)
def test_what_has_no_place_in_a_statement_is_refused_by_name(value: Any, word: Any) -> None:
    with pytest.raises(ParameterRefused) as refusal:
        encoded(value)
    assert word in str(refusal.value)
    assert "`x`" in str(refusal.value)


@pytest.mark.parametrize(
    "value",
    [
        Decimal("-0.10"),
        dt.date(1, 1, 1),
        dt.datetime(9999, 12, 31, 23, 59, 59, 999999, dt.UTC),
        dt.time(23, 59, 59, 999999),
        dt.timedelta(days=-3, microseconds=1),
        b"",
        uuid.uuid4(),
    ],
)
def test_typed_values_come_back_as_they_went(value: Any) -> None:
    assert decode(encoded(value)) == value


def test_what_is_not_understood_stays_as_it_came() -> None:
    assert decode({"$type": "point", "value": "1,2"}) == {"$type": "point", "value": "1,2"}
    assert decode({"$type": "date", "value": "soon"}) == "soon"
    assert decode({"$type": "masked", "value": "a***"}) == Masked("a***")
