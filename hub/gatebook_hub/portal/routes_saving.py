"""How does a person save a query, edit, share and delete it? In forms of the portal, and nowhere else."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from decimal import Decimal

from starlette.responses import Response

from gatebook_hub.errors import (
    GatebookError,
    InvalidInput,
    NotFound,
    NotPermitted,
    PortalOnly,
    StateConflict,
    StatementRefused,
)
from gatebook_hub.portal.pages.fields import Choice
from gatebook_hub.portal.pages.frame import FieldError, address
from gatebook_hub.portal.pages.saved import ParameterForm, SavedEditPage, SavedSharePage
from gatebook_hub.portal.routes_saved import history_page
from gatebook_hub.portal.values import words_of
from gatebook_hub.portal.visits import Visit, leave_for, shown
from gatebook_hub.saved import (
    MOST_PARAMETERS,
    Chart,
    ChartKind,
    Draft,
    Kind,
    Parameter,
    Value,
    Version,
    parties_of,
    read_number,
    read_value,
)
from gatebook_hub.services.saved_queries import Wanted

# Of each parameter its kind, title, default, choices, smallest and largest value, beside those of the query.
MOST_FIELDS = 20 + 6 * MOST_PARAMETERS
_LONGEST_PREFILL = 4_000


class _Unfinished(Exception):
    """The form cannot be saved as it is: what is wrong with its fields."""

    def __init__(self, *errors: FieldError) -> None:
        super().__init__()
        self.errors = errors


@dataclass(frozen=True, slots=True, kw_only=True)
class _Given:
    """A draft as it was typed, with the fields of the parameters that its text has now."""

    parameters: tuple[ParameterForm, ...]
    new: tuple[str, ...]
    errors: tuple[FieldError, ...]


def new(visit: Visit) -> Response:
    """GET /saved/new: an empty form; `source` and `sql` fill it in, or `from` and `version`, which copy a query."""
    page = _blank(visit)
    copied = visit.asked("from")
    if copied:
        found = visit.cases.saved.get(visit.principal, Wanted(reference=copied))
        note = f"copied from {found.query.name}, version {found.version.number}"
        return shown(_filled(replace(page, name=found.query.name), found.version, note))
    return shown(replace(page, source=visit.asked("source")[:64], sql=visit.asked("sql")[:_LONGEST_PREFILL]))


def edit(visit: Visit) -> Response:
    """GET /saved/{id}/edit: the form of the next version."""
    found = visit.cases.saved.get(visit.principal, Wanted(reference=visit.request.path_params["id"]))
    if not found.query.is_editable_by(visit.principal):
        raise NotPermitted("its author, and groups that the author named, may edit this query")
    page = replace(_blank(visit), id=found.query.id, name=found.query.name, based_on=found.version.number)
    return shown(_filled(page, found.version, ""))


def save(visit: Visit) -> Response:
    """POST /saved and /saved/{id}/edit: keep what was typed, or show the form again with what is wrong.

    A press of `look` keeps nothing: it shows fields for the parameters that the text has.
    """
    query_id = visit.request.path_params.get("id")
    given = _parameters_given(visit)
    page = _typed(visit, query_id, given)
    if visit.form.get("do") == "look":
        return shown(replace(page, errors=given.errors))
    try:
        draft = _draft(visit, given)
        if query_id is None:
            saved = visit.cases.saved.save(visit.call, visit.form.get("name", ""), draft)
        else:
            saved = visit.cases.saved.edit(visit.call, query_id, draft, based_on=page.based_on)
    except _Unfinished as unfinished:
        return shown(replace(page, errors=unfinished.errors), InvalidInput.status)
    except GatebookError as error:
        if isinstance(error, PortalOnly) or (isinstance(error, NotFound) and query_id is not None):
            raise
        return shown(replace(page, errors=(_error_of(error, query_id),)), error.status)
    return leave_for(address(f"/saved/{saved.id}", notice="saved"))


def bring_back(visit: Visit) -> Response:
    """POST /saved/{id}/versions/{number}/restore: save an old version once more."""
    query_id = visit.request.path_params["id"]
    number, based_on = visit.request.path_params["number"], _whole(visit.form.get("based_on", ""))
    try:
        visit.cases.saved.bring_back(visit.call, query_id, number, based_on=based_on)
    except NotFound:
        raise
    except GatebookError as error:
        return shown(history_page(visit, errors=(FieldError(message=str(error)),)), error.status)
    return leave_for(address(f"/saved/{query_id}", notice="saved"))


def shares(visit: Visit) -> Response:
    """GET /saved/{id}/share."""
    return shown(_share_page(visit))


def share(visit: Visit) -> Response:
    """POST /saved/{id}/share: say who may run it, and who may edit it."""
    query_id = visit.request.path_params["id"]
    seen, edited = visit.form.get("seen_by", ""), visit.form.get("edited_by", "")
    field = "seen_by"
    try:
        seen_by = parties_of(seen)
        field = "edited_by"
        edited_by = parties_of(edited, are_editors=True)
        visit.cases.saved.share(visit.call, query_id, seen_by=seen_by, edited_by=edited_by)
    except InvalidInput as error:
        page = replace(_share_page(visit), seen_by=seen, edited_by=edited)
        return shown(replace(page, errors=(FieldError(message=str(error), field=field),)), error.status)
    return leave_for(address(f"/saved/{query_id}", notice="shared"))


def delete(visit: Visit) -> Response:
    """POST /saved/{id}/delete."""
    query_id = visit.request.path_params["id"]
    visit.cases.saved.delete(visit.call, query_id)
    return leave_for(address("/saved", deleted=query_id))


def _share_page(visit: Visit) -> SavedSharePage:
    found = visit.cases.saved.get(visit.principal, Wanted(reference=visit.request.path_params["id"]))
    if not found.query.is_owned_by(visit.principal):
        raise NotPermitted("its author alone shares a saved query")
    return SavedSharePage(
        frame=visit.frame(),
        id=found.query.id,
        name=found.query.name,
        title=found.version.draft.title,
        seen_by=", ".join(sorted(one.removeprefix("group:") for one in found.query.seen_by)),
        edited_by=", ".join(sorted(one.removeprefix("group:") for one in found.query.edited_by)),
    )


def _blank(visit: Visit) -> SavedEditPage:
    rules = visit.cases.access.sources(visit.principal)
    sources = tuple(Choice(value=rule.name, words=rule.title or rule.name) for rule in rules)
    return SavedEditPage(frame=visit.frame(), sources=sources)


def _filled(page: SavedEditPage, version: Version, note: str) -> SavedEditPage:
    draft = version.draft
    return replace(
        page,
        title=draft.title,
        description=draft.description,
        source=draft.source,
        sql=draft.sql,
        parameters=tuple(_form_of(one) for one in draft.parameters),
        chart=str(draft.chart.kind) if draft.chart else "",
        chart_x=draft.chart.x if draft.chart else "",
        chart_y=draft.chart.y if draft.chart else "",
        note=note,
    )


def _form_of(parameter: Parameter) -> ParameterForm:
    return ParameterForm(
        name=parameter.name,
        kind=str(parameter.kind),
        title=parameter.title,
        default=words_of(parameter.default),
        choices="\n".join(words_of(value) for value in parameter.choices),
        minimum=words_of(parameter.minimum),
        maximum=words_of(parameter.maximum),
    )


def _typed(visit: Visit, query_id: str | None, given: _Given) -> SavedEditPage:
    """The form as it was sent."""
    form = visit.form
    page = _blank(visit)
    name = form.get("name", "")
    if query_id is not None:
        name = visit.cases.saved.get(visit.principal, Wanted(reference=query_id)).query.name
    return replace(
        page,
        id=query_id,
        name=name,
        title=form.get("title", ""),
        description=_lines(form.get("description", "")),
        source=form.get("source", ""),
        sql=_lines(form.get("sql", "")),
        parameters=given.parameters,
        chart=form.get("chart", ""),
        chart_x=form.get("chart_x", ""),
        chart_y=form.get("chart_y", ""),
        note=_lines(form.get("note", "")),
        based_on=_whole(form.get("based_on", "")),
    )


def _parameters_given(visit: Visit) -> _Given:
    """The parameters that the text names, with what was typed about them."""
    form = visit.form
    try:
        names = visit.cases.saved.parameters_in(visit.call, form.get("source", ""), _lines(form.get("sql", "")))
    except GatebookError as error:
        typed = tuple(name.removesuffix("-kind").removeprefix("p-") for name in form if name.endswith("-kind"))
        return _Given(parameters=tuple(_sent(form, name) for name in typed), new=(), errors=(_error_of(error, None),))
    fresh = tuple(name for name in names if f"p-{name}-kind" not in form)
    return _Given(parameters=tuple(_sent(form, name) for name in names), new=fresh, errors=())


def _sent(form: Mapping[str, str], name: str) -> ParameterForm:
    return ParameterForm(
        name=name,
        kind=form.get(f"p-{name}-kind", "text"),
        title=form.get(f"p-{name}-title", ""),
        default=form.get(f"p-{name}-default", ""),
        choices=_lines(form.get(f"p-{name}-choices", "")),
        minimum=form.get(f"p-{name}-minimum", ""),
        maximum=form.get(f"p-{name}-maximum", ""),
    )


def _draft(visit: Visit, given: _Given) -> Draft:
    """The draft that was typed; raises _Unfinished. Whether its text may be saved is not for the form to say."""
    form = visit.form
    errors = [
        FieldError(message=f"say what the parameter `{name}` takes, then save", field=f"p-{name}-kind")
        for name in given.new
    ]
    parameters = []
    for one in given.parameters:
        try:
            parameters.append(_parameter(one))
        except _Unfinished as unfinished:
            errors += unfinished.errors
    if not form.get("title", "").strip():
        errors.append(FieldError(message="enter a title", field="title"))
    chart = None
    if form.get("chart", ""):
        x, y = form.get("chart_x", "").strip(), form.get("chart_y", "").strip()
        if form["chart"] not in set(ChartKind):
            errors.append(FieldError(message="choose a bar or a line chart", field="chart"))
        elif not (x and y):
            message = "name the column for the labels and the one for the values"
            errors.append(FieldError(message=message, field="chart_y" if x else "chart_x"))
        else:
            chart = Chart(kind=ChartKind(form["chart"]), x=x, y=y)
    if errors:
        raise _Unfinished(*errors)
    return Draft(
        title=form.get("title", "").strip(),
        description=_lines(form.get("description", "")).strip(),
        source=form.get("source", ""),
        sql=_lines(form.get("sql", "")).strip(),
        parameters=tuple(parameters),
        chart=chart,
        note=_lines(form.get("note", "")).strip(),
    )


def _parameter(form: ParameterForm) -> Parameter:
    """The parameter that was typed; raises _Unfinished naming the field."""
    field = "kind"
    try:
        kind = Kind(form.kind)
        field = "default"
        default = read_value(form.name, kind, form.default) if form.default else None
        field = "choices"
        choices: tuple[Value, ...] = tuple(
            read_value(form.name, kind, line.strip()) for line in form.choices.split("\n") if line.strip()
        )
        field = "minimum"
        minimum = _bound(form.name, form.minimum)
        field = "maximum"
        maximum = _bound(form.name, form.maximum)
    except (InvalidInput, ValueError) as error:
        message = str(error) if isinstance(error, InvalidInput) else "choose what the parameter takes"
        raise _Unfinished(FieldError(message=message, field=f"p-{form.name}-{field}")) from error
    return Parameter(
        name=form.name,
        kind=kind,
        title=form.title.strip(),
        default=default,
        choices=choices,
        minimum=minimum,
        maximum=maximum,
    )


def _bound(name: str, text: str) -> Decimal | None:
    return read_number(name, text.strip()) if text.strip() else None


def _error_of(error: GatebookError, query_id: str | None) -> FieldError:
    """A refusal beside the field that it is about."""
    field = None
    match error:
        case StatementRefused():
            field = "sql"
        case NotFound():
            field = "source"
        case StateConflict() if query_id is None:
            field = "name"
        case InvalidInput() if str(error).startswith("a name "):
            field = "name"
        case _:
            pass
    return FieldError(message=str(error), field=field)


def _whole(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


def _lines(text: str) -> str:
    return text.replace("\r\n", "\n")
