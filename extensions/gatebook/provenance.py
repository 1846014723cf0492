"""From which cell does a statement come? A claim, not a fact: the kernel belongs to whoever writes in it."""

from __future__ import annotations

import hashlib

_running: dict[str, str] = {}


def claims() -> dict[str, str]:
    """What is known of the running cell: its id and the SHA-256 of its text; empty outside of a notebook."""
    return dict(_running)


def begin_cell(text: str, cell_id: str | None) -> None:
    """Remember the cell that starts to run."""
    _running.clear()
    _running["cell"] = f"sha256:{hashlib.sha256(text.encode('utf-8', 'surrogatepass')).hexdigest()}"
    if cell_id:
        _running["cell_id"] = cell_id
