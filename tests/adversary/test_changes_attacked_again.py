"""Several statements, rows that follow, samples and sets: do they get anybody more than one statement would?"""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Sequence
from contextlib import AbstractContextManager, suppress
from pathlib import Path
from typing import Any

import pytest
from tests.adversary.stands import ENGINES, REVIEWER, Stand, stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.changes.risk import score
from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Channel, Engine, Principal, PrincipalKind
from gatebook_hub.services.queries import Question
from gatebook_hub.sources.writing import ServerWriting
from gatebook_hub.web.views import change_view

pytestmark = pytest.mark.adversary

# DuckDB follows no reference; the others do.
FOLLOWING = ENGINES[:-1]
DIM = Principal(kind=PrincipalKind.USER, name="dan", groups=frozenset({"dim"}), channel=Channel.PORTAL)
EVERYBODY = """
grants:
  - {id: a, to: "group:people", on: "shop.*", allow: [select, insert, update, delete]}
  - {id: r, to: "group:reviewers", on: "shop.*", allow: [select]}
"""

every_engine = pytest.mark.parametrize("engine", ENGINES)
following = pytest.mark.parametrize("engine", FOLLOWING)
on_postgresql = pytest.mark.parametrize("engine", [Engine.POSTGRESQL])
on_sqlite = pytest.mark.parametrize("engine", [Engine.SQLITE])


@pytest.fixture
def at(request: pytest.FixtureRequest, tmp_path: Path, engine: Engine) -> Any:
    def made(tables: Sequence[str], rules: str) -> AbstractContextManager[Stand]:
        return stand(request, engine, tmp_path, tables, rules, sandbox=False)

    return made


def told(request: ChangeRequest) -> list[tuple[object, ...]]:
    return sorted((diff.table, str(row.kind), row.key) for diff in request.diffs for row in diff.rows)


# Rows that follow, within one table


def staff(rule: str) -> list[str]:
    return [
        "create table staff (id integer primary key, boss integer, pay integer, "
        f"foreign key (boss) references staff (id) on delete {rule})",
        "insert into staff values (1, null, 10)",
        "insert into staff values (2, 1, 20), (3, 1, 30), (4, null, 40)",
    ]


MERGED = (
    "merge into staff using (select 1 as n, 0 as goes union all select 2, 1 union all select 3, 2) as s "
    "on staff.id = case s.n when 1 then 1 when 2 then 2 else 3 end "
    "when matched and s.goes > 0 then update set pay = 1000000 "
    "when matched and s.goes = 0 then delete"
)


@following
def test_a_merge_hides_no_row_that_it_changes_and_that_follows_one_that_it_deletes(at: Any, engine: Engine) -> None:
    with at(staff("set null"), EVERYBODY) as shop:
        request = shop.proposed(MERGED)
        done = shop.approved(request)
        assert done.state is State.EXECUTED, done.failure
        assert shop.run("select id, boss, pay from staff order by id")[0] == (2, None, 1000000)
        shown = told(request)
        assert ("staff", "changed", (2,)) in shown, shown


@following
def test_a_merge_hides_no_row_that_goes_with_one_that_it_deletes(at: Any, engine: Engine) -> None:
    with at(staff("cascade"), EVERYBODY) as shop:
        request = shop.proposed(MERGED)
        done = shop.approved(request)
        assert done.state is State.EXECUTED, done.failure
        assert shop.run("select id from staff") == [(4,)]
        shown = told(request)
        assert ("staff", "removed", (2,)) in shown, shown


# Columns that an insert leaves to the database

PAYOUT = [
    "create table payout (id integer primary key, who varchar(20), amount integer)",
    "create table rate (id integer primary key, n integer)",
    "insert into rate values (1, 5)",
]
DIMMED = (
    EVERYBODY
    + """
  - {id: d, to: "group:dim", on: shop.payout, columns: [id, who], allow: [select]}
  - {id: e, to: "group:dim", on: shop.rate, allow: [select]}
approvals:
  - {id: any, on: shop.payout, require: [{groups: [reviewers, dim], needed: 1}]}
"""
)
PAID = (
    "insert into payout (id, who) values (7, 'pat'); update payout set amount = (select max(n) from rate) where id = 7"
)


@every_engine
def test_what_a_later_statement_gives_an_added_row_is_bound(at: Any, engine: Engine) -> None:
    with at(PAYOUT, DIMMED) as shop:
        request = shop.proposed(PAID)
        shop.run("update rate set n = 1000000")
        done = shop.approved(request)
        assert shop.run("select amount from payout") != [(1000000,)], done.state
        assert done.state is State.DRIFTED


@every_engine
def test_who_does_not_see_what_a_later_statement_gives_an_added_row_does_not_count(at: Any, engine: Engine) -> None:
    with at(PAYOUT, DIMMED) as shop:
        request = shop.proposed(PAID)
        assert shop.cases.changes.sights(DIM).why_no_review(request) is not None


# A preview of a script

DESKS = [
    "create table desk (id integer primary key, who varchar(20), place varchar(20))",
    "create table stock (id integer primary key, place varchar(20), n integer)",
    "insert into desk values (1, 'user:pat', 'p1'), (2, 'pat', 'p1')",
    "insert into stock values (1, 'p1', 10), (2, 'p2', 4711)",
]
SCOPED = """
grants:
  - {id: a, to: "group:people", on: shop.desk, allow: [select, insert]}
  - {id: s, to: "group:people", on: shop.stock, allow: [select, update], where: "place in (select place from desk where who = :principal)"}
  - {id: r, to: "group:reviewers", on: "shop.*", allow: [select]}
"""


@every_engine
def test_a_script_that_nobody_approved_shows_no_row_outside_of_the_scope(at: Any, engine: Engine) -> None:
    with at(DESKS, SCOPED) as shop:
        assert shop.ask("select n from stock") == [(10,)]
        sql = (
            "insert into desk (id, who, place) values (8, 'pat', 'p2'), (9, 'user:pat', 'p2'); "
            "update stock set n = n + 1"
        )
        try:
            request = shop.proposed(sql)
        except GatebookError:
            return
        seen = repr([diff.rows for diff in request.diffs])
        view = change_view(shop.cases, shop.call.principal, request)
        assert "4711" not in repr(view["diffs"]), seen


# Rows that follow, counted by rules

FOLLOWED = [
    "create table parent (id integer primary key, v integer)",
    "create table child (id integer primary key, p integer, w varchar(20), "
    "foreign key (p) references parent (id) on delete cascade)",
    "insert into parent values (1, 10), (2, 20)",
    "insert into child values (1, 1, 'a'), (2, 1, 'b'), (3, 1, 'c'), (4, 1, 'd'), (5, 2, 'e')",
]
COUNTED = (
    EVERYBODY
    + """
approvals:
  - {id: any, on: "shop.*", require: [{groups: [reviewers], needed: 1}]}
  - {id: bulk, on: shop.child, writes: [delete], when: ['rows > 3'], require: [{groups: [owners], needed: 2}]}
  - {id: many, on: shop.child, when: ['rows > 5'], require: [{groups: [chiefs], needed: 1}]}
"""
)


def groups(request: ChangeRequest) -> set[str]:
    return {group for requirement in request.requirements for group in requirement.groups}


@following
def test_rows_that_were_changed_before_they_went_along_are_counted_as_deleted(at: Any, engine: Engine) -> None:
    with at(FOLLOWED, COUNTED) as shop:
        assert groups(shop.proposed("delete from parent where id = 1")) == {"reviewers", "owners"}
        request = shop.proposed("update child set w = 'x' where p = 1; delete from parent where id = 1")
        assert ("child", "removed", (4,)) in told(request)
        assert "owners" in groups(request)


@following
def test_rows_that_were_put_back_after_they_went_along_are_counted(at: Any, engine: Engine) -> None:
    with at(FOLLOWED, COUNTED) as shop:
        request = shop.proposed(
            "delete from parent where id = 1; insert into parent (id, v) values (1, 10); "
            "insert into child (id, p, w) values (1, 1, 'x'), (2, 1, 'x'), (3, 1, 'x'), (4, 1, 'x')",
        )
        assert "owners" in groups(request), told(request)


@following
def test_rows_that_were_asked_for_and_rows_that_go_along_are_counted_together(at: Any, engine: Engine) -> None:
    with at(FOLLOWED, COUNTED) as shop:
        sql = (
            "insert into child (id, p, w) values (11, 2, 'n'), (12, 2, 'n'), (13, 2, 'n'); "
            "delete from parent where id = 1"
        )
        request = shop.proposed(sql)
        assert len([one for one in told(request) if one[0] == "child"]) == 7
        assert "chiefs" in groups(request)


SET_NULL = [
    "create table parent (id integer primary key, v integer)",
    "create table leaf (id integer primary key, c integer, foreign key (c) references parent (id) on delete set null)",
    "insert into parent values (1, 10)",
    "insert into leaf values (5, 1), (6, 1)",
]


@following
def test_rules_about_changes_speak_of_rows_that_change_along(at: Any, engine: Engine) -> None:
    owned = "  - {id: up, on: shop.leaf, writes: [update], require: [{groups: [owners], needed: 2}]}\n"
    anybody = """
approvals:
  - {id: any, on: "shop.*", require: [{groups: [reviewers], needed: 1}]}
"""
    with at(SET_NULL, EVERYBODY + anybody + owned) as shop:
        assert groups(shop.proposed("update leaf set c = null")) == {"reviewers", "owners"}
        request = shop.proposed("delete from parent where id = 1")
        assert ("leaf", "changed", (5,)) in told(request)
        assert "owners" in groups(request)


@on_postgresql
def test_rows_that_follow_by_a_type_of_an_extension_are_told_and_counted(at: Any, engine: Engine) -> None:
    tables = [
        "create extension if not exists citext",
        "create table parent (k citext primary key)",
        "create table child (id integer primary key, k citext references parent on delete cascade)",
        "insert into parent values ('abc')",
        "insert into child values (1, 'ABC'), (2, 'ABC'), (3, 'ABC'), (4, 'ABC')",
    ]
    with at(tables, COUNTED) as shop:
        request = shop.proposed("delete from parent")
        # What compares such values is hidden from the gate: it says so, and rules take the rows for as many as they like.
        assert "more rows go or change with these than are shown here" in request.warnings
        assert {effect.rows for effect in request.effects} == {4}
        assert {"owners", "chiefs"} <= groups(request)


# Risk

RISKY = (
    """
classification:
  pii.email: [shop.child.w]
"""
    + EVERYBODY
    + """
approvals:
  - {id: any, on: "shop.*", require: [{groups: [reviewers], needed: 1}]}
  - {id: risky, on: "shop.*", when: ['risk >= 5'], require: [{groups: [owners], needed: 2}]}
"""
)


@every_engine
def test_a_script_has_the_risk_that_it_shows(at: Any, engine: Engine) -> None:
    with at([FOLLOWED[0], FOLLOWED[1].partition(", foreign")[0] + ")", *FOLLOWED[2:]], RISKY) as shop:
        assert "owners" in groups(shop.proposed("update child set w = 'x'"))
        request = shop.proposed(
            "update parent set v = 0; update child set w = 'x' where id = 1; delete from parent where id = 2"
        )
        assert score(request.risks) >= 5
        assert "owners" in groups(request), request.risks


# Samples

LARGE = [
    "create table stock (id integer primary key, n integer)",
    "insert into stock values " + ", ".join(f"({n}, {n})" for n in range(1, 161)),
]
SAMPLED = (
    EVERYBODY
    + """
approvals:
  - {id: many, on: shop.stock, require: [{groups: [reviewers], needed: 1}], sample: true}
"""
)


@pytest.fixture
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GATEBOOK_PREVIEW_ROWS", "20")
    monkeypatch.setenv("GATEBOOK_LARGE_ROWS", "1000")


@pytest.mark.usefixtures("small")
@every_engine
def test_no_row_is_known_to_be_left_out_of_a_sample(at: Any, engine: Engine) -> None:
    with at(LARGE, SAMPLED) as shop:
        sql = "insert into stock (id, n) select id + 1000, case when id > 100 then 1000000 else 1 end from stock order by id"
        found = shop.proposed(sql)
        rows = [row for row in found.diffs[0].rows if row.after]
        bad = [row.key for row in rows if row.after and row.after[1] == 1000000]
        assert (found.diffs[0].total, len(rows)) == (160, 100)
        assert bad, "60 of 160 rows are wrong, and none of 100 that are shown"


@pytest.mark.usefixtures("small")
@every_engine
def test_a_sample_is_not_of_rows_that_the_requester_picks(at: Any, engine: Engine) -> None:
    with at(LARGE, SAMPLED) as shop:
        sql = (
            "insert into stock (id, n) select a.id * 2 + 1000 + b.id, "
            "case when b.id = 0 then 1 else 1000000 end from stock as a "
            "cross join (select 0 as id union all select 1) as b order by a.id, b.id"
        )
        found = shop.proposed(sql)
        assert found.diffs[0].total == 320
        bad = [row.key for row in found.diffs[0].rows if row.after and row.after[1] == 1000000]
        if found.diffs[0].total // 100 == 3:  # each third row: the statement knows which
            sql = sql.replace("b.id = 0", "(a.id * 2 + b.id - 2) % 3 = 0")
            found = shop.proposed(sql)
            bad = [row.key for row in found.diffs[0].rows if row.after and row.after[1] == 1000000]
        assert bad, "two thirds of the rows are wrong, and none of those that are shown"


# What the gateway holds, and for how long


@pytest.mark.usefixtures("small")
@on_postgresql
def test_sets_of_values_read_no_more_rows_than_a_request_may_hold(at: Any, engine: Engine) -> None:
    with at(LARGE, EVERYBODY) as shop:
        sql = "insert into stock (id, n) select a.id * 1000 + b.id + :k, 0 from stock as a cross join stock as b"
        asked = Question(source="shop", sql=sql, parameters={}, many=tuple({"k": k * 1_000_000} for k in range(1, 21)))
        tracemalloc.start()
        try:
            with pytest.raises(GatebookError):
                shop.cases.queries.ask(shop.call, asked)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 20_000_000, f"{peak:,} bytes for 512,000 rows, of which a request may hold 20"


@pytest.mark.usefixtures("small")
@pytest.mark.parametrize("engine", [Engine.MARIADB])
def test_sets_of_values_are_read_until_there_are_too_many_rows(
    at: Any, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    with at(LARGE, EVERYBODY) as shop:
        counted: list[int] = []
        select = ServerWriting.select

        def counting(self: ServerWriting, *given: Any) -> Any:
            rows = select(self, *given)
            counted.append(len(rows))
            return rows

        monkeypatch.setattr(ServerWriting, "select", counting)
        asked = Question(
            source="shop",
            sql="update stock set n = :v where id <= 20",
            parameters={},
            many=tuple({"v": v} for v in range(500)),
        )
        with pytest.raises(GatebookError):
            shop.cases.queries.ask(shop.call, asked)
        assert sum(counted) < 1_000, f"{sum(counted):,} rows are held, of which a request may hold 20"


@pytest.mark.usefixtures("small")
@on_postgresql
def test_what_a_large_write_puts_into_rows_is_not_held_before_it_is_known_whether_it_is_taken(
    at: Any, engine: Engine
) -> None:
    with at([*LARGE, "alter table stock add column t text"], EVERYBODY) as shop:
        tracemalloc.start()
        try:
            shop.refused("update stock set t = repeat(repeat('x', 1000), 1000)")
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak < 60_000_000, f"{peak:,} bytes were held for a write that no rule takes"


@pytest.mark.parametrize("engine", [Engine.POSTGRESQL, Engine.MARIADB])
def test_a_script_holds_locks_no_longer_than_one_statement_may(at: Any, engine: Engine) -> None:
    rules = EVERYBODY.replace(
        "allow: [select, insert, update, delete]}", "allow: [select, update], limits: {time_s: 2}}"
    )
    with at(LARGE, rules) as shop:
        slow = (
            "update stock set n = (select count(*) from stock as a cross join stock as b cross join stock as c "
            "where a.n + b.n + c.n > {0}) where id = {0}"
        )
        begun = time.monotonic()
        with suppress(GatebookError):
            shop.ask("; ".join(["update stock set n = 0 where id = 1", *(slow.format(n) for n in range(2, 32))]))
        took = time.monotonic() - begun
        # Each of the thirty may take 2 s: without a limit for all of them together it would be a minute.
        assert took < 15, f"the locks of the first statement were held for {took:.1f} s, where 2 s are allowed"


# What the database itself does


@on_sqlite
@pytest.mark.parametrize(
    "parent, child, gone, row",
    [
        ("name text primary key collate nocase", "p text", "'abc'", "'ABC'"),
        ("name integer primary key", "p text", "1", "'01'"),
    ],
)
def test_rows_that_follow_by_the_rules_of_their_parent_are_shown_and_counted(
    at: Any, engine: Engine, parent: str, child: str, gone: str, row: str
) -> None:
    tables = [
        f"create table parent ({parent})",
        f"create table child (id integer primary key, {child} references parent (name) on delete cascade)",
        f"insert into parent values ({gone})",
        "pragma foreign_keys = on",
        f"insert into child values (1, {row}), (2, {row}), (3, {row}), (4, {row})",
    ]
    with at(tables, COUNTED) as shop:
        request = shop.proposed("delete from parent")
        assert shop.approved(request).state in {State.EXECUTED, State.AWAITING_REVIEW}
        assert [one for one in told(request) if one[0] == "child"], request.warnings
        assert "owners" in groups(request)


LOGGED = "create function noted() returns trigger language plpgsql as $$ begin {does}; return null; end $$"


@on_postgresql
@pytest.mark.parametrize(
    "tables, does, kind",
    [
        (
            ["create table log (id integer, part integer) partition by list (part)",
             "create table log_1 partition of log for values in (1)"],
            "insert into public.log values (new.id, 1)",
            "trigger noting after update",
        ),
        (
            ["create schema audit", "create table audit.log (id integer)"],
            "insert into audit.log values (new.id)",
            "trigger noting after update",
        ),
        (
            ["create table log (id integer)"],
            "insert into public.log values (new.id)",
            "constraint trigger noting after update",
        ),
    ],
    ids=["partition", "schema", "deferred"],
)  # fmt: skip
def test_what_triggers_write_is_counted_wherever_it_is_written(
    at: Any, engine: Engine, tables: list[str], does: str, kind: str
) -> None:
    deferred = "deferrable initially deferred" if "constraint" in kind else ""
    tables = [
        *LARGE,
        *tables,
        LOGGED.format(does=does),
        f"create {kind} on stock {deferred} for each row execute function noted()",
    ]
    with at(tables, EVERYBODY) as shop:
        request = shop.proposed("update stock set n = 0 where id < 4")
        assert sum(effect.rows for effect in request.effects) == 3


@on_sqlite
def test_a_row_that_a_trigger_keeps_as_it_is_hides_no_row_that_the_trigger_writes(at: Any, engine: Engine) -> None:
    tables = [
        *LARGE,
        "create table log (id integer)",
        "create trigger keeping before update on stock when old.id > 1 "
        "begin insert into log values (new.id); select raise(ignore); end",
    ]
    with at(tables, EVERYBODY) as shop:
        request = shop.proposed("update stock set n = 0 where id < 5")
        assert shop.approved(request).state is State.EXECUTED
        assert shop.run("select count(*) from log") == [(3,)]
        assert sum(effect.rows for effect in request.effects) == 3


UP = [
    "create table parent (id integer primary key, v integer)",
    "create table child (id integer primary key, p integer unique, "
    "foreign key (p) references parent (id) on delete set null)",
    "create table leaf (id integer primary key, c integer, foreign key (c) references child (p) on update cascade)",
    "insert into parent values (1, 10), (2, 20)",
    "insert into child values (1, 1), (2, 2)",
    "insert into leaf values (7, 1), (8, 2)",
]


@following
def test_what_follows_a_row_that_changes_along_needs_rights_too(at: Any, engine: Engine) -> None:
    rules = EVERYBODY.replace('"group:people", on: "shop.*"', '"group:people", on: [shop.parent, shop.child]')
    with at(UP, rules) as shop:
        try:
            request = shop.proposed("delete from parent where id = 1")
        except GatebookError:
            return
        done = shop.approved(request)
        assert shop.run("select c from leaf where id = 7") == [(1,)], (done.state, told(request), request.warnings)


@following
def test_what_follows_a_row_that_changes_along_is_shown(at: Any, engine: Engine) -> None:
    with at(UP, EVERYBODY) as shop:
        try:
            request = shop.proposed("delete from parent where id = 1")
        except GatebookError:
            return
        assert ("leaf", "changed", (7,)) in told(request), request.warnings


# Undo


@following
def test_a_row_that_somebody_changed_since_does_not_go_with_an_undo(at: Any, engine: Engine) -> None:
    with at(FOLLOWED, EVERYBODY) as shop:
        sql = "insert into parent (id, v) values (3, 30); insert into child (id, p, w) values (9, 3, 'new')"
        done = shop.approved(shop.proposed(sql))
        shop.run("update child set w = 'moved' where id = 9")
        try:
            undo = shop.cases.changes.undo(shop.call, done.id)
        except GatebookError:
            return
        assert ("child", (9,)) in {(one.table, one.key) for one in undo.left}
        assert ("child", "removed", (9,)) not in told(undo), undo.warnings


@on_postgresql
@pytest.mark.parametrize(
    "kind, value",
    [
        ("uuid", "'1735acc1-ed60-4d95-88a8-274f3540fa69'"),
        ("numeric(10,2)", "1.5"),
        ("timestamptz", "'2026-01-01 00:00+00'"),
        ("date", "'2026-01-01'"),
        ("bytea", "'abc'"),
    ],
)
def test_a_change_is_taken_back_whatever_its_keys_are(at: Any, engine: Engine, kind: str, value: str) -> None:
    tables = [f"create table stock (id {kind} primary key, n integer)", f"insert into stock values ({value}, 1)"]
    with at(tables, EVERYBODY) as shop:
        done = shop.approved(shop.proposed("update stock set n = 2"))
        assert done.state is State.EXECUTED
        undo = shop.approved(shop.cases.changes.undo(shop.call, done.id))
        assert undo.state is State.EXECUTED
        assert shop.run("select n from stock") == [(1,)]


# Names


@following
def test_warnings_name_no_table_that_their_reader_may_not_know(at: Any, engine: Engine) -> None:
    rules = EVERYBODY.replace('"group:reviewers", on: "shop.*"', '"group:reviewers", on: shop.parent')
    with at(FOLLOWED, rules) as shop:
        request = shop.proposed("delete from parent where id = 1")
        view = change_view(shop.cases, REVIEWER, request)
        assert [diff["table"] for diff in view["diffs"]] == ["parent", None]
        assert "child" not in repr(view["warnings"])


@following
def test_a_summary_names_no_table_that_its_reader_may_not_know(at: Any, engine: Engine) -> None:
    rules = EVERYBODY.replace('"group:reviewers", on: "shop.*"', '"group:reviewers", on: shop.parent')
    with at(FOLLOWED, rules) as shop:
        request = shop.proposed("update parent set v = 0 where id = 1; update child set w = 'x' where id = 1")
        view = change_view(shop.cases, REVIEWER, request)
        assert [diff["table"] for diff in view["diffs"]] == ["parent", None]
        assert "child" not in view["summary"]


@on_sqlite
def test_a_number_of_another_kind_is_another_value_for_whoever_reviews(at: Any, engine: Engine) -> None:
    tables = ["create table payout (id integer primary key, who, amount)", "insert into payout values (1, 'a', 0.0)"]
    with at(tables, DIMMED.replace('  - {id: e, to: "group:dim", on: shop.rate, allow: [select]}\n', "")) as shop:
        request = shop.proposed("update payout set amount = 0 where id = 1")
        assert shop.cases.changes.sights(DIM).why_no_review(request) is not None
