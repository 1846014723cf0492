"""What can the person do here, and what waits for them?"""

from __future__ import annotations

from starlette.responses import Response

from gatebook_hub.errors import GatebookError
from gatebook_hub.model import Principal
from gatebook_hub.policy import SourceRule, may_read_book, may_read_metrics, may_use_tool
from gatebook_hub.portal.cards import card_of
from gatebook_hub.portal.pages.catalogue import SourceCard
from gatebook_hub.portal.pages.home import HomePage, PolicyTrouble, ToolCard
from gatebook_hub.portal.pages.pattern import pattern_page
from gatebook_hub.portal.visits import Visit, shown
from gatebook_hub.services.cases import UseCases

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
    page = HomePage(
        frame=visit.frame(waiting=len(waiting)),
        tools=tool_cards(cases, person) if visit.hub is not None else (),
        waiting=tuple(card_of(outline, visit.sights) for outline in waiting[:FEW]),
        mine=tuple(card_of(outline, visit.sights) for outline in mine),
        sources=tuple(source_card(rule) for rule in cases.access.sources(person)),
        trouble=_trouble(cases, person),
        has_entities=bool(cases.searching.entities(visit.call)),
    )
    return shown(page)


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


def tool_cards(cases: UseCases, person: Principal) -> tuple[ToolCard, ...]:
    """The tools in force that policy lets this person open."""
    settings = cases.gate.settings
    return tuple(
        ToolCard(title=tool.title, summary=tool.summary, url=f"{settings.hub_url}/services/tools/{tool.name}")
        for tool in cases.publishing.in_force()
        if may_use_tool(cases.gate.policy, person, tool.name, cases.gate.circumstances())
    )
