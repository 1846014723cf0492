"""The actions there are, and one of them: what it does, how it is called, and a form that does it."""

from __future__ import annotations

from dataclasses import dataclass

from gatebook_hub.portal.pages.changes import Quorum
from gatebook_hub.portal.pages.diff import RowDiff
from gatebook_hub.portal.pages.fields import ValueField
from gatebook_hub.portal.pages.frame import Downloads, FieldError, Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionCard:
    """An action in a list; `place` is the source or the service where it has its effect.

    It is called here where it `is_open`, and in the tools, each a title and an address.
    """

    name: str
    title: str
    description: str
    place: str
    approval: str | None = None
    is_favourite: bool = False
    is_open: bool = True
    tools: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionsPage:
    """The actions that the reader may call, here or in a tool."""

    frame: Frame
    actions: tuple[ActionCard, ...]
    downloads: Downloads


@dataclass(frozen=True, slots=True, kw_only=True)
class ParameterRow:
    """A parameter as it is declared; `limits` are sentences, `default` is None where a value has to be given."""

    name: str
    title: str
    kind: str
    limits: tuple[str, ...] = ()
    default: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Rehearsal:
    """What a call with the values of the form would do."""

    summary: str
    diffs: tuple[RowDiff, ...]
    beside: tuple[RowDiff, ...]
    warnings: tuple[str, ...]
    quorum: tuple[Quorum, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class ActionPage:
    """One action. `key` makes a form that is sent twice one call; `checks` are what has to hold, as sentences."""

    frame: Frame
    action: ActionCard
    fields: tuple[ValueField, ...]
    parameters: tuple[ParameterRow, ...]
    does: str
    checks: tuple[str, ...]
    rates: tuple[str, ...]
    confirm: str
    notebook_call: str
    http_call: str
    key: str
    downloads: Downloads
    rehearsal: Rehearsal | None = None
    errors: tuple[FieldError, ...] = ()
    given_reason: str = ""
    given_purpose: str = ""
