"""Does every value and every event survive its own format?"""

from __future__ import annotations

import datetime as dt
import json
import math
import time
import uuid
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatebook_hub.audit import Event, EventKind, canonical, digest_value, parse_event, recorded_parameters
from gatebook_hub.audit.events import MAX_BYTES
from gatebook_hub.errors import InvalidInput
from gatebook_hub.values import decode, encode

VALUES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(st.characters(codec="utf-8")),
    st.decimals(allow_nan=False),
    st.dates(),
    st.datetimes(timezones=st.none() | st.just(dt.UTC)),
    st.times(),
    st.timedeltas(),
    st.binary(),
    st.uuids(),
)


@given(VALUES)
def test_a_value_comes_back_from_json(value: Any) -> None:
    encoded = json.loads(json.dumps(encode(value)))
    found = decode(encoded, "x")
    assert found == value
    assert type(found) is type(value)


@given(VALUES, VALUES)
def test_two_values_are_written_alike_only_if_they_are_equal(first: Any, second: Any) -> None:
    if json.dumps(encode(first)) == json.dumps(encode(second)):
        assert first == second


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
KINDS = ("decimal", "date", "datetime", "time", "timedelta", "bytes", "uuid", "float", "x")


@given(JSON | st.fixed_dictionaries({"$type": st.sampled_from(KINDS), "value": st.text(max_size=30)}))
def test_any_json_is_a_value_or_invalid_input(value: Any) -> None:
    try:
        found = decode(value, "x")
    except InvalidInput:
        return
    assert found is None or isinstance(
        found, bool | int | float | str | Decimal | dt.date | dt.time | dt.timedelta | bytes | uuid.UUID
    )
    assert not isinstance(found, float) or math.isfinite(found)


@pytest.mark.parametrize("text", ["inf", "nan", "1e400", "-1e400", "9" * 40, "1e999990", "-1e999990", "1e999999"])
def test_a_span_of_time_without_end_is_invalid_at_once(text: str) -> None:
    begin = time.process_time()
    with pytest.raises(InvalidInput):
        decode({"$type": "timedelta", "value": text}, "x")
    assert time.process_time() - begin < 2, "a few characters would stop the gateway for half a minute"


def test_a_number_at_which_nobody_may_look_is_invalid() -> None:
    with pytest.raises(InvalidInput):
        decode({"$type": "decimal", "value": "sNaN"}, "x")


TEXTS = st.text(max_size=40)
EVENTS = st.builds(
    Event,
    kind=st.sampled_from(EventKind),
    time=st.datetimes().map(lambda time: time.isoformat() + "Z"),
    principal=TEXTS,
    groups=st.lists(TEXTS, max_size=3).map(tuple),
    source=st.none() | TEXTS,
    statement=st.none() | st.text(max_size=200),
    values=st.lists(TEXTS, max_size=3).map(tuple),
    parameters=st.dictionaries(
        st.text(st.characters(min_codepoint=97, max_codepoint=122), max_size=8), TEXTS, max_size=3
    ),
    reason=st.none() | TEXTS,
    refers_to=st.none() | st.integers(min_value=0, max_value=2**53),
    rows=st.none() | st.integers(min_value=0, max_value=2**53),
)


def _reference(value: Any) -> str:
    """RFC 8785, written down a second time; keys are ASCII and numbers are integers."""
    match value:
        case dict():
            return "{" + ",".join(f"{_reference(key)}:{_reference(value[key])}" for key in sorted(value)) + "}"
        case list():
            return "[" + ",".join(_reference(item) for item in value) + "]"
        case int():
            return str(value)
        case _:
            short = {"\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r", '"': '\\"', "\\": "\\\\"}
            return '"' + "".join(short.get(c, c if c >= " " else f"\\u{ord(c):04x}") for c in value) + '"'


@given(EVENTS)
def test_an_event_has_one_canonical_form(event: Event) -> None:
    data = canonical(event)
    found = parse_event(data)
    assert _reference(found).encode() == data
    again = json.loads(json.dumps(event.as_object()).encode("utf-8", "surrogatepass"))
    if not any("\ud800" <= character <= "\udfff" for character in json.dumps(again, ensure_ascii=False)):
        assert found == again


@settings(deadline=None, max_examples=15)
@given(
    st.sampled_from(["x", "😀", '"', "\x01"]),
    st.integers(min_value=0, max_value=100_000),
    st.integers(min_value=0, max_value=3_000),
)
def test_an_event_is_never_longer_than_its_bundle_takes(character: str, length: int, count: int) -> None:
    """Whatever a statement brings, its event fits; what is left out is there as a digest."""
    text = character * length
    many = tuple(character * 300 for _ in range(count))
    event = Event(
        kind=EventKind.QUERY_INTENT,
        time="t",
        principal="p",
        statement=text,
        reason=text,
        values=many,
        parameters={f"p{index}": value for index, value in enumerate(many)},
        tables=tuple({"table": f"t{index}", "columns": list(many[:200])} for index in range(min(count, 50))),
    )
    data = canonical(event)
    assert len(data) <= MAX_BYTES
    assert parse_event(data)["principal"] == "p"


@given(VALUES, st.binary(min_size=16, max_size=16), st.binary(min_size=16, max_size=16))
def test_a_digest_needs_its_key_and_tells_values_apart(value: Any, key: bytes, other: bytes) -> None:
    encoded = encode(value)
    assert digest_value(encoded, key) == digest_value(encoded, key)
    if key != other:
        assert digest_value(encoded, key) != digest_value(encoded, other)
    recorded = recorded_parameters({"a": encoded, "b": encoded}, {"a"}, key)
    assert recorded["a"].startswith("hmac:")
    assert set(recorded) == {"a", "b"}


def test_half_a_character_can_be_recorded() -> None:
    event = Event(kind=EventKind.ALARM, time="t", principal="p", reason="a\ud800b")
    assert parse_event(canonical(event))["reason"] == "a?b"
    assert digest_value("\ud800", b"k" * 16).startswith("hmac:")
