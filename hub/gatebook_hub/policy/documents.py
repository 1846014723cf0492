"""Which keys may a policy file have? pydantic models of the YAML; the field descriptions are the reference page."""

from __future__ import annotations

import datetime as dt
import re
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, AwareDatetime, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from gatebook_hub.model import Access, Engine, NoticeKind
from gatebook_hub.policy.masking import MASK
from gatebook_hub.windows import DAYS

NAME = r"^[a-z][a-z0-9_]{0,62}$"
RULE_ID = r"^[a-z][a-z0-9-]{0,62}$"
PRINCIPAL = r"^(user|group|job|service|tool|action):[A-Za-z0-9_.@-]{1,63}$"
TABLE = r"^[a-z][a-z0-9_]*\.([a-z_][a-z0-9_]*|\*)$"
COLUMN = r"^[a-z][a-z0-9_]*\.[a-z_][a-z0-9_]*\.[a-z_][a-z0-9_]*$"
CONDITION = re.compile(r"^\s*([a-z_][a-z0-9_]*)\s*(<=|>=|==|!=|<|>)\s*(.+?)\s*$")
HOURS = r"^([01][0-9]|2[0-3]):[0-5][0-9]-(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$"
PARTY = r"^(user|group|job):[A-Za-z0-9_.@-]{1,63}$"
PERSON = r"^(user|group):[A-Za-z0-9_.@-]{1,63}$"
USER = r"^user:[A-Za-z0-9_.@-]{1,63}$"
VARIABLE = r"^GATEBOOK_NOTIFY_[A-Z0-9_]{1,100}$"
HOUR = r"^([01][0-9]|2[0-3]):[0-5][0-9]$"
FUNCTION = r"^[A-Za-z_][A-Za-z0-9_]{0,62}$"
_MOST_CONDITION = 200


def _as_list(value: Any) -> Any:
    return [value] if isinstance(value, str) else value


def _is_zone(name: str) -> str:
    try:
        ZoneInfo(name)
    except (ValueError, KeyError, OSError) as error:
        raise ValueError(f"`{name[:64]}` is not a time zone such as `Europe/Berlin`") from error
    return name


Name = Annotated[str, Field(pattern=NAME)]
RuleId = Annotated[str, Field(pattern=RULE_ID)]
_Principal = Annotated[str, Field(pattern=PRINCIPAL)]
_Party = Annotated[str, Field(pattern=PARTY)]
_Person = Annotated[str, Field(pattern=PERSON)]
_Table = Annotated[str, Field(pattern=TABLE)]
_Column = Annotated[str, Field(pattern=COLUMN)]
_Function = Annotated[str, Field(pattern=FUNCTION)]
# One may be written without brackets; editors learn that from the schema.
Principals = Annotated[
    list[_Principal],
    BeforeValidator(_as_list, json_schema_input_type=_Principal | list[_Principal]),
    Field(min_length=1),
]
Parties = Annotated[
    list[_Party], BeforeValidator(_as_list, json_schema_input_type=_Party | list[_Party]), Field(min_length=1)
]
People = Annotated[
    list[_Person], BeforeValidator(_as_list, json_schema_input_type=_Person | list[_Person]), Field(min_length=1)
]
NoticeKinds = Annotated[
    list[NoticeKind], BeforeValidator(_as_list, json_schema_input_type=NoticeKind | list[NoticeKind])
]
Tables = Annotated[
    list[_Table], BeforeValidator(_as_list, json_schema_input_type=_Table | list[_Table]), Field(min_length=1)
]
Columns = Annotated[list[_Column], BeforeValidator(_as_list, json_schema_input_type=_Column | list[_Column])]
Names = Annotated[list[str], BeforeValidator(_as_list, json_schema_input_type=str | list[str])]
Functions = Annotated[list[_Function], BeforeValidator(_as_list, json_schema_input_type=_Function | list[_Function])]
Purposes = Annotated[list[Name], BeforeValidator(_as_list, json_schema_input_type=Name | list[Name])]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Days = Annotated[list[Day], BeforeValidator(_as_list, json_schema_input_type=Day | list[Day])]
assert get_args(Day) == DAYS


class Document(BaseModel):
    """Unknown keys are errors."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Narrowing(Document):
    """A rule whose lists narrow it: an empty one would narrow nothing, and is nothing that anybody meant."""

    _narrowing: ClassVar[tuple[str, ...]] = (
        "on",
        "via",
        "purpose",
        "days",
        "tag",
        "writes",
        "when",
        "actions",
        "tools",
        "entities",
        "kinds",
    )

    @model_validator(mode="after")
    def _no_empty_list(self) -> Self:
        for name in self._narrowing:
            if name in self.model_fields_set and getattr(self, name) == []:
                raise ValueError(f"`{name}` is empty; leave it out, or say what is meant")
        return self


class LimitsDocument(Document):
    """What one statement may cost."""

    rows: int | None = Field(None, gt=0, description="Rows of one answer.")
    bytes: int | None = Field(None, gt=0, description="Bytes of one answer.")
    time_s: float | None = Field(None, gt=0, description="Seconds one statement may run.")
    concurrent: int | None = Field(None, gt=0, description="Statements a principal may run at once.")


class RequirementDocument(Document):
    """One part of a quorum."""

    groups: list[Name] = Field(min_length=1, description="Members of any of these groups count.")
    needed: int = Field(1, ge=1, description="How many of them must approve.")


_HOURS: Any = Field(
    None, pattern=HOURS, description="Only at these hours, `08:00-18:00`; `22:00-06:00` goes over midnight."
)
_DAYS: Any = Field(default_factory=list, description="Only on these days: mon, tue, wed, thu, fri, sat, sun.")


def _check_window(hours: str | None, zone: str) -> None:
    if hours and hours[:5] == hours[6:]:
        raise ValueError("`hours` begin and end at the same time; leave them out for the whole day")
    _is_zone(zone)


class WindowDocument(Narrowing):
    """When approved writes are executed."""

    hours: str | None = _HOURS
    days: Days = _DAYS
    zone: str = Field("UTC", description="Time zone of `hours` and `days`.")
    until: ClassVar[None] = None

    @model_validator(mode="after")
    def _conditions(self) -> WindowDocument:
        _check_window(self.hours, self.zone)
        if not (self.hours or self.days):
            raise ValueError("a window has `hours` or `days`")
        return self


Described = Annotated[str, Field(pattern=r"^[^.\s]+(\.[^.]+)?$", max_length=200)]


class SourceDocument(Document):
    """sources/NAME.yaml: a governed database."""

    source: Name = Field(description="The name that statements use.")
    title: str = Field(description="What people read in the catalogue.")
    description: str = Field("", description="What is in it.")
    descriptions: dict[Described, Annotated[str, Field(max_length=500)]] = Field(
        default_factory=dict, description="What people read about a `table` or a `table.column` in the catalogue."
    )
    engine: Engine = Field(description="sqlite, duckdb, postgresql or mariadb.")
    url: str = Field(description="SQLAlchemy URL; `${state}`, `${env:NAME}` and `${file:PATH}` are filled in.")
    production: bool = Field(default=False, description="Whether it holds production data.")
    sandbox: bool = Field(default=False, description="A play source: writes need nobody; refused beside production.")
    limits: LimitsDocument = Field(default_factory=LimitsDocument, description="Limits of every statement.")
    working: WindowDocument | None = Field(
        None, description="Working hours; what is asked for outside of them is riskier."
    )
    default_quorum: list[RequirementDocument] = Field(
        default_factory=list, description="Who must approve a write that no approval rule matches."
    )

    @model_validator(mode="after")
    def _quorum(self) -> SourceDocument:
        if self.sandbox and self.production:
            raise ValueError("a source is either `sandbox` or `production`, not both")
        if not self.sandbox and not self.default_quorum:
            raise ValueError("`default_quorum` is missing: a write that no rule matches must need somebody")
        return self


class OnRequestDocument(Document):
    """Access that people ask for when they need it, and that ends by itself."""

    hours: float = Field(8, gt=0, le=720, description="For how long it is given at most.")
    require: list[RequirementDocument] = Field(min_length=1, description="Who must agree.")


class GrantDocument(Narrowing):
    """grants: who may do what."""

    id: RuleId = Field(description="The rule's name, as refusals and the book show it.")
    to: Principals = Field(description="Principals: user:, group:, job:.")
    on: Tables | None = Field(None, description="Tables, `source.table` or `source.*`.")
    columns: list[str] | None = Field(None, min_length=1, description="Only these columns; all if left out.")
    allow: list[Access] = Field(default_factory=list, description="select, insert, update, delete; in a sandbox ddl.")
    where: str | None = Field(
        None, min_length=1, description="Only rows that meet this condition; `:principal` is the caller's name."
    )
    via: Names = Field(default_factory=list, description="Only through one of these tools.")
    limits: LimitsDocument = Field(default_factory=LimitsDocument, description="Tighter limits.")
    reason: bool = Field(default=False, description="Whether each statement needs a reason.")
    actions: Names = Field(default_factory=list, description="Actions that may be used.")
    tools: Names = Field(default_factory=list, description="Tools that may be opened.")
    entities: Names = Field(default_factory=list, description="Entities that may be searched.")
    review_tools: Names = Field(default_factory=list, description="Tools whose versions may be reviewed; `*` for all.")
    audit: bool = Field(default=False, description="Whether the book may be read.")
    metrics: bool = Field(default=False, description="Whether the gateway's metrics may be read.")
    purpose: Purposes = Field(default_factory=list, description="Only statements that name one of these purposes.")
    hours: str | None = _HOURS
    days: Days = _DAYS
    until: dt.date | None = Field(None, description="Its last day.")
    zone: str = Field("UTC", description="Time zone of `hours`, `days` and `until`.")
    on_request: OnRequestDocument | None = Field(
        None, description="Not given to `to`, who may ask for it: for some hours, if these people agree."
    )

    @model_validator(mode="after")
    def _says_something(self) -> GrantDocument:
        if bool(self.on) != bool(self.allow):
            raise ValueError("`on` and `allow` go together")
        gives = (self.on, self.actions, self.tools, self.entities, self.review_tools, self.audit, self.metrics)
        if not any(gives):
            names = "`actions`, `tools`, `entities`, `review_tools`, `audit` or `metrics`"
            raise ValueError(f"a grant needs `on` with `allow`, or {names}")
        return self

    @model_validator(mode="after")
    def _conditions(self) -> GrantDocument:
        _check_window(self.hours, self.zone)
        if self.purpose and not (self.on or self.actions):
            raise ValueError("a `purpose` is named by statements and actions: it needs `on` or `actions`")
        if self.reason and not (self.on or self.actions):
            raise ValueError("a `reason` is given with statements and actions: it needs `on` or `actions`")
        for name in ("where", "columns"):
            if getattr(self, name) is not None and not self.on:
                raise ValueError(f"`{name}` narrows tables, and would narrow nothing here: it needs `on`")
        return self


class ProtectionDocument(Narrowing):
    """protections: what stays with the data, whoever asks."""

    id: RuleId = Field(description="The rule's name.")
    on: Names = Field(default_factory=list, description="Columns `source.table.column` (tables for `where`).")
    tag: Names = Field(default_factory=list, description="Tags of the classification.")
    mask: str | None = Field(
        None,
        pattern=MASK.pattern,
        description="null, redact, hash, email, last(n), first(n), year, bucket(n), or custom with `expression`.",
    )
    expression: str | None = Field(
        None, max_length=2_000, description="A custom mask in the source's SQL; `value` stands for the column."
    )
    refuse: str | None = Field(None, description="Refuse the column, with this sentence.")
    where: str | None = Field(None, min_length=1, description="A condition that every row must meet.")
    ask: str | None = Field(None, description="What a refused person can ask for.")
    unless: Names = Field(
        default_factory=list, description="Principals (user:, group:, job:, tool:, action:) that are exempt."
    )

    @model_validator(mode="after")
    def _one_effect(self) -> ProtectionDocument:
        if sum(effect is not None for effect in (self.mask, self.refuse, self.where)) != 1:
            raise ValueError("a protection has exactly one of `mask`, `refuse` and `where`")
        if not self.on and not self.tag:
            raise ValueError("a protection names columns with `on` or tags with `tag`")
        if self.where is not None and self.tag:
            raise ValueError("a row condition is set `on` tables, not on tags")
        if (self.expression is not None) != (self.mask == "custom"):
            raise ValueError("`expression` and `mask: custom` go together")
        if self.expression is not None and not re.search(r"\bvalue\b", self.expression):
            raise ValueError("`expression` must say what becomes of `value`, which stands for the column")
        form, example = (TABLE, "shop.customer") if self.where is not None else (COLUMN, "shop.customer.email")
        for target in self.on:
            if not re.match(form, target):
                raise ValueError(f"`{target[:200]}` in `on` is not of the form `{example}`")
        for principal in self.unless:
            if not re.match(PRINCIPAL, principal):
                raise ValueError(f"`{principal}` in `unless` is not a principal such as `group:support`")
        return self


class GlassDocument(Document):
    """Who may execute at once, in need."""

    groups: list[Name] = Field(min_length=1, description="Members may have their own write executed before its review.")
    review: list[RequirementDocument] = Field(min_length=1, description="Who must have looked at it afterwards.")


class ApprovalDocument(Narrowing):
    """approvals: which writes need whom."""

    id: RuleId = Field(description="The rule's name.")
    on: Tables | None = Field(None, description="Tables whose writes are meant.")
    actions: Names = Field(default_factory=list, description="Actions that are meant.")
    writes: list[Access] = Field(default_factory=list, description="insert, update, delete; all if left out.")
    via: Names = Field(default_factory=list, description="Only through one of these tools.")
    tag: Names = Field(default_factory=list, description="Only writes of a column with one of these tags.")
    production: bool = Field(default=False, description="Only writes in sources that are marked `production`.")
    when: Names = Field(
        default_factory=list, description="`rows > 10`, `risk >= 4`, or a comparison of an action's parameter."
    )
    require: list[RequirementDocument] = Field(description="The quorum; `[]` says that nobody is needed.")
    expires_h: float | None = Field(
        None, gt=0, le=8_760, description="Hours after which a request that nobody decided expires."
    )
    reason: bool = Field(default=False, description="Whether the write needs a reason.")
    execute: Literal["on_approval", "by_requester", "window"] = Field(
        "on_approval",
        description="When: with the last approval, when the requester says so, or once `window` is open.",
    )
    window: WindowDocument | None = Field(None, description="When it may be executed; `hours`, `days`, `zone`.")
    valid_h: float | None = Field(
        None, gt=0, le=8_760, description="Hours for which an approval holds; after them the request expires."
    )
    sample: bool = Field(
        default=False,
        description="Whether a write of more rows than are shown one by one is taken: reviewers see a sample.",
    )
    break_glass: GlassDocument | None = Field(
        None, description="Who may execute before the review, and who looks at it afterwards; nobody if left out."
    )

    @model_validator(mode="after")
    def _conditions(self) -> ApprovalDocument:
        if self.break_glass is not None and not self.require:
            raise ValueError("`break_glass` is for writes that need people: `require` is empty")
        if self.sample and not self.require:
            raise ValueError("`sample` is for writes that need people: `require` is empty")
        if self.execute == "window" and self.window is None:
            raise ValueError("`execute: window` needs a `window` with `hours` or `days`")
        if not (self.on or self.actions or self.tag or self.production):
            raise ValueError("an approval rule says what it means with `on`, `actions`, `tag` or `production`")
        for condition in self.when:
            if len(condition) > _MOST_CONDITION or not CONDITION.match(condition):
                raise ValueError(f"`{condition[:_MOST_CONDITION]}` is not a comparison such as `rows > 10`")
        if not self.require and not self.actions:
            raise ValueError("only actions can be declared to need nobody; table writes need somebody")
        return self


class AbsenceDocument(Document):
    """absences: who reviews in place of somebody who is away."""

    id: RuleId = Field(description="The rule's name, as the book shows it.")
    who: str = Field(pattern=USER, description="Who is away, `user:`.")
    for_: Annotated[
        list[Name], BeforeValidator(_as_list, json_schema_input_type=Name | list[Name]), Field(min_length=1)
    ] = Field(alias="for", description="In which of their groups somebody else reviews.")
    instead: str = Field(pattern=USER, description="Who reviews in their place, `user:`.")
    from_: dt.date = Field(alias="from", description="Its first day.")
    until: dt.date = Field(description="Its last day.")
    zone: Annotated[str, AfterValidator(_is_zone)] = Field("UTC", description="Time zone of both days.")

    @model_validator(mode="after")
    def _two_people_in_order(self) -> Self:
        if self.who == self.instead:
            raise ValueError("nobody stands in for themselves: `who` and `instead` are the same person")
        if self.until < self.from_:
            raise ValueError("`until` is before `from`")
        return self


class JobDocument(Document):
    """jobs/NAME.yaml: a scheduled notebook."""

    job: Name = Field(description="Its name; its principal is `job:NAME`.")
    title: str = Field(description="What people read on the runs page.")
    notebook: str = Field(pattern=r"^jobs/[A-Za-z0-9_-]+\.ipynb$", description="Path below `notebooks/`.")
    cron: str = Field(description="Five fields: minute hour day month weekday.")
    zone: str = Field("UTC", description="Time zone of the schedule.")
    parameters: dict[str, str | int | float | bool] = Field(default_factory=dict, description="Notebook parameters.")
    timeout_s: float = Field(600, gt=0, le=86_400, description="Seconds a run may take.")
    retries: int = Field(0, ge=0, le=10, description="How often a failed run is tried again.")
    overlap: Literal["skip", "allow"] = Field("skip", description="What if the last run still goes on.")
    missed: Literal["skip", "run_once"] = Field("skip", description="What if the worker was down at its time.")
    owner: str = Field(description="Group that answers for it.")
    run_by: Principals | None = Field(None, description="Who may start it by hand.")


class RuleFile(Document):
    """Any other YAML file: rules."""

    grants: list[GrantDocument] = Field(default_factory=list)
    protections: list[ProtectionDocument] = Field(default_factory=list)
    approvals: list[ApprovalDocument] = Field(default_factory=list)
    absences: list[AbsenceDocument] = Field(default_factory=list)
    classification: dict[str, Columns] = Field(default_factory=dict, description="tag: columns.")
    functions: dict[str, Functions] = Field(
        default_factory=dict, description="source or engine: functions that data owners vouch for, beyond the known."
    )


class ChannelDocument(Narrowing):
    """channels: a place that messages about change requests go to, such as a room of a chat."""

    url_env: str = Field(pattern=VARIABLE, description="The gateway's environment variable that holds its apprise URL.")
    to: Parties | None = Field(
        None, description="Only about requests that one of these asked for or may review; about all if left out."
    )
    kinds: NoticeKinds = Field(default_factory=list, description="Only these kinds of messages; all if left out.")
    digest: Literal["daily"] | None = Field(None, description="`daily`: one message a day, in place of each at once.")


class PersonalDocument(Document):
    """personal: a way to a person, which people choose for themselves at the portal."""

    title: str = Field(description="What people read where they choose.")
    url_env: str = Field(
        pattern=VARIABLE, description="The environment variable that holds its apprise URL; `{name}` is the person."
    )
    to: People | None = Field(None, description="Who may choose it; everybody if left out.")


class NotificationsFile(Document):
    """notifications.yaml: where messages about change requests go. They hold no data."""

    digest_at: str = Field("07:00", pattern=HOUR, description="When digests are sent, each day.")
    zone: Annotated[str, AfterValidator(_is_zone)] = Field("UTC", description="Time zone of `digest_at`.")
    expiring_h: float = Field(8, gt=0, le=8_760, description="Hours before its end when a request is `expiring`.")
    channels: dict[RuleId, ChannelDocument] = Field(default_factory=dict, description="Shared channels, by name.")
    personal: dict[RuleId, PersonalDocument] = Field(
        default_factory=dict, description="Personal channels, by name, of which people choose."
    )


class PersonDocument(Document):
    """Whom a test plays."""

    user: str | None = None
    job: str | None = None
    groups: list[str] = Field(default_factory=list)
    tool: str | None = None
    purpose: str | None = Field(None, description="The purpose that the statement names.")


class ExpectDocument(Document):
    """What must come out."""

    allow: bool | None = None
    deny: str | None = Field(None, description="Rule id, or `no-grant`, or an error code.")
    masks: dict[str, str] | None = Field(None, description="column: mask, exactly.")
    rows: list[str] | None = Field(None, description="Ids of the row-scope rules, exactly.")
    review: list[str] | None = Field(None, description="Groups that must review; `[]` for nobody.")
    quorum: dict[str, int] | None = Field(None, description="group: how many of it, exactly; groups joined by `+`.")
    columns: dict[str, list[str]] | None = Field(None, description="table: the columns that `*` shows, exactly.")
    limits: dict[Literal["rows", "bytes", "time_s", "concurrent"], float] | None = Field(
        None, description="Limits that the grants set, exactly."
    )
    reason: bool | None = Field(None, description="Whether a reason is needed.")
    expires_h: float | None = Field(None, description="Hours after which the request expires by rule.")
    ask: str | None = Field(None, description="A part of what a refused person is told to ask for.")


class ExpectationDocument(Document):
    """One test of the rules."""

    name: str
    as_: PersonDocument = Field(alias="as")
    source: Name | None = None
    sql: str | None = None
    action: Name | None = None
    params: dict[str, Any] = Field(default_factory=dict)
    rows: int = Field(1, ge=0, description="Rows that the write is taken to change.")
    at: AwareDatetime | None = Field(
        None, description="When, with its offset; without it no grant with `hours`, `days` or `until` holds."
    )
    expect: ExpectDocument


class TestFile(Document):
    """tests/*.yaml."""

    __test__ = False
    tests: list[ExpectationDocument]
