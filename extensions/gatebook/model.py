"""What does the gate tell about itself, about sources and about what a statement did?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Self

from gatebook.values import decode

if TYPE_CHECKING:
    import pandas as pd

Json = Mapping[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnMask:
    """A column that arrived masked, and the rule that says so."""

    column: str
    mask: str
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RowScope:
    """A table of which only some rows were visible, and the rule that says so."""

    table: str
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """What `returning` told of the rows that a write wrote, a tuple of Python values per row."""

    columns: tuple[str, ...]
    rows: tuple[tuple[object, ...], ...]

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """The rows as the gateway writes them."""
        rows = tuple(tuple(decode(value) for value in row) for row in document["rows"])
        return cls(columns=tuple(document["columns"]), rows=rows)

    def to_pandas(self) -> pd.DataFrame:
        """The rows as a DataFrame of objects."""
        import pandas as pd

        return pd.DataFrame(list(self.rows), columns=list(self.columns), dtype=object)

    def _repr_html_(self) -> str:
        return str(self.to_pandas().to_html(index=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What a statement did: `rows` read or `rows_changed` written, and its index in the book.

    `returned` is what a write with `returning` told.
    """

    rows: int = 0
    bytes: int = 0
    elapsed_ms: float | None = None
    rows_changed: int | None = None
    audit_index: int | None = None
    change: str | None = None
    masks: tuple[ColumnMask, ...] = ()
    row_filters: tuple[RowScope, ...] = ()
    returned: Returned | None = None
    transaction: str | None = None
    last_id: int | None = None

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """The outcome as the gateway writes it."""
        return cls(
            rows=int(document.get("rows") or 0),
            bytes=int(document.get("bytes") or 0),
            elapsed_ms=document.get("elapsed_ms"),
            rows_changed=document.get("rows_changed"),
            audit_index=document.get("audit_index"),
            change=document.get("change"),
            masks=tuple(
                ColumnMask(column=str(one["column"]), mask=str(one["mask"]), rule=one.get("rule"))
                for one in document.get("masks") or ()
            ),
            row_filters=tuple(
                RowScope(table=str(one["table"]), rule=one.get("rule")) for one in document.get("row_filters") or ()
            ),
            returned=Returned.from_json(document["returned"]) if document.get("returned") else None,
            transaction=document.get("transaction"),
            last_id=document.get("last_id"),
        )

    def to_json(self) -> dict[str, Any]:
        """Plain values only: `DataFrame.attrs` are copied into files as JSON, and are of a read, which returns none."""
        plain = asdict(self)
        del plain["returned"]
        return plain | {
            "masks": [asdict(one) for one in self.masks],
            "row_filters": [asdict(one) for one in self.row_filters],
        }

    def __str__(self) -> str:
        if self.rows_changed is not None:
            parts = [f"{counted(self.rows_changed, 'row')} changed"]
        else:
            parts = [counted(self.rows, "row")]
        if self.elapsed_ms is not None:
            parts.append(f"{self.elapsed_ms / 1000:.2f} s" if self.elapsed_ms >= 1000 else f"{self.elapsed_ms:.0f} ms")
        if self.masks:
            parts.append("masked: " + ", ".join(f"{one.column} ({one.mask})" for one in self.masks))
        if self.row_filters:
            parts.append("only your rows of " + ", ".join(sorted({one.table for one in self.row_filters})))
        if self.audit_index is not None:
            parts.append(f"book entry {self.audit_index}")
        return " · ".join(parts)


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who you are to the gate, and what is open to you."""

    name: str
    kind: str
    groups: tuple[str, ...] = ()
    sources: tuple[str, ...] = ()
    actions: tuple[str, ...] = ()
    tools: tuple[str, ...] = ()
    revision: str | None = None
    portal_url: str | None = None

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """`GET /me`."""
        return cls(
            name=str(document["name"]),
            kind=str(document["kind"]),
            groups=_texts(document.get("groups")),
            sources=_texts(document.get("sources")),
            actions=_texts(document.get("actions")),
            tools=_texts(document.get("tools")),
            revision=document.get("revision"),
            portal_url=document.get("portal_url"),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """A database behind the gate."""

    name: str
    engine: str
    title: str = ""
    production: bool = False

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """One of `GET /sources`."""
        return cls(
            name=str(document["name"]),
            engine=str(document["engine"]),
            title=str(document.get("title") or ""),
            production=bool(document.get("production")),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column: `mask` names how it arrives, `refused` says in a sentence why it does not."""

    name: str
    type: str
    nullable: bool = True
    tags: tuple[str, ...] = ()
    mask: str | None = None
    refused: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A table: what you `may` do with it, and which `rows` of it are yours."""

    name: str
    kind: str = "table"
    comment: str | None = None
    columns: tuple[Column, ...] = ()
    key: tuple[str, ...] = ()
    may: tuple[str, ...] = ()
    rows: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of a source that you may know of."""

    source: str
    version: str
    tables: tuple[Table, ...] = ()

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """`GET /sources/{source}/schema`."""
        return cls(
            source=str(document["source"]),
            version=str(document.get("version") or ""),
            tables=tuple(_table(one) for one in document.get("tables") or ()),
        )

    def __getitem__(self, name: str) -> Table:
        for table in self.tables:
            if table.name == name:
                return table
        raise KeyError(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A named, reviewed write: `params` is the JSON Schema of its parameters, `approval` says who has to agree.

    `bulk` names the parameter of which one call may give a list, and how long that is at most (`most`).
    """

    name: str
    title: str = ""
    description: str = ""
    source: str | None = None
    params: Json = field(default_factory=dict)
    confirm: str | None = None
    approval: str | None = None
    bulk: Json | None = None

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """One of `GET /actions`."""
        return cls(
            name=str(document["name"]),
            title=str(document.get("title") or ""),
            description=str(document.get("description") or ""),
            source=document.get("source"),
            params=document.get("params") or {},
            confirm=document.get("confirm"),
            approval=document.get("approval"),
            bulk=document.get("bulk"),
        )


def counted(number: int, noun: str) -> str:
    """`1 row`, `1,200 rows`."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"


def _table(document: Json) -> Table:
    return Table(
        name=str(document["name"]),
        kind=str(document.get("kind") or "table"),
        comment=document.get("comment"),
        columns=tuple(
            Column(
                name=str(one["name"]),
                type=str(one.get("type") or ""),
                nullable=bool(one.get("nullable", True)),
                tags=_texts(one.get("tags")),
                mask=one.get("mask"),
                refused=one.get("refused"),
            )
            for one in document.get("columns") or ()
        ),
        key=_texts(document.get("key")),
        may=_texts(document.get("may")),
        rows=document.get("rows"),
    )


def _texts(values: object) -> tuple[str, ...]:
    return tuple(str(value) for value in values) if isinstance(values, (list, tuple)) else ()
