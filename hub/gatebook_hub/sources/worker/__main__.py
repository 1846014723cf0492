"""How does a worker serve? One request after the other, until the gateway is gone."""

from __future__ import annotations

import gc
import json
import os
import signal
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from gatebook_hub.errors import GatebookError, LimitExceeded
from gatebook_hub.sources.frames import (
    BATCH,
    JSON,
    MOST_BYTES,
    MOST_JSON_BYTES,
    SCHEMA,
    Channel,
    FrameError,
    pack_rows,
    read_interrupt,
    unpack,
)
from gatebook_hub.sources.worker.confining import forbid_calls, forbid_files, limit_processor, limit_resources
from gatebook_hub.sources.worker.serving import Served
from gatebook_server.process import die_with_parent, forbid_inspection, spread

_FLUSH_ROWS = 4_096
_RARELY = 100_000


class _Current:
    """The number of the request that runs, so that an interrupt that comes late stops nobody else."""

    def __init__(self, served: Served) -> None:
        self._served = served
        self.number = 0

    def listen(self, control: int) -> None:
        """Interrupt what is named, again and again until it ends; end with the gateway."""
        while (number := read_interrupt(control)) is not None:
            while self.number == number:
                self._served.interrupt(number)
                time.sleep(0.02)
        os._exit(0)


def main(argv: list[str]) -> None:
    """Serve on the two descriptors that the gateway passed."""
    die_with_parent(signal.SIGKILL, parent=int(os.environ["GATEBOOK_PARENT"]))
    forbid_inspection()  # before it is told anything: a server's URL holds a password
    spread()
    channel = Channel(socket.socket(fileno=int(argv[0])))
    control = int(argv[1])
    _, setup = channel.receive()
    served = _engine(setup)
    limit_resources(int(setup["memory_bytes"]))
    locks = _confined(Path(setup["path"])) if "path" in setup else []  # a server is reached through sockets
    current = _Current(served)
    threading.Thread(target=current.listen, args=(control,), daemon=True).start()
    channel.send({"ready": True, "locks": locks})
    # Rows are no cycles: looking for some among them, again and again, takes as long as fetching them.
    gc.freeze()
    gc.set_threshold(_RARELY)
    while True:
        try:
            _, request = channel.receive_within(served.idle_s)
        except TimeoutError:
            served.rest()
            continue
        _serve(channel, served, current, request)


def _confined(path: Path) -> list[str]:
    """Give up everything but the database's folder; which of the locks hold."""
    held = {"landlock": forbid_files(path), "seccomp": forbid_calls()}
    return [name for name, holds in held.items() if holds]


def _serve(channel: Channel, served: Served, current: _Current, request: dict[str, Any]) -> None:
    number, time_s = int(request["number"]), float(request["time_s"])
    limit_processor(time_s * served.threads + 5)
    current.number = number
    try:
        reply = _answer(channel, served, request)
    except GatebookError as error:
        reply = {"error": type(error).__name__, "detail": str(error)}
    except MemoryError:
        reply = {"error": "MemoryExceeded", "detail": "the statement needs more memory than it may have"}
    except FrameError:
        raise  # the gateway is gone
    except Exception:  # noqa: BLE001 - whatever a value was that nobody thought of, the process goes on serving
        reply = {"error": "StatementFailed", "detail": "the database gave something that cannot be handed over"}
    finally:
        current.number = 0
    data = json.dumps({**reply, "number": number}).encode()
    if len(data) > MOST_JSON_BYTES:
        reply = {"error": "LimitExceeded", "detail": "the rows are larger than allowed"}
        data = json.dumps({**reply, "number": number}).encode()
    channel.put(JSON, data)
    channel.flush()


def _answer(channel: Channel, served: Served, request: dict[str, Any]) -> dict[str, Any]:
    parameters = {name: unpack(value) for name, value in request.get("params", {}).items()}
    deadline = time.monotonic() + float(request["time_s"])
    number = int(request["number"])
    if request["op"] == "read":
        stream = served.read(request, parameters, deadline, number)
        try:
            channel.put(SCHEMA, stream.schema.serialize())
            for batch in stream:
                _put(channel, batch)
        finally:
            stream.close()
        return {"end": True}
    if "sets" in request:
        sets = [{name: unpack(value) for name, value in one.items()} for one in request["sets"]]
        done = (served.do(request, one, deadline, number) for one in sets)
        return {"answers": [[pack_rows(rows), count] for rows, count in done]}
    rows, count = served.do(request, parameters, deadline, number)
    return {"rows": pack_rows(rows), "count": count, "last_id": served.last_id}


def _put(channel: Channel, batch: Any) -> None:
    data = batch.serialize()
    if len(data) > MOST_BYTES:
        raise LimitExceeded("a few rows of the answer are larger than a batch may be; select fewer columns")
    channel.put(BATCH, data)
    if batch.num_rows >= _FLUSH_ROWS:
        channel.flush()


def _engine(setup: dict[str, Any]) -> Served:
    """The one that is asked for; the others are not even loaded."""
    match setup["engine"]:
        case "sqlite":
            from gatebook_hub.sources.worker.sqlite import SqliteServed

            return SqliteServed(setup)
        case "duckdb":
            from gatebook_hub.sources.worker.duckdb import DuckdbServed

            return DuckdbServed(setup)
        case _:
            from gatebook_hub.sources.worker.server import ServerServed

            return ServerServed(setup)


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (FrameError, KeyboardInterrupt):
        sys.exit(0)
