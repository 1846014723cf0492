"""What do all commands share? The options of places, settings made of them, and tables of principals."""

from __future__ import annotations

import datetime as dt
from contextlib import closing
from pathlib import Path
from typing import Any

import click

from gatebook_hub.settings import Settings
from gatebook_hub.stores.book import Book
from gatebook_hub.stores.database import open_database
from gatebook_hub.stores.keys import load_keys

STATE = click.option("--state", type=click.Path(path_type=Path), help="The state folder.")
POLICIES = click.option("--policies", type=click.Path(path_type=Path), help="The policy folder.")


def settings_of(**given: Any) -> Settings:
    """The settings of the environment, with the options on top."""
    return Settings(**{name: value for name, value in given.items() if value is not None})


def open_book(settings: Settings) -> closing[Book]:
    """The book of a state folder, closed at the end of the block; a folder without one is an error."""
    path = settings.state / "book" / "book.sqlite"
    if not path.exists():
        raise click.ClickException(f"there is no book in {settings.state}")
    return closing(Book(open_database(path, "book"), load_keys(settings.state / "keys").signing))


def names_of(text: str) -> frozenset[str]:
    """Names separated by commas."""
    return frozenset(name.strip() for name in text.split(",") if name.strip())


def duration(text: str) -> dt.timedelta:
    """`30m`, `1h` or `7d` as a span of time."""
    units = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days"}
    if text[-1:] not in units or not text[:-1].isdigit():
        raise click.UsageError(f"`{text}` is not a duration such as 30m, 1h or 7d")
    return dt.timedelta(**{units[text[-1]]: int(text[:-1])})


def text_of(path: Path) -> str:
    """The text of a file, or an error for the person."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise click.ClickException(f"{path} cannot be read: {error}") from error
