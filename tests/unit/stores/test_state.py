"""Do change requests, tokens, sessions and receipts hold what the gate relies on?"""

from __future__ import annotations

import datetime as dt
import sqlite3
import threading
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from sqlalchemy import Engine

from gatebook_hub.changes import ChangeRequest, RowChange, RowDiff, State
from gatebook_hub.changes.request import RowKind
from gatebook_hub.errors import AuthenticationError, InvalidInput, NotFound, PolicyInvalid, StateConflict
from gatebook_hub.model import Channel, Principal, PrincipalKind, Requirement, RuleRef, Tool
from gatebook_hub.stores.access import PortalSession, ReceiptStore, SessionStore, TokenStore
from gatebook_hub.stores.changes import ChangeStore
from gatebook_hub.stores.codec import read_change, read_principal, write_change, write_principal
from gatebook_hub.stores.database import open_database
from gatebook_hub.stores.keys import load_keys
from gatebook_hub.stores.known import Known
from gatebook_hub.stores.policies import read_policies
from gatebook_hub.stores.seal import Seal

NOW = dt.datetime(2024, 1, 1, tzinfo=dt.UTC)
ANN = Principal(
    kind=PrincipalKind.USER,
    name="ann",
    groups=frozenset({"a", "b"}),
    tool=Tool(name="desk", version="1"),
    channel=Channel.PORTAL,
)
SECRET = "gbt_" + "s" * 43


@pytest.fixture
def engine(tmp_path: Path) -> Iterator[Engine]:
    engine = open_database(tmp_path / "state.sqlite", "state")
    yield engine
    engine.dispose()


def request_of(change_id: str = "c1", state: State = State.AWAITING_REVIEW) -> ChangeRequest:
    row = RowChange(kind=RowKind.CHANGED, key=(1,), before=(1, {"$type": "decimal", "value": "1.5"}), after=(1, None))
    return ChangeRequest(
        id=change_id,
        state=state,
        source="s",
        table="t",
        operation="update",
        statement="update t set x = null",
        parameters={"a": {"$type": "date", "value": "2024-01-01"}},
        action=None,
        requester=ANN,
        reason="why",
        created_at=NOW,
        expires_at=NOW + dt.timedelta(hours=1),
        diffs=(RowDiff(table="t", key=("id",), columns=("id", "x"), rows=(row,), assigned=frozenset({"y"})),),
        warnings=("w",),
        requirements=(Requirement(groups=("r",), needed=1),),
        rules=(RuleRef(id="r", digest="d"),),
        schema_version="1",
        digest="d",
    )


def test_a_request_comes_back_as_it_was(engine: Engine) -> None:
    store = ChangeStore(engine, Seal(bytes(32)))
    store.add(request_of())
    assert store.get("c1") == request_of()
    assert read_change(write_change(request_of()), 0) == request_of()
    assert read_principal(write_principal(ANN)) == ANN
    with pytest.raises(NotFound):
        store.get("c2")


def test_of_two_moves_at_once_one_wins(engine: Engine) -> None:
    store = ChangeStore(engine, Seal(bytes(32)))
    store.add(request_of())
    seen = store.get("c1")
    results: list[str] = []
    barrier = threading.Barrier(8)

    def move() -> None:
        barrier.wait()
        try:
            store.move(replace(seen, state=State.APPROVED))
            results.append("won")
        except StateConflict:
            results.append("lost")

    threads = [threading.Thread(target=move) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(results) == ["lost"] * 7 + ["won"]
    assert store.get("c1").version == 1


def test_requests_are_found_newest_first(engine: Engine) -> None:
    store = ChangeStore(engine, Seal(bytes(32)))
    for number in range(5):
        state = State.APPROVED if number % 2 else State.AWAITING_REVIEW
        store.add(replace(request_of(f"c{number}", state), created_at=NOW + dt.timedelta(minutes=number)))
    assert [found.id for found in store.find()] == ["c4", "c3", "c2", "c1", "c0"]
    assert [found.id for found in store.find(states=(State.APPROVED,))] == ["c3", "c1"]
    assert [found.id for found in store.find(before=(NOW + dt.timedelta(minutes=2)).isoformat(), limit=1)] == ["c1"]
    assert store.find(requester="user:eve") == ()


def test_who_waits_is_woken(engine: Engine) -> None:
    store = ChangeStore(engine, Seal(bytes(32)))
    store.add(request_of())
    found: list[State] = []
    thread = threading.Thread(target=lambda: found.append(store.wait("c1", State.AWAITING_REVIEW, 20).state))
    thread.start()
    store.move(replace(store.get("c1"), state=State.APPROVED))
    thread.join(timeout=10)
    assert found == [State.APPROVED]
    assert store.wait("c1", State.APPROVED, 0.05).state is State.APPROVED


def test_a_token_is_kept_as_a_hash(engine: Engine, tmp_path: Path) -> None:
    store = TokenStore(engine)
    label = store.add(SECRET, ANN, NOW + dt.timedelta(hours=1))
    assert store.resolve(SECRET, NOW) == ANN
    for wrong in (SECRET + "x", SECRET[:-1], "", label):
        with pytest.raises(AuthenticationError):
            store.resolve(wrong, NOW)
    engine.dispose()
    for path in tmp_path.iterdir():
        assert SECRET.encode() not in path.read_bytes()
        assert path.stat().st_mode & 0o077 == 0


def test_a_token_ends_at_its_time_and_when_revoked(engine: Engine) -> None:
    store = TokenStore(engine)
    label = store.add(SECRET, ANN, NOW + dt.timedelta(hours=1))
    with pytest.raises(AuthenticationError):
        store.resolve(SECRET, NOW + dt.timedelta(hours=1))
    store.revoke(label, NOW)
    with pytest.raises(AuthenticationError):
        store.resolve(SECRET, NOW)
    for name in (label, "nosuch"):
        with pytest.raises(NotFound):
            store.revoke(name, NOW)


def test_a_token_is_recalled_until_anything_is_written(engine: Engine) -> None:
    """By this process or by another, the operator's command say: `elsewhere` knows nothing of this store."""
    store, elsewhere = TokenStore(engine), TokenStore(engine)
    assert store.recall(SECRET, NOW) is None
    label = store.add(SECRET, ANN, NOW + dt.timedelta(hours=1))
    assert store.recall(SECRET, NOW) is None
    assert store.resolve(SECRET, NOW) == ANN
    for _ in range(3):
        assert store.recall(SECRET, NOW) == ANN
    assert store.recall(SECRET, NOW + dt.timedelta(hours=1)) is None
    assert store.recall(SECRET + "x", NOW) is None
    elsewhere.add("another", ANN, NOW + dt.timedelta(hours=1))
    assert store.recall(SECRET, NOW) is None
    store.resolve(SECRET, NOW)
    assert store.recall(SECRET, NOW) == ANN
    elsewhere.revoke(label, NOW)
    assert store.recall(SECRET, NOW) is None
    with pytest.raises(AuthenticationError):
        store.resolve(SECRET, NOW)
    store.close()


def test_what_was_read_before_a_write_is_not_kept_after_it(engine: Engine) -> None:
    known = Known[str](engine)
    stamp = known.stamp()
    TokenStore(engine).add(SECRET, ANN, NOW)
    known.put("name", "as it was before", stamp)
    assert known.get("name") is None
    known.put("name", "as it is", known.stamp())
    assert known.get("name") == "as it is"
    known.close()
    assert known.get("name") is None
    known.close()


def test_a_session_is_kept_as_a_hash_and_ends(engine: Engine) -> None:
    store = SessionStore(engine)
    store.open(SECRET, PortalSession(principal=ANN, xsrf="x", hub_token=None, expires_at=NOW + dt.timedelta(hours=1)))
    found = store.get(SECRET, NOW)
    assert found is not None
    assert found.principal == ANN
    assert store.get(SECRET, NOW + dt.timedelta(hours=2)) is None
    assert store.get("x", NOW) is None
    store.close(SECRET)
    assert store.get(SECRET, NOW) is None


def test_a_login_is_taken_once(engine: Engine) -> None:
    store = SessionStore(engine)
    store.start_login("secret", {"a": 1}, NOW + dt.timedelta(minutes=1))
    taken: list[object] = []
    threads = [threading.Thread(target=lambda: taken.append(store.take_login("secret", NOW))) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert [found for found in taken if found] == [{"a": 1}]
    store.start_login("late", {}, NOW)
    assert store.take_login("late", NOW) is None


def test_a_key_serves_one_request(engine: Engine) -> None:
    store = ReceiptStore(engine)
    assert store.claim("ann", "key", "request") is None
    with pytest.raises(StateConflict):
        store.claim("ann", "key", "request")
    assert store.claim("bob", "key", "other") is None
    store.settle("ann", "key", {"change": "c1"})
    assert store.claim("ann", "key", "request") == {"change": "c1"}
    with pytest.raises(InvalidInput):
        store.claim("ann", "key", "another request")
    store.release("bob", "key")
    assert store.claim("bob", "key", "third") is None


def test_keys_are_made_once_and_private(tmp_path: Path) -> None:
    first, second = load_keys(tmp_path / "keys"), load_keys(tmp_path / "keys")
    assert first == second
    assert first != load_keys(tmp_path / "others")
    for path in (tmp_path / "keys").iterdir():
        assert path.stat().st_mode & 0o077 == 0


def test_policy_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(PolicyInvalid, match="no policy folder"):
        read_policies(tmp_path / "nosuch")
    (tmp_path / "p").mkdir()
    with pytest.raises(PolicyInvalid, match="no YAML"):
        read_policies(tmp_path / "p")
    (tmp_path / "p" / "a.yaml").write_bytes(b"\xff\xfe")
    with pytest.raises(PolicyInvalid, match=r"a\.yaml"):
        read_policies(tmp_path / "p")


def test_our_own_databases_are_durable(engine: Engine) -> None:
    with engine.connect() as connection:
        assert connection.exec_driver_sql("pragma journal_mode").scalar() == "wal"
        assert connection.exec_driver_sql("pragma synchronous").scalar() == 2
    assert sqlite3.sqlite_version_info >= (3, 35)


def test_requests_at_hand_are_those_of_the_database(engine: Engine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two stores on one database: what the other one moved is read anew; and what is too much is let go."""
    store, other = (ChangeStore(engine, Seal(bytes(32))) for _ in range(2))
    for number in range(3):
        created = request_of().created_at + dt.timedelta(hours=number)
        store.add(replace(request_of(), id=f"c{number}", created_at=created))
    assert [request.id for request in store.find()] == ["c2", "c1", "c0"]
    assert store.find() == other.find()
    moved = other.move(replace(other.get("c1"), state=State.REJECTED))
    assert store.find()[1] == moved
    monkeypatch.setattr("gatebook_hub.stores.changes._MOST_OPENED", 10)
    assert store.find() == other.find()
    other.move(replace(other.get("c0"), state=State.REJECTED))
    assert store.find() == other.find()
