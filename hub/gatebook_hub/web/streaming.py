"""How does a read travel? As Arrow IPC, batch by batch, with bounded memory and an outcome at its end."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator, Mapping
from concurrent.futures import CancelledError
from typing import Any

import pyarrow as pa
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gatebook_hub.errors import GatebookError
from gatebook_hub.services.describing import Told
from gatebook_hub.services.queries import Answer
from gatebook_hub.web.problems import problem_of

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
_WAITING_CHUNKS = 2
_SMALL_BYTES = 65_536


def answering(answer: Answer | Told) -> Response:
    """The answer to send: as it is, if it is small, or a stream of it. For a thread, which waits for the database."""
    return streaming(answer, _chunks(answer), media_type=MEDIA_TYPE)


def streaming(
    answer: Answer | Told, chunks: Iterator[Any], *, media_type: str, headers: Mapping[str, str] | None = None
) -> Response:
    """The chunks that somebody makes of an answer, to send: at once if they are small, or as they are made.

    What fails before the first of them are sent is raised; later the connection is cut, so that what came is no whole.
    """
    first: Any = b""
    try:
        for chunk in chunks:
            first = b"".join((first, chunk)) if first else chunk
            if len(first) >= _SMALL_BYTES:
                break
        else:
            return Response(first, media_type=media_type, headers=headers)
    except BaseException:
        answer.close()
        raise
    return AnswerResponse(answer, first, chunks, media_type=media_type, headers=headers)


class AnswerResponse(Response):
    """Streams an answer; when the client goes away, or takes nothing for long, the statement is cancelled."""

    def __init__(
        self,
        answer: Answer | Told,
        first: Any,
        chunks: Iterator[Any],
        *,
        media_type: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(media_type=media_type, headers=headers)
        self._answer = answer
        self._first = first
        self._chunks = chunks
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """Send chunks as the producer's thread makes them; an answer without its end tells that it was cut."""
        chunks: asyncio.Queue[Any] = asyncio.Queue(_WAITING_CHUNKS)
        producing = asyncio.ensure_future(self._produce(chunks))
        sending = asyncio.ensure_future(self._send(chunks, send))
        watching = asyncio.ensure_future(_gone(receive))
        try:
            await asyncio.wait({sending, watching, producing}, return_when=asyncio.FIRST_COMPLETED)
            if producing.done() and producing.result():
                await asyncio.wait({sending, watching}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (sending, watching):
                task.cancel()
            await self._stop(chunks, producing)
            await asyncio.gather(sending, watching, return_exceptions=True)

    async def _produce(self, chunks: asyncio.Queue[Any]) -> bool:
        """Have a thread make the chunks; whether all of them are on their way."""
        loop = asyncio.get_running_loop()

        def produce() -> bool:
            try:
                for chunk in self._chunks:
                    putting = asyncio.run_coroutine_threadsafe(chunks.put(chunk), loop)
                    try:
                        putting.result(self._answer.patience_s)
                    except (TimeoutError, CancelledError):
                        putting.cancel()
                        self._answer.leave("the caller took nothing of the answer for as long as a statement may run")
                        return False
                return True
            except GatebookError:
                # It is in the book; what was sent until now stays without its end.
                return False
            finally:
                self._answer.close()

        is_whole = await run_in_threadpool(produce)
        if is_whole:
            await chunks.put(None)
        return is_whole

    async def _send(self, chunks: asyncio.Queue[Any], send: Send) -> None:
        await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
        chunk, self._first = self._first, b""
        while chunk is not None:
            await send({"type": "http.response.body", "body": chunk, "more_body": True})
            del chunk  # not held while the next one is made
            chunk = await chunks.get()
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _stop(self, chunks: asyncio.Queue[Any], producing: asyncio.Future[bool]) -> None:
        """Free the database, and let a producer that waits for room see that nobody listens."""
        if producing.done():
            return
        await run_in_threadpool(self._answer.close)
        while not producing.done():
            while not chunks.empty():
                chunks.get_nowait()
            await asyncio.wait({producing}, timeout=0.05)


async def _gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _chunks(answer: Answer | Told) -> Iterator[Any]:
    """The stream in pieces, each of a batch; the last one has the outcome, or the problem."""
    opening = answer.schema.serialize()
    waiting: Any = opening
    empty: pa.RecordBatch | None = None
    last: dict[str, str]
    try:
        for batch in answer.batches():
            message = batch.serialize()
            yield b"".join((waiting, message)) if waiting else memoryview(message)
            waiting = b""
            empty = batch.slice(0, 0) if batch.nbytes < _SMALL_BYTES else None  # it holds on to the whole
            del batch, message  # not held while the next one is made
        last = {"gatebook.outcome": json.dumps(answer.outcome())}
    except GatebookError as error:
        error.reference = error.reference or answer.intent
        last = {"gatebook.problem": json.dumps(problem_of(error))}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        if empty is None:
            empty = pa.RecordBatch.from_pylist([], schema=answer.schema)
        writer.write_batch(empty, custom_metadata=last)
    ending = memoryview(sink.getvalue())
    yield ending if waiting else ending[len(opening) :]
