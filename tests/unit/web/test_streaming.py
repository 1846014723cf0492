"""Does every batch of an answer travel, and what becomes of one whose caller stalls or leaves?"""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
import pytest
from starlette.responses import Response

from gatebook_hub.errors import StatementFailed
from gatebook_hub.web.streaming import AnswerResponse, answering

SCHEMA = pa.schema([("x", pa.int64())])
SMALL, LARGE = 10, 100_000


class Batched:
    """An answer of batches of so many rows, which remembers how it ended."""

    intent = 7
    patience_s = 0.3
    schema = SCHEMA

    def __init__(self, *sizes: int, fails: bool = False) -> None:
        self._sizes = sizes
        self._fails = fails
        self.rows = self.bytes = 0
        self.told: list[str] = []
        self.is_open = True

    def batches(self) -> Iterator[pa.RecordBatch]:
        for size in self._sizes:
            if not self.is_open:
                raise StatementFailed("the statement was cancelled")
            self.rows += size
            yield pa.record_batch([pa.array(range(size), pa.int64())], schema=SCHEMA)
        if self._fails:
            raise StatementFailed("it failed at its end")

    def outcome(self) -> dict[str, Any]:
        return {"rows": self.rows}

    def leave(self, why: str) -> None:
        self.told.append(why)
        self.is_open = False

    def close(self) -> None:
        self.is_open = False


class Caller:
    """Takes so many pieces of an answer, and then stalls or leaves."""

    def __init__(self, most: int | None = None, *, leaves: bool = False) -> None:
        self._most = most
        self._leaves = leaves
        self._left = asyncio.Event()
        self.body = b""
        self.taken = 0
        self.is_ended = False

    async def receive(self) -> dict[str, Any]:
        await self._left.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: dict[str, Any]) -> None:
        if message["type"] != "http.response.body":
            return
        if self._most is not None and self.taken >= self._most:
            if self._leaves:
                self._left.set()
            await asyncio.Event().wait()
        self.taken += 1
        self.body += bytes(message["body"])
        self.is_ended = self.is_ended or not message.get("more_body", False)


async def sent(answer: Batched, caller: Caller) -> Response:
    response = await asyncio.to_thread(answering, answer)  # type: ignore[arg-type]
    await response({"type": "http"}, caller.receive, caller.send)  # type: ignore[arg-type]
    return response


def read(body: bytes) -> tuple[int, dict[str, Any]]:
    """The rows of a stream, and what its last batch says."""
    reader = pa.ipc.open_stream(body)
    rows, last = 0, {}
    while True:
        try:
            found = reader.read_next_batch_with_custom_metadata()
        except StopIteration:
            return rows, last
        rows += found.batch.num_rows
        last = {key.decode(): json.loads(value) for key, value in (found.custom_metadata or {}).items()}


@pytest.mark.parametrize("fails", [False, True], ids=["whole", "fails"])
@pytest.mark.parametrize(
    "sizes",
    [
        *((SMALL,) * count for count in range(7)),
        (SMALL, LARGE),
        (LARGE, SMALL),
        (SMALL, SMALL, LARGE),
        (SMALL, LARGE, SMALL, LARGE),
        (4_096, 4_096, 4_096),
        (LARGE,) * 5,
    ],
    ids=str,
)
async def test_every_batch_travels_and_the_end_tells_of_it(sizes: tuple[int, ...], *, fails: bool) -> None:
    answer, caller = Batched(*sizes, fails=fails), Caller()
    response = await sent(answer, caller)
    rows, last = read(caller.body)
    assert rows == sum(sizes)
    assert last["gatebook.problem"]["code"] == "GB-502" if fails else last["gatebook.outcome"] == {"rows": rows}
    assert caller.is_ended
    assert isinstance(response, AnswerResponse) is (LARGE in sizes or 4_096 in sizes)


async def test_who_stalls_is_cut_and_holds_nothing() -> None:
    answer, caller = Batched(*(LARGE,) * 50), Caller(1)
    started = time.monotonic()
    await sent(answer, caller)
    assert time.monotonic() - started < 5
    assert answer.told == ["the caller took nothing of the answer for as long as a statement may run"]
    assert not answer.is_open
    assert not caller.is_ended


async def test_who_leaves_holds_nothing_and_many_do_not_hinder_each_other() -> None:
    answers = [Batched(*(LARGE,) * 50) for _ in range(20)]
    callers = [Caller(1, leaves=bool(number % 2)) for number in range(20)]
    good, reader = Batched(*(LARGE,) * 5), Caller()
    started = time.monotonic()
    await asyncio.gather(*map(sent, (*answers, good), (*callers, reader)))
    assert time.monotonic() - started < 10
    assert not any(answer.is_open for answer in answers)
    assert not any(caller.is_ended for caller in callers)
    assert read(reader.body)[0] == 5 * LARGE
