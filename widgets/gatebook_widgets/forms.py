"""How does a person press an action? A form from its schema, a question before it is sent, and what came of it."""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping
from decimal import Decimal
from html import escape
from typing import Any

import ipywidgets

from gatebook import Change, Outcome
from gatebook.cards import card_of
from gatebook.catalogue import action_of
from gatebook.connection import act
from gatebook.errors import GatewayUnreachable, ParameterRefused
from gatebook.model import Action
from gatebook.transport import gate
from gatebook.wording import sentence
from gatebook_widgets.cards import ChangeCard
from gatebook_widgets.fields import Field, NotFitting, fields_of
from gatebook_widgets.parts import Part, when_open
from gatebook_widgets.wording import text_of


class ActionForm(Part):
    """The form of one action. `given` names, for parameters that come from the chosen record of `source`, its column.

    Where `source` is a selection of rows, the parameter that the action takes in bulk has the values of all of them.
    Before it asks whether it is meant, it shows what would change: a dry run, unless `preview=False`. Announces the
    outcome or the change request, and has `source` load again.
    """

    kind = "form"

    def __init__(self, action: str, source: Part | None = None, *, preview: bool = True, **given: str) -> None:
        self._name = action
        self._has_preview = preview
        self._source = source
        self._given_columns = given
        self._action: Action | None = None
        self._given: dict[str, Any] = {}
        self._inputs: dict[Field, tuple[ipywidgets.Widget, ipywidgets.HTML]] = {}
        self._ready: dict[str, Any] | None = None
        self._key = ""
        self._is_sending = False
        self.answer: Change | Outcome | None = None
        self._head = ipywidgets.HTML()
        self._fields = ipywidgets.VBox()
        self._question = ipywidgets.HTML()
        self._effect = ipywidgets.HTML()
        self._press, self._yes, self._back = (ipywidgets.Button() for _ in range(3))
        self._press.add_class("gb-press")
        self._yes.add_class("gb-press")
        self._back.add_class("gb-second")
        self._asking = ipywidgets.VBox([self._question, self._effect, _line(self._yes, self._back)])
        self._form = ipywidgets.VBox([self._head, self._fields, _line(self._press), self._asking])
        self._form.add_class("gb-form")
        self.card = ChangeCard()
        super().__init__(self._form, self.card.box)
        # Beneath the form, and above the card: where the eye is after the press.
        self.box.children = [self._form, self.status.widget, self.card.box]
        self._press.on_click(lambda _button: self.ask())
        self._yes.on_click(lambda _button: self.send())
        self._back.on_click(lambda _button: self._show_fields())
        self.card.follow(lambda _change: self._refresh_source())
        self._form.layout.display = "none"
        if source is not None:
            source.follow(self._on_news)

    def open(self, **given: Any) -> None:
        """Draw the form, with these parameters fixed."""
        self.attempt(lambda: self._open(given))

    def close(self) -> None:
        """Put the form away; what came of the last press stays."""
        self._ready = None
        self._effect.value = ""
        self._form.layout.display = "none"

    def fill(self, **values: Any) -> None:
        """Put values into fields, as a person would."""
        for field, (widget, _message) in self._inputs.items():
            if field.name in values:
                widget.value = values[field.name]

    def ask(self) -> None:
        """Check what was typed; if it fits, ask whether it is meant. This begins one press."""
        params: dict[str, Any] = dict(self._given)
        read = {field: _checked(field, *parts) for field, parts in self._inputs.items()}
        if not all(is_fitting for is_fitting, _ in read.values()) or self._action is None:
            return
        params |= {field.name: value for field, (_, value) in read.items() if value is not None}
        self.status.clear()
        self._effect.value = ""
        if self._has_preview and not self.attempt(lambda: self._look_ahead(params), "looking what would change …"):
            return
        self._ready = params
        self._key = secrets.token_urlsafe(18)
        text = _filled(self._action.confirm or f"{self._action.title or self._name}?", params)
        approval = f'<p class="gb-quiet">{escape(sentence(self._action.approval))}</p>' if self._action.approval else ""
        self._question.value = f'<p role="alert"><strong>{escape(text)}</strong></p>{approval}'
        self._show(is_asking=True)

    def send(self) -> None:
        """Send what was asked about, once: a second press of the same question carries the same key."""
        params = self._ready
        if params is None or self._is_sending:
            return
        self._is_sending = True
        try:
            self._yes.disabled = self._back.disabled = True
            if self.attempt(lambda: self._send(params), "sending …") and self.answer is not None:
                is_well = isinstance(self.answer, Outcome) or not self.answer.is_final
                (self.status.praise if is_well else self.status.complain)(told(self.answer))
        finally:
            self._is_sending = False
            self._yes.disabled = self._back.disabled = False

    def _look_ahead(self, params: Mapping[str, Any]) -> None:
        """Show what the press would do."""
        found = self._act(params, dry_run=True)
        self._effect.value = card_of(found) if isinstance(found, Change) else ""

    def _act(self, params: Mapping[str, Any], *, dry_run: bool = False) -> Change | Outcome:
        reason = params.get("reason")
        return act(
            gate(),
            self._name,
            {name: _as_json(value) for name, value in params.items()},
            reason=reason if isinstance(reason, str) else None,
            idempotency_key=None if dry_run else self._key,
            dry_run=dry_run,
        )

    def _send(self, params: Mapping[str, Any]) -> None:
        try:
            answer = self._act(params)
        except GatewayUnreachable:
            # It may have been done. The question stays, with its key: asked again it is the same press.
            raise
        except BaseException:
            self._show_fields()
            raise
        self.answer = answer
        self.close()
        self.card.show(answer if isinstance(answer, Change) else None)
        self._refresh_source()
        self.announce(answer)

    def _on_news(self, record: Any) -> None:
        if not record or not isinstance(record, Mapping | list):
            self.close()
            return
        self.card.show(None)
        self.status.clear()
        if isinstance(record, list):
            columns = self._given_columns.items()
            self.open(**{name: [one.get(column) for one in record] for name, column in columns})
        else:
            self.open(**{name: record.get(column) for name, column in self._given_columns.items()})

    def _open(self, given: Mapping[str, Any]) -> None:
        # Each time anew: what there is to choose from may be another than before.
        is_known = self._action is not None and not _has_choices(self._action)
        action = self._action if self._action is not None and is_known else when_open(lambda: action_of(self._name))
        self._action = action
        fields = fields_of(action.params)
        self._given = {field.name: _own(action, field, given[field.name]) for field in fields if field.name in given}
        self._inputs = {field: (field.widget(), ipywidgets.HTML()) for field in fields if field.name not in given}
        for field, (widget, message) in self._inputs.items():
            widget.observe(lambda _change, parts=(field, widget, message): _checked(*parts), names="value")
        self._head.value = self._heading(action)
        self._fields.children = [_field(field, *parts) for field, parts in self._inputs.items()]
        title = action.title or self._name
        self._press.description, self._yes.description, self._back.description = (
            title,
            f"Yes, {title[:1].lower()}{title[1:]}",
            "Back",
        )
        self._show_fields()
        self._form.layout.display = None

    def _heading(self, action: Action) -> str:
        labels = {field.name: field.label for field in fields_of(action.params)}
        facts = "".join(
            f"<div><dt>{escape(labels.get(name, name))}</dt><dd>{escape(_told(value))}</dd></div>"
            for name, value in self._given.items()
        )
        about = f"<p>{escape(sentence(action.description))}</p>" if action.description else ""
        return f"<h2>{escape(action.title or self._name)}</h2>{about}" + (
            f'<dl class="gb-facts">{facts}</dl>' if facts else ""
        )

    def _show_fields(self) -> None:
        self._ready = None
        self._effect.value = ""
        self._show(is_asking=False)

    def _show(self, *, is_asking: bool) -> None:
        self._asking.layout.display = None if is_asking else "none"
        self._fields.layout.display = "none" if is_asking else None
        self._press.layout.display = "none" if is_asking else None

    def _refresh_source(self) -> None:
        if self._source is not None:
            self._source.refresh()


class ActionButton(ActionForm):
    """A button for an action whose parameters all come from the chosen record, or from `fixed`."""

    kind = "button"

    def __init__(
        self,
        action: str,
        source: Part | None = None,
        *,
        fixed: Mapping[str, Any] | None = None,
        preview: bool = True,
        **given: str,
    ) -> None:
        self._fixed = dict(fixed or {})
        super().__init__(action, source, preview=preview, **given)
        if source is None:
            self.open()

    def open(self, **given: Any) -> None:
        """Show the button, for these parameters."""
        super().open(**{**self._fixed, **given})
        if self._inputs:
            missing = ", ".join(field.label for field in self._inputs)
            self.close()
            self.status.complain(f"the button of `{self._name}` has no value for {missing}; it needs a form")


def _checked(field: Field, widget: ipywidgets.Widget, message: ipywidgets.HTML) -> tuple[bool, object]:
    """Whether what a field holds fits, and the value; what is wrong is said beneath it."""
    try:
        value = field.read(widget.value)
    except NotFitting as error:
        message.value = f'<p class="gb-wrong" role="alert">{escape(sentence(f"{field.label} {error}"))}</p>'
        return False, None
    message.value = ""
    return True, value


def _own(action: Action, field: Field, value: Any) -> Any:
    """A record's value as the action wants it, which has its column's type; of several records one after the other."""
    if not isinstance(value, list):
        return field.read(text_of(value))
    if action.bulk is None or action.bulk.get("parameter") != field.name:
        message = f"the action `{action.name}` takes {field.label} of one record at a time"
        raise ParameterRefused(message)
    return [field.read(text_of(one)) for one in value]


def _told(value: object) -> str:
    return ", ".join(map(text_of, value)) if isinstance(value, list) else text_of(value)


def _has_choices(action: Action) -> bool:
    """Whether what may be given depends on the moment."""
    return any("oneOf" in schema for schema in (action.params.get("properties") or {}).values())


def _line(*buttons: ipywidgets.Button) -> ipywidgets.HBox:
    line = ipywidgets.HBox(buttons)
    line.add_class("gb-line")
    return line


def _field(field: Field, widget: ipywidgets.Widget, message: ipywidgets.HTML) -> ipywidgets.VBox:
    hint = ipywidgets.HTML(f'<p class="gb-quiet">{escape(sentence(field.hint))}</p>' if field.hint else "")
    box = ipywidgets.VBox([widget, hint, message])
    box.add_class("gb-field")
    return box


def _as_json(value: object) -> object:
    """A decimal as the JSON number that says exactly the same, where there is one: the schema says `number`."""
    if isinstance(value, Decimal) and Decimal(repr(float(value))) == value:
        return float(value)
    return value


def _filled(template: str, params: Mapping[str, Any]) -> str:
    """Put values in place of `{name}`; not `str.format`, which would follow attributes."""
    return re.sub(r"\{(\w+)\}", lambda found: _told(params.get(found[1], found[0])), template)


def told(answer: Change | Outcome) -> str:
    """What came of a press, in a sentence."""
    if isinstance(answer, Outcome):
        return f"done: {answer}"
    if answer.is_final:
        return f"{answer.state.words}: {answer.next_step}"
    return "this needs somebody's approval, so nothing has changed yet; the request is below and with the reviewers"
