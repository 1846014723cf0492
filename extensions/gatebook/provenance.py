"""From which cell does a statement come? A claim, not a fact: the kernel belongs to whoever writes in it."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_running: dict[str, str] = {}
_more: ContextVar[dict[str, str] | None] = ContextVar("more claims", default=None)


def claims() -> dict[str, str]:
    """What is known of the running cell: its id and the SHA-256 of its text; empty outside of a notebook."""
    return {**_running, **(_more.get() or {})}


@contextmanager
def claiming(**more: str) -> Iterator[None]:
    """Say this, too, of the calls in the block, such as `file="csv"` of rows that are read for a file."""
    token = _more.set(more)
    try:
        yield
    finally:
        _more.reset(token)


def begin_cell(text: str, cell_id: str | None) -> None:
    """Remember the cell that starts to run."""
    _running.clear()
    _running["cell"] = f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
    if cell_id:
        _running["cell_id"] = cell_id
