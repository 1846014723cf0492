"""How times, counts, addresses and foreign texts are written on a page."""

import re
import unicodedata
from datetime import UTC, datetime

from markupsafe import Markup, escape

MINUTE_S = 60
HOUR_S = 60 * MINUTE_S
DAY_S = 24 * HOUR_S
TENTHS_BELOW_S = 10
FEW_SPACES = 3
MOST_TOLD = 999

_SAFE_ADDRESS = re.compile(r"(?:https?://[^\s\\/]|/(?![/\\])|[?#])[^\s\\]*", re.ASCII)
_PLAIN_CONTROLS = frozenset("\n\t")
# Unicode counts these as letters, marks or signs, but they leave no ink.
_BLANK_LETTERS = frozenset("\u034f\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0")


def when(moment: datetime) -> Markup:
    """Return a time element that a person and a program can read, in UTC."""
    utc = _aware(moment)
    text = f"{utc.day} {utc:%B %Y, %H:%M:%S} UTC"
    return Markup('<time datetime="{}">{}</time>').format(utc.isoformat(timespec="seconds"), text)


def age(moment: datetime, now: datetime) -> Markup:
    """Return a time element that says how long ago, or in how long; the exact time is its tooltip and `datetime`."""
    utc = _aware(moment)
    seconds = (_aware(now) - utc).total_seconds()
    if abs(seconds) < MINUTE_S:
        text = "just now" if seconds >= 0 else "in less than a minute"
    else:
        text = f"{_rounded(seconds)} ago" if seconds > 0 else f"in {_rounded(-seconds)}"
    exact = f"{utc.day} {utc:%B %Y, %H:%M:%S} UTC"
    return Markup('<time datetime="{}" title="{}">{}</time>').format(utc.isoformat(timespec="seconds"), exact, text)


def span(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < TENTHS_BELOW_S:
        return f"{seconds:.1f} seconds"
    if seconds < MINUTE_S:
        return f"{int(seconds)} seconds"
    if seconds < HOUR_S:
        return f"{int(seconds // MINUTE_S)} min {int(seconds % MINUTE_S)} s"
    return f"{int(seconds // HOUR_S)} h {int(seconds % HOUR_S // MINUTE_S)} min"


def plural(count: int, one: str, many: str | None = None) -> str:
    """Return a count with its noun: `1 row`, `1,200 rows`."""
    return f"{count:,} {one if count == 1 else many or one + 's'}"


def waiting(count: int) -> str:
    """Return how many wait, as far as they are counted: `12`, `999+`."""
    return str(count) if count <= MOST_TOLD else f"{MOST_TOLD}+"


def visible(text: str) -> Markup:
    """Return foreign text with its invisible characters spelled out.

    A reviewer must not approve what the screen does not show: characters that hide, reorder or imitate others
    (controls, bidirectional overrides, zero-width and odd spaces) and spaces at the ends become visible marks.
    """
    inner = text.strip(" ")
    lead, trail = len(text) - len(text.lstrip(" ")), len(text) - len(text.rstrip(" "))
    if not inner:
        lead, trail = len(text), 0
    return _spaces(lead) + _marked(inner) + _spaces(trail)


def prose(text: str) -> Markup:
    """Return a message as a sentence: a capital first, a stop last, and what stands in backticks as code.

    Error texts are lower case and have no final stop, because most of them end in tracebacks.
    """
    if not text:
        return Markup("")
    return coded(text[0].upper() + text[1:] + ("" if text.rstrip("`").endswith((".", "!", "?")) else "."))


def coded(text: str) -> Markup:
    """Return foreign text like `visible` does, and what stands in backticks as code."""
    parts = text.split("`")
    if len(parts) % 2 == 0:
        return visible(text)
    return Markup("").join(
        Markup("<code>{}</code>").format(visible(part)) if place % 2 else _marked(part)
        for place, part in enumerate(parts)
    )


def href(url: str) -> str:
    r"""Return an address that may stand in a link; anything but http(s) and paths of our own leads nowhere.

    Escaping does not stop `javascript:`, and `//host` or `/\host` would leave the portal.
    """
    return url if _SAFE_ADDRESS.fullmatch(url) else "#refused-address"


def state_words(state: str) -> str:
    """Return a state's name as words: `awaiting_review` is "Awaiting review"."""
    return state.replace("_", " ").capitalize()


def _aware(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        message = f"a time without its zone cannot be shown: {moment!r}"
        raise ValueError(message)
    return moment.astimezone(UTC)


def _rounded(seconds: float) -> str:
    if seconds < HOUR_S:
        return plural(int(seconds // MINUTE_S), "minute")
    if seconds < 2 * DAY_S:
        return plural(int(seconds // HOUR_S), "hour")
    return plural(int(seconds // DAY_S), "day")


def _spaces(count: int) -> Markup:
    if not count:
        return Markup("")
    signs = "␣" * count if count <= FEW_SPACES else f"␣ {count} times"
    return Markup('<span class="mark" title="{}">{}</span>').format(plural(count, "space"), signs)


def _marked(text: str) -> Markup:
    if text.isprintable() and _BLANK_LETTERS.isdisjoint(text):
        return escape(text)
    return Markup("").join(_mark(character) for character in text)


def _mark(character: str) -> Markup:
    if character in _PLAIN_CONTROLS or (character.isprintable() and character not in _BLANK_LETTERS):
        return escape(character)
    name = unicodedata.name(character, "unnamed character").lower()
    return Markup('<span class="mark" title="{}">U+{}</span>').format(name, f"{ord(character):04X}")
