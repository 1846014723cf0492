"""How does a notebook become a tool? Checked, stored, reviewed by a second person, and then in force."""

from __future__ import annotations

import datetime as dt
import json
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from gatebook_hub import policy
from gatebook_hub.audit import EventKind, Outcome, written_time
from gatebook_hub.errors import (
    GatebookError,
    InvalidInput,
    NotFound,
    NotPermitted,
    PortalOnly,
    ReviewRefused,
    StateConflict,
)
from gatebook_hub.model import Channel, Principal, PrincipalKind, Tool
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.installed import InstalledTools
from gatebook_hub.services.notebook_form import MAX_NOTE, ToolNotebook, is_name, look_at, read_tool, version_of
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.services.tool_needs import Needs, needs_of, refusals
from gatebook_hub.stores.access import secret_digest
from gatebook_hub.stores.tools import Force, ToolStore, ToolVersion, VersionState

INSTALLATION = "installation"
_CHECK_TTL = dt.timedelta(minutes=15)
_SHORTEST_VERSION = 6
_ERROR_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_.]{0,99}\Z")
_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Served:
    """A tool that is in force: whose word that rests on (`by`), and since when where that is known."""

    name: str
    version: str
    title: str
    summary: str
    by: str
    since: str | None = None
    content: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """A trial of a notebook under way; the token opens the gateway as `principal`, for reads and dry runs alone."""

    tool: ToolNotebook
    principal: Principal
    since: str
    token: str = field(repr=False)


class Publishing:
    """Versions of tools, from the first check to the last."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._store: ToolStore = gate.tools
        self._installed = InstalledTools(gate)
        self._told: set[tuple[str, str]] = set()

    # ── before it is published ──

    def begin_check(self, call: Call, name: str, content: str, author: Principal) -> Check:
        """Look at the notebook, and open the gate for one trial with the author's rights, through the tool itself.

        Raises InvalidInput for what is no tool that can be published.
        """
        if author.kind is not PrincipalKind.USER:
            raise InvalidInput("a tool has a person as its author")
        tool = read_tool(name, content)
        gate = self._gate
        principal = replace(
            author,
            tool=Tool(name=name, version=tool.version),
            channel=Channel.CHECK_TOKEN,
            run_id=f"check-{gate.new_id()}",
        )
        secret, _label = Sessions(gate).issue(call, principal, _CHECK_TTL)
        return Check(tool=tool, principal=principal, since=written_time(gate.now()), token=secret)

    def end_check(self, call: Call, check: Check, failure: Mapping[str, Any] | None) -> dict[str, Any]:
        """Close the trial and say what the book has of it; `failure` is what the notebook ended with, if it did."""
        gate = self._gate
        Sessions(gate).revoke(call, secret_digest(check.token)[:12])
        needs = needs_of(gate.book, check.principal, check.since)
        tool = Tool(name=check.tool.name, version=check.tool.version)
        extra = {
            "tool": tool.name,
            "version": tool.version,
            "author": check.principal.id,
            "groups": ",".join(sorted(check.principal.groups)),
            "run": str(check.principal.run_id),
        }
        told = _summary(failure) if failure else None
        outcome = Outcome.FAILED if failure else Outcome.OK
        gate.book.append(gate.event(EventKind.TOOL_CHECKED, call, outcome=outcome, detail=told, extra=extra))
        return _report(check, needs, told, [(one.to, one.sentence) for one in refusals(gate, tool, needs)])

    def propose(self, call: Call, check: Check, content: str, *, note: str, report: Mapping[str, Any]) -> ToolVersion:
        """Store the version that was checked; raises InvalidInput, StateConflict."""
        gate, tool, note = self._gate, check.tool, note.strip()
        if version_of(content) != tool.version:
            raise InvalidInput("this is not the notebook that was checked")
        if report.get("failure"):
            raise InvalidInput(f"the notebook does not run: {report['failure']}")
        if not note or len(note) > MAX_NOTE:
            raise InvalidInput(f"say in a note of at most {MAX_NOTE:,} characters what is new")
        self._check_new(tool.name, tool.version)
        author = check.principal.id
        extra = {"tool": tool.name, "version": tool.version, "author": author}
        noted = replace(call, reason=note)
        gate.book.append(gate.event(EventKind.TOOL_PROPOSED, noted, outcome=Outcome.OK, extra=extra))
        new = ToolVersion(
            name=tool.name,
            version=tool.version,
            content=content,
            author=author,
            note=note,
            created_at=written_time(gate.now()),
            report=report,
        )
        self._store.add(new)
        return new

    # ── its review ──

    def waiting(self, principal: Principal) -> tuple[ToolVersion, ...]:
        """Versions that wait for a review which this person may give, or that are their own; newest first."""
        return tuple(one for one in self._store.find(state=VersionState.PROPOSED) if self._may_see(principal, one))

    def seen_by(self, principal: Principal) -> tuple[ToolVersion, ...]:
        """Every version that this person may look at, newest first."""
        return tuple(one for one in self._store.find() if self._may_see(principal, one))

    def get(self, principal: Principal, name: str, version: str) -> ToolVersion:
        """One version; raises NotFound also for one that is not for this person."""
        found = self._store.get(name, version)
        if not self._may_see(principal, found):
            raise NotFound("there is no such version of a tool")
        return found

    def current(self, name: str) -> Served | None:
        """What is in force of this name now."""
        return next((one for one in self.in_force() if one.name == name), None)

    def why_not(self, principal: Principal, version: ToolVersion) -> str | None:
        """Why this person may not review the version, or None if they may."""
        if version.state is not VersionState.PROPOSED:
            return "it was reviewed already"
        if principal.id.casefold() == version.author.casefold():
            return "nobody reviews a version of their own"
        if not policy.may_review_tool(self._gate.policy, principal, version.name, self._gate.circumstances()):
            return "no rule lets you review versions of this tool"
        return None

    def review(self, call: Call, name: str, version: str, *, is_approved: bool, reason: str, seen: str) -> ToolVersion:
        """Approve or reject a version; `seen` is the version in force with which it was compared on the page.

        Raises PortalOnly, NotFound, ReviewRefused, InvalidInput, StateConflict.
        """
        force = self._store.in_force().get(name)
        try:
            found = self._reviewable(call, name, version, reason, seen)
        except GatebookError as error:
            error.reference = self._refuse(call, error, name, version)
            raise
        gate, reason = self._gate, reason.strip()
        verdict = "approve" if is_approved else "reject"
        extra = {"tool": name, "version": version, "author": found.author, "verdict": verdict, "instead": seen}
        index = gate.book.append(
            gate.event(EventKind.TOOL_REVIEWED, replace(call, reason=reason), outcome=Outcome.OK, extra=extra)
        )
        try:
            self._store.review(
                name,
                version,
                state=VersionState.APPROVED if is_approved else VersionState.REJECTED,
                reviewer=call.principal.id,
                reason=reason,
                at=written_time(gate.now()),
                event=index,
                before=force.version if force is not None else None,
            )
        except StateConflict as error:
            error.reference = self._refuse(call, error, name, version)
            raise
        return self._store.get(name, version)

    def roll_back(self, call: Call, name: str, version: str | None = None) -> Force:
        """Take back what is in force, at once; in force is then an earlier version, or none if there is none.

        `version` may be the beginning of one that was in force before. Raises NotFound, InvalidInput, StateConflict.
        """
        gate = self._gate
        force = self._store.in_force().get(name)
        if force is None or force.version is None:
            raise NotFound(f"no published version of `{name[:64]}` is in force")
        history = [one.version for one in self._store.history(name) if one.version is not None]
        earlier = [one for one in history if one != force.version]
        if version is None:
            approved = {one.version for one in self._store.find(name=name, state=VersionState.APPROVED)}
            target = next((one for one in earlier if one in approved), None)
        else:
            target = self._earlier(name, version, set(earlier))
        extra = {"tool": name, "version": target or "", "before": force.version}
        gate.book.append(gate.event(EventKind.TOOL_ROLLED_BACK, call, outcome=Outcome.OK, extra=extra))
        self._store.roll_back(
            name, before=force.version, version=target, by=call.principal.id, at=written_time(gate.now())
        )
        return self._store.in_force()[name]

    # ── what is in force ──

    def in_force(self) -> tuple[Served, ...]:
        """Every tool that may be opened, by name; one of which a version was ever published is the store's matter."""
        found: dict[str, Served] = {}
        published = self._store.in_force()
        for force in published.values():
            served = self._served(force)
            if served is not None:
                found[served.name] = served
        for tool, content in self._installed.tools(leave_out=frozenset(published)):
            found[tool.name] = Served(
                name=tool.name,
                version=tool.version,
                title=tool.title,
                summary=tool.summary,
                by=INSTALLATION,
                content=content,
            )
        return tuple(found[name] for name in sorted(found))

    def hand_out(self, call: Call, name: str | None = None, version: str | None = None) -> tuple[Served, ...]:
        """What is in force, or the one of that name and version; for the tools service alone.

        Raises NotPermitted, and NotFound for a version that is not in force, whatever else there is of it.
        """
        principal = call.principal
        if principal.kind is not PrincipalKind.SERVICE or principal.name != "tools" or principal.tool is not None:
            raise NotPermitted("tools are handed out to the tools service alone")
        served = self.in_force()
        if name is None:
            return served
        found = tuple(one for one in served if (one.name, one.version) == (name, version))
        if not found:
            raise NotFound("no such version of a tool is in force")
        return found

    def may_attest(self, name: str, version: str) -> bool:
        """Whether a call may come through this version: of a published tool, one that was approved and not taken back.

        Pages of the version before stay open until they are loaded again; pages of one that was rolled back do not.
        """
        return self._store.is_open(name, version)

    # ── parts ──

    def _may_see(self, principal: Principal, version: ToolVersion) -> bool:
        at = self._gate.circumstances()
        return principal.id == version.author or policy.may_review_tool(self._gate.policy, principal, version.name, at)

    def _check_new(self, name: str, version: str) -> None:
        try:
            known = self._store.get(name, version)
        except NotFound:
            return
        raise StateConflict(f"the tool `{name}` has this very version already; it is {known.state}")

    def _reviewable(self, call: Call, name: str, version: str, reason: str, seen: str) -> ToolVersion:
        if call.principal.channel is not Channel.PORTAL or call.principal.kind is not PrincipalKind.USER:
            raise PortalOnly("a review comes from a person at the portal")
        found = self.get(call.principal, name, version)
        why_not = self.why_not(call.principal, found)
        if why_not is not None:
            raise ReviewRefused(why_not)
        if not reason.strip() or len(reason) > MAX_NOTE:
            raise InvalidInput("say why you approve or reject it")
        if version_of(found.content) != found.version:
            raise StateConflict("what is stored is not the notebook that was published; tell the operator")
        current = self.current(name)
        if seen != (current.version if current else ""):
            raise StateConflict("another version came into force since you looked; look at what is new now")
        return found

    def _refuse(self, call: Call, error: GatebookError, name: str, version: str) -> int | None:
        extra = {"tool": name[:64], "version": version[:64]}
        return self._gate.refuse(EventKind.TOOL_REFUSED, call, error, extra=extra)

    def _earlier(self, name: str, version: str, earlier: set[str]) -> str:
        found = [one for one in earlier if len(version) >= _SHORTEST_VERSION and one.startswith(version)]
        if len(found) != 1:
            raise InvalidInput(f"give at least {_SHORTEST_VERSION} characters of one earlier version of `{name}`")
        return found[0]

    def _served(self, force: Force) -> Served | None:
        """The version in force, if it is still what was published and the book has its approval by somebody else."""
        if force.version is None:
            return None
        try:
            version = self._store.get(force.name, force.version)
            if not self._is_proven(version):
                raise StateConflict("the book does not say that this notebook was approved")
            tool = look_at(version.name, version.content)
        except GatebookError as error:
            self._alarm(force, error)
            return None
        return Served(
            name=version.name,
            version=version.version,
            title=tool.title,
            summary=tool.summary,
            by=str(version.reviewer),
            since=force.since,
            content=version.content,
        )

    def _is_proven(self, version: ToolVersion) -> bool:
        if version_of(version.content) != version.version or version.review_event is None or not is_name(version.name):
            return False
        told = json.loads(self._gate.book.entry(version.review_event))
        extra = told.get("extra", {})
        return bool(
            version.state is VersionState.APPROVED
            and told.get("kind") == EventKind.TOOL_REVIEWED
            and told.get("channel") == Channel.PORTAL
            and told.get("principal") == version.reviewer != version.author
            and (extra.get("tool"), extra.get("version")) == (version.name, version.version)
            and (extra.get("verdict"), extra.get("author")) == ("approve", version.author)
        )

    def _alarm(self, force: Force, error: GatebookError) -> None:
        which = (force.name, str(force.version))
        if which in self._told:
            return
        self._told.add(which)
        _log.error("the tool `%s` is not served: %s", force.name, error)
        call = Call(principal=Principal(kind=PrincipalKind.SERVICE, name="gateway", channel=Channel.OPERATOR))
        extra = {"tool": force.name, "version": str(force.version)}
        detail = f"the tool is not served: {error}"
        self._gate.book.append(self._gate.event(EventKind.ALARM, call, detail=detail, extra=extra))


def _summary(failure: Mapping[str, Any]) -> str:
    """What is kept of a failure: never its message, which may hold values of what was read."""
    name = str(failure.get("name"))
    known = name if _ERROR_NAME.match(name) else "an error"
    return f"{known} in cell {failure['cell']}" if failure.get("cell") is not None else known


def _report(check: Check, needs: Needs, failure: str | None, others: list[tuple[str, str]]) -> dict[str, Any]:
    principal = check.principal
    return {
        "rights": f"{principal.id}, in {', '.join(sorted(principal.groups)) or 'no group'}",
        "run": principal.run_id,
        "failure": failure,
        "sources": list(needs.sources),
        "tables": list(needs.tables),
        "actions": list(needs.actions),
        "refused": list(needs.refused),
        "others": [{"to": to, "sentence": sentence} for to, sentence in others],
    }
