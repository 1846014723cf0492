"""How does a changed policy folder come into force while the gateway runs? Whole and checked, or not at all."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from contextvars import Context
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from gatebook_hub import policy
from gatebook_hub.audit import EventKind, Outcome
from gatebook_hub.errors import BookUnavailable, GatebookError, PolicyInvalid
from gatebook_hub.policy import PolicySet
from gatebook_hub.services.checking import check, hold_to, known_tools
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import Trouble
from gatebook_hub.services.looking import Looker
from gatebook_hub.sources.registry import Sources, open_sources
from gatebook_hub.stores.policies import Print, SetMoved, print_of, read_policies

REQUEST = "policy.reload"
_MOST_TOLD = 4_000
_log = logging.getLogger(__name__)


class Result(StrEnum):
    """What came of a reload."""

    LOADED = "loaded"
    SAME = "same"
    REFUSED = "refused"
    MOVING = "moving"


@dataclass(frozen=True, slots=True, kw_only=True)
class Reload:
    """A reload that was tried: the result, and which set was and is in force."""

    result: Result
    old: str
    new: str
    detail: str | None = None


class Reloading:
    """Brings the folder's set into force; `told` hears of every result (for metrics)."""

    def __init__(self, gate: Gate, told: Callable[[Reload], None] = lambda _: None) -> None:
        self._gate = gate
        self._told = told
        self._lock = threading.Lock()

    def reload(self, call: Call, request: str | None = None) -> Reload:
        """Read, validate, check against the live schemas, write it in the book, and only then replace what is in force.

        A set that is broken leaves the old one in force; that is in the book too. `request` names who waits for the
        answer, which is then in the book even if nothing changed.
        """
        with self._lock:
            # Whoever asks may hold an older set: what is replaced is the newest.
            found = Context().run(self._reload, call, request)
        self._told(found)
        return found

    def _reload(self, call: Call, request: str | None) -> Reload:
        gate = self._gate
        old = gate.in_force.policy
        extra = {"old": old.revision, **({"request": request} if request else {})}
        opened: Sources | None = None
        try:
            new = policy.load(read_policies(gate.settings.policies))
            if new.revision == old.revision:
                gate.in_force.trouble = None
                if request:
                    self._tell(call, EventKind.POLICY_LOADED, Outcome.OK, {**extra, "revision": new.revision})
                return Reload(result=Result.SAME, old=old.revision, new=old.revision)
            sources, opened, kept = _sources(gate, old, new)
            _check(gate, new, sources)
            extra |= {"revision": new.revision, "sources": ",".join(sorted(new.sources)), "rules": str(len(new.grants))}
            self._tell(call, EventKind.POLICY_LOADED, Outcome.OK, extra)
        except SetMoved as error:
            return Reload(result=Result.MOVING, old=old.revision, new=old.revision, detail=str(error))
        except Exception as error:  # noqa: BLE001 - whatever it is, what is in force stays in force
            if opened is not None:
                opened.close()
            return self._refuse(call, old, error, extra)
        gate.in_force.replace(new, sources, kept=kept)
        gate.in_force.trouble = None
        _log.info("policy %s is in force, before it %s", new.revision, old.revision)
        return Reload(result=Result.LOADED, old=old.revision, new=new.revision)

    def _refuse(self, call: Call, old: PolicySet, error: Exception, extra: dict[str, str]) -> Reload:
        detail = str(error) if isinstance(error, GatebookError) else f"unexpected: {type(error).__name__}"
        detail = detail[:_MOST_TOLD]
        _log.error("the policy folder does not load, %s stays in force: %s", old.revision, detail, exc_info=_odd(error))
        self._gate.in_force.trouble = Trouble(sentence=detail, since=self._gate.now(), revision=old.revision)
        if not isinstance(error, BookUnavailable):
            try:
                self._tell(call, EventKind.POLICY_REFUSED, Outcome.REFUSED, extra, detail, PolicyInvalid.code)
            except BookUnavailable:
                _log.exception("that the policy folder does not load could not be written in the book")
        return Reload(result=Result.REFUSED, old=old.revision, new=old.revision, detail=detail)

    def _tell(
        self,
        call: Call,
        kind: EventKind,
        outcome: Outcome,
        extra: dict[str, str],
        detail: str | None = None,
        code: str | None = None,
    ) -> None:
        gate = self._gate
        gate.book.append(gate.event(kind, call, outcome=outcome, extra=extra, detail=detail, code=code))


class Watcher(Looker):
    """Looks at the policy folder again and again. `look` is one look; `start` has a thread do it."""

    def __init__(self, gate: Gate, reloading: Reloading, call: Call) -> None:
        every_s = gate.settings.policy_poll_s
        super().__init__("policy", every_s if every_s > 0 else 1.0, "the policy folder cannot be looked at")
        self._folder: Path = gate.settings.policies
        self._request: Path = gate.settings.state / REQUEST
        self._interval_s = every_s
        self._reloading = reloading
        self._call = call
        # Nothing is taken as seen: what changed between the start and the first look would never be noticed.
        self._seen: Print | None = ()
        self._before: Print | None = ()
        self._asked = _moment(self._request)

    def look(self) -> Reload | None:
        """Reload when somebody asks, or when the folder has changed and then stayed the same for one look.

        A folder that is being written is not read: half a file may be valid, with half the protections.
        """
        asked = _moment(self._request)
        now = print_of(self._folder)
        if asked is not None and asked != self._asked:
            found = self._reloading.reload(self._call, str(asked))
            if found.result is not Result.MOVING:
                self._asked, self._seen = asked, now
            return found
        before, self._before = self._before, now
        if self._interval_s <= 0 or now == self._seen or now != before:
            return None
        found = self._reloading.reload(self._call)
        if found.result is not Result.MOVING:
            self._seen = now
        return found


def _sources(gate: Gate, old: PolicySet, new: PolicySet) -> tuple[Sources, Sources, frozenset[str]]:
    """All sources of the new set, those of them that were opened for it, and the names of those that stay open."""
    declared = {name: (rule.engine, rule.url) for name, rule in new.sources.items()}
    before = {name: (rule.engine, rule.url) for name, rule in old.sources.items()}
    kept = frozenset(name for name in declared if declared[name] == before.get(name))
    opened = open_sources({name: declared[name] for name in declared if name not in kept}, gate.settings.state)
    known = gate.in_force.sources
    every = {name: known.get(name) if name in kept else opened.get(name) for name in declared}
    merged = Sources(every)
    if known.memory is not None:
        merged.hold(known.memory)
    return merged, opened, kept


def _check(gate: Gate, new: PolicySet, sources: Sources) -> None:
    """What stops a start stops a reload; raises PolicyInvalid."""
    hold_to(check(new, sources, tools=known_tools(gate.settings.notebooks, gate.tools.names()), now=gate.now()))


def _odd(error: Exception) -> Exception | None:
    return None if isinstance(error, GatebookError) else error


def _moment(path: Path) -> int | None:
    try:
        return path.stat().st_mtime_ns
    except OSError:
        return None
