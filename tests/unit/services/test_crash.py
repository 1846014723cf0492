"""Is an approved change executed exactly once, wherever the gateway is killed?

A gateway of its own executes an approved change and kills itself (SIGKILL) at a chosen point; another one starts on the
same state folder and must find out from the source's ledger what happened.
"""

from __future__ import annotations

import sqlite3
import subprocess
import sys
import textwrap
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import pytest
from tests.unit.services.shop import SOURCE

from gatebook_hub.audit import Event, EventKind, Outcome
from gatebook_hub.changes import ChangeRequest, State, Verdict
from gatebook_hub.errors import BookUnavailable, GatebookError
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.auditing import verify
from gatebook_hub.services.gate import Call
from gatebook_hub.services.opening import OPERATOR, open_gate, start
from gatebook_hub.services.queries import Question
from gatebook_hub.settings import Settings
from gatebook_hub.stores.book import EventFilter

RULES = "grants: [{id: all, to: 'group:writers', on: shop.account, allow: [select, update]}]"

# Where the process ends: before or after each step of an execution that leaves a trace.
POINTS = (
    "before intent",
    "after intent",
    "before apply",
    "after apply",
    "before ledger",
    "after ledger",
    "before commit",
    "after commit",
    "before outcome",
    "after outcome",
)
WRITTEN = {"after commit", "before outcome", "after outcome"}
PROGRAM = textwrap.dedent(
    """
    import os, signal, sys
    from pathlib import Path
    from gatebook_hub.services.opening import open_gate, start
    from gatebook_hub.changes import Verdict
    from gatebook_hub.model import Channel, Principal, PrincipalKind
    from gatebook_hub.services import executing as room
    from gatebook_hub.services.gate import Call
    from gatebook_hub.services.queries import Question
    from gatebook_hub.settings import Settings
    from gatebook_hub.sources import sqlite
    from gatebook_hub.stores.book import Book

    folder, point = Path(sys.argv[1]), sys.argv[2]
    armed = False

    def at(name):
        if armed and name == point:
            os.kill(os.getpid(), signal.SIGKILL)

    def wrapped(owner, attribute, name, wanted=lambda *a, **k: True):
        inner = getattr(owner, attribute)
        def run(*args, **kwargs):
            is_wanted = wanted(*args, **kwargs)
            if is_wanted: at("before " + name)
            found = inner(*args, **kwargs)
            if is_wanted: at("after " + name)
            return found
        setattr(owner, attribute, run)

    wrapped(room, "apply_all", "apply")
    wrapped(room, "note_in_ledger", "ledger")
    wrapped(Book, "append", "intent", lambda book, event: event.kind == "change.intent")
    wrapped(Book, "append", "outcome", lambda book, event: event.kind == "change.outcome")
    writing = sqlite.SqliteSource.writing
    from contextlib import contextmanager

    @contextmanager
    def watched(self, limits):
        with writing(self, limits) as session:
            yield session
            at("before commit")
        at("after commit")

    sqlite.SqliteSource.writing = watched
    settings = Settings(state=folder / "state", policies=folder / "policies")
    with open_gate(settings) as gate:
        gate.in_force.sources.get("shop").prepare()
        cases = start(gate)
        ann = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}))
        both = frozenset({"reviewers", "writers"})
        rita = Principal(kind=PrincipalKind.USER, name="rita", groups=both, channel=Channel.PORTAL)
        sql = "update account set balance = balance + 10 where id = 1"
        request = cases.queries.ask(Call(principal=ann), Question(source="shop", sql=sql, parameters={}))
        print(request.id, flush=True)
        armed = True
        given = {"verdict": Verdict.APPROVE, "reason": "", "digest": request.digest}
        cases.changes.review(Call(principal=rita), request.id, **given)
    """
)


def _shop(tmp_path: Path) -> Path:
    path = tmp_path / "shop.sqlite"
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("create table account (id integer primary key, balance integer not null)")
        connection.execute("insert into account values (1, 100), (2, 100)")
        connection.commit()
    policies = tmp_path / "policies"
    (policies / "sources").mkdir(parents=True)
    (policies / "sources" / "shop.yaml").write_text(SOURCE.format(path=path))
    (policies / "rules.yaml").write_text(RULES)
    return path


def _balance(path: Path) -> int:
    with closing(sqlite3.connect(path)) as connection:
        return int(connection.execute("select balance from account where id = 1").fetchone()[0])


@pytest.mark.slow
@pytest.mark.parametrize("point", POINTS)
def test_a_killed_execution_is_completed_exactly_once(tmp_path: Path, point: str) -> None:
    path = _shop(tmp_path)
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, str(tmp_path), point], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == -9, done.stderr
    change_id = done.stdout.strip()
    is_written = point in WRITTEN
    assert _balance(path) == (110 if is_written else 100)
    ann = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}))
    settings = Settings(state=tmp_path / "state", policies=tmp_path / "policies")
    for _ in range(2):
        with open_gate(settings) as gate:
            cases = start(gate)
            request = cases.changes.get(ann, change_id)
            assert request.state is (State.EXECUTED if is_written else State.FAILED)
            with pytest.raises(GatebookError):
                cases.changes.execute(Call(principal=ann), change_id)
            assert gate.book.open_intents() == ()
            (outcome,) = gate.book.find(EventFilter(kind=EventKind.CHANGE_OUTCOME, change=change_id))
            assert outcome.content["outcome"] == (Outcome.OK if is_written else Outcome.REFUSED)
            assert request.outcome_index == (outcome.content["refers_to"] if is_written else None)
            report, broken = verify(gate.book, gate.keys.signing.verify_key, {})
            assert report.ok
            assert not broken
        assert _balance(path) == (110 if is_written else 100)


def test_a_book_that_cannot_be_written_stops_a_change_before_it_runs(tmp_path: Path) -> None:
    path = _shop(tmp_path)
    ann = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}))
    rita = replace(ann, name="rita", groups=frozenset({"writers", "reviewers"}), channel=Channel.PORTAL)
    with open_gate(Settings(state=tmp_path / "state", policies=tmp_path / "policies")) as gate:
        gate.in_force.sources.get("shop").prepare()
        cases = start(gate)
        question = Question(source="shop", sql="update account set balance = 0", parameters={})
        request = cases.queries.ask(Call(principal=ann), question)
        append = gate.book.append

        def refuse(entry: Event) -> int:
            raise BookUnavailable(entry.kind)

        gate.book.append = refuse  # type: ignore[method-assign]
        for act in (
            lambda: cases.changes.review(
                Call(principal=rita), request.id, verdict=Verdict.APPROVE, reason="", digest=request.digest
            ),
            lambda: cases.queries.ask(Call(principal=ann), question),
            lambda: cases.queries.ask(Call(principal=ann), replace(question, sql="select * from account")),
        ):
            with pytest.raises(BookUnavailable):
                act()
        gate.book.append = append  # type: ignore[method-assign]
        assert cases.changes.get(ann, request.id).state is State.AWAITING_REVIEW
        for _ in range(10):
            answer = cases.queries.ask(Call(principal=ann), replace(question, sql="select * from account"))
            answer.close()
    assert _balance(path) == 100


def test_a_request_that_is_not_in_the_book_is_nowhere(tmp_path: Path) -> None:
    _shop(tmp_path)
    ann = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}))
    with open_gate(Settings(state=tmp_path / "state", policies=tmp_path / "policies")) as gate:
        gate.in_force.sources.get("shop").prepare()
        cases = start(gate)
        append = gate.book.append

        def refuse(entry: Event) -> int:
            if entry.kind is EventKind.CHANGE_PROPOSED:
                raise BookUnavailable(entry.kind)
            return append(entry)

        gate.book.append = refuse  # type: ignore[method-assign]
        question = Question(source="shop", sql="update account set balance = 0", parameters={})
        with pytest.raises(BookUnavailable):
            cases.queries.ask(Call(principal=ann), question)
        assert cases.changes.find(ann) == ()


def test_a_request_ends_as_the_book_has_it_if_the_gateway_stops_before_the_move(tmp_path: Path) -> None:
    path = _shop(tmp_path)
    ann = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}))
    rita = replace(ann, name="rita", groups=frozenset({"writers", "reviewers"}), channel=Channel.PORTAL)
    with open_gate(Settings(state=tmp_path / "state", policies=tmp_path / "policies")) as gate:
        gate.in_force.sources.get("shop").prepare()
        cases = start(gate)
        question = Question(source="shop", sql="update account set balance = 0", parameters={})
        request = cases.queries.ask(Call(principal=ann), question)
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("update account set balance = 99")
            connection.commit()
        move = gate.changes.move

        def stop(moved: ChangeRequest) -> ChangeRequest:
            if moved.state is State.DRIFTED:
                raise InterruptedError
            return move(moved)

        gate.changes.move = stop  # type: ignore[method-assign]
        given = {"verdict": Verdict.APPROVE, "reason": "", "digest": request.digest}
        with pytest.raises(InterruptedError):
            cases.changes.review(Call(principal=rita), request.id, **given)
        gate.changes.move = move  # type: ignore[method-assign]
        assert cases.changes.recover(OPERATOR) == 1
        found = cases.changes.get(ann, request.id)
        assert found.state is State.DRIFTED
        (outcome,) = gate.book.find(EventFilter(kind=EventKind.CHANGE_OUTCOME, change=request.id))
        assert found.failure == outcome.content["detail"]


def test_a_request_whose_source_is_not_there_at_the_start_waits_for_it(tmp_path: Path) -> None:
    path = _shop(tmp_path)
    settings = Settings(state=tmp_path / "state", policies=tmp_path / "policies")
    ann = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}))
    rita = replace(ann, name="rita", groups=frozenset({"writers", "reviewers"}), channel=Channel.PORTAL)
    with open_gate(settings) as gate:
        gate.in_force.sources.get("shop").prepare()
        cases = start(gate)
        question = Question(source="shop", sql="update account set balance = 0", parameters={})
        request = cases.queries.ask(Call(principal=ann), question)
        append = gate.book.append

        def stop(entry: Event) -> int:
            if entry.kind is EventKind.CHANGE_OUTCOME:
                raise InterruptedError
            return append(entry)

        gate.book.append = stop  # type: ignore[method-assign]
        given = {"verdict": Verdict.APPROVE, "reason": "", "digest": request.digest}
        with pytest.raises(InterruptedError):
            cases.changes.review(Call(principal=rita), request.id, **given)
    assert _balance(path) == 0
    without = settings.model_copy(update={"policies": tmp_path / "without"})
    without.policies.mkdir()
    (without.policies / "rules.yaml").write_text("grants: []")
    for held, state in ((without, State.EXECUTING), (settings, State.EXECUTED)):
        with open_gate(held) as gate:
            start(gate)
            assert gate.changes.get(request.id).state is state
