"""What is there that a person may open, and which of it is meant by some words?"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from urllib.parse import quote

from gatebook_hub.errors import GatebookError
from gatebook_hub.policy import may_use_tool
from gatebook_hub.portal.pages.catalogue import Match
from gatebook_hub.portal.pages.home import ToolCard
from gatebook_hub.portal.visits import Visit
from gatebook_hub.services.access import SourceView
from gatebook_hub.services.remembering import Kind, Named
from gatebook_hub.web.views import requester_of, summary_of

MOST_MATCHES = 100
_MOST_REQUESTS = 200
# The order of what was found by the same words.
_KINDS = ("tool", "action", "query", "source", "table", "column", "request", "run")


def search(found: Iterable[Match], query: str) -> tuple[Match, ...]:
    """Those that have every word; first those that are called so, then those whose name begins so."""
    words = query.casefold().split()
    whole = " ".join(words)

    def place(one: Match) -> tuple[bool, bool, int]:
        title = one.title.casefold()
        return title != whole, not title.startswith(whole), _KINDS.index(one.kind)

    return tuple(sorted((one for one in found if _has(words, one)), key=place)[:MOST_MATCHES])


def named_things(visit: Visit, tools: Iterable[ToolCard]) -> Iterator[Match]:
    """These tools, actions and saved queries: what asks no source."""
    for tool in tools:
        yield Match(kind="tool", title=tool.title, url=tool.url, summary=tool.summary, name=tool.name)
    for action in (known.action for known in visit.cases.actions.described(visit.principal)):
        url = f"/actions/{quote(action.name)}"
        yield Match(kind="action", title=action.title, url=url, summary=action.description, name=action.name)
    for saved in visit.cases.saved.listed(visit.principal):
        draft, query = saved.version.draft, saved.query
        also = f"{query.name} {query.author}"
        url = f"/saved/{query.id}"
        yield Match(kind="query", title=draft.title, url=url, summary=draft.description, name=query.id, also=also)


def kept(visit: Visit, known: Iterable[Match]) -> tuple[tuple[Match, ...], tuple[Match, ...]]:
    """What the person marked, and what else they used last, as far as they may still open it; no source is asked."""
    remembering = visit.cases.remembering
    marked = remembering.favourites(visit.principal)
    at_hand = {_named(one): one for one in known if one.name}
    titles = {rule.name: rule.title for rule in visit.cases.access.sources(visit.principal)}

    def found(what: Named) -> Match | None:
        if what.kind is not Kind.TABLE:
            return at_hand.get(what)
        source, _, table = what.name.partition(".")
        if source not in titles:
            return None
        url = f"/catalogue/{quote(source)}#table-{quote(table)}"
        return Match(kind="table", title=table, url=url, summary=titles[source], name=what.name)

    favourites = sorted(filter(None, map(found, marked)), key=lambda one: one.title.casefold())
    recent = (found(what) for what in remembering.recent(visit.principal) if what not in marked)
    return tuple(favourites), tuple(filter(None, recent))


def things_of_sources(visit: Visit) -> tuple[tuple[Match, ...], tuple[str, ...]]:
    """Sources with their tables and columns; and the names of the sources that could not be asked."""
    found: list[Match] = []
    away = []
    for rule in visit.cases.access.sources(visit.principal):
        url = f"/catalogue/{quote(rule.name)}"
        found.append(Match(kind="source", title=rule.title, url=url, summary=rule.description, also=rule.name))
        try:
            view = visit.cases.access.source(visit.call, rule.name)
        except GatebookError:
            away.append(rule.name)
            continue
        found += _in_source(view, url)
    return tuple(found), tuple(away)


def work(visit: Visit) -> Iterator[Match]:
    """The newest change requests and runs that the person may see."""
    for outline in visit.cases.changes.listed(visit.principal, limit=_MOST_REQUESTS):
        summary = f"{str(outline.state).replace('_', ' ')}, asked by {requester_of(outline.requester)}"
        also = f"{outline.id} {outline.action or ''} {outline.source}"
        title = summary_of(outline, visit.sights)
        yield Match(kind="request", title=title, url=f"/changes/{quote(outline.id)}", summary=summary, also=also)
    for run in visit.cases.jobs.find(visit.principal):
        summary = f"{run.state}, {run.started_at or run.scheduled_for or ''}"
        yield Match(kind="run", title=run.job, url=f"/runs/{quote(run.id)}", summary=summary, also=run.id)


def tools_of(visit: Visit) -> tuple[ToolCard, ...]:
    """The tools in force that policy lets this person open, those first that they marked; none without a Hub."""
    if visit.hub is None:
        return ()
    cases, person = visit.cases, visit.principal
    marked, at = cases.remembering.favourites(person), cases.gate.circumstances()
    cards = (
        ToolCard(
            name=tool.name,
            title=tool.title,
            summary=tool.summary,
            url=f"{cases.gate.settings.hub_url}/services/tools/{tool.name}",
            is_favourite=Named(kind=Kind.TOOL, name=tool.name) in marked,
        )
        for tool in cases.publishing.in_force()
        if may_use_tool(cases.gate.policy, person, tool.name, at)
    )
    return tuple(sorted(cards, key=lambda card: not card.is_favourite))


def _in_source(view: SourceView, address_of: str) -> Iterator[Match]:
    for table in view.tables:
        url = f"{address_of}#table-{quote(table.name)}"
        summary = view.about(table.name) or f"{len(table.columns)} columns in {view.rule.title}"
        yield Match(kind="table", title=table.name, url=url, summary=summary, name=f"{view.rule.name}.{table.name}")
        for column in table.columns:
            seen = "refused" if column.refused else f"masked: {column.mask}" if column.mask else column.type
            title = f"{table.name}.{column.name}"
            about = view.about(title)
            summary = f"{about} ({seen})" if about else seen
            yield Match(kind="column", title=title, url=url, summary=summary, also=" ".join(column.tags))


def _named(one: Match) -> Named | None:
    return Named(kind=Kind(one.kind), name=one.name) if one.name else None


def _has(words: list[str], one: Match) -> bool:
    text = f"{one.title} {one.summary} {one.name} {one.also}".casefold()
    return all(word in text for word in words)
