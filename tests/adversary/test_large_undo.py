"""A change of more rows than are shown is taken back: rows by rows, only those that are as it left them, and once."""

from __future__ import annotations

import datetime as dt

import pytest
import sqlalchemy as sa
from tests.adversary.large import SEEN
from tests.adversary.stands import ENGINES, REVIEWER, Stand

from gatebook_hub.changes import ChangeRequest, State
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import AccessRefused, EffectMissed, GatebookError, StateConflict
from gatebook_hub.services.gate import Call
from gatebook_hub.stores.tables import change_image

pytestmark = [pytest.mark.adversary, pytest.mark.parametrize("engine", ENGINES)]


def undo(shop: Stand, done: ChangeRequest) -> ChangeRequest:
    return shop.cases.changes.undo(shop.call, done.id)


def kept(shop: Stand, request: ChangeRequest) -> int:
    """How many parts of its image there are."""
    query = sa.select(sa.func.count()).where(change_image.c.change_id == request.id)
    with shop.cases.gate.changes.images._engine.connect() as connection:
        return int(connection.execute(query).scalar_one())


@pytest.mark.parametrize(
    "sql",
    [
        "update stock set n = n + 1000, place = 'p0'",
        "delete from stock",
        "insert into stock (id, place, n, secret) select id + 1000, place, n, secret from stock",
    ],
)
def test_every_row_is_as_it_was(large_shop: Stand, sql: str) -> None:
    before = large_shop.run("select * from stock order by id")
    done = large_shop.executed(large_shop.proposed(sql))
    assert large_shop.run("select * from stock order by id") != before
    back = undo(large_shop, done)
    assert (back.rows, back.undoes, back.state) == (SEEN, done.id, State.AWAITING_REVIEW)
    assert 20 <= len(back.diffs[0].rows) <= 100
    undone = large_shop.executed(back)
    assert large_shop.run("select * from stock order by id") == before
    with pytest.raises(StateConflict):
        undo(large_shop, done)
    again = large_shop.executed(undo(large_shop, undone))
    assert large_shop.run("select * from stock order by id") != before
    assert again.outcome_rows == SEEN


def test_rows_that_were_changed_since_stay(large_shop: Stand) -> None:
    done = large_shop.executed(large_shop.proposed("update stock set n = 0"))
    large_shop.run("update stock set n = 7 where id in (1, 3)")
    back = undo(large_shop, done)
    assert sorted(one.key for one in back.left) == [(1,), (3,)]
    assert back.diffs[0].count(RowKind.CHANGED) == SEEN - 2
    large_shop.executed(back)
    assert large_shop.run("select n from stock where id in (1, 3, 4) order by id") == [(7,), (7,), (4,)]


def test_many_of_them_or_all_are_refused(large_shop: Stand) -> None:
    done = large_shop.executed(large_shop.proposed("update stock set n = 0"))
    large_shop.run("update stock set n = 7 where id < 100")
    with pytest.raises(EffectMissed, match="rows of the change have been changed since"):
        undo(large_shop, done)
    large_shop.run("update stock set n = 7")
    with pytest.raises(EffectMissed, match="every row"):
        undo(large_shop, done)


def test_a_row_that_moves_while_it_waits_is_drift(large_shop: Stand) -> None:
    done = large_shop.executed(large_shop.proposed("update stock set n = 0"))
    back = undo(large_shop, done)
    large_shop.run("update stock set n = 7 where id = 210")
    drifted = large_shop.approved(back)
    assert drifted.state is State.DRIFTED
    assert large_shop.run("select count(*) from stock where n = 0") == [(SEEN - 1,)]
    assert kept(large_shop, drifted) == 0, "what was kept for a write that was not made"
    assert kept(large_shop, done) > 0


def test_a_row_that_comes_back_in_another_way_is_not_written_twice(large_shop: Stand) -> None:
    done = large_shop.executed(large_shop.proposed("delete from stock"))
    large_shop.run("insert into stock values (4, 'p1', 4, 'other')")
    back = undo(large_shop, done)
    assert [one.key for one in back.left] == [(4,)]
    large_shop.executed(back)
    assert large_shop.run("select secret from stock where id in (3, 4) order by id") == [("s3",), ("other",)]


def test_nobody_undoes_what_they_may_not_write(large_shop: Stand) -> None:
    done = large_shop.executed(large_shop.proposed("update stock set n = 0"))
    reviewer = Call(principal=REVIEWER)
    with pytest.raises(AccessRefused):
        large_shop.cases.changes.undo(reviewer, done.id)


def test_what_is_kept_is_sealed_bound_to_its_change_and_forgotten(large_shop: Stand) -> None:
    done = large_shop.executed(large_shop.proposed("update stock set n = 0"))
    other = large_shop.executed(large_shop.proposed("update stock set n = 1"))
    images = large_shop.cases.gate.changes.images
    with images._engine.begin() as connection:
        text = connection.execute(sa.select(change_image.c.document)).scalars().first()
        assert text is not None
        assert '"s1"' not in text
        one = sa.select(change_image.c.document).where(change_image.c.change_id == done.id, change_image.c.part == 0)
        stolen = connection.execute(one).scalar_one()
        connection.execute(change_image.update().where(change_image.c.change_id == other.id).values(document=stolen))
    with pytest.raises(GatebookError, match="was changed"):
        undo(large_shop, other)
    with images._engine.begin() as connection:
        connection.execute(change_image.delete().where(change_image.c.change_id == other.id))
    with pytest.raises(GatebookError, match="not kept whole"):
        undo(large_shop, other)


def test_rows_are_forgotten_in_their_time(large_shop: Stand, monkeypatch: pytest.MonkeyPatch) -> None:
    done = large_shop.executed(large_shop.proposed("update stock set n = 0"))
    assert kept(large_shop, done) == 1
    gate = large_shop.cases.gate
    monkeypatch.setattr(gate, "now", lambda: dt.datetime.now(dt.UTC) + dt.timedelta(days=gate.settings.image_days + 1))
    assert large_shop.cases.changes.forget(large_shop.call) == 1
    assert kept(large_shop, done) == 0
    with pytest.raises(StateConflict, match="no longer kept"):
        undo(large_shop, done)
