"""Which errors are there, and what do their codes mean?"""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from types import ModuleType
from typing import Any

from writing import first_sentence, table, whole_page

from gatebook import errors as of_the_client
from gatebook_hub import errors as of_the_gateway
from gatebook_server import errors as of_the_relay

_BASES = {"GB-000", "GB-600"}
_INTRO = """
A code is stable: what it means does not change, and it is never used again for something else. Over HTTP an error is
a problem document (RFC 9457, `application/problem+json`):

```json
{
  "type": "urn:gatebook:error:GB-301",
  "title": "refused by policy",
  "status": 403,
  "detail": "birth dates are for the people team alone",
  "code": "GB-301",
  "rule": "birthdate-people-only",
  "ask": "membership of the group `people`, which the head of people grants",
  "reference": "812"
}
```

`rule` is the policy rule that decided, `ask` says what to ask for, `reference` is the index of the event in the book.
In Python the same parts are attributes of a `gatebook.GatebookError`. A command prints code and sentence, and exits
with 1.
"""
_RELAY = "Between a kernel and the gateway stands the relay of the user's server, the tools service or the worker."
_CLIENT = "Raised by the Python client itself; [the client](client.md#errors) says which class stands for which code."
_FAMILIES = {
    "GB-1": "The request",
    "GB-2": "The statement",
    "GB-3": "Policy",
    "GB-4": "Change requests",
    "GB-5": "Governed databases",
    "GB-7": "The book",
    "GB-8": "The policy set",
}


def page() -> str:
    """The page."""
    found = list(_classes(of_the_gateway, "code"))
    parts = [_INTRO]
    for family, title in _FAMILIES.items():
        rows = [_row(kind.code, kind) for kind in found if kind.code.startswith(family)]
        parts += [f"## {title}", table(("code", "HTTP status", "title", "meaning"), rows)]
    missed = [kind.code for kind in found if kind.code[:4] not in _FAMILIES]
    if missed:
        raise SystemExit(f"no heading for {', '.join(missed)}")
    parts += ["## The relay", _RELAY]
    rows = [_row(kind.code, kind) for kind in _classes(of_the_relay, "code")]
    parts += [table(("code", "HTTP status", "title", "meaning"), rows), "## The client", _CLIENT]
    own = [kind for kind in _classes(of_the_client, "default_code") if kind.default_code > "GB-900"]
    client = [(f"`{kind.default_code}`", f"`{kind.__name__}`", first_sentence(kind.__doc__)) for kind in own]
    return whole_page("Errors", *parts, table(("code", "class in `gatebook.errors`", "meaning"), client))


def _row(code: str, kind: Any) -> tuple[str, ...]:
    return f"`{code}`", str(kind.status), kind.title, first_sentence(kind.__doc__)


def _classes(module: ModuleType, name: str) -> Iterator[Any]:
    """The classes that have a code of their own, by code."""
    own = [kind for _, kind in inspect.getmembers(module, inspect.isclass) if kind.__module__ == module.__name__]
    with_code = [kind for kind in own if name in vars(kind) and vars(kind)[name] not in _BASES]
    yield from sorted(with_code, key=lambda kind: str(getattr(kind, name)))
