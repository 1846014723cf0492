"""How do validated documents become rules?"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from gatebook_hub.model import WRITES, Glass, Limits, Requirement, RuleRef
from gatebook_hub.policy.action_documents import (
    ActionDocument,
    ConnectionDocument,
    HttpDocument,
    ParameterDocument,
    RateDocument,
)
from gatebook_hub.policy.documents import (
    CONDITION,
    AbsenceDocument,
    ApprovalDocument,
    Document,
    ExpectationDocument,
    GlassDocument,
    GrantDocument,
    JobDocument,
    LimitsDocument,
    NotificationsFile,
    ProtectionDocument,
    RequirementDocument,
    SourceDocument,
    WindowDocument,
)
from gatebook_hub.policy.entity_documents import EntityDocument
from gatebook_hub.policy.granting import lease_name
from gatebook_hub.policy.masking import parse_mask
from gatebook_hub.policy.rules import (
    Absence,
    Action,
    Approval,
    Bulk,
    Check,
    ColumnRef,
    Condition,
    Connection,
    Entity,
    Expectation,
    Grant,
    HttpCall,
    Job,
    NoticeChannel,
    Notifications,
    OnRequest,
    PersonalChannel,
    PolicySet,
    Protection,
    Rate,
    SourceRule,
    TablePattern,
)
from gatebook_hub.windows import DAYS, Execution, Window

_SECONDS = {"minute": 60, "hour": 3_600, "day": 86_400}

if TYPE_CHECKING:
    from gatebook_hub.policy.contradicting import Files


def translate(files: Files, revision: str, places: Mapping[str, str]) -> PolicySet:
    """The policy set of validated files; rules are sorted by id, so that no order of files or lines says anything."""
    tags: dict[ColumnRef, frozenset[str]] = {}
    for rules, _ in files.rules:
        for tag, columns in rules.classification.items():
            for column in columns:
                ref = _column(column)
                tags[ref] = tags.get(ref, frozenset()) | {tag}
    sources = {document.source: _source(document) for document, _ in files.sources}
    return PolicySet(
        revision=revision,
        sources=sources,
        grants=_by_id(_grant(rule) for rules, _ in files.rules for rule in rules.grants),
        protections=_by_id(_protection(rule, tags) for rules, _ in files.rules for rule in rules.protections),
        approvals=_by_id(_approval(rule) for rules, _ in files.rules for rule in rules.approvals),
        absences=_by_id(_absence(rule) for rules, _ in files.rules for rule in rules.absences),
        tags=tags,
        actions={document.action: _action(document) for document, _ in files.actions},
        jobs={document.job: _job(document) for document, _ in files.jobs},
        expectations=tuple(
            _expectation(test, places.get(f"test {path} {index}", path))
            for tests, path in files.tests
            for index, test in enumerate(tests.tests)
        ),
        functions=_functions(files, sources),
        entities={document.entity: _entity(document) for document, _ in files.entities},
        connections={document.connection: _connection(document) for document, _ in files.connections},
        notifications=next((_notifications(document) for document, _ in files.notifications), Notifications()),
    )


R = TypeVar("R", Grant, Protection, Approval, Absence)


def _by_id(rules: Iterable[R]) -> tuple[R, ...]:
    return tuple(sorted(rules, key=lambda rule: rule.ref.id))


def _functions(files: Files, sources: Mapping[str, SourceRule]) -> dict[str, frozenset[str]]:
    """The vouched functions of each source: those under its own name and those under its engine's."""
    found: dict[str, frozenset[str]] = {}
    for rules, _ in files.rules:
        for target, names in rules.functions.items():
            for name, source in sources.items():
                if target in {name, str(source.engine)}:
                    found[name] = found.get(name, frozenset()) | {function.upper() for function in names}
    return found


def _source(document: SourceDocument) -> SourceRule:
    return SourceRule(
        name=document.source,
        title=document.title,
        description=document.description,
        descriptions={name.lower(): words for name, words in document.descriptions.items()},
        engine=document.engine,
        url=document.url,
        is_production=document.production,
        is_sandbox=document.sandbox,
        limits=_limits(document.limits),
        default_quorum=_requirements(document.default_quorum),
        working=_window(document.working) if document.working is not None else None,
    )


def _grant(document: GrantDocument) -> Grant:
    ref, wanted = _ref(document.id, document), document.on_request
    return Grant(
        ref=ref,
        to=frozenset(document.to) if wanted is None else frozenset({lease_name(ref)}),
        on_request=None
        if wanted is None
        else OnRequest(askers=frozenset(document.to), hours=wanted.hours, require=_requirements(wanted.require)),
        on=_patterns(document.on or ()),
        columns=frozenset(document.columns) if document.columns is not None else None,
        allow=frozenset(document.allow),
        where=document.where,
        via=frozenset(document.via),
        limits=_limits(document.limits),
        needs_reason=document.reason,
        actions=frozenset(document.actions),
        tools=frozenset(document.tools),
        entities=frozenset(document.entities),
        review_tools=frozenset(document.review_tools),
        audit=document.audit,
        metrics=document.metrics,
        window=_window(document),
        purposes=frozenset(document.purpose),
    )


def _window(document: GrantDocument | WindowDocument) -> Window | None:
    if not (document.hours or document.days or document.until):
        return None
    start, end = (document.hours or "00:00-24:00").split("-")
    days = frozenset(DAYS.index(day) for day in document.days) if document.days else frozenset(range(len(DAYS)))
    return Window(zone=document.zone, start_min=_minutes(start), end_min=_minutes(end), days=days, until=document.until)


def _minutes(clock: str) -> int:
    hours, minutes = clock.split(":")
    return int(hours) * 60 + int(minutes)


def _protection(document: ProtectionDocument, tags: dict[ColumnRef, frozenset[str]]) -> Protection:
    tagged = frozenset(ref for ref, found in tags.items() if found & set(document.tag))
    is_rows = document.where is not None
    named = frozenset() if is_rows else frozenset(_column(name) for name in document.on)
    return Protection(
        ref=_ref(document.id, document),
        columns=tagged | named,
        tables=_patterns(document.on) if is_rows else (),
        mask=parse_mask(document.mask, document.expression, rule=document.id) if document.mask else None,
        refuse=document.refuse,
        where=document.where,
        ask=document.ask,
        unless=frozenset(document.unless),
    )


def _approval(document: ApprovalDocument) -> Approval:
    return Approval(
        ref=_ref(document.id, document),
        on=_patterns(document.on or ()),
        actions=frozenset(document.actions),
        accesses=frozenset(document.writes) & WRITES,
        via=frozenset(document.via),
        when=tuple(_condition(text) for text in document.when),
        require=_requirements(document.require),
        tags=frozenset(document.tag),
        is_production=document.production,
        expires_h=document.expires_h,
        needs_reason=document.reason,
        execution=Execution(
            is_by_requester=document.execute == "by_requester",
            windows=tuple(filter(None, [_window(document.window)])) if document.window else (),
            valid_h=document.valid_h,
        ),
        glass=_glass(document.break_glass) if document.break_glass is not None else None,
        takes_sample=document.sample,
    )


def _glass(document: GlassDocument) -> Glass:
    return Glass(groups=tuple(sorted(document.groups)), review=_requirements(document.review))


def _absence(document: AbsenceDocument) -> Absence:
    return Absence(
        ref=_ref(document.id, document),
        who=document.who,
        groups=frozenset(document.for_),
        instead=document.instead,
        first=document.from_,
        last=document.until,
        zone=document.zone,
    )


def _action(document: ActionDocument) -> Action:
    properties = {name: _parameter(name, parameter) for name, parameter in document.params.items()}
    required = [name for name, parameter in document.params.items() if parameter.default is None]
    return Action(
        name=document.action,
        title=document.title,
        description=document.description,
        source=document.source or "",
        sql=document.sql,
        params={"type": "object", "properties": properties, "required": required, "additionalProperties": False},
        expect_rows=document.expect_rows,
        otherwise=document.otherwise,
        confirm=document.confirm,
        digest=_digest(document),
        checks=tuple(Check(sql=one.sql, otherwise=one.otherwise) for one in document.checks),
        choices={name: one.choices for name, one in document.params.items() if one.choices is not None},
        rates=tuple(map(_rate, document.rates)),
        bulk=None if document.bulk is None else Bulk(parameter=document.bulk.parameter, most=document.bulk.most),
        http=_http(document.http) if document.http is not None else None,
    )


def _http(document: HttpDocument) -> HttpCall:
    return HttpCall(
        connection=document.connection,
        method=document.method,
        path=document.path,
        query=dict(document.query),
        body=document.body,
        expect=frozenset(document.expect),
        result=dict(document.result),
    )


def _rate(document: RateDocument) -> Rate:
    return Rate(times=document.times, per_s=_SECONDS[document.per], word=document.per)


def _entity(document: EntityDocument) -> Entity:
    return Entity(
        name=document.entity,
        title=document.title,
        source=document.source,
        table=document.table,
        where=document.where,
        shows=tuple(document.shows),
        search=tuple(document.search),
        match=document.match,
        lookups=tuple(document.lookups),
        rate=_rate(document.rate),
        tool=document.tool,
        parameter=document.parameter,
        digest=_digest(document),
    )


def _connection(document: ConnectionDocument) -> Connection:
    return Connection(
        name=document.connection,
        title=document.title,
        url=document.url.rstrip("/"),
        headers=dict(document.headers),
        idempotency_header=document.idempotency_header,
        timeout_s=document.timeout_s,
        retries=document.retries,
        default_quorum=_requirements(document.default_quorum),
        digest=_digest(document),
    )


def _parameter(name: str, document: ParameterDocument) -> dict[str, Any]:
    found = document.model_dump(mode="json", exclude_none=True, exclude={"title", "choices"})
    for key in ("minimum", "maximum", "exclusiveMinimum", "multipleOf"):
        value = getattr(document, key)
        if value is not None:
            found[key] = int(value) if value == value.to_integral_value() else float(value)
    return {"title": document.title or name.replace("_", " ").capitalize(), **found}


def _job(document: JobDocument) -> Job:
    return Job(
        name=document.job,
        title=document.title,
        notebook=document.notebook,
        cron=document.cron,
        zone=document.zone,
        parameters=dict(document.parameters),
        timeout_s=document.timeout_s,
        retries=document.retries,
        overlap=document.overlap,
        missed=document.missed,
        owner=document.owner,
        runners=frozenset(document.run_by or ()),
        digest=_digest(document),
    )


def _notifications(document: NotificationsFile) -> Notifications:
    channels = {
        name: NoticeChannel(
            name=name,
            url_env=channel.url_env,
            to=frozenset(channel.to) if channel.to else None,
            kinds=frozenset(channel.kinds) if channel.kinds else None,
            is_daily=channel.digest is not None,
        )
        for name, channel in document.channels.items()
    }
    personal = {
        name: PersonalChannel(
            name=name,
            title=channel.title,
            url_env=channel.url_env,
            to=frozenset(channel.to) if channel.to else None,
        )
        for name, channel in document.personal.items()
    }
    return Notifications(
        channels=channels,
        personal=personal,
        digest_min=_minutes(document.digest_at),
        zone=document.zone,
        expiring_h=document.expiring_h,
    )


def _expectation(document: ExpectationDocument, place: str) -> Expectation:
    return Expectation(
        name=document.name,
        place=place,
        user=document.as_.user,
        job=document.as_.job,
        groups=frozenset(document.as_.groups),
        tool=document.as_.tool,
        source=document.source or "",
        sql=document.sql,
        action=document.action,
        params=dict(document.params),
        rows=document.rows,
        expect=document.expect.model_dump(exclude_none=True),
        purpose=document.as_.purpose,
        at=document.at,
    )


def _condition(text: str) -> Condition:
    match = CONDITION.match(text)
    assert match is not None
    return Condition(name=match[1], operator=match[2], value=match[3])


def _patterns(names: Iterable[str]) -> tuple[TablePattern, ...]:
    return tuple(TablePattern(source=name.split(".")[0], table=name.split(".")[1]) for name in names)


def _column(name: str) -> ColumnRef:
    source, table, column = re.split(r"\.", name, maxsplit=2)
    return ColumnRef(source=source, table=table, column=column)


def _requirements(documents: Iterable[RequirementDocument]) -> tuple[Requirement, ...]:
    return tuple(Requirement(groups=tuple(sorted(item.groups)), needed=item.needed) for item in documents)


def _limits(document: LimitsDocument) -> Limits:
    return Limits(rows=document.rows, bytes=document.bytes, time_s=document.time_s, concurrent=document.concurrent)


def _ref(rule_id: str, document: Document) -> RuleRef:
    return RuleRef(id=rule_id, digest=_digest(document))


def _digest(document: Document) -> str:
    # Keys that are not used are left out, so that a key which is new in the language changes no rule's digest.
    return hashlib.sha256(document.model_dump_json(exclude_defaults=True).encode()).hexdigest()[:16]
