"""Can a write reach a row, a column or a value that the principal may not, or skip its approval?"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace

import pytest
from tests.adversary.worlds import ANALYST, REVIEWER, Fortress, every

from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import (
    ChangeError,
    DigestMoved,
    GatebookError,
    NotFound,
    NotPermitted,
    PortalOnly,
    ReviewRefused,
    StateConflict,
    StatementRefused,
)
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.gate import Call

pytestmark = pytest.mark.adversary

NEVER = [
    # a masked value written back, however it travels
    "update customer set firstname = email where customerid = 2",
    "update customer set firstname = phone || 'x' where customerid = 2",
    "update invoice set billingcity = (select email from customer c where c.customerid = invoice.customerid)",
    "update invoice set billingcity = (select t.e from (select email as e, customerid as k from customer) t "
    "where t.k = invoice.customerid)",
    "update invoice set billingcity = (select t.email from (select * from customer) t where t.customerid = 2)",
    "update invoice set billingcity = (with t as (select * from customer) select max(t.email) from t)",
    "update invoice set billingcity = (select max(u.a) from (select firstname as a from customer "
    "union select fax from employee) u)",
    "update invoice set billingcity = (select (select email from (values (1)) v limit 1) from customer limit 1)",
    "update invoice set billingcity = (select max(case when c.phone like '%9%' then 'a' else 'b' end) from customer c)",
    "update customer set firstname = (select e.email from employee e where e.employeeid = customer.supportrepid)",
    "insert into support_ticket (customerid, subject, body) select customerid, email, 'x' from customer",
    "insert into support_ticket (customerid, subject, body) select t.customerid, t.fax, 'x' from (select * from customer) t",
    "insert into support_ticket (customerid, subject, body) values (2, (select max(email) from employee), 'x')",
    "insert into support_ticket (customerid, subject, body) select customerid, 'x', 'y' from customer "
    "union select employeeid, email, phone from employee",
    # a refused column, a hidden column
    "update customer set firstname = (select max(birthdate) from employee)",
    "update support_ticket set subject = (select max(reason) from refund)",
    "delete from support_ticket where customerid in (select employeeid from employee where birthdate > '1970-01-01')",
    # a protected column written
    "update customer set email = 'x@y.z' where customerid = 2",
    "update customer set phone = '1', firstname = 'x' where customerid = 2",
    "update customer set EMAIL = 'x@y.z'",
    'update customer set "email" = null',
    "insert into customer (customerid, firstname, lastname, country, email) values (900, 'a', 'b', 'Germany', 'x@y.z')",
    # a table or a column without a grant
    "update employee set lastname = 'x'",
    "delete from customer",
    "delete from invoice",
    "insert into genre (genreid, name) values (99, 'x')",
    "insert into refund (invoiceid, amount, reason, createdby) values (1, 1, 'x', 'y')",
    "update invoice set billingaddress = 'x'",
    "update invoice set invoicedate = '2020-01-01'",
    "update invoiceline set quantity = 1",
    "update gatebook_ledger set digest = 'x'",
    "delete from gatebook_ledger",
    "insert into gatebook_ledger (change_id, digest, executed_at) values ('x', 'y', 'z')",
    "update nosuch set a = 1",
    "update customer set nosuch = 1",
    # keys, and things that are no plain write
    "update support_ticket set ticketid = 999 where ticketid = 5",
    "update support_ticket set subject = 'a', subject = 'b'",
    "update support_ticket set subject = max(subject)",
    "update support_ticket set subject = first_value(subject) over (order by ticketid)",
    "update support_ticket, customer set subject = 'x'",
    "update support_ticket set (subject, body) = (select email, phone from customer limit 1)",
    "update or replace support_ticket set subject = 'x'",
    "update ignore support_ticket set subject = 'x'",
    "update only support_ticket set subject = 'x'",
    "update support_ticket set subject = 'x' returning (select max(email) from customer) as e",
    "update support_ticket set subject = 'x' returning max(ticketid) as m",
    "update support_ticket set subject = 'x' returning count(*) over () as n",
    "update support_ticket set subject = 'x' returning customer.email",
    "update support_ticket set subject = 'x' returning nosuch",
    "update support_ticket set subject = 'x' returning subject || 'x'",
    "update support_ticket set subject = 'x' from customer c where c.customerid = support_ticket.customerid returning *",
    "update support_ticket set subject = 'x' from customer c where c.customerid = support_ticket.customerid "
    "returning c.email",
    "update support_ticket set subject = 'x' from customer c where c.customerid = support_ticket.customerid "
    "returning lastname",
    "update support_ticket set subject = 'x' where ticketid = 5 returning :gb_k0 as k",
    "update support_ticket set subject = default",
    "delete from support_ticket using customer",
    "delete from refund returning reason",
    "delete from support_ticket where ticketid = 5 returning (select 1 from employee where birthdate > '1970-01-01') as e",
    "insert into support_ticket values (1, 2, 'x', 'y')",
    "insert into support_ticket select * from support_ticket",
    "insert into support_ticket (customerid, subject, body) select * from customer",
    "insert into support_ticket (customerid, subject, body) values (2, 'x')",
    "insert into support_ticket (customerid, subject, body) values (2, 'x', 'y'), (2, 'x', 'y', 'z')",
    "insert into support_ticket (customerid, subject, body) values (1, 'x', 'y') returning *",
    "insert into support_ticket (customerid, subject, body) values (2, 'x', 'y') returning email",
    "insert into genre (genreid, name) values (99, 'x') returning *",
    "insert into support_ticket (customerid, subject, body) values (2, 'x', 'y') on conflict do nothing",
    "insert into support_ticket (customerid, subject, body) values (2, 'x', 'y') on duplicate key update subject = 'z'",
    "insert ignore into support_ticket (customerid, subject, body) values (2, 'x', 'y')",
    "insert into support_ticket default values",
    "insert into support_ticket set subject = 'x'",
    "insert into support_ticket (customerid, customerid, subject, body) values (2, 2, 'x', 'y')",
    "insert overwrite support_ticket (customerid, subject, body) values (2, 'x', 'y')",
    # rows outside of the scope
    "update customer set firstname = 'x' where customerid = 1",
    "update customer set firstname = 'x' where country = 'Brazil'",
    "update invoice set total = 0 where customerid = 1",
    "update support_ticket set subject = 'x' where ticketid = 1",
    "delete from support_ticket where ticketid = 1",
    # a row moved out of the scope, or put outside of it
    "update customer set country = 'Brazil' where customerid = 2",
    "update customer set country = null where customerid = 2",
    "update invoice set customerid = 1 where customerid = 2",
    "update invoice set billingcountry = 'Nowhere' where customerid = 2",
    "update support_ticket set customerid = 1 where customerid in (select customerid from customer)",
    "insert into support_ticket (customerid, subject, body) values (1, 'x', 'y')",
    "insert into support_ticket (customerid, subject, body) values (2, 'x', 'y'), (1, 'x', 'y')",
    # parameters of the gate
    "update support_ticket set subject = :gb_principal",
    "update support_ticket set subject = :gb_now",
]


def _snapshot(walls: Fortress) -> list[object]:
    tables = ("customer", "employee", "invoice", "support_ticket", "refund", "genre", "gatebook_ledger")
    return [walls.raw(f"select * from {table} order by 1").rows for table in tables]


def test_what_may_not_be_written_is_refused_and_leaves_no_trace(walls: Fortress) -> None:
    before = _snapshot(walls)

    def check(sql: str) -> None:
        error = walls.refused(sql)
        assert isinstance(error, GatebookError)
        assert error.reference is not None

    every(NEVER, check)
    assert _snapshot(walls) == before


def _proposed(walls: Fortress, sql: str, principal: Principal = ANALYST) -> ChangeRequest:
    from gatebook_hub.services.queries import Question

    call = Call(principal=principal)
    answer = walls.cases.queries.ask(call, Question(source="chinook", sql=sql, parameters={}))
    assert isinstance(answer, ChangeRequest)
    return answer


def test_a_write_reaches_visible_rows_alone(walls: Fortress) -> None:
    before = _snapshot(walls)
    request = _proposed(walls, "update customer set company = 'x'")
    visible = {row[0] for row in walls.world("select customerid from customer").rows}
    assert {row.key[0] for row in request.diffs[0].rows} == visible
    assert request.state is State.AWAITING_REVIEW
    assert request.warnings
    request = _proposed(walls, "update invoice set total = 0 where total > 5")
    visible = {row[0] for row in walls.world("select invoiceid from invoice where total > 5").rows}
    assert {row.key[0] for row in request.diffs[0].rows} == visible
    assert _snapshot(walls) == before


def test_a_condition_on_masked_values_selects_by_the_mask(walls: Fortress) -> None:
    for sql in (
        "update customer set company = 'x' where email = 'leonekohler@surfeu.de'",
        "update customer set company = 'x' where email like 'leone%'",
        "update customer set company = 'x' where exists (select 1 from employee e where e.email like 'jane%')",
        "delete from support_ticket where customerid in (select customerid from customer where phone = '+49 0711 2842222')",
    ):
        assert isinstance(walls.refused(sql), ChangeError), sql


def test_nothing_is_executed_without_its_quorum(walls: Fortress) -> None:
    before = _snapshot(walls)
    changes = walls.cases.changes
    request = _proposed(walls, "update customer set company = 'x' where customerid = 2")
    own_call = Call(principal=ANALYST)
    with pytest.raises(StateConflict):
        changes.execute(own_call, request.id)
    with pytest.raises(NotPermitted):
        changes.execute(Call(principal=REVIEWER), request.id)
    as_portal = replace(ANALYST, channel=Channel.PORTAL)
    both = replace(as_portal, groups=frozenset({"analysts", "reviewers"}))
    outsider = Principal(kind=PrincipalKind.USER, name="eve", groups=frozenset({"analysts"}), channel=Channel.PORTAL)
    job = Principal(
        kind=PrincipalKind.JOB, name="night", groups=frozenset({"reviewers"}), channel=Channel.PORTAL, run_id="r"
    )

    def approve(principal: Principal, digest: str = request.digest) -> ChangeRequest:
        return changes.review(Call(principal=principal), request.id, verdict=Verdict.APPROVE, reason="", digest=digest)

    for principal, kind in (
        (as_portal, ReviewRefused),
        (both, ReviewRefused),
        (outsider, NotFound),
        (job, ReviewRefused),
        *((replace(REVIEWER, channel=channel), PortalOnly) for channel in Channel if channel is not Channel.PORTAL),
    ):
        with pytest.raises(kind):
            approve(principal)
    with pytest.raises(DigestMoved):
        approve(REVIEWER, "0" * 64)
    assert changes.get(ANALYST, request.id).state is State.AWAITING_REVIEW
    assert _snapshot(walls) == before


def test_an_approved_change_is_executed_once_and_undone_by_nobody(walls: Fortress) -> None:
    changes = walls.cases.changes
    request = _proposed(walls, "update customer set company = 'Acme' where customerid = 2")
    done = changes.review(
        Call(principal=REVIEWER), request.id, verdict=Verdict.APPROVE, reason="ok", digest=request.digest
    )
    assert done.state is State.EXECUTED
    assert walls.raw("select company from customer where customerid = 2").rows == [("Acme",)]
    assert walls.raw(f"select digest from gatebook_ledger where change_id = '{request.id}'").rows == [(request.digest,)]
    for call in (Call(principal=ANALYST), Call(principal=REVIEWER)):
        with pytest.raises(StateConflict):
            changes.execute(call, request.id)
        with pytest.raises(GatebookError):
            changes.withdraw(call, request.id)
    with pytest.raises(ReviewRefused):
        changes.review(
            Call(principal=replace(REVIEWER, name="ron")),
            request.id,
            verdict=Verdict.REJECT,
            reason="no",
            digest=request.digest,
        )
    back = _proposed(walls, "update customer set company = null where customerid = 2")
    changes.review(Call(principal=REVIEWER), back.id, verdict=Verdict.APPROVE, reason="", digest=back.digest)


def test_rows_that_moved_are_not_written(walls: Fortress) -> None:
    changes = walls.cases.changes
    first = _proposed(walls, "update customer set company = 'A' where customerid = 36")
    second = _proposed(walls, "update customer set company = 'B' where customerid = 36")
    changes.review(Call(principal=REVIEWER), second.id, verdict=Verdict.APPROVE, reason="", digest=second.digest)
    drifted = changes.review(
        Call(principal=REVIEWER), first.id, verdict=Verdict.APPROVE, reason="", digest=first.digest
    )
    assert drifted.state is State.DRIFTED
    assert walls.raw("select company from customer where customerid = 36").rows == [("B",)]
    back = _proposed(walls, "update customer set company = null where customerid = 36")
    changes.review(Call(principal=REVIEWER), back.id, verdict=Verdict.APPROVE, reason="", digest=back.digest)


def test_an_expired_request_is_not_executed(walls: Fortress) -> None:
    gate, changes = walls.cases.gate, walls.cases.changes
    request = _proposed(walls, "update customer set company = 'late' where customerid = 37")
    now = gate.now
    gate.now = lambda: now() + dt.timedelta(days=30)
    try:
        with pytest.raises(ReviewRefused):
            changes.review(
                Call(principal=REVIEWER), request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest
            )
        assert changes.get(ANALYST, request.id).state is State.EXPIRED
    finally:
        gate.now = now


def test_the_requesters_own_view_of_a_change_stays_masked(walls: Fortress) -> None:
    request = _proposed(walls, "update customer set firstname = 'x' where customerid = 2")
    sight = walls.cases.changes.sights(ANALYST).of(request, request.diffs[0])
    clear, masked = sight.clear, sight.masked
    assert {"email", "phone", "fax"} <= masked
    assert not clear & {"email", "phone", "fax"}


def test_a_delete_does_not_show_its_requester_the_hidden_columns(walls: Fortress) -> None:
    """The diff of a delete holds whole rows; the requester may see three columns of this table."""
    request = _proposed(walls, "delete from refund where refundid = 1")
    clear = walls.cases.changes.sights(ANALYST).of(request, request.diffs[0]).clear
    assert clear == {"refundid", "invoiceid", "amount"}


def test_a_refusal_is_a_refusal_of_the_statement(walls: Fortress) -> None:
    assert isinstance(walls.refused("update support_ticket set ticketid = 1"), StatementRefused)


RETURNED = "customerid, lastname, email, phone, fax, address, postalcode, country"


@pytest.mark.parametrize("wanted", ["*", RETURNED, "customer.*", f"upper(email) as e, {RETURNED}"])
def test_what_a_write_returns_is_masked_like_any_read(walls: Fortress, wanted: str) -> None:
    changes = walls.cases.changes
    places = {}
    for company in ("'Acme'", "null"):
        request = _proposed(
            walls, f"update customer set company = {company} where customerid in (2, 36) returning {wanted}"
        )
        assert request.returned is None
        changes.review(Call(principal=REVIEWER), request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest)
        done = changes.get(ANALYST, request.id)
        assert changes.returned_to(REVIEWER, done) is None
        returned = changes.returned_to(ANALYST, done)
        assert returned is not None
        walls.check_text(repr(returned), typed="")
        places = {name: place for place, name in enumerate(returned.columns)}
    listed = [name for name in places if name != "e"]
    world = walls.world(f"select {', '.join(listed)} from customer where customerid in (2, 36)").rows
    assert {tuple(row[places[name]] for name in listed) for row in returned.rows} == set(map(tuple, world))
