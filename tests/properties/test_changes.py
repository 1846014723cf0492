"""Is there a path to execution without a quorum of distinct people who are not the requester?"""

from __future__ import annotations

import contextlib
import datetime as dt
from dataclasses import replace

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from gatebook_hub import changes
from gatebook_hub.changes import ChangeRequest, RowDiff, State, Verdict
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Channel, Principal, PrincipalKind, Requirement

START = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
GROUPS = ("reviewers", "finance", "analysts")
PEOPLE = st.builds(
    Principal,
    kind=st.sampled_from([PrincipalKind.USER, PrincipalKind.USER, PrincipalKind.JOB, PrincipalKind.SERVICE]),
    name=st.sampled_from(["ann", "bob", "cat", "dan"]),
    groups=st.frozensets(st.sampled_from(GROUPS), max_size=3),
    channel=st.sampled_from([Channel.PORTAL, Channel.PORTAL, Channel.PORTAL, *Channel]),
)
REQUIREMENTS = st.lists(
    st.builds(
        Requirement,
        groups=st.lists(st.sampled_from(GROUPS), min_size=1, max_size=2, unique=True).map(tuple),
        needed=st.integers(min_value=1, max_value=3),
    ),
    max_size=3,
).map(tuple)


class Life(RuleBasedStateMachine):
    """Everything that anybody may try with one request, in any order; a second record says who really approved."""

    request: ChangeRequest

    @initialize(requester=PEOPLE, requirements=REQUIREMENTS)
    def propose(self, requester: Principal, requirements: tuple[Requirement, ...]) -> None:
        self.now = START
        self.approvals: dict[str, frozenset[str]] = {}
        self.has_rejection = False
        self.executions = 0
        self.request = changes.open_request(
            ChangeRequest(
                id="c",
                state=State.EXECUTED,
                source="s",
                table="t",
                operation="update",
                statement="x",
                parameters={},
                action=None,
                requester=requester,
                reason=None,
                created_at=START,
                expires_at=START + dt.timedelta(hours=10),
                diffs=(RowDiff(table="t", key=("id",), columns=("id",), rows=()),),
                warnings=(),
                requirements=requirements,
                rules=(),
                schema_version="1",
                digest="d",
            )
        )

    @rule(
        who=PEOPLE,
        verdict=st.sampled_from([Verdict.APPROVE, Verdict.APPROVE, Verdict.APPROVE, Verdict.REJECT]),
        digest=st.sampled_from(["d", "d", "d", "e"]),
        reason=st.sampled_from(["", "ok", " ", "x" * 3_000]),
        hidden=st.sampled_from([(), (), ("email",)]),
    )
    def review(self, who: Principal, verdict: Verdict, digest: str, reason: str, hidden: tuple[str, ...]) -> None:
        with contextlib.suppress(GatebookError):
            self.request = changes.review(
                self.request, who, verdict=verdict, reason=reason, digest=digest, now=self.now, hidden_columns=hidden
            )
            assert who.channel is Channel.PORTAL
            assert who.kind is PrincipalKind.USER
            assert who.id != self.request.requester.id
            assert digest == "d"
            assert not hidden
            assert who.id not in self.approvals
            if verdict is Verdict.APPROVE:
                self.approvals[who.id] = who.groups
            else:
                self.has_rejection = True

    @rule()
    def begin(self) -> None:
        with contextlib.suppress(GatebookError):
            self.request = changes.begin(self.request, self.now)
            self.executions += 1

    @rule(who=PEOPLE)
    def withdraw(self, who: Principal) -> None:
        before = self.request.state
        with contextlib.suppress(GatebookError):
            self.request = changes.withdraw(self.request, who, self.now)
            assert who.id == self.request.requester.id
            assert before in {State.AWAITING_REVIEW, State.APPROVED}

    @rule(hours=st.integers(min_value=0, max_value=6))
    def wait(self, hours: int) -> None:
        self.now += dt.timedelta(hours=hours)
        self.request = changes.expire(self.request, self.now)

    @rule()
    def finish(self) -> None:
        with contextlib.suppress(GatebookError):
            self.request = changes.finish(self.request, rows=1, index=1, now=self.now)

    @rule(is_drift=st.booleans())
    def fail(self, is_drift: bool) -> None:
        with contextlib.suppress(GatebookError):
            self.request = changes.fail(self.request, sentence="x", is_drift=is_drift, now=self.now)

    @invariant()
    def nothing_runs_without_its_quorum(self) -> None:
        if self.request.state not in {State.EXECUTING, State.EXECUTED, State.APPROVED, State.DRIFTED, State.FAILED}:
            return
        assert not self.has_rejection
        for requirement in self.request.requirements:
            people = [name for name, groups in self.approvals.items() if groups & set(requirement.groups)]
            assert len(people) >= requirement.needed
        assert self.request.requester.id not in self.approvals

    @invariant()
    def it_runs_at_most_once(self) -> None:
        assert self.executions <= 1

    @invariant()
    def an_end_is_an_end(self) -> None:
        if not self.request.state.is_final:
            return
        for move in (
            lambda: changes.begin(self.request, self.now),
            lambda: changes.withdraw(self.request, self.request.requester, self.now),
            lambda: changes.finish(self.request, rows=1, index=1, now=self.now),
            lambda: changes.fail(self.request, sentence="x", is_drift=False, now=self.now),
        ):
            with contextlib.suppress(GatebookError):
                move()
                raise AssertionError(self.request.state)
        assert changes.expire(self.request, self.now + dt.timedelta(days=400)) is self.request

    @invariant()
    def stored_and_read_back_it_is_the_same(self) -> None:
        from gatebook_hub.stores.codec import read_change, write_change

        assert read_change(write_change(self.request), self.request.version) == replace(self.request)


Life.TestCase.settings = settings(max_examples=60, stateful_step_count=25, deadline=None)
TestLife = Life.TestCase
