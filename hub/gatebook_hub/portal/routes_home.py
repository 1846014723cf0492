"""What can the person do here, and what waits for them?"""

from __future__ import annotations

from starlette.responses import Response

from gatebook_hub.errors import GatebookError, InvalidInput
from gatebook_hub.model import Principal
from gatebook_hub.policy import SourceRule, may_read_book, may_read_metrics
from gatebook_hub.portal.cards import card_of
from gatebook_hub.portal.pages.catalogue import SourceCard
from gatebook_hub.portal.pages.home import HomePage, PolicyTrouble
from gatebook_hub.portal.pages.pattern import pattern_page
from gatebook_hub.portal.things import kept, named_things, tools_of
from gatebook_hub.portal.visits import Visit, leave_for, local_address, shown
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.remembering import Kind, Named

FEW = 5
MANY = 10


def home(visit: Visit) -> Response:
    """GET /."""
    cases, person = visit.cases, visit.principal
    try:
        waiting = visit.inbox()
    except GatebookError:
        # A source is away: the inbox says so, the first page must not go with it.
        waiting = ()
    mine = cases.changes.listed(person, is_mine=True, limit=FEW)
    tools = tools_of(visit)
    favourites, recent = kept(visit, named_things(visit, tools))
    page = HomePage(
        frame=visit.frame(waiting=len(waiting)),
        favourites=favourites,
        recent=recent,
        tools=tools,
        waiting=tuple(card_of(outline, visit.sights) for outline in waiting[:FEW]),
        mine=tuple(card_of(outline, visit.sights) for outline in mine),
        sources=tuple(source_card(rule) for rule in cases.access.sources(person)),
        trouble=_trouble(cases, person),
    )
    return shown(page)


def mark(visit: Visit) -> Response:
    """POST /favourites: mark something, or no more; leads back to where it was pressed."""
    try:
        what = Named(kind=Kind(visit.form.get("kind", "")), name=visit.form.get("name", ""))
    except ValueError as error:
        raise InvalidInput("nothing of this kind can be marked") from error
    visit.cases.remembering.mark(visit.principal, what, is_favourite=visit.form.get("mark") == "yes")
    return leave_for(local_address(visit.form.get("next", "/")))


def _trouble(cases: UseCases, person: Principal) -> PolicyTrouble | None:
    """For operators and readers of the book: that the policy folder does not load."""
    found, at = cases.gate.in_force.trouble, cases.gate.circumstances()
    may_know = may_read_book(cases.gate.policy, person, at) or may_read_metrics(cases.gate.policy, person, at)
    if found is None or not may_know:
        return None
    lines = tuple(found.sentence.splitlines()[:MANY])
    return PolicyTrouble(lines=lines, revision=found.revision, since=found.since)


def pattern(visit: Visit) -> Response:
    """GET /pattern."""
    return shown(pattern_page(visit.frame()))


def source_card(rule: SourceRule, tables_count: int | None = None) -> SourceCard:
    """A source as a card."""
    return SourceCard(
        name=rule.name,
        title=rule.title,
        engine=str(rule.engine),
        is_production=rule.is_production,
        tables_count=tables_count,
    )
