"""Do lists find what a person may see, all of it and once, without opening what the requests say?"""

from __future__ import annotations

import datetime as dt
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine

from gatebook_hub.changes import ChangeRequest, Place, RowChange, RowDiff, State, groups_of, outline_of, place_of
from gatebook_hub.changes.request import Broken, RowKind
from gatebook_hub.changes.risk import Risk
from gatebook_hub.errors import BrokenSeal
from gatebook_hub.model import Glass, Principal, PrincipalKind, Requirement
from gatebook_hub.stores import database
from gatebook_hub.stores.changes import ChangeStore
from gatebook_hub.stores.codec import read_outline, write_change, write_outline
from gatebook_hub.stores.outlines import Viewer
from gatebook_hub.stores.seal import Seal

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
SEAL = Seal(bytes(32))
REA = Viewer(id="user:rea", groups=frozenset({"reviewers", "staff"}))
VALUES = ("4711", "secret before", "secret after", "secret parameter", "secret ticket")


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state.sqlite"


@pytest.fixture
def engine(path: Path) -> Iterator[Engine]:
    engine = database.open_database(path, "state")
    yield engine
    engine.dispose()


def request_of(number: int, group: str = "reviewers", *, minutes: int | None = None) -> ChangeRequest:
    key, before, after, parameter, ticket = VALUES
    row = RowChange(kind=RowKind.CHANGED, key=(key,), before=(key, before), after=(key, after))
    created_at = NOW + dt.timedelta(minutes=number if minutes is None else minutes)
    return ChangeRequest(
        id=f"{number:016x}",
        state=State.AWAITING_REVIEW,
        source="s",
        table="t",
        operation="update",
        statement=f"update t set x = '{after}'",
        parameters={"a": parameter},
        action="credit",
        requester=Principal(kind=PrincipalKind.USER, name="ann"),
        reason=ticket,
        created_at=created_at,
        expires_at=created_at + dt.timedelta(hours=1),
        diffs=(RowDiff(table="t", key=("id",), columns=("id", "x"), rows=(row,)),),
        warnings=("w",),
        requirements=(Requirement(groups=(group,), needed=1),),
        rules=(),
        schema_version="1",
        purpose="care",
        glasses=(Glass(groups=("night",), review=(Requirement(groups=("owners",), needed=1),)),),
        risks=(Risk(points=3, sentence="production"),),
        behind=("user:tim",),
        digest="d",
    )


def test_an_outline_comes_back_as_it_was_and_holds_no_value(engine: Engine, path: Path) -> None:
    store = ChangeStore(engine, SEAL)
    request = replace(request_of(1), broken=Broken(reason="the shop is down", at=NOW))
    outline = outline_of(request)
    (touched,) = outline.touched
    assert (touched.table, touched.count(RowKind.CHANGED), touched.columns) == ("t", 1, {"x"})
    assert read_outline(write_outline(outline), 0) == outline
    assert not any(value in write_outline(outline) for value in VALUES)
    store.add(request)
    assert store.outlines.find() == (outline,)
    engine.dispose()
    for kept in path.parent.iterdir():
        assert not any(value.encode() in kept.read_bytes() for value in (*VALUES, "the shop is down"))


@pytest.mark.parametrize("size", [1, 2, 3, 7])
def test_pages_have_each_visible_request_once_whatever_lies_between(engine: Engine, size: int) -> None:
    """Others' requests lie between, and several were made in the same moment: pages are full until the last one."""
    store = ChangeStore(engine, SEAL)
    for number in range(24):
        group = "reviewers" if number % 4 == 1 else "owners"
        store.add(request_of(number, group, minutes=number // 6))
    wanted = [f"{number:016x}" for number in range(23, -1, -1) if number % 4 == 1]
    seen: list[str] = []
    before: Place | None = None
    while found := store.outlines.find(viewer=REA, before=before, limit=size):
        assert len(found) == min(size, len(wanted) - len(seen))
        seen += [outline.id for outline in found]
        before = place_of(found[-1])
    assert seen == wanted
    assert [one.id for one in store.outlines.find(viewer=REA, before=Place(created_at=NOW.isoformat()))] == []
    assert store.outlines.find(viewer=replace(REA, groups=frozenset())) == ()
    assert len(store.outlines.find(viewer=Viewer(id="user:ann", groups=frozenset()))) == 24
    assert len(store.outlines.find()) == 24


def test_a_list_has_what_was_moved_last(engine: Engine) -> None:
    """Moved by this process or another one: the state, and who may see it since a glass was broken."""
    store, other = ChangeStore(engine, SEAL), ChangeStore(engine, SEAL)
    store.add(request_of(1))
    owner = Viewer(id="user:owner", groups=frozenset({"owners"}))
    assert store.outlines.find(viewer=owner) == ()
    seen = store.get(f"{1:016x}")
    moved = other.move(replace(seen, state=State.EXECUTED, broken=Broken(reason="down", at=NOW)))
    assert groups_of(moved) == {"reviewers", "owners"}
    assert store.outlines.find(viewer=owner) == (outline_of(moved),)
    assert store.outlines.find(viewer=owner, is_unsettled=True) == (outline_of(moved),)
    assert store.outlines.find(states=(State.AWAITING_REVIEW,)) == ()
    assert store.outlines.find(states=(State.EXECUTED, State.FAILED)) == (outline_of(moved),)


def test_an_outline_of_another_moment_is_in_no_list(engine: Engine, path: Path) -> None:
    store = ChangeStore(engine, SEAL)
    store.add(request_of(1))
    with closing(sqlite3.connect(path)) as connection:
        old = connection.execute("select version, document from change_outline").fetchone()
        store.move(replace(store.get(f"{1:016x}"), state=State.REJECTED))
        connection.execute("update change_outline set version = ?, document = ?", old)
        connection.commit()
        assert store.outlines.find() == ()
        connection.execute("update change_outline set version = 1")
        connection.commit()
    with pytest.raises(BrokenSeal):
        ChangeStore(engine, SEAL).outlines.find()


def test_what_an_older_version_kept_is_in_the_lists_after_a_start(path: Path) -> None:
    """Before there were outlines: sealed and in clear, and one that nobody can open, which keeps no other away."""
    before = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(Path(database.__file__).parent / "migrations"))
    config.set_main_option("version_locations", str(Path(database.__file__).parent / "migrations" / "state"))
    config.set_main_option("path_separator", "os")
    texts = [SEAL.close(write_change(request_of(0)), f"{0:016x} 0"), write_change(request_of(1)), "sealed1:broken"]
    with before.begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "state_0005")
        for number, text in enumerate(texts):
            request = request_of(number)
            connection.exec_driver_sql(
                "insert into change (id, state, requester, created_at, expires_at, version, document)"
                " values (?, ?, ?, ?, ?, 0, ?)",
                (request.id, request.state, request.requester.id, request.created_at.isoformat(), "2030", text),
            )
    before.dispose()
    engine = database.open_database(path, "state")
    store = ChangeStore(engine, SEAL)
    assert store.outlines.find() == ()
    assert store.complete() == 2
    assert store.outlines.find(viewer=REA) == (outline_of(request_of(1)), outline_of(request_of(0)))
    assert store.complete() == 0
    engine.dispose()
