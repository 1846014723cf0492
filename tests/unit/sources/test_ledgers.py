"""Does a server's ledger know a change whose commit has not ended yet?"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest

from gatebook_hub.errors import StatementTimeout
from gatebook_hub.model import Limits
from gatebook_hub.sources import mariadb, postgresql_session
from gatebook_hub.sources.mariadb import MariadbSource
from gatebook_hub.sources.postgresql import PostgresqlSource
from gatebook_hub.sources.server import ServerSource
from gatebook_hub.sources.source import WriteSession


@pytest.fixture(
    params=[
        pytest.param("postgresql", marks=pytest.mark.postgres),
        pytest.param("mariadb", marks=pytest.mark.mariadb),
    ]
)
def source(request: pytest.FixtureRequest) -> Iterator[ServerSource]:
    make: Callable[[], str]
    if request.param == "postgresql":
        make = request.getfixturevalue("make_postgres")
        made: ServerSource = PostgresqlSource("x", make().replace("postgresql://", "postgresql+psycopg://"))
    else:
        make = request.getfixturevalue("make_mariadb")
        made = MariadbSource("x", make())
    made.prepare()
    yield made
    made.close()


@pytest.fixture
def pool() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(1) as made:
        yield made


def note(source: ServerSource, session: WriteSession) -> None:
    session.run(f"INSERT INTO {source.schema().namespace}.gatebook_ledger VALUES ('a', 'b', 'c')", {})


@pytest.mark.parametrize("is_committed", [True, False])
def test_a_change_that_is_being_written_is_waited_for(
    source: ServerSource, pool: ThreadPoolExecutor, is_committed: bool
) -> None:
    with source.writing(Limits()) as session:
        note(source, session)
        asked = pool.submit(source.ledger, ["a", "x"])
        with pytest.raises(TimeoutError):
            asked.result(timeout=0.5)
        if is_committed:
            session.commit()
    assert asked.result(timeout=10) == ({"a"} if is_committed else frozenset())


def test_to_ask_adds_nothing(source: ServerSource) -> None:
    for _ in range(2):
        assert source.ledger(["a", "x"]) == frozenset()
    with source.writing(Limits()) as session:
        note(source, session)
        session.commit()
    for _ in range(2):
        assert source.ledger(["a", "x"]) == {"a"}


def test_a_change_that_is_written_for_longer_than_one_waits_is_not_known(
    source: ServerSource, pool: ThreadPoolExecutor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(postgresql_session, "_LOCK_WAIT_MS", 200)
    monkeypatch.setattr(mariadb, "_LOCK_WAIT_S", 1)
    with source.writing(Limits()) as session:
        note(source, session)
        with pytest.raises(StatementTimeout):
            pool.submit(source.ledger, ["a"]).result(timeout=10)
