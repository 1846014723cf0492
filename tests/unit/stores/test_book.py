"""Does the book keep every event in order, whatever happens to the process, the disk or the file?"""

from __future__ import annotations

import datetime as dt
import json
import sqlite3
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from gatebook_hub.audit import Event, EventKind, Outcome
from gatebook_hub.errors import BookUnavailable, NotFound
from gatebook_hub.services.auditing import export, verify, verify_export
from gatebook_hub.stores.book import Book, EventFilter
from gatebook_hub.stores.database import open_database
from gatebook_hub.stores.keys import Keys, load_keys
from gatebook_hub.tlog.merkle import hash_leaf
from gatebook_hub.tlog.proofs import verify_inclusion


def event(detail: str = "x", **more: object) -> Event:
    now = dt.datetime.now(dt.UTC).isoformat()
    return Event(kind=EventKind.ALARM, time=now, principal="user:ann", detail=detail, **more)  # type: ignore[arg-type]


@pytest.fixture
def keys(tmp_path: Path) -> Keys:
    return load_keys(tmp_path / "keys")


@contextmanager
def opened(tmp_path: Path, keys: Keys, copy: Path | None = None) -> Iterator[Book]:
    engine = open_database(tmp_path / "book.sqlite", "book")
    book = Book(engine, keys.signing, copy=copy)
    try:
        yield book
    finally:
        book.close()
        engine.dispose()


def is_sound(book: Book, keys: Keys, **kept: str) -> bool:
    report, broken = verify(book, keys.signing.verify_key, kept)
    return report.ok and not broken


def test_many_threads_share_groups_and_lose_nothing(tmp_path: Path, keys: Keys) -> None:
    indices: list[int] = []

    def work(name: int) -> None:
        indices.extend([book.append(event(f"{name}.{item}")) for item in range(15)])

    with opened(tmp_path, keys) as book:
        threads = [threading.Thread(target=work, args=(name,)) for name in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(indices) == list(range(240))
        assert book.size() == 240
        assert len(book.checkpoints()) < 240, "waiting events share a write"
        assert is_sound(book, keys)
        details = [json.loads(data)["detail"] for data, _ in book.entries()]
        for name in range(16):
            assert [text for text in details if text.startswith(f"{name}.")] == [f"{name}.{item}" for item in range(15)]
        index = indices[7]
        proof = book.inclusion(index, 240)
        from gatebook_hub.tlog.checkpoint import open_checkpoint

        head = open_checkpoint(book.checkpoint(), [keys.signing.verify_key])
        verify_inclusion(leaf_hash=hash_leaf(book.entry(index)), index=index, size=240, proof=proof, root=head.root)


def test_a_restart_goes_on_where_it_ended(tmp_path: Path, keys: Keys) -> None:
    for start in range(0, 21, 7):
        with opened(tmp_path, keys) as book:
            assert book.size() == start
            assert [book.append(event(str(start + item))) for item in range(7)] == list(range(start, start + 7))
            assert is_sound(book, keys)


def test_two_books_append_to_one_file(tmp_path: Path, keys: Keys) -> None:
    with opened(tmp_path, keys) as first, opened(tmp_path, keys) as second:
        indices: list[int] = []

        def work(book: Book) -> None:
            indices.extend(book.append(event()) for _ in range(40))

        threads = [threading.Thread(target=work, args=(book,)) for book in (first, second)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(indices) == list(range(80))
        assert is_sound(first, keys)


def test_outcomes_ride_and_are_there_after_the_close(tmp_path: Path, keys: Keys) -> None:
    with opened(tmp_path, keys) as book:
        for item in range(20):
            book.append_soon(event(str(item)))
    with opened(tmp_path, keys) as book:
        assert book.size() == 20


def test_a_closed_book_refuses(tmp_path: Path, keys: Keys) -> None:
    with opened(tmp_path, keys) as book:
        book.append(event())
    with pytest.raises(BookUnavailable):
        book.append(event())
    book.append_soon(event())


def test_an_event_without_bytes_fails_its_own_caller_alone(tmp_path: Path, keys: Keys) -> None:
    with opened(tmp_path, keys) as book:
        with pytest.raises(TypeError):
            book.append(event(parameters={"a": 1.5}))
        assert book.append(event("\ud800")) == 0
        assert is_sound(book, keys)


def test_the_index_finds_events(tmp_path: Path, keys: Keys) -> None:
    with opened(tmp_path, keys) as book:
        table = ({"table": "customer", "access": "select"},)
        intent = Event(
            kind=EventKind.QUERY_INTENT, time="2024-01-01T00:00:00Z", principal="user:bob", source="s", tables=table
        )
        first = book.append(intent)
        second = book.append(intent)
        book.append(
            Event(
                kind=EventKind.QUERY_OUTCOME,
                time="2024-01-02T00:00:00Z",
                principal="user:bob",
                refers_to=first,
                outcome=Outcome.OK,
            )
        )
        assert [found.index for found in book.open_intents()] == [second]
        assert [found.index for found in book.find(EventFilter(table="customer"))] == [1, 0]
        assert [found.index for found in book.find(EventFilter(table="customer", before=1))] == [0]
        assert [found.index for found in book.find(EventFilter(since="2024-01-02"))] == [2]
        assert [found.index for found in book.find(EventFilter(kind="query.intent", limit=1))] == [1]
        assert book.find(EventFilter(principal="user:eve")) == ()
        with pytest.raises(NotFound):
            book.entry(99)


def test_a_full_disk_stops_everything_and_loses_nothing(tmp_path: Path) -> None:
    """The limit is a file size: past it every write fails, as on a full disk."""
    program = textwrap.dedent(
        """
        import resource, signal, sys
        from pathlib import Path
        from gatebook_hub.audit import Event, EventKind
        from gatebook_hub.errors import BookUnavailable
        from gatebook_hub.stores.book import Book
        from gatebook_hub.stores.database import open_database
        from gatebook_hub.stores.keys import load_keys
        import logging
        logging.disable(logging.CRITICAL)
        folder = Path(sys.argv[1])
        keys = load_keys(folder / "keys")
        book = Book(open_database(folder / "book.sqlite", "book"), keys.signing)
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, 400_000))
        written = 0
        try:
            for item in range(10_000):
                book.append(Event(kind=EventKind.ALARM, time="t", principal="p", detail=str(item) + "x" * 3_000))
                written += 1
        except BookUnavailable:
            print(written)
        try:
            book.append(Event(kind=EventKind.ALARM, time="t", principal="p", detail="y" * 50_000))
        except BookUnavailable:
            print("still")
        """
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(tmp_path)], capture_output=True, text=True, timeout=120, check=False
    )
    lines = done.stdout.split()
    assert lines[1:] == ["still"], done.stderr
    keys = load_keys(tmp_path / "keys")
    with opened(tmp_path, keys) as book:
        assert 0 < int(lines[0]) <= book.size()
        assert is_sound(book, keys)
        assert book.append(event()) == book.size() - 1


def _tamper(tmp_path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(tmp_path / "book.sqlite")) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()


TAMPERING = {
    "one byte": [
        "update leaf set data = cast(replace(cast(data as text), 'user:ann', 'user:anm') as blob) where idx = 4"
    ],
    "one byte and its hash": ["update leaf set data = cast('{}' as blob), hash = zeroblob(32) where idx = 4"],
    "one record": ["delete from event where idx = 4", "delete from leaf where idx = 4"],
    "two records in another order": [
        "update leaf set idx = 100 where idx = 3",
        "update leaf set idx = 3 where idx = 4",
        "update leaf set idx = 4 where idx = 100",
    ],
    "a checkpoint forged": ["update checkpoint set note = replace(note, '— ', '— x') where size = 10"],
}


@pytest.mark.parametrize("name", TAMPERING)
def test_tampering_is_found(tmp_path: Path, keys: Keys, name: str) -> None:
    with opened(tmp_path, keys) as book:
        for item in range(10):
            book.append(event(str(item)))
        assert is_sound(book, keys)
    _tamper(tmp_path, *TAMPERING[name])
    with opened(tmp_path, keys) as book:
        assert not is_sound(book, keys)


def test_a_record_that_nobody_signed_is_told_and_stops_the_book(tmp_path: Path, keys: Keys) -> None:
    with opened(tmp_path, keys) as book:
        for item in range(10):
            book.append(event(str(item)))
    _tamper(tmp_path, "insert into leaf select 10, data, hash from leaf where idx = 1")
    with opened(tmp_path, keys) as book:
        report, _ = verify(book, keys.signing.verify_key, {})
        assert (report.size, report.covered) == (11, 10)
        assert report.sentences
        with pytest.raises(BookUnavailable):
            book.append(event())


def test_a_cut_tail_is_found_against_a_kept_checkpoint(tmp_path: Path, keys: Keys) -> None:
    copy = tmp_path / "kept"
    with opened(tmp_path, keys, copy) as book:
        for item in range(10):
            book.append(event(str(item)))
        assert copy.read_text() == book.checkpoint()
    _tamper(
        tmp_path,
        "delete from event where idx > 6",
        "delete from leaf where idx > 6",
        "delete from checkpoint where size > 7",
    )
    with opened(tmp_path, keys) as book:
        assert is_sound(book, keys), "inside itself a shorter book is sound"
        assert not is_sound(book, keys, kept=copy.read_text())


def test_an_export_is_verified_offline(tmp_path: Path, keys: Keys) -> None:
    folder = tmp_path / "export"
    with opened(tmp_path, keys) as book:
        for item in range(300):
            book.append_soon(event(str(item)))
        book.append(event())
        export(book, folder, public_key=keys.signing.verify_key.encode())
    report, broken = verify_export(folder, keys.signing.verify_key, {})
    assert report.ok
    assert not broken
    bundle = next(path for path in sorted(folder.rglob("*")) if path.is_file() and "entries" in str(path))
    data = bytearray(bundle.read_bytes())
    data[50] ^= 1
    bundle.write_bytes(bytes(data))
    report, _ = verify_export(folder, keys.signing.verify_key, {})
    assert not report.ok
