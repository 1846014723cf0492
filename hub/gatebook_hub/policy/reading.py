"""Is this text YAML of the small kind that policy files are: no aliases, no depth or size that stalls the gate?"""

from __future__ import annotations

import io
from collections.abc import Iterator
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionStartEvent, ScalarEvent

MAX_CHARACTERS = 1_000_000
MAX_DEPTH = 20
MAX_NODES = 100_000
_LONG_NUMBER = 100


class NotReadable(Exception):
    """The text is not taken: a line and a sentence."""

    def __init__(self, line: int, sentence: str) -> None:
        super().__init__(sentence)
        self.line = line
        self.sentence = sentence


def read_yaml(text: str) -> Any:
    """The data of a text, which keeps the lines of its keys; raises NotReadable."""
    if len(text) > MAX_CHARACTERS:
        raise NotReadable(1, f"has {len(text):,} characters, and a policy file at most {MAX_CHARACTERS:,}")
    try:
        _check_shape(text)
        data = YAML(typ="rt").load(io.StringIO(text))
    except NotReadable:
        raise
    except MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise NotReadable(line, f"is not YAML: {error.problem}") from error
    except (YAMLError, ValueError, OverflowError, RecursionError) as error:
        # Dates that are none and numbers that nobody can hold come as plain errors.
        raise NotReadable(1, f"is not YAML: {str(error)[:200]}") from error
    return data if data is not None else {}


def line_of(data: Any, location: tuple[int | str, ...]) -> int:
    """The line of the innermost part of the location that the file has."""
    line = 1
    for part in location:
        try:
            known = data.lc.item(part) if isinstance(part, int) else data.lc.key(part)
            line, data = int(known[0]) + 1, data[part]
        except (AttributeError, KeyError, TypeError, IndexError):
            break
    return line


def _check_shape(text: str) -> None:
    """An alias of an alias is how a few lines become gigabytes; nesting without end is how a reader falls over."""
    depth = nodes = 0
    for event in _events(text):
        line = event.start_mark.line + 1 if event.start_mark else 1
        if isinstance(event, AliasEvent):
            raise NotReadable(line, "uses an alias (`*name`); policy files say what they mean where they mean it")
        if getattr(event, "tag", None) is not None:
            raise NotReadable(line, "uses a tag (`!name`); policy files hold texts, numbers, lists and keys")
        if isinstance(event, ScalarEvent) and event.value.isdigit() and len(event.value) > _LONG_NUMBER:
            raise NotReadable(line, "has a number that is too long")
        is_start = isinstance(event, CollectionStartEvent)
        depth += is_start - (type(event).__name__ in {"MappingEndEvent", "SequenceEndEvent"})
        nodes += is_start or isinstance(event, ScalarEvent)
        if depth > MAX_DEPTH:
            raise NotReadable(line, f"is nested more than {MAX_DEPTH} levels deep")
        if nodes > MAX_NODES:
            raise NotReadable(line, f"has more than {MAX_NODES:,} values")


def _events(text: str) -> Iterator[Any]:
    yield from YAML(typ="safe", pure=True).parse(io.StringIO(text))
