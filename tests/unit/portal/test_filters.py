"""Foreign texts cannot hide, lead away or look like something else."""

import unicodedata
from datetime import UTC, datetime, timedelta, timezone

import pytest

from gatebook_hub.portal import filters

NOW = datetime(2026, 11, 22, 13, 55, 33, tzinfo=UTC)


@pytest.mark.parametrize(
    "url", ["/", "/inbox?tab=mine", "?before=3", "#reason", "http://localhost:8000/hub/home", "https://example.org"]
)
def test_an_address_of_ours_or_of_the_web_stands(url: str) -> None:
    assert filters.href(url) == url


@pytest.mark.parametrize(
    "url",
    [
        "javascript:alert(1)",
        "JavaScript:alert(1)",
        " javascript:alert(1)",
        "java\nscript:alert(1)",
        "data:text/html,<script>",
        "vbscript:x",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "/\t/evil.example",
        "http:///evil.example",
        "https:evil.example",
        "ftp://evil.example",
        "inbox",
        "",
        "/inbox\n",
    ],
)
def test_any_other_address_leads_nowhere(url: str) -> None:
    assert filters.href(url) == "#refused-address"


@pytest.mark.parametrize(
    "hidden", ["\u202e", "\u2066", "\u200b", "\ufeff", "\u00ad", "\x00", "\x1b", "\r", "\u2028", "\u00a0", "\u3164"]
)
def test_a_character_without_ink_is_spelled_out(hidden: str) -> None:
    shown = filters.visible(f"pay{hidden}load")
    assert hidden not in shown
    assert f"U+{ord(hidden):04X}" in shown


def test_every_invisible_character_of_unicode_is_marked() -> None:
    silent = [
        character
        for character in map(chr, range(0x110000))
        if unicodedata.category(character) in {"Cc", "Cf", "Zl", "Zp", "Zs"} and character not in " \n\t"
    ]
    assert len(silent) > 200
    assert all("U+" in filters.visible(f"a{character}b") for character in silent)


def test_spaces_at_the_ends_show_and_markup_is_text() -> None:
    assert filters.visible("  Bonn ").count("␣") == 3
    assert "␣" not in filters.visible("Bonn am Rhein")
    assert "9 spaces" in filters.visible(" " * 9)
    assert filters.visible("<b>&") == "&lt;b&gt;&amp;"


def test_an_ordinary_text_stays_as_it_is() -> None:
    assert filters.visible("Größe 4 m², 東京\n\tand on") == "Größe 4 m², 東京\n\tand on"


def test_a_message_becomes_a_sentence_with_code() -> None:
    assert filters.prose("no grant on `employee`") == "No grant on <code>employee</code>."
    assert filters.prose("Is it so?") == "Is it so?"
    assert filters.prose("one ` alone") == "One ` alone."
    assert filters.prose("`<i>`") == "<code>&lt;i&gt;</code>."
    assert filters.prose("") == ""
    assert filters.coded("analyst read `customer`") == "analyst read <code>customer</code>"


def test_a_time_is_for_people_and_programs() -> None:
    local = NOW.astimezone(timezone(timedelta(hours=5)))
    text = '<time datetime="2026-11-22T13:55:33+00:00">22 November 2026, 13:55:33 UTC</time>'
    assert filters.when(local) == text


def test_a_time_without_zone_is_refused() -> None:
    with pytest.raises(ValueError, match="without its zone"):
        filters.when(NOW.replace(tzinfo=None))


@pytest.mark.parametrize(
    "seconds,words",
    [
        (0, "just now"),
        (59, "just now"),
        (60, "1 minute ago"),
        (3599, "59 minutes ago"),
        (3600, "1 hour ago"),
        (47 * 3600, "47 hours ago"),
        (48 * 3600, "2 days ago"),
        (-30, "in less than a minute"),
        (-7200, "in 2 hours"),
    ],
)
def test_an_age_is_rounded_down(seconds: int, words: str) -> None:
    assert f">{words}</time>" in filters.age(NOW - timedelta(seconds=seconds), NOW)


@pytest.mark.parametrize(
    "seconds,words",
    [(0.04, "0.0 seconds"), (4.25, "4.2 seconds"), (59.9, "59 seconds"), (61, "1 min 1 s"), (7260, "2 h 1 min")],
)
def test_a_duration_has_words(seconds: float, words: str) -> None:
    assert filters.span(seconds) == words


def test_a_count_agrees_with_its_noun() -> None:
    assert filters.plural(1, "row") == "1 row"
    assert filters.plural(0, "row") == "0 rows"
    assert filters.plural(1200, "match", "matches") == "1,200 matches"
