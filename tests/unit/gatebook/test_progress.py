"""Progress is told in place, seldom enough, and never left standing as if it went on."""

import io

import pytest

from gatebook import progress
from gatebook.progress import InTerminal, Progress, Unseen, line_here


class Clock:
    """Seconds that a test lets pass."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


class Told:
    """A line that remembers."""

    def __init__(self) -> None:
        self.said: list[object] = []

    def put(self, text: str) -> None:
        self.said.append(text)

    def end(self, text: str) -> None:
        self.said.append(("for good", text))

    def give_way(self, view: object) -> None:
        self.said.append(("instead", view))


def test_rows_and_seconds_are_told_four_times_a_second_at_most() -> None:
    line, clock = Told(), Clock()
    with Progress(line, clock) as going:
        for batch in range(1, 1_001):
            clock.now += 0.01
            going.seen(batch * 10)
    going.done("the table")
    told = [text for text in line.said if isinstance(text, str)]
    assert told[:2] == ["waiting for the first rows", "250 rows · 0.3 s"]
    assert 30 < len(told) <= 41
    assert line.said[-1] == ("instead", "the table")


@pytest.mark.parametrize(
    "error, word", [(KeyboardInterrupt, "interrupted"), (ValueError, "stopped"), (SystemExit, "stopped")]
)
def test_what_breaks_in_is_told(error: type[BaseException], word: str) -> None:
    line, clock = Told(), Clock()

    def read() -> None:
        with Progress(line, clock) as going:
            going.seen(1)
            clock.now += 2
            raise error

    with pytest.raises(error):
        read()
    assert line.said[-1] == ("for good", f"{word} after 1 row · 2.0 s; nothing of it is kept")


def test_a_write_ends_the_line() -> None:
    line, clock = Told(), Clock()
    with Progress(line, clock) as going:
        clock.now += 0.4
    going.answered()
    assert line.said[-1] == ("for good", "answered after 0.4 s")


def test_a_terminals_line_is_written_over_and_wiped_out(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = io.StringIO()
    monkeypatch.setattr("sys.stdout", shown)
    monkeypatch.setattr(progress, "display", lambda view: shown.write(f"[{view}]\n"))
    line = InTerminal()
    line.put("1,000 rows")
    line.put("5 rows")
    line.give_way("table")
    assert shown.getvalue() == "\r1,000 rows\r5 rows    \r      \r[table]\n"
    line.end("interrupted")
    assert shown.getvalue().endswith("\rinterrupted\n")


def test_nothing_is_told_where_nobody_looks(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.stdout", io.StringIO())
    assert isinstance(line_here(), Unseen)
