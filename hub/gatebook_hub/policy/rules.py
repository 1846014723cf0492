"""What is a policy set made of? Frozen values; the documents of `documents.py` become these at once."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any
from zoneinfo import ZoneInfo

from gatebook_hub.model import Access, Engine, Glass, Limits, Mask, NoticeKind, Requirement, RuleRef, Schema
from gatebook_hub.policy.circumstances import Circumstances
from gatebook_hub.windows import Execution, Window


@dataclass(frozen=True, slots=True, kw_only=True)
class TablePattern:
    """`chinook.customer`, or `chinook.*` for every table of a source."""

    source: str
    table: str

    def matches(self, source: str, table: str) -> bool:
        """Whether the pattern means that table."""
        return self.source == source and self.table in {"*", table}

    def __str__(self) -> str:
        return f"{self.source}.{self.table}"


@dataclass(frozen=True, slots=True, kw_only=True)
class ColumnRef:
    """`chinook.customer.email`."""

    source: str
    table: str
    column: str

    def __str__(self) -> str:
        return f"{self.source}.{self.table}.{self.column}"


@dataclass(frozen=True, slots=True, kw_only=True)
class SourceRule:
    """A governed database; `url` still has its placeholders for secrets.

    `descriptions` are those of `table` and `table.column`, with names in small letters.
    """

    name: str
    title: str
    engine: Engine
    url: str
    is_production: bool
    is_sandbox: bool
    limits: Limits
    default_quorum: tuple[Requirement, ...]
    description: str = ""
    descriptions: Mapping[str, str] = field(default_factory=dict)
    working: Window | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class OnRequest:
    """Who may ask for a grant, for how many hours at most, and who gives it."""

    askers: frozenset[str]
    hours: float
    require: tuple[Requirement, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """Who may do what; `to`, `via` hold names such as `group:analysts` and tool names.

    `window` and `purposes` are conditions of each statement: None and empty mean that there is none. One that is given
    `on_request` is `to` the name that its holders bear while they have it.
    """

    ref: RuleRef
    to: frozenset[str]
    on: tuple[TablePattern, ...] = ()
    columns: frozenset[str] | None = None
    allow: frozenset[Access] = frozenset()
    where: str | None = None
    via: frozenset[str] = frozenset()
    limits: Limits = field(default_factory=Limits)
    needs_reason: bool = False
    actions: frozenset[str] = frozenset()
    entities: frozenset[str] = frozenset()
    tools: frozenset[str] = frozenset()
    review_tools: frozenset[str] = frozenset()
    audit: bool = False
    metrics: bool = False
    window: Window | None = None
    purposes: frozenset[str] = frozenset()
    on_request: OnRequest | None = None

    @property
    def is_conditional(self) -> bool:
        """Whether it holds at some times, or for some purposes, alone."""
        return self.window is not None or bool(self.purposes)

    def holds(self, at: Circumstances) -> bool:
        """Whether its window is open and one of its purposes is named."""
        if self.window is not None and not self.window.is_open(at.now):
            return False
        return not self.purposes or at.is_look or at.purpose in self.purposes

    def names(self, source: str, table: str) -> bool:
        """Whether it is about that table by name, not by `*`."""
        return any((pattern.source, pattern.table) == (source, table) for pattern in self.on)

    def reaches(self, source: str, table: str) -> bool:
        """Whether it is about that table."""
        return any(pattern.matches(source, table) for pattern in self.on)


@dataclass(frozen=True, slots=True, kw_only=True)
class Protection:
    """What stays with the data: a mask, a refusal or a row filter; `unless` names who is exempt."""

    ref: RuleRef
    columns: frozenset[ColumnRef] = frozenset()
    tables: tuple[TablePattern, ...] = ()
    mask: Mask | None = None
    refuse: str | None = None
    where: str | None = None
    ask: str | None = None
    unless: frozenset[str] = frozenset()

    def concerns(self, source: str, table: str | None = None) -> bool:
        """Whether it is about that table or a column of it, or about anything of the source."""
        named: list[ColumnRef | TablePattern] = [*self.columns, *self.tables]
        return any(item.source == source and (table is None or item.table in {"*", table}) for item in named)


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """One comparison of an approval rule: `rows > 10`, `amount > 5.00`."""

    name: str
    operator: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Approval:
    """Which writes need whom; an empty `require` says that these need nobody.

    `tags` are of the written columns; without `on` and `actions` every table of every source is meant.
    """

    ref: RuleRef
    on: tuple[TablePattern, ...] = ()
    actions: frozenset[str] = frozenset()
    accesses: frozenset[Access] = frozenset()
    via: frozenset[str] = frozenset()
    when: tuple[Condition, ...] = ()
    require: tuple[Requirement, ...] = ()
    tags: frozenset[str] = frozenset()
    is_production: bool = False
    expires_h: float | None = None
    needs_reason: bool = False
    execution: Execution = field(default_factory=Execution)
    glass: Glass | None = None
    takes_sample: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Absence:
    """Who reviews in place of somebody for some groups, from the first day to the last on the calendar of a zone."""

    ref: RuleRef
    who: str
    groups: frozenset[str]
    instead: str
    first: dt.date
    last: dt.date
    zone: str = "UTC"

    def is_in_force(self, now: dt.datetime) -> bool:
        """Whether the moment (aware) is on one of its days."""
        return self.first <= self._day(now) <= self.last

    def is_over(self, now: dt.datetime | None) -> bool:
        """Whether the last day has passed."""
        return now is not None and self._day(now) > self.last

    def meets(self, other: Absence) -> bool:
        """Whether both have a day in common."""
        return self.first <= other.last and other.first <= self.last

    def _day(self, now: dt.datetime) -> dt.date:
        return now.astimezone(ZoneInfo(self.zone)).date()


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A select that must find a row before an action writes, and what is said where it finds none."""

    sql: str
    otherwise: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Rate:
    """How often one caller may call an action, in seconds."""

    times: int
    per_s: int
    word: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Bulk:
    """The parameter of which one call of an action may give a list, and how long that is at most."""

    parameter: str
    most: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Connection:
    """A service that actions call; `headers` still have their placeholders for secrets."""

    name: str
    title: str
    url: str
    headers: Mapping[str, str]
    idempotency_header: str | None
    timeout_s: float
    retries: int
    default_quorum: tuple[Requirement, ...]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HttpCall:
    """One call of a service; `{name}` in its texts is a parameter of the action."""

    connection: str
    method: str
    path: str
    query: Mapping[str, str]
    body: Any
    expect: frozenset[int]
    result: Mapping[str, str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """A named, typed, reviewed write; `params` is a JSON Schema object, `choices` are selects by parameter.

    One with `http` calls another service; its `source`, if any, is where its checks and choices are asked.
    """

    name: str
    title: str
    description: str
    source: str
    sql: str
    params: Mapping[str, Any]
    expect_rows: int | None
    otherwise: str
    confirm: str
    digest: str
    checks: tuple[Check, ...] = ()
    choices: Mapping[str, str] = field(default_factory=dict)
    rates: tuple[Rate, ...] = ()
    bulk: Bulk | None = None
    http: HttpCall | None = None

    @property
    def place(self) -> str:
        """The source, or the connection, where it has its effect."""
        return self.source if self.http is None else self.http.connection


@dataclass(frozen=True, slots=True, kw_only=True)
class Entity:
    """Records that people search; `lookups` are columns whose whole value finds one, also where they are masked."""

    name: str
    title: str
    source: str
    table: str
    where: str | None
    shows: tuple[str, ...]
    search: tuple[str, ...]
    match: str
    lookups: tuple[str, ...]
    rate: Rate
    tool: str | None
    parameter: str | None
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """A scheduled notebook."""

    name: str
    title: str
    notebook: str
    cron: str
    zone: str
    parameters: Mapping[str, Any]
    timeout_s: float
    retries: int
    overlap: str
    missed: str
    owner: str
    runners: frozenset[str]
    digest: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Expectation:
    """A test of the rules: this principal sends this statement; what must come out."""

    name: str
    place: str
    user: str | None
    job: str | None
    groups: frozenset[str]
    tool: str | None
    source: str
    sql: str | None
    action: str | None
    params: Mapping[str, Any]
    rows: int
    expect: Mapping[str, Any]
    purpose: str | None = None
    at: dt.datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeChannel:
    """Where messages go; the URL is in the environment. `to` and `kinds` narrow it: None means everything."""

    name: str
    url_env: str
    to: frozenset[str] | None = None
    kinds: frozenset[NoticeKind] | None = None
    is_daily: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonalChannel:
    """A way to one person, whose name stands in the URL of the environment for `{name}`; `to` are who may choose it."""

    name: str
    title: str
    url_env: str
    to: frozenset[str] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Notifications:
    """Where messages about change requests go, and when: `digest_min` are minutes after midnight in `zone`."""

    channels: Mapping[str, NoticeChannel] = field(default_factory=dict)
    personal: Mapping[str, PersonalChannel] = field(default_factory=dict)
    digest_min: int = 7 * 60
    zone: str = "UTC"
    expiring_h: float = 8.0

    @property
    def is_empty(self) -> bool:
        """Whether no message goes anywhere."""
        return not self.channels and not self.personal


@dataclass(frozen=True, slots=True, kw_only=True)
class PolicySet:
    """Everything that data owners declared; `revision` is the hash of all its files.

    `functions` are names, in capitals, that data owners vouch for beyond those that the engine's list has, by source.
    """

    revision: str
    sources: Mapping[str, SourceRule]
    grants: tuple[Grant, ...]
    protections: tuple[Protection, ...]
    approvals: tuple[Approval, ...]
    tags: Mapping[ColumnRef, frozenset[str]]
    actions: Mapping[str, Action]
    jobs: Mapping[str, Job]
    expectations: tuple[Expectation, ...]
    places: Mapping[str, str] = field(default_factory=dict)
    functions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    notifications: Notifications = field(default_factory=Notifications)
    absences: tuple[Absence, ...] = ()
    connections: Mapping[str, Connection] = field(default_factory=dict)
    entities: Mapping[str, Entity] = field(default_factory=dict)

    def default_quorum(self, place: str) -> tuple[Requirement, ...]:
        """Who approves what no rule matches, in a source or at a connection; nobody in a sandbox."""
        connection = self.connections.get(place)
        if connection is not None:
            return connection.default_quorum
        source = self.sources[place]
        return () if source.is_sandbox else source.default_quorum

    def is_production(self, place: str) -> bool:
        """Whether what is done there is done to production; what another service does is."""
        return place in self.connections or self.sources[place].is_production

    def place_of(self, rule: str) -> str:
        """File and line of a rule, of `action NAME`, `job NAME`, `source NAME` or of the tag `classification NAME`."""
        return self.places.get(rule, rule)

    def tags_of(self, source: str, table: str, column: str) -> frozenset[str]:
        """The classification of a column."""
        return self.tags.get(ColumnRef(source=source, table=table, column=column), frozenset())

    def governed(self, schema: Schema) -> Schema:
        """The schema with the functions that this set allows in it."""
        return replace(schema, functions=self.functions.get(schema.source, frozenset()))
