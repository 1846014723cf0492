"""What passes between the worker and the process of one run? An order in, progress and a report out, as JSON lines."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

MAX_NOTEBOOK = 20_000_000
_MAX_TEXT = 20_000
_MAX_NAME = 200
_ESCAPES = re.compile(r"\x1b\[[0-9;]*[A-Za-z]|[\x00-\x08\x0b-\x1f\x7f]")


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """One run: which notebook with which parameters, for how long, as whom."""

    run_id: str
    job: str
    notebook: str
    parameters: Mapping[str, Any]
    timeout_s: float
    notebooks: Path
    gateway_url: str
    launcher: Path | None
    token: str = field(repr=False)
    """The run's own token; the worker's never leaves the worker."""

    def to_json(self) -> str:
        """One line."""
        return json.dumps(asdict(self), default=str)

    @classmethod
    def from_json(cls, line: str | bytes) -> Self:
        """Read the line."""
        found = json.loads(line)
        launcher = found.pop("launcher")
        notebooks = Path(found.pop("notebooks"))
        return cls(**found, notebooks=notebooks, launcher=Path(launcher) if launcher else None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """Why a run failed; `cell` counts all cells of the executed notebook from 1."""

    cell: int | None = None
    source: str = ""
    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """What came of a run; without a failure it succeeded. `notebook` is the executed notebook as JSON text."""

    failure: Failure | None = None
    notebook: str | None = None

    def to_json(self) -> str:
        """One line."""
        return json.dumps({"report": asdict(self)})

    @classmethod
    def from_object(cls, found: Mapping[str, Any]) -> Self:
        """Read what `to_json` wrote below `report`."""
        failure = found["failure"]
        return cls(failure=Failure(**failure) if failure else None, notebook=found["notebook"])


def failure(name: str, message: str, *, cell: int | None = None, source: str = "") -> Failure:
    """A failure within the limits of the gateway's interface; the texts may come from a kernel."""
    return Failure(
        cell=cell,
        source=_clean(source)[:_MAX_TEXT],
        name=_clean(name)[:_MAX_NAME],
        message=_clean(message)[:_MAX_TEXT],
    )


def within_limit(notebook: str) -> str | None:
    """The notebook's text if it is small enough to be kept; surrogates that stand alone are no text."""
    encoded = notebook.encode("utf-8", "replace")
    return encoded.decode() if len(encoded) <= MAX_NOTEBOOK else None


def _clean(text: str) -> str:
    return _ESCAPES.sub("", text.encode("utf-8", "replace").decode())
