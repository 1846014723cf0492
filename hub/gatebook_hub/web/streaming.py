"""How does a read travel? As Arrow IPC, batch by batch, with bounded memory and an outcome at its end."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from typing import Any

import pyarrow as pa
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from gatebook_hub.errors import GatebookError
from gatebook_hub.services.describing import Told
from gatebook_hub.services.queries import Answer
from gatebook_hub.web.problems import problem_of

MEDIA_TYPE = "application/vnd.apache.arrow.stream"
_WAITING_CHUNKS = 4
_SMALL_BYTES = 65_536


def answering(answer: Answer | Told) -> Response:
    """The answer to send: as it is, if it is small, or a stream of it. For a thread, which waits for the database."""
    chunks = _chunks(answer)
    try:
        first = next(chunks)
        if len(first) < _SMALL_BYTES:
            first = b"".join((first, next(chunks, b"")))
        if len(first) < _SMALL_BYTES and next(chunks, None) is None:
            return Response(first, media_type=MEDIA_TYPE)
    except BaseException:
        answer.close()
        raise
    return ArrowResponse(answer, first, chunks)


class ArrowResponse(Response):
    """Streams an answer; when the client goes away, the statement is cancelled."""

    media_type = MEDIA_TYPE

    def __init__(self, answer: Answer | Told, first: Any, chunks: Iterator[Any]) -> None:
        super().__init__()
        self._answer = answer
        self._first = first
        self._chunks = chunks
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002 - ASGI's form
        """Send chunks as the producer's thread makes them."""
        loop = asyncio.get_running_loop()
        chunks: asyncio.Queue[Any] = asyncio.Queue(_WAITING_CHUNKS)
        stopped = threading.Event()

        def produce() -> None:
            try:
                for chunk in self._chunks:
                    if stopped.is_set():
                        return
                    asyncio.run_coroutine_threadsafe(chunks.put(chunk), loop).result()
            finally:
                self._answer.close()
                loop.call_soon_threadsafe(lambda: asyncio.ensure_future(chunks.put(None)))

        async def watch() -> None:
            while (await receive())["type"] != "http.disconnect":
                pass

        producer = loop.run_in_executor(None, produce)
        watcher = asyncio.ensure_future(watch())
        try:
            await send({"type": "http.response.start", "status": 200, "headers": self.raw_headers})
            await send({"type": "http.response.body", "body": self._first, "more_body": True})
            del self._first
            while True:
                getter = asyncio.ensure_future(chunks.get())
                await asyncio.wait({getter, watcher}, return_when=asyncio.FIRST_COMPLETED)
                if not getter.done():
                    getter.cancel()
                    break
                chunk = getter.result()
                if chunk is None:
                    break
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            if not watcher.done():
                await send({"type": "http.response.body", "body": b"", "more_body": False})
        finally:
            watcher.cancel()
            stopped.set()
            await self._stop(chunks, producer)

    async def _stop(self, chunks: asyncio.Queue[Any], producer: asyncio.Future[None]) -> None:
        """Free the database, and let a producer that waits for room see that nobody listens."""
        if not producer.done():
            await asyncio.get_running_loop().run_in_executor(None, self._answer.close)
        while not producer.done():
            while not chunks.empty():
                chunks.get_nowait()
            await asyncio.wait({producer}, timeout=0.05)


def _chunks(answer: Answer | Told) -> Iterator[Any]:
    """The stream in pieces, each of a batch; the last one has the outcome, or the problem."""
    opening = answer.schema.serialize()
    waiting: Any = opening
    last: dict[str, str]
    try:
        for batch in answer.batches():
            message = batch.serialize()
            yield b"".join((waiting, message)) if waiting else memoryview(message)
            waiting = b""
            del batch, message  # not held while the next one is made
        last = {"gatebook.outcome": json.dumps(answer.outcome())}
    except GatebookError as error:
        error.reference = error.reference or answer.intent
        last = {"gatebook.problem": json.dumps(problem_of(error))}
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, answer.schema) as writer:
        empty = pa.RecordBatch.from_pylist([], schema=answer.schema)
        writer.write_batch(empty, custom_metadata=last)
    ending = memoryview(sink.getvalue())
    yield ending if waiting else ending[len(opening) :]
