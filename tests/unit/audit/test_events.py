"""What does an event hold, and which values does the book keep in clear?"""

from __future__ import annotations

import pytest

from gatebook_hub.audit import Event, EventKind, Outcome, canonical, digest_value, recorded_parameters, recorded_values
from gatebook_hub.audit.events import MAX_BYTES, parse_event

KEY = b"k" * 32


def test_an_event_has_exactly_these_bytes() -> None:
    event = Event(
        kind=EventKind.QUERY_INTENT,
        time="2024-01-01T00:00:00.000000Z",
        principal="user:ann",
        groups=("a",),
        statement='select "ü"\n',
        refers_to=3,
        outcome=Outcome.OK,
    )
    assert canonical(event).decode() == (
        '{"groups":["a"],"kind":"query.intent","outcome":"ok","principal":"user:ann","refers_to":3,'
        '"statement":"select \\"ü\\"\\n","time":"2024-01-01T00:00:00.000000Z","v":1}'
    )


def test_what_has_no_canonical_form_is_refused() -> None:
    for extra in ({"a": 1.5}, {"ü": "x"}, {"a": {"b": [0.1]}}):
        with pytest.raises(TypeError):
            canonical(Event(kind=EventKind.ALARM, time="t", principal="p", extra=extra))  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        parse_event(b"[]")


def test_a_long_text_keeps_its_beginning_and_its_digest() -> None:
    event = Event(kind=EventKind.ALARM, time="t", principal="p", statement="select " + "x" * 90_000, reason="why")
    found = parse_event(canonical(event))
    assert len(canonical(event)) <= MAX_BYTES
    assert found["statement"].startswith("select xxx")
    assert "sha256:" in found["statement"]
    assert found["reason"] == "why"


def test_protected_values_are_kept_as_keyed_digests() -> None:
    open_value, hidden = recorded_values([("DE", False), ("a@b.c", True)], KEY)
    assert open_value == "DE"
    assert hidden == digest_value("a@b.c", KEY) != digest_value("a@b.c", b"o" * 32)
    found = recorded_parameters(
        {"mail": "a@b.c", "day": {"$type": "date", "value": "2024-01-01"}, "n": 5, "none": None}, {"mail"}, KEY
    )
    assert found == {"mail": hidden, "day": "date:2024-01-01", "n": "5", "none": "null"}
