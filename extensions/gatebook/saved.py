"""How is a saved query run from a notebook or a job? By its name; what comes back is what its runner may see."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Self

from gatebook.connection import batches_of
from gatebook.errors import GatewayFailed
from gatebook.provenance import claims
from gatebook.rows import NULLABLE, check_dtypes, gathered
from gatebook.transport import Json, gate, is_arrow
from gatebook.values import encode_parameters

if TYPE_CHECKING:
    import pandas as pd


@dataclass(frozen=True, slots=True, kw_only=True)
class SavedQuery:
    """A saved query that is open to me; `params` is the JSON Schema of its parameters, `url` its page."""

    name: str
    author: str
    title: str
    description: str = ""
    source: str
    version: int
    params: Mapping[str, Any] = field(default_factory=dict)
    url: str = ""

    @classmethod
    def from_json(cls, document: Json) -> Self:
        """The saved query as the gateway writes it."""
        return cls(
            name=str(document["name"]),
            author=str(document["author"]),
            title=str(document["title"]),
            description=str(document.get("description") or ""),
            source=str(document["source"]),
            version=int(document["version"]),
            params=document.get("params") or {},
            url=str(document.get("url") or ""),
        )


def saved(
    name: str,
    params: Mapping[str, object] | None = None,
    *,
    version: int | None = None,
    reason: str | None = None,
    purpose: str | None = None,
    limit_rows: int | None = None,
    dtypes: str = NULLABLE,
    **named: object,
) -> pd.DataFrame:
    """Run a saved query and give its rows as a DataFrame, as `gatebook.query` does.

    `name` is its name, or `author/name` where several people share one of that name. Its parameters are given by
    keyword, or in `params` where a keyword is taken; those with a default may be left out. `version` is an older
    one, which never changes; without it the newest runs. Raises what `gatebook.query` raises.
    """
    check_dtypes(dtypes)
    author, _, bare = name.rpartition("/")
    body = {
        "author": author or None,
        "version": version,
        "params": encode_parameters({**(params or {}), **named}),
        "reason": reason,
        "purpose": purpose,
        "limit_rows": limit_rows,
        "provenance": claims(),
    }
    response = gate().open("saved-queries", bare, "run", body=body)
    if not is_arrow(response):
        response.close()
        message = "the gateway's answer is not what was agreed"
        raise GatewayFailed(message)
    return gathered(batches_of(response)).df(dtypes)


def saved_queries(words: str = "") -> tuple[SavedQuery, ...]:
    """The saved queries that are open to me, newest first; with `words`, those that have all of them."""
    found = gate().get("saved-queries", q=words or None)
    return tuple(SavedQuery.from_json(one) for one in found["saved_queries"])
