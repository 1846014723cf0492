"""Do the rules say what their authors expect? Each expectation of `tests/` is decided; nothing is executed."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Allowed, Denied, Principal, PrincipalKind, Tool
from gatebook_hub.policy import Action, Circumstances, PolicySet
from gatebook_hub.policy.rules import Expectation
from gatebook_hub.services.actions import check_parameters
from gatebook_hub.services.trying import Asking, Trial, attempt, attempt_call
from gatebook_hub.sources.registry import Sources

_UNKNOWN_TABLE = "GB-206"


@dataclass(frozen=True, slots=True, kw_only=True)
class TestResult:
    """What came of one expectation; `wrong` is empty if it holds."""

    __test__ = False
    name: str
    place: str
    wrong: str | None


def run_tests(policy_set: PolicySet, sources: Sources) -> Iterator[TestResult]:
    """Every expectation of `tests/`, decided on the live schema."""
    for expectation in policy_set.expectations:
        wrong = _wrong(policy_set, sources, expectation)
        yield TestResult(name=expectation.name, place=expectation.place, wrong=wrong)


def _wrong(policy_set: PolicySet, sources: Sources, expectation: Expectation) -> str | None:
    expect = dict(expectation.expect)
    try:
        trial = _trial(policy_set, sources, expectation)
    except GatebookError as error:
        got: dict[str, Any] = {"deny": {error.code, *([error.rule] if error.rule else [])}, "detail": str(error)}
    else:
        got = _denied(trial.decision) if isinstance(trial.decision, Denied) else _allowed(trial, trial.decision)
    if "deny" in expect:
        if "deny" not in got or expect["deny"] not in got["deny"]:
            return f"expected a refusal by `{expect['deny']}`, got {_told(got)}"
        if expect.get("ask", "") not in (got.get("ask") or ""):
            return f"expected to be told to ask for `{expect['ask']}`, got `{got.get('ask')}`"
        return None
    if "deny" in got:
        return f"expected it to be allowed, got {_told(got)}"
    for name in ("masks", "rows", "review", "quorum", "columns", "limits", "reason", "expires_h"):
        if name in expect and expect[name] != got.get(name):
            return f"expected {name} {expect[name]}, got {got.get(name)}"
    return None


def _trial(policy_set: PolicySet, sources: Sources, expectation: Expectation) -> Trial:
    action = policy_set.actions.get(expectation.action) if expectation.action else None
    if action is not None and action.http is not None:
        return _called(policy_set, action, expectation)
    schema = sources.get(action.source if action else expectation.source).schema()
    asking = Asking(
        principal=_principal(expectation),
        at=Circumstances(now=expectation.at, purpose=expectation.purpose),
        rows=expectation.rows,
        action=action,
        params=check_parameters(action, expectation.params) if action else {},
    )
    return attempt(policy_set, schema, action.sql if action else expectation.sql or "", asking)


def _called(policy_set: PolicySet, action: Action, expectation: Expectation) -> Trial:
    """What would be decided about a call of another service."""
    params = check_parameters(action, expectation.params)
    asking = Asking(
        principal=_principal(expectation),
        at=Circumstances(now=expectation.at, purpose=expectation.purpose),
        action=action,
        params=params,
    )
    return attempt_call(policy_set, asking)


def _principal(expectation: Expectation) -> Principal:
    kind = PrincipalKind.JOB if expectation.job else PrincipalKind.USER
    tool = Tool(name=expectation.tool, version="test") if expectation.tool else None
    name = expectation.job or expectation.user or "nobody"
    return Principal(kind=kind, name=name, groups=expectation.groups, tool=tool)


def _denied(decision: Denied) -> dict[str, Any]:
    return {"deny": {decision.rule or _UNKNOWN_TABLE}, "detail": decision.sentence, "ask": decision.ask}


def _allowed(trial: Trial, decision: Allowed) -> dict[str, Any]:
    rows = {rule for use in trial.uses for item in decision.obligations[use.table].row_filters for rule in item.rules}
    got: dict[str, Any] = {
        "masks": trial.masks(),
        "rows": sorted(rows),
        "columns": {use.table: list(decision.obligations[use.table].columns) for use in trial.uses if use.is_whole},
        "limits": {name: value for name, value in asdict(decision.limits).items() if value is not None},
        "reason": decision.needs_reason,
    }
    if trial.approving is not None:
        needed = trial.approving.requirements
        got["review"] = sorted({group for requirement in needed for group in requirement.groups})
        got["quorum"] = {"+".join(requirement.groups): requirement.needed for requirement in needed}
        got["expires_h"] = trial.approving.expires_h
        got["reason"] = decision.needs_reason or trial.approving.needs_reason
    return got


def _told(got: dict[str, Any]) -> str:
    if "deny" in got:
        return f"a refusal by {', '.join(sorted(got['deny']))}: {got['detail']}"
    return f"allowed, {got}"
