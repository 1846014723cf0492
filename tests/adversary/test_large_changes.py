"""A write of more rows than are shown: taken where a rule says so, bound to every row all the same, and done once."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.adversary.large import ROWS, RULES, SEEN, TABLES
from tests.adversary.stands import ENGINES, REVIEWER, Stand, stand

from gatebook_hub.changes import State
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import LimitExceeded
from gatebook_hub.model import Channel, Engine, Principal, PrincipalKind
from gatebook_hub.web.views import change_view

pytestmark = [pytest.mark.adversary, pytest.mark.usefixtures("few_shown"), pytest.mark.parametrize("engine", ENGINES)]
DIM = Principal(kind=PrincipalKind.USER, name="dan", groups=frozenset({"dim"}), channel=Channel.PORTAL)


def test_a_sample_is_shown_and_every_row_is_written(large_shop: Stand) -> None:
    request = large_shop.proposed("update stock set n = n + 1000")
    (diff,) = request.diffs
    assert (request.rows, diff.count(RowKind.CHANGED)) == (SEEN, SEEN)
    assert 20 <= len(diff.rows) <= 100
    assert all(row.after[2] == row.before[2] + 1000 for row in diff.rows if row.before and row.after)
    assert large_shop.run("select max(n) from stock") == [(ROWS,)]
    view = change_view(large_shop.cases, REVIEWER, request)
    assert (view["diffs"][0]["total"], view["diffs"][0]["is_complete"]) == (SEEN, False)
    assert view["summary"] == f"{SEEN} rows would be changed in stock"
    done = large_shop.approved(request)
    assert (done.state, done.outcome_rows, done.failure) == (State.EXECUTED, SEEN, None)
    assert large_shop.run("select count(*) from stock where n > 1000") == [(SEEN,)]
    assert large_shop.run("select count(*) from stock where n > 1000 and place = 'p2'") == [(0,)]


def test_rows_that_are_not_in_the_sample_are_bound_too(large_shop: Stand) -> None:
    request = large_shop.proposed("update stock set n = 0")
    shown = {row.key[0] for row in request.diffs[0].rows}
    other = next(n for n in range(1, ROWS) if n % 3 != 2 and n not in shown)
    large_shop.run(f"update stock set n = -1 where id = {other}")
    assert large_shop.approved(request).state is State.DRIFTED
    assert large_shop.run("select count(*) from stock where n = 0") == [(0,)]
    again = large_shop.proposed("delete from stock where n > 100")
    large_shop.run("insert into stock values (9001, 'p1', 101, 's')")
    assert large_shop.approved(again).state is State.DRIFTED


def test_added_and_removed_rows_are_sampled_and_done(large_shop: Stand) -> None:
    added = large_shop.proposed(
        "insert into stock (id, place, n, secret) select id + 1000, place, n, secret from stock"
    )
    assert added.diffs[0].count(RowKind.ADDED) == SEEN
    assert all(row.before is None and row.key[0] > 1000 for row in added.diffs[0].rows)
    assert large_shop.approved(added).state is State.EXECUTED
    assert large_shop.run("select count(*) from stock") == [(ROWS + SEEN,)]
    removed = large_shop.proposed("delete from stock where id > 1000")
    assert (removed.rows, removed.diffs[0].count(RowKind.REMOVED)) == (SEEN, SEEN)
    assert large_shop.approved(removed).state is State.EXECUTED
    assert large_shop.run("select count(*) from stock") == [(ROWS,)]


def test_no_row_leaves_what_its_writer_may_see(large_shop: Stand) -> None:
    request = large_shop.proposed("update stock set place = case when id = 239 then 'p0' else 'p2' end")
    assert large_shop.approved(request).state is State.FAILED
    assert large_shop.run("select count(*) from stock where place = 'p2'") == [(ROWS // 3,)]


def test_who_does_not_see_a_column_that_changes_does_not_count(large_shop: Stand) -> None:
    plain = large_shop.proposed("update stock set n = 0")
    assert large_shop.cases.changes.sights(DIM).why_no_review(plain) is None
    secret = large_shop.proposed("update stock set secret = ''")
    assert (
        large_shop.cases.changes.sights(DIM).why_no_review(secret)
        == "you cannot see `secret`, which this request changes"
    )


def test_without_a_rule_or_above_the_most_it_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GATEBOOK_LARGE_ROWS", "100")
    with stand(request, engine, tmp_path, TABLES, RULES, sandbox=False) as shop:
        assert isinstance(shop.refused("update stock set n = 0"), LimitExceeded)
        shop.proposed("update stock set n = 0 where id <= 100")
        for sql in (
            "update stock set n = 0 where id <= 100 returning id"
            if engine is not Engine.MARIADB
            else "delete from stock where id <= 100 returning id",
            "update stock set n = 0 where id <= 100; update stock set n = 1 where id = 101",
        ):
            assert isinstance(shop.refused(sql), LimitExceeded), sql


def test_without_a_rule_that_takes_it_it_is_refused(
    request: pytest.FixtureRequest, tmp_path: Path, engine: Engine
) -> None:
    rules = f"{RULES}  - {{id: strict, on: shop.stock, when: ['rows > 50'], require: [{{groups: [reviewers], needed: 1}}]}}\n"
    with stand(request, engine, tmp_path, TABLES, rules, sandbox=False) as shop:
        error = shop.refused("update stock set n = 0")
        assert isinstance(error, LimitExceeded)
        assert "`sample: true`" in str(error)
        shop.proposed("update stock set n = 0 where id <= 50")
