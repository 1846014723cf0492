"""The tables there are, and what the reader sees of them."""

from dataclasses import dataclass

from gatebook_hub.portal.pages.frame import Downloads, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceCard:
    """A source with tables that the reader may use; their number is None where nobody asked the source itself."""

    name: str
    title: str
    engine: str
    is_production: bool
    tables_count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """Something that a search may find. `kind` is a word such as `table`, `column`, `tool`.

    `name` is what it is marked as a favourite by, empty where it cannot be. `also` are words by which it is found, and
    that nobody needs to read.
    """

    kind: str
    title: str
    url: str
    summary: str
    name: str = ""
    also: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CataloguePage:
    """All sources, or what a search found in them; `matches` is None when nothing was searched for.

    `unreachable` names sources that could not be searched now.
    """

    frame: Frame
    sources: tuple[SourceCard, ...]
    downloads: Downloads
    query: str = ""
    matches: tuple[Match, ...] | None = None
    unreachable: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnCard:
    """A column as the reader meets it: plain, under a mask, or refused with a sentence; `rule` is what decided."""

    name: str
    type: str
    is_nullable: bool
    is_key: bool = False
    tags: tuple[str, ...] = ()
    mask: str | None = None
    refused: str | None = None
    description: str = ""
    rule: str | None = None
    ask: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class TableCard:
    """A table, what the reader may do with it and by which rules, and which of its rows they see (None: all)."""

    name: str
    kind: str
    comment: str
    columns: tuple[ColumnCard, ...]
    may: tuple[str, ...]
    rows: str | None = None
    rules: tuple[str, ...] = ()
    is_favourite: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SourcePage:
    """One source with its tables, and the access in it that the reader may ask for."""

    frame: Frame
    source: SourceCard
    tables: tuple[TableCard, ...]
    downloads: Downloads
    description: str = ""
    offers: tuple[str, ...] = ()
