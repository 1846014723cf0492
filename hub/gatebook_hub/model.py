"""What are the nouns? Frozen values that every room may use; nothing here does anything."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Engine(StrEnum):
    """A kind of governed database."""

    SQLITE = "sqlite"
    POSTGRESQL = "postgresql"
    MARIADB = "mariadb"
    DUCKDB = "duckdb"


class Access(StrEnum):
    """What a statement does to a table."""

    SELECT = "select"
    INSERT = "insert"
    UPDATE = "update"
    DELETE = "delete"
    DDL = "ddl"


WRITES = frozenset({Access.INSERT, Access.UPDATE, Access.DELETE})


class PrincipalKind(StrEnum):
    """Who calls: a person, a scheduled job, or a service of the workspace."""

    USER = "user"
    JOB = "job"
    SERVICE = "service"


class Channel(StrEnum):
    """How a principal proved who they are; a review comes through the portal alone."""

    PORTAL = "portal"
    HUB_TOKEN = "hub_token"  # noqa: S105 - the name of a channel
    ISSUED_TOKEN = "issued_token"  # noqa: S105 - the name of a channel
    RUN_TOKEN = "run_token"  # noqa: S105 - the name of a channel
    CHECK_TOKEN = "check_token"  # noqa: S105 - the name of a channel
    OPERATOR = "operator"


class NoticeKind(StrEnum):
    """What a message about a change request is about."""

    REQUESTED = "requested"
    APPROVED = "approved"
    REJECTED = "rejected"
    EXPIRING = "expiring"
    EXPIRED = "expired"
    DRIFTED = "drifted"
    FAILED = "failed"
    EXECUTED = "executed"
    WITHDRAWN = "withdrawn"
    BREAK_GLASS = "break_glass"
    UNDONE = "undone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Tool:
    """A curated tool through which a call came, attested by the tools service."""

    name: str
    version: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Principal:
    """Who calls, as the gateway itself verified it; `leases` are names that they bear for a time."""

    kind: PrincipalKind
    name: str
    groups: frozenset[str] = frozenset()
    tool: Tool | None = None
    channel: Channel = Channel.ISSUED_TOKEN
    run_id: str | None = None
    leases: frozenset[str] = frozenset()

    @property
    def id(self) -> str:
        """`user:analyst`, as rules and the book write it."""
        return f"{self.kind}:{self.name}"

    @property
    def known_as(self) -> str:
        """What `:principal` means in a row filter: a person's bare name, `job:…` for others, so none passes as one."""
        return self.name if self.kind is PrincipalKind.USER else self.id

    @property
    def names(self) -> frozenset[str]:
        """Every name under which a rule may mean this principal."""
        names = {self.id, *(f"group:{group}" for group in self.groups), *self.leases}
        return frozenset(names | ({f"tool:{self.tool.name}"} if self.tool else set()))


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A column as the source's own catalogue describes it; `type` is the engine's spelling.

    `name` is folded as the engine looks it up, `declared` is how answers spell it, if that differs. A `*` leaves out
    what is invisible. An enumeration is a type of its own, whatever its spelling looks like.
    """

    name: str
    type: str
    nullable: bool = True
    is_generated: bool = False
    declared: str | None = None
    is_invisible: bool = False
    is_enumeration: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Columns of a table that name a row of another one by its `key`, and follow it.

    When that row is deleted the row goes too (`is_cascade`), or its columns are set to something else.
    """

    columns: tuple[str, ...]
    table: str
    key: tuple[str, ...]
    is_cascade: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Table:
    """A base table or a view; `key` is its primary key, empty if it has none. A grant names a view by itself.

    A part of another table (a partition, a child that inherits) is told as a view: its rows are the other's. Deleting
    a row deletes or changes rows of the tables in `cascades` too; changing a column of `followed` changes other rows.
    `references` are its own to rows with which its rows go, or change. `triggers` are what the database itself does at
    a write, by name.
    """

    name: str
    columns: tuple[Column, ...]
    key: tuple[str, ...] = ()
    comment: str | None = None
    is_view: bool = False
    cascades: frozenset[str] = frozenset()
    followed: frozenset[str] = frozenset()
    triggers: frozenset[str] = frozenset()
    references: tuple[Reference, ...] = ()

    def column(self, name: str) -> Column | None:
        """The column of that name, or None."""
        return next((column for column in self.columns if column.name == name), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Schema:
    """The tables of one source; `version` is a fingerprint of all of it.

    `functions` are those that policy allows in it beside the engine's own list, `shadowed` those, in capitals, whose
    names mean something else there than to the gate, `callables` those, in small letters, that PostgreSQL would call
    for `t.f`, and `intrusive` those of them that do more than reckon with a value; `known` are the tables that exist
    for the caller, None for all: row filters may read others.
    """

    source: str
    engine: Engine
    version: str
    tables: Mapping[str, Table] = field(default_factory=dict)
    namespace: str | None = None
    functions: frozenset[str] = frozenset()
    shadowed: frozenset[str] = frozenset()
    callables: frozenset[str] = frozenset()
    intrusive: frozenset[str] = frozenset()
    known: frozenset[str] | None = None

    def knows(self, table: str) -> bool:
        """Whether the table exists for the caller."""
        return table in self.tables and (self.known is None or table in self.known)


@dataclass(frozen=True, slots=True, kw_only=True)
class TableUse:
    """One table of a statement: what is done to it, which columns are named and which written.

    `is_whole` says that `*` reads whatever columns the principal may see.
    """

    table: str
    access: Access
    reads: frozenset[str] = frozenset()
    writes: frozenset[str] = frozenset()
    is_whole: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Mask:
    """How a protected value is shown: `email`, `last(4)`, …; `rule` is the protection that says so.

    `expression` is the source's own SQL of a `custom` mask, in which `value` stands for the column.
    """

    name: str
    argument: int | None = None
    rule: str
    expression: str | None = None

    def __str__(self) -> str:
        return self.name if self.argument is None else f"{self.name}({self.argument})"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowFilter:
    """A condition in the source's SQL that rows must meet; rules are all that it comes from."""

    condition: str
    rules: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TableObligation:
    """What a read of one table must obey: the columns that exist for this principal, masks, row filters (all apply)."""

    table: str
    columns: tuple[str, ...]
    masks: Mapping[str, Mask] = field(default_factory=dict)
    row_filters: tuple[RowFilter, ...] = ()

    def shows_all_of(self, table: Table) -> bool:
        """Whether nothing of the table is hidden, masked or filtered."""
        everything = {column.name for column in table.columns}
        return not self.masks and not self.row_filters and everything == set(self.columns)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """What one statement may cost; None means no limit of its own."""

    rows: int | None = None
    bytes: int | None = None
    time_s: float | None = None
    concurrent: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Requirement:
    """One part of a quorum: so many reviewers out of any of these groups."""

    groups: tuple[str, ...]
    needed: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Seat:
    """A place in quorums: whose it is, for which groups, and the rule that gives it to somebody else meanwhile."""

    holder: str
    groups: frozenset[str]
    rule: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Glass:
    """Who may have a write executed before it is reviewed, and who must have looked at it after that."""

    groups: tuple[str, ...]
    review: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RuleRef:
    """A rule that decided, by id and by the hash of its text."""

    id: str
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowed:
    """The statement may run under these obligations; a write with requirements needs review first."""

    obligations: Mapping[str, TableObligation]
    limits: Limits
    rules: tuple[RuleRef, ...]
    requirements: tuple[Requirement, ...] = ()
    approval_rules: tuple[RuleRef, ...] = ()
    needs_reason: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Denied:
    """The statement may not run: the rule that says so, a sentence, and what to ask for."""

    sentence: str
    rule: str | None = None
    ask: str | None = None


Decision = Allowed | Denied
