"""Which template shows which page."""

from collections.abc import Mapping
from functools import cache
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from gatebook_hub.portal import filters
from gatebook_hub.portal.pages.access import AccessPage
from gatebook_hub.portal.pages.actions import ActionPage, ActionsPage
from gatebook_hub.portal.pages.audit import AuditPage, EventPage
from gatebook_hub.portal.pages.catalogue import CataloguePage, SourcePage
from gatebook_hub.portal.pages.change import ChangePage
from gatebook_hub.portal.pages.changes import InboxPage
from gatebook_hub.portal.pages.find import FindPage
from gatebook_hub.portal.pages.home import HomePage
from gatebook_hub.portal.pages.notifications import NotificationsPage
from gatebook_hub.portal.pages.pattern import PatternPage
from gatebook_hub.portal.pages.problem import NotFoundPage, ProblemPage
from gatebook_hub.portal.pages.runs import RunPage, RunsPage
from gatebook_hub.portal.pages.saved import (
    SavedEditPage,
    SavedHistoryPage,
    SavedListPage,
    SavedQueryPage,
    SavedSharePage,
)
from gatebook_hub.portal.pages.session import SignedOutPage, SignInPage
from gatebook_hub.portal.pages.tool_versions import ToolVersionPage, ToolVersionsPage
from gatebook_hub.portal.pages.who_can import WhoCanPage

Page = (
    HomePage
    | CataloguePage
    | SourcePage
    | ActionsPage
    | ActionPage
    | InboxPage
    | ChangePage
    | AuditPage
    | EventPage
    | RunsPage
    | RunPage
    | AccessPage
    | WhoCanPage
    | NotificationsPage
    | SavedListPage
    | SavedQueryPage
    | SavedHistoryPage
    | SavedEditPage
    | SavedSharePage
    | FindPage
    | ToolVersionsPage
    | ToolVersionPage
    | SignInPage
    | SignedOutPage
    | ProblemPage
    | NotFoundPage
    | PatternPage
)

STATIC = Path(__file__).parent / "static"
TEMPLATES: Mapping[type[Page], str] = MappingProxyType(
    {
        HomePage: "home.html",
        CataloguePage: "catalogue.html",
        SourcePage: "source.html",
        ActionsPage: "actions.html",
        ActionPage: "action.html",
        InboxPage: "inbox.html",
        ChangePage: "change.html",
        AuditPage: "audit.html",
        EventPage: "event.html",
        RunsPage: "runs.html",
        RunPage: "run.html",
        AccessPage: "access.html",
        WhoCanPage: "who_can.html",
        NotificationsPage: "notifications.html",
        SavedListPage: "saved.html",
        SavedQueryPage: "saved_query.html",
        SavedHistoryPage: "saved_history.html",
        SavedEditPage: "saved_edit.html",
        SavedSharePage: "saved_share.html",
        FindPage: "find.html",
        ToolVersionsPage: "tool_versions.html",
        ToolVersionPage: "tool_version.html",
        SignInPage: "sign_in.html",
        SignedOutPage: "signed_out.html",
        ProblemPage: "problem.html",
        NotFoundPage: "not_found.html",
        PatternPage: "pattern.html",
    },
)


def render(page: Page) -> str:
    """Return the HTML document of a page."""
    return environment().get_template(TEMPLATES[type(page)]).render(page=page)


@cache
def environment() -> Environment:
    """Return the template environment: everything is escaped, and an unknown name is an error, never an empty text."""
    made = Environment(
        loader=FileSystemLoader(Path(__file__).parent / "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        auto_reload=False,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters |= {
        "when": filters.when,
        "age": filters.age,
        "span": filters.span,
        "plural": filters.plural,
        "waiting": filters.waiting,
        "visible": filters.visible,
        "prose": filters.prose,
        "coded": filters.coded,
        "href": filters.href,
        "state_words": filters.state_words,
    }
    # Browsers may keep these for long: their addresses change with their content.
    for name, file in (("style_version", "gatebook.css"), ("palette_version", "palette.js")):
        made.globals[name] = sha256((STATIC / file).read_bytes()).hexdigest()[:12]
    return made
