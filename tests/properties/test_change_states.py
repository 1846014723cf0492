"""Does any order of steps, by anybody, write a row without the quorum, or leave a step out of the book?

The steps are taken with the real service, on a real database, a real state and a real book. A second account is kept
beside it, by rules of its own: who really agreed to what, and therefore which rows may have changed. After every step
both must be the same. `make soak` lives many more lives (GBTEST_LIVES).
"""

from __future__ import annotations

import datetime as dt
import os
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    Bundle,
    MultipleResults,
    RuleBasedStateMachine,
    initialize,
    invariant,
    multiple,
    precondition,
    rule,
    run_state_machine_as_test,
)
from tests.properties.bank import GROUPS, REQUESTERS, SCOPE, TABLES, Bank, Quorum, Rules

from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import BookUnavailable, GatebookError
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.auditing import verify
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import OPERATOR
from gatebook_hub.services.previewing import Previewed
from gatebook_hub.services.queries import Question
from gatebook_hub.stores.book import EventFilter

LIVES = int(os.environ.get("GBTEST_LIVES", "60"))
START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
LIFETIME = dt.timedelta(hours=72)
ROWS = {"account": {1: 10, 2: 20, 3: 30}, "invoice": {1: 100}}
# Eve is in every group; kim is in one, but sees no rows; the job is ann's, and pretends to be in every group.
HUB = {
    "user:ann": frozenset({"staff", "red", "green"}),
    "user:bob": frozenset({"staff", "red"}),
    "user:cat": frozenset({"staff", "red", "blue"}),
    "user:dan": frozenset({"staff", "blue", "green"}),
    "user:eve": frozenset({"staff", *GROUPS}),
    "user:kim": frozenset({"red", "blue"}),
    "job:ann": frozenset({"staff", *GROUPS}),
}
PEOPLE = tuple(HUB)
BLIND = "user:kim"
OPEN = {State.AWAITING_REVIEW, State.APPROVED}

some_quorum = st.lists(
    st.tuples(
        st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True).map(lambda found: tuple(sorted(found))),
        st.sampled_from([1, 1, 2, 2, 3]),
    ),
    min_size=1,
    max_size=2,
    unique_by=lambda item: item[0],
).map(lambda found: tuple(sorted(found)))
some_channel = st.sampled_from([Channel.PORTAL] * 15 + list(Channel))
some_digest = st.sampled_from(["its"] * 5 + ["another"])
some_person = st.sampled_from(PEOPLE)
some_table = st.sampled_from(TABLES)
some_key = st.integers(min_value=1, max_value=4)
# Others than at first are as good for every row, but are not those that were agreed to.
some_scope = st.sampled_from([SCOPE, SCOPE, "amount < 2000", None])
# What the book does not take: mostly it takes everything.
some_loss = st.sampled_from([None] * 4 + ["change.reviewed", "change.intent", "change.outcome"])


class Write(StrEnum):
    """A statement with the table and the key."""

    RAISE_ONE = "update {table} set amount = amount + 1 where id = {key}"
    RAISE_ALL = "update {table} set amount = amount + 1"
    ADD = "insert into {table} (amount) values (7)"
    REMOVE = "delete from {table} where id = {key}"


# The key (None: given at execution), the amount before and after.
Change = tuple[int | None, int | None, int | None]


def changes_of(write: Write, key: int, amounts: dict[int, int]) -> frozenset[Change]:
    """What a statement changes in these rows."""
    match write:
        case Write.RAISE_ALL:
            return frozenset((each, amount, amount + 1) for each, amount in amounts.items())
        case Write.ADD:
            return frozenset({(None, None, 7)})
        case _ if key not in amounts:
            return frozenset()
        case Write.RAISE_ONE:
            return frozenset({(key, amounts[key], amounts[key] + 1)})
        case Write.REMOVE:
            return frozenset({(key, amounts[key], None)})


def written(changes: frozenset[Change], amounts: dict[int, int]) -> dict[int, int]:
    """The rows afterwards."""
    found = dict(amounts)
    for key, _, after in changes:
        if key is None:
            found[max(found, default=0) + 1] = after or 0
        elif after is None:
            del found[key]
        else:
            found[key] = after
    return found


@dataclass(kw_only=True)
class Asked:
    """What the second account knows of one request."""

    id: str
    digest: str
    requester: str
    table: str
    write: Write
    key: int
    changes: frozenset[Change]
    rules: Rules
    expires_at: dt.datetime
    state: State = State.AWAITING_REVIEW
    has_failed: bool = False
    # Who approved, with the groups that they had then.
    approvals: dict[str, frozenset[str]] = field(default_factory=dict)
    reviewers: set[str] = field(default_factory=set)
    events: list[str] = field(default_factory=lambda: ["change.proposed"])

    def is_agreed(self) -> bool:
        """Whether the quorum stands."""
        return all(
            len([name for name, groups in self.approvals.items() if groups & set(wanted)]) >= needed
            for wanted, needed in self.rules.quorum
        )

    def wanted(self) -> set[str]:
        """The groups whose people may see it and review it."""
        return {group for groups, _ in self.rules.quorum for group in groups}


class Lives(RuleBasedStateMachine):
    """Everything that anybody may try with some requests, in any order."""

    asked = Bundle("asked")

    def __init__(self, bank: Bank) -> None:
        super().__init__()
        self.bank = bank
        self.known: dict[str, Asked] = {}
        self.ends: dict[str, ChangeRequest] = {}
        self.ledger: dict[str, str] = {}
        self.rows = {table: dict(amounts) for table, amounts in ROWS.items()}
        self.hub = dict(HUB)
        bank.now, bank.lost = START, None
        bank.reset(self.rows)

    def teardown(self) -> None:
        """What a lost outcome left open is completed."""
        self.bank.lost = None
        self.bank.cases.changes.recover(OPERATOR)

    # ── steps ──

    @initialize(
        target=asked,
        quorums=st.tuples(some_quorum, some_quorum),
        who=st.sampled_from(REQUESTERS),
        channel=st.sampled_from(sorted({*Channel} - {Channel.CHECK_TOKEN})),
        writes=st.tuples(st.sampled_from(Write), st.sampled_from(Write)),
    )
    def begin(
        self, quorums: tuple[Quorum, Quorum], who: str, channel: Channel, writes: tuple[Write, Write]
    ) -> MultipleResults[Asked]:
        self.rules = {table: Rules(quorum=quorum, scope=SCOPE) for table, quorum in zip(TABLES, quorums, strict=True)}
        self.bank.rule(self.rules)
        asked = [self.propose(who, channel, table, write, 1) for table, write in zip(TABLES, writes, strict=True)]
        return multiple(*asked)

    @rule(
        target=asked,
        who=st.sampled_from([*REQUESTERS, "user:bob"]),
        channel=st.sampled_from(Channel),
        table=some_table,
        write=st.sampled_from(Write),
        key=some_key,
    )
    def propose(self, who: str, channel: Channel, table: str, write: Write, key: int) -> Asked | MultipleResults[Asked]:
        rules, changes = self.rules[table], changes_of(write, key, self.rows[table])
        is_possible = rules.scope is not None and who in REQUESTERS and bool(changes)
        question = Question(source="bank", sql=write.format(table=table, key=key), parameters={})
        try:
            request = self.bank.cases.queries.ask(self.call(who, channel), question)
        except GatebookError:
            assert not is_possible
            return multiple()
        assert is_possible
        if channel is Channel.CHECK_TOKEN:  # a notebook that is tried: what it writes is rehearsed
            assert isinstance(request, Previewed)
            return multiple()
        assert isinstance(request, ChangeRequest)
        asked = Asked(
            id=request.id,
            digest=request.digest,
            requester=who,
            table=table,
            write=write,
            key=key,
            changes=changes,
            rules=rules,
            expires_at=self.bank.now + LIFETIME,
        )
        self.known[asked.id] = asked
        return asked

    @rule(
        asked=asked,
        who=some_person,
        channel=some_channel,
        verdict=st.sampled_from([Verdict.APPROVE] * 6 + [Verdict.REJECT]),
        digest=some_digest,
        reason=st.sampled_from(["no", "no", " "]),
        lost=some_loss,
    )
    def review(
        self, asked: Asked, who: str, channel: Channel, verdict: Verdict, digest: str, reason: str, lost: str | None
    ) -> None:
        others = [each.digest for each in self.known.values() if each is not asked]
        given = asked.digest if digest == "its" else (others or ["0" * 64])[-1]
        is_right = given == asked.digest and (verdict is Verdict.APPROVE or bool(reason.strip()))
        self.bank.lost = lost
        is_allowed = self.is_allowed(
            lambda: self.bank.cases.changes.review(
                self.call(who, channel), asked.id, verdict=verdict, reason=reason, digest=given
            )
        )
        self.bank.lost = None
        self.look_at_clock(asked)
        if not (who == asked.requester or asked.wanted() & self.hub[who]):
            assert not is_allowed  # and there is no such request for them
        elif is_right and self.may_review(asked, who, channel):
            assert is_allowed
            if lost != "change.reviewed":
                self.reviewed(asked, who, verdict, lost)
        else:
            assert not is_allowed
            asked.events.append("change.refused")

    @rule(
        asked=asked,
        people=st.lists(st.tuples(some_person, some_channel, some_digest), min_size=4, max_size=7),
        lost=some_loss,
    )
    def many_approve(self, asked: Asked, people: list[tuple[str, Channel, str]], lost: str | None) -> None:
        for who, channel, digest in people:
            self.review(asked, who, channel, Verdict.APPROVE, digest, "", lost)

    @rule(asked=asked, who=some_person, channel=some_channel, lost=st.sampled_from([None, None, "change.withdrawn"]))
    def withdraw(self, asked: Asked, who: str, channel: Channel, lost: str | None) -> None:
        self.bank.lost = lost
        is_allowed = self.is_allowed(lambda: self.bank.cases.changes.withdraw(self.call(who, channel), asked.id))
        self.bank.lost = None
        self.look_at_clock(asked)
        assert is_allowed == (who == asked.requester and asked.state in OPEN)
        if is_allowed and lost is None:
            asked.state = State.WITHDRAWN
            asked.events.append("change.withdrawn")
        if not is_allowed and (who == asked.requester or asked.wanted() & self.hub[who]):
            asked.events.append("change.refused")

    @rule(asked=asked, who=some_person, channel=some_channel, lost=some_loss)
    def execute(self, asked: Asked, who: str, channel: Channel, lost: str | None) -> None:
        self.bank.lost = lost
        is_allowed = self.is_allowed(lambda: self.bank.cases.changes.execute(self.call(who, channel), asked.id))
        self.bank.lost = None
        self.look_at_clock(asked)
        is_party = who == asked.requester or who in asked.reviewers
        assert is_allowed == (is_party and asked.state is State.APPROVED)
        if is_allowed:
            self.executed(asked, lost)
        else:
            asked.events.append("change.refused")

    @rule(asked=asked, who=some_person)
    def look(self, asked: Asked, who: str) -> None:
        may_see = who == asked.requester or bool(asked.wanted() & self.hub[who])
        call = self.call(who, Channel.PORTAL)
        assert self.is_allowed(lambda: self.bank.cases.changes.look(call, asked.id)) == may_see
        self.look_at_clock(asked)
        if may_see:
            asked.events.append("change.read")

    @rule(hours=st.sampled_from([1, 1, 24, 71]))
    def wait(self, hours: int) -> None:
        self.bank.now += dt.timedelta(hours=hours)

    @rule(asked=asked, is_removed=st.booleans())
    def a_row_changes_underneath(self, asked: Asked, is_removed: bool) -> None:
        table, key = asked.table, asked.key
        if key not in self.rows[table]:
            self.bank.run(f"insert into {table} values ({key}, 50)")
            self.rows[table][key] = 50
        elif is_removed:
            self.bank.run(f"delete from {table} where id = {key}")
            del self.rows[table][key]
        else:
            self.bank.run(f"update {table} set amount = amount + 10 where id = {key}")
            self.rows[table][key] += 10

    @rule(table=some_table, quorum=st.none() | some_quorum, scope=some_scope)
    def other_rules(self, table: str, quorum: Quorum | None, scope: str | None) -> None:
        self.rules[table] = Rules(quorum=quorum or self.rules[table].quorum, scope=scope)
        self.bank.rule(self.rules)

    @rule(who=st.sampled_from(PEOPLE[:4]), groups=st.frozensets(st.sampled_from(GROUPS)))
    def other_groups(self, who: str, groups: frozenset[str]) -> None:
        self.hub[who] = groups | {"staff"}

    @precondition(lambda self: any(asked.state is State.EXECUTING for asked in self.known.values()))
    @rule()
    def restart(self) -> None:
        self.bank.cases.changes.recover(OPERATOR)
        for asked in self.known.values():
            if asked.state is State.EXECUTING:
                asked.state = State.FAILED if asked.has_failed else State.EXECUTED
                asked.events.append("change.outcome")

    # ── the second account ──

    def call(self, who: str, channel: Channel) -> Call:
        kind, _, name = who.partition(":")
        return Call(principal=Principal(kind=PrincipalKind(kind), name=name, groups=self.hub[who], channel=channel))

    @staticmethod
    def is_allowed(step: Any) -> bool:
        """Whether a step is allowed: what the book could not take would have been."""
        try:
            step()
        except BookUnavailable:
            return True
        except GatebookError:
            return False
        return True

    def look_at_clock(self, asked: Asked) -> None:
        """Whoever comes near a request that is over, ends it."""
        if asked.state in OPEN and self.bank.now >= asked.expires_at:
            asked.state = State.EXPIRED
            asked.events.append("change.expired")

    def may_review(self, asked: Asked, who: str, channel: Channel) -> bool:
        return (
            channel is Channel.PORTAL
            and who.startswith("user:")
            and who not in {asked.requester, BLIND}
            and who not in asked.reviewers
            and bool(asked.wanted() & self.hub[who])
            and asked.state is State.AWAITING_REVIEW
        )

    def reviewed(self, asked: Asked, who: str, verdict: Verdict, lost: str | None) -> None:
        asked.reviewers.add(who)
        asked.events.append("change.reviewed")
        if verdict is Verdict.REJECT:
            asked.state = State.REJECTED
            return
        asked.approvals[who] = self.hub[who]
        if asked.is_agreed():
            asked.state = State.APPROVED
            self.executed(asked, lost)

    def executed(self, asked: Asked, lost: str | None) -> None:
        """An agreed change is written, if nothing that was agreed has become another thing."""
        if lost == "change.intent":
            return
        rules, amounts = self.rules[asked.table], self.rows[asked.table]
        asked.events.append("change.intent")
        is_same = changes_of(asked.write, asked.key, amounts) == asked.changes and rules == asked.rules
        if is_same:
            self.rows[asked.table] = written(asked.changes, amounts)
            self.ledger[asked.id] = asked.digest
        if lost == "change.outcome":
            asked.state, asked.has_failed = State.EXECUTING, not is_same
            return
        failed = State.FAILED if rules.scope is None else State.DRIFTED
        asked.state = State.EXECUTED if is_same else failed
        asked.events.append("change.outcome")

    # ── what always holds ──

    @invariant()
    def only_agreed_rows_change(self) -> None:
        assert self.bank.rows() == self.rows
        assert self.bank.ledger() == self.ledger

    @invariant()
    def every_request_is_where_the_account_says_it_is(self) -> None:
        for asked in self.known.values():
            request = self.bank.cases.gate.changes.get(asked.id)
            assert request.state is asked.state
            if request.state.is_final:
                assert self.ends.setdefault(asked.id, request) == request

    @invariant()
    def the_book_has_every_step_and_proves_the_quorum(self) -> None:
        for asked in self.known.values():
            found = self.bank.cases.gate.book.find(EventFilter(change=asked.id, limit=1_000))
            events = [event.content for event in reversed(found)]
            assert [event["kind"] for event in events] == asked.events
            if asked.id in self.ledger:
                self.is_proven(asked, events)

    @staticmethod
    def is_proven(asked: Asked, events: list[dict[str, Any]]) -> None:
        """Whoever has only the book comes to the same end."""
        assert asked.events.count("change.intent") == 1
        before = events[: asked.events.index("change.intent")]
        reviews = [event for event in before if event["kind"] == "change.reviewed"]
        for event in reviews:
            assert event["channel"] == "portal"
            assert event["extra"] == {"verdict": "approve", "digest": asked.digest}
            assert event["principal"].startswith("user:")
            assert event["principal"] != asked.requester
        people = {event["principal"]: set(event["groups"]) for event in reviews}
        for wanted, needed in asked.rules.quorum:
            assert sum(bool(groups & set(wanted)) for groups in people.values()) >= needed


@pytest.fixture(scope="module")
def bank(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bank]:
    made = Bank(tmp_path_factory.mktemp("bank"))
    with made.open():
        yield made


@pytest.mark.timeout(0)  # a life that fails is made shorter for some minutes
def test_no_order_of_steps_writes_without_a_quorum(bank: Bank) -> None:
    run_state_machine_as_test(  # type: ignore[no-untyped-call]
        lambda: Lives(bank), settings=settings(max_examples=LIVES, stateful_step_count=25, deadline=None)
    )
    gate = bank.cases.gate
    report, broken = verify(gate.book, gate.keys.signing.verify_key, {})
    assert report.ok
    assert not broken
