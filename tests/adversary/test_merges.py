"""Do writes with several tables, upserts and merges change exactly the rows they should, and none that is hidden?"""

from __future__ import annotations

import pytest
from tests.adversary.worlds import Fortress, every

from gatebook_hub.changes import ChangeRequest
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Engine

pytestmark = pytest.mark.adversary


def proposed(walls: Fortress, text: str) -> ChangeRequest:
    request = walls.ask(text)
    assert isinstance(request, ChangeRequest)
    return request


def rows_of(request: ChangeRequest) -> dict[int, tuple[RowKind, str | None]]:
    """Kind of change and subject after it, by ticket."""
    place = request.diffs[0].columns.index("subject")
    return {row.key[0]: (row.kind, row.after[place] if row.after else None) for row in request.diffs[0].rows}


@pytest.fixture
def tickets(walls: Fortress) -> tuple[list[int], list[int]]:
    """The tickets that the principal may see, and those that are hidden."""
    seen = [row[0] for row in walls.world("select ticketid from support_ticket order by ticketid").rows]
    everything = [row[0] for row in walls.raw("select ticketid from support_ticket order by ticketid").rows]
    hidden = sorted(set(everything) - set(seen))
    assert len(seen) > 2
    assert hidden
    return seen, hidden


def test_an_update_takes_values_from_another_table(walls: Fortress) -> None:
    text = {
        Engine.MARIADB: "update support_ticket t join customer c on c.customerid = t.customerid set t.subject = c.lastname",
    }.get(
        walls.engine,
        "update support_ticket t set subject = c.lastname from customer c where c.customerid = t.customerid",
    )
    expected = dict(
        walls.world(
            "select t.ticketid, c.lastname from support_ticket t join customer c on c.customerid = t.customerid"
        ).rows
    )
    found = rows_of(proposed(walls, text))
    assert {key: subject for key, (_, subject) in found.items()} == expected


def test_a_column_that_was_set_is_not_read_on_mariadb(walls: Fortress) -> None:
    """Everywhere else it has the value that it had; there it has the new one, and so does what follows."""
    text = "update support_ticket set subject = 'x', body = subject where ticketid < 60"
    if walls.engine is Engine.MARIADB:
        assert walls.refused(text).code == "GB-209"
        return
    after = [row.after for row in proposed(walls, text).diffs[0].rows]
    place = proposed(walls, text).diffs[0].columns.index("body")
    assert after
    assert "x" not in [row[place] for row in after if row]


def test_a_delete_looks_at_another_table(walls: Fortress) -> None:
    text = {
        Engine.MARIADB: "delete t from support_ticket t join customer c on c.customerid = t.customerid",
        Engine.SQLITE: "delete from support_ticket where exists "
        "(select 1 from customer c where c.customerid = support_ticket.customerid)",
    }.get(walls.engine, "delete from support_ticket t using customer c where c.customerid = t.customerid")
    expected = walls.world("select ticketid from support_ticket where customerid in (select customerid from customer)")
    found = rows_of(proposed(walls, text))
    assert set(found) == {row[0] for row in expected.rows}
    assert {kind for kind, _ in found.values()} == {RowKind.REMOVED}


def test_a_row_is_written_once(walls: Fortress) -> None:
    text = {
        Engine.MARIADB: "update support_ticket t join genre g on 1 = 1 set t.subject = g.name",
    }.get(walls.engine, "update support_ticket set subject = g.name from genre g")
    error = walls.refused(text)
    assert error.code == "GB-209", error
    assert "several times" in str(error)


def test_an_upsert_adds_what_is_missing_and_changes_what_is_there(
    walls: Fortress, tickets: tuple[list[int], list[int]]
) -> None:
    seen, _ = tickets
    values = f"({seen[0]}, 2, 'known', 'b'), (90001, 2, 'fresh', 'b')"
    clause = {
        Engine.MARIADB: "on duplicate key update subject = values(subject)",
    }.get(walls.engine, "on conflict (ticketid) do update set subject = excluded.subject")
    insert = f"insert into support_ticket (ticketid, customerid, subject, body) values {values}"
    found = rows_of(proposed(walls, f"{insert} {clause}"))
    assert found[seen[0]] == (RowKind.CHANGED, "known")
    assert {kind for key, (kind, _) in found.items() if key != seen[0]} == {RowKind.ADDED}
    ignoring = {
        Engine.MARIADB: insert.replace("insert into", "insert ignore into"),
    }.get(walls.engine, f"{insert} on conflict do nothing")
    found = rows_of(proposed(walls, ignoring))
    assert {kind for kind, _ in found.values()} == {RowKind.ADDED}
    assert len(found) == 1


def test_an_upsert_does_not_reach_a_hidden_row(walls: Fortress, tickets: tuple[list[int], list[int]]) -> None:
    """Its key is taken, as for any insert; what it holds neither changes nor shows."""
    _, hidden = tickets
    clause = {
        Engine.MARIADB: "on duplicate key update subject = 'x'",
    }.get(walls.engine, "on conflict (ticketid) do update set subject = 'x'")
    text = (
        f"insert into support_ticket (ticketid, customerid, subject, body) values ({hidden[0]}, 2, 'x', 'b') {clause}"
    )
    error = walls.refused(text)
    assert error.code == "GB-508", error


MERGE = (
    "merge into support_ticket t using (select customerid, lastname from customer) c "
    "on c.customerid = t.customerid and t.ticketid in ({keys}) "
    "when matched and t.ticketid = {first} then delete "
    "when matched then update set subject = c.lastname "
    "when not matched and c.lastname like 'S%' then insert (customerid, subject, body) values (c.customerid, c.lastname, 'b') "
    "when not matched then do nothing"
)


def test_a_merge_is_its_clauses_in_order(walls: Fortress, tickets: tuple[list[int], list[int]]) -> None:
    seen, _ = tickets
    keys = seen[:3]
    found = proposed(walls, MERGE.format(keys=", ".join(map(str, keys)), first=keys[0]))
    kinds = [row.kind for row in found.diffs[0].rows]
    by_key = rows_of(found)
    assert by_key[keys[0]][0] is RowKind.REMOVED
    joined = "select t.ticketid, c.lastname from support_ticket t join customer c on c.customerid = t.customerid"
    names = dict(walls.world(joined).rows)
    for key in keys[1:]:
        assert by_key[key] == (RowKind.CHANGED, names[key])
    unmatched = walls.world(
        "select count(*) from customer c where c.lastname like 'S%' and c.customerid not in "
        f"(select t.customerid from support_ticket t where t.ticketid in ({', '.join(map(str, keys))}))"
    )
    assert kinds.count(RowKind.ADDED) == unmatched.rows[0][0] > 0
    assert found.operation == "merge"


NEVER = [
    # masked values, hidden columns, protected columns
    "merge into support_ticket t using customer c on c.customerid = t.customerid when matched then update set subject = c.email",
    "merge into support_ticket t using (select * from customer) c on c.customerid = t.customerid "
    "when not matched then insert (customerid, subject, body) values (c.customerid, c.phone, 'b')",
    "merge into customer t using customer c on c.customerid = t.customerid when matched then update set email = 'x'",
    "merge into support_ticket t using employee c on c.birthdate > '1970-01-01' when matched then update set subject = 'x'",
    "merge into support_ticket t using refund c on c.reason = 'x' when matched then update set subject = 'x'",
    # without a grant
    "merge into genre t using artist c on c.artistid = t.genreid when matched then delete",
    "merge into customer t using genre c on c.genreid = t.customerid when matched then delete",
    "merge into gatebook_ledger t using genre c on t.digest = c.name when matched then delete",
    "merge into support_ticket t using gatebook_ledger c on t.subject = c.digest when matched then delete",
    # forms that are not understood
    "merge into support_ticket t using customer c on c.customerid = t.customerid when matched then update set ticketid = 1",
    "merge into support_ticket t using customer c on c.customerid = t.customerid when not matched by source then delete",
    "merge into support_ticket t using customer c on c.customerid = t.customerid when not matched then insert values (1, 2)",
    "merge into support_ticket t using customer c on c.customerid = t.customerid when matched then do nothing",
    "merge into support_ticket t using customer c on pg_sleep(9) is null when matched then delete",
    "merge into support_ticket t using customer c on c.customerid = t.customerid when matched then delete returning *",
    # no approval would bind what the other insert does not name
    "merge into support_ticket t using customer c on 1 = 0 when not matched and c.customerid = 2 "
    "then insert (customerid, subject, body) values (c.customerid, c.lastname, 'b') "
    "when not matched and c.customerid = 4 then insert (customerid, subject) values (c.customerid, 'x')",
    "with x as (select 1) merge into support_ticket t using x on 1 = 1 when matched then delete",
    "insert or replace into support_ticket (ticketid, customerid, subject, body) values (1, 2, 'x', 'y')",
    "replace into support_ticket (ticketid, customerid, subject, body) values (1, 2, 'x', 'y')",
    "insert into support_ticket (ticketid, customerid, subject, body) values (1, 2, 'x', 'y') "
    "on conflict (subject) do update set subject = 'x'",
    "insert into support_ticket (ticketid, customerid, subject, body) values (1, 2, 'x', 'y') "
    "on conflict on constraint support_ticket_pkey do nothing",
    "insert into support_ticket (ticketid, customerid, subject, body) values (90002, 2, 'x', 'y') "
    "on conflict (ticketid) do update set subject = (select max(email) from customer)",
    "insert into support_ticket (ticketid, customerid, subject, body) select 90003, customerid, email, 'y' from customer "
    "on conflict (ticketid) do nothing",
]


def test_what_a_merge_may_not(walls: Fortress) -> None:
    before = walls.raw("select count(*), max(subject), min(subject) from support_ticket").rows

    def check(text: str) -> None:
        assert isinstance(walls.refused(text), GatebookError)

    every(NEVER, check)
    assert walls.raw("select count(*), max(subject), min(subject) from support_ticket").rows == before
