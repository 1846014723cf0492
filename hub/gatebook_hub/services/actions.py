"""How is an action called? Its parameters are checked against its schema, then its own reviewed statement runs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from typing import Any

from gatebook_hub import policy, sql
from gatebook_hub.audit import EventKind
from gatebook_hub.changes import ChangeRequest
from gatebook_hub.errors import AccessRefused, GatebookError, InvalidInput, NotFound
from gatebook_hub.model import Principal
from gatebook_hub.policy import Action, patterns
from gatebook_hub.policy.patterns import LONGEST_TEXT
from gatebook_hub.services.acting import Choice, check_choices, check_rates, choices_of
from gatebook_hub.services.changes import Changes, Filed
from gatebook_hub.services.gate import Call, Gate
from gatebook_hub.services.in_force import under_one_set
from gatebook_hub.services.own_reads import Turns
from gatebook_hub.services.previewing import Asked, Previewed

Sets = tuple[Mapping[str, Any], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Press:
    """One call of an action; `idempotency_key` makes a repeated press the same press."""

    action: str
    params: Mapping[str, Any]
    idempotency_key: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Described:
    """An action as somebody may call it: as they come, if it `is_open`, and through `tools`."""

    action: Action
    is_open: bool
    tools: frozenset[str]


class _Receipt:
    """What a repeated press is answered with: the request, as soon as it is filed, whatever becomes of it then."""

    def __init__(self, gate: Gate, principal: Principal, key: str | None) -> None:
        self._receipts = gate.receipts
        self._principal = principal.id
        self._key = key
        self._is_settled = False

    def settle(self, request: ChangeRequest) -> None:
        """The request is there."""
        if self._key is not None:
            self._receipts.settle(self._principal, self._key, {"change": request.id})
            self._is_settled = True

    def release(self) -> None:
        """Give the key back, unless there is a request."""
        if self._key is not None and not self._is_settled:
            self._receipts.release(self._principal, self._key)


class Actions:
    """List and call actions."""

    def __init__(self, gate: Gate, changes: Changes) -> None:
        self._gate = gate
        self._changes = changes
        self._turns = Turns()

    @under_one_set
    def list(self, principal: Principal) -> tuple[Action, ...]:
        """The actions that this principal may call."""
        actions = self._gate.policy.actions
        return tuple(
            action
            for name, action in sorted(actions.items())
            if policy.may_use_action(self._gate.policy, principal, name, self._gate.circumstances(is_look=True))
        )

    @under_one_set
    def described(self, principal: Principal) -> tuple[Described, ...]:
        """The actions that this principal may call, here or in a tool that they may open."""
        rules, at = self._gate.policy, self._gate.circumstances(is_look=True)
        found = (
            Described(
                action=action,
                is_open=policy.may_use_action(rules, principal, name, at),
                tools=policy.tools_with_action(rules, principal, name, at),
            )
            for name, action in sorted(rules.actions.items())
        )
        return tuple(one for one in found if one.is_open or one.tools)

    def approval_sentence(self, action: Action) -> str | None:
        """Which quorum the rules of this action ask for, in words."""
        parts = []
        for rule in self._gate.policy.approvals:
            if action.name in rule.actions and rule.require:
                who = " and ".join(f"{item.needed} of {', '.join(item.groups)}" for item in rule.require)
                when = " and ".join(f"{item.name} {item.operator} {item.value}" for item in rule.when)
                parts.append(f"needs {who}" + (f" when {when}" if when else ""))
        return "; ".join(parts) or None

    @under_one_set
    def call(self, call: Call, press: Press) -> ChangeRequest:
        """Run an action: an executed request, or one that awaits review."""
        gate = self._gate
        with self._refusals(call, press):
            action = self._action(call.principal, press.action)
            sets = sets_of(action, press.params)
        with self._one_at_a_time(call, press, action):
            with self._refusals(call, press):
                change_id = self._claimed(call.principal, press)
            if change_id is not None:
                return self._changes.get(call.principal, change_id)
            receipt = _Receipt(gate, call.principal, press.idempotency_key)
            try:
                with self._refusals(call, press):
                    check_rates(gate, call, action, len(sets))
                    return self._proposed(call, action, sets, receipt.settle)
            except GatebookError:
                receipt.release()
                raise

    @under_one_set
    def rehearse(self, call: Call, press: Press) -> Previewed:
        """What a call would do, without doing it: it is no press, and is counted alone."""
        with self._refusals(call, press):
            action = self._action(call.principal, press.action)
            sets = sets_of(action, press.params)
            check_rates(self._gate, call, action, len(sets), is_dry_run=True)
            if action.http is not None:
                return self._changes.rehearse_call(call, action, self._chosen(call, action, sets)[0])
            return self._changes.rehearse(call, action.source, self._asked(call, action, sets), action)

    @under_one_set
    def open(self, call: Call, name: str) -> tuple[Action, Mapping[str, tuple[Choice, ...]]]:
        """An action for its form, with the choices of its parameters as they are now for this caller."""
        with self._refusals(call, Press(action=name, params={})):
            action = self._action(call.principal, name)
            return action, {one: choices_of(self._gate, call, action, one) for one in action.choices}

    def _proposed(self, call: Call, action: Action, sets: Sets, filed: Filed) -> ChangeRequest:
        if action.http is not None:
            return self._changes.propose_call(call, action, self._chosen(call, action, sets)[0], filed)
        return self._changes.propose(call, action.source, self._asked(call, action, sets), action, filed)

    def _chosen(self, call: Call, action: Action, sets: Sets) -> Sets:
        """The values, if each is among its choices; raises InvalidInput."""
        check_choices(self._gate, call, action, sets)
        return sets

    def _asked(self, call: Call, action: Action, sets: Sets) -> Asked:
        """The statements of an action with their values; raises InvalidInput for a value that is no choice."""
        gate, sets = self._gate, self._chosen(call, action, sets)
        schema = gate.policy.governed(gate.in_force.sources.get(action.source).schema())
        statements = sql.parse_script(action.sql, schema.engine, schema.functions)
        checks = (sql.parse(check.sql, schema.engine, schema.functions) for check in action.checks)
        checked = frozenset[str]().union(*(check.parameters for check in checks))
        named = checked.union(*(statement.parameters for statement in statements))
        values = tuple({name: value for name, value in one.items() if name in named} for one in sets)
        return Asked(statements=statements, sets=values, text=action.sql, checked=checked)

    @contextmanager
    def _refusals(self, call: Call, press: Press) -> Iterator[None]:
        """What is refused is in the book."""
        try:
            yield
        except GatebookError as error:
            if error.reference is None:
                error.reference = self._gate.refuse(EventKind.ACTION_REFUSED, call, error, action=press.action[:64])
            raise

    @contextmanager
    def _one_at_a_time(self, call: Call, press: Press, action: Action) -> Iterator[None]:
        with ExitStack() as stack:
            if action.rates:
                with self._refusals(call, press):
                    stack.enter_context(self._turns.taken(call.principal.id, action.name))
            yield

    def _action(self, principal: Principal, name: str) -> Action:
        action = self._gate.policy.actions.get(name)
        if action is None:
            raise NotFound(f"there is no action `{name[:64]}` that you may call")
        # A purpose that is missing is told when the statement is decided.
        if not policy.may_use_action(self._gate.policy, principal, name, self._gate.circumstances(is_look=True)):
            ask = f"a grant of the action `{name}`"
            raise AccessRefused(f"the action `{name}` is not granted to you here", rule="no-grant", ask=ask)
        return action

    def _claimed(self, principal: Principal, press: Press) -> str | None:
        if press.idempotency_key is None:
            return None
        content = json.dumps([press.action, dict(press.params)], sort_keys=True, default=str)
        digest = hashlib.sha256(content.encode()).hexdigest()
        answer = self._gate.receipts.claim(principal.id, press.idempotency_key, digest)
        return str(answer["change"]) if answer else None


def sets_of(action: Action, given: Mapping[str, Any]) -> Sets:
    """The values for each time that the action's statement is done: once, unless its bulk parameter has a list.

    Raises InvalidInput naming the parameter.
    """
    bulk = action.bulk
    several = given.get(bulk.parameter) if bulk is not None else None
    if bulk is None or not isinstance(several, list | tuple):
        return (check_parameters(action, given),)
    if not 1 <= len(several) <= bulk.most:
        raise InvalidInput(f"`{bulk.parameter}` takes 1 to {bulk.most} values")
    sets = tuple(check_parameters(action, {**given, bulk.parameter: value}) for value in several)
    if len({one[bulk.parameter] for one in sets}) < len(sets):
        raise InvalidInput(f"`{bulk.parameter}` has a value twice")
    return sets


def check_parameters(action: Action, given: Mapping[str, Any]) -> dict[str, Any]:
    """Values that fit the action's schema, numbers as Decimal; raises InvalidInput naming the parameter."""
    return check_values(action.params, given, f"the action `{action.name}`")


def check_values(params: Mapping[str, Any], given: Mapping[str, Any], who: str) -> dict[str, Any]:
    """Values that fit a JSON Schema object, numbers as Decimal; raises InvalidInput naming the parameter."""
    properties: Mapping[str, Mapping[str, Any]] = params["properties"]
    unknown = sorted(given.keys() - properties.keys())
    if unknown:
        raise InvalidInput(f"{who} has no parameter `{unknown[0][:64]}`")
    checked: dict[str, Any] = {}
    for name, schema in properties.items():
        value = given.get(name, schema.get("default"))
        if value is None:
            raise InvalidInput(f"`{name}` is missing")
        checked[name] = _check(name, value, schema)
    return checked


def _check(name: str, value: Any, schema: Mapping[str, Any]) -> Any:
    match schema["type"]:
        case "integer":
            if isinstance(value, bool) or not isinstance(value, int):
                raise InvalidInput(f"`{name}` is a whole number")
            return _within(name, Decimal(value), value, schema)
        case "number":
            if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
                raise InvalidInput(f"`{name}` is a number")
            try:
                number = Decimal(str(value))
            except InvalidOperation as error:
                raise InvalidInput(f"`{name}` is a number") from error
            if not number.is_finite():
                raise InvalidInput(f"`{name}` is a finite number")
            return _within(name, number, number, schema)
        case "boolean":
            if not isinstance(value, bool):
                raise InvalidInput(f"`{name}` is true or false")
            return value
        case _:
            return _text(name, value, schema)


def _within(name: str, number: Decimal, value: Any, schema: Mapping[str, Any]) -> Any:
    def bound(key: str) -> Decimal:
        return Decimal(str(schema[key]))

    if "minimum" in schema and number < bound("minimum"):
        raise InvalidInput(f"`{name}` is at least {schema['minimum']}")
    if "maximum" in schema and number > bound("maximum"):
        raise InvalidInput(f"`{name}` is at most {schema['maximum']}")
    if "exclusiveMinimum" in schema and number <= bound("exclusiveMinimum"):
        raise InvalidInput(f"`{name}` is above {schema['exclusiveMinimum']}")
    if "multipleOf" in schema and not _is_multiple(number, bound("multipleOf")):
        raise InvalidInput(f"`{name}` is a multiple of {schema['multipleOf']}")
    if "enum" in schema and value not in schema["enum"]:
        raise InvalidInput(f"`{name}` is one of {', '.join(map(str, schema['enum']))}")
    return value


def _is_multiple(number: Decimal, of: Decimal) -> bool:
    try:
        return number % of == 0
    except InvalidOperation:  # more digits than anybody meant
        return False


def _text(name: str, value: Any, schema: Mapping[str, Any]) -> str:
    if not isinstance(value, str):
        raise InvalidInput(f"`{name}` is text")
    if len(value) < schema.get("minLength", 0):
        raise InvalidInput(f"`{name}` has at least {schema['minLength']} characters")
    longest = min(schema.get("maxLength", LONGEST_TEXT), patterns.longest(schema.get("pattern", "")))
    if len(value) > longest:
        raise InvalidInput(f"`{name}` has at most {longest} characters")
    if "pattern" in schema and not patterns.compiled(schema["pattern"]).search(value):
        raise InvalidInput(f"`{name}` does not have the expected form")
    if "enum" in schema and value not in schema["enum"]:
        raise InvalidInput(f"`{name}` is one of {', '.join(map(str, schema['enum']))}")
    return value
