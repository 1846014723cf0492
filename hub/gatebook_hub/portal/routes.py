"""Which pages are there, and how does one of them say that something went wrong?"""

from __future__ import annotations

import logging
from collections.abc import Awaitable, Callable
from functools import partial

from fastapi import FastAPI, Request
from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.responses import Response

from gatebook_hub.errors import GatebookError, NotFound
from gatebook_hub.portal import routes_access as access
from gatebook_hub.portal import routes_actions as actions
from gatebook_hub.portal import routes_audit as audit
from gatebook_hub.portal import routes_catalogue as catalogue
from gatebook_hub.portal import routes_changes as changes
from gatebook_hub.portal import routes_find as find
from gatebook_hub.portal import routes_home as home
from gatebook_hub.portal import routes_inbox as inbox
from gatebook_hub.portal import routes_notifications as notifications
from gatebook_hub.portal import routes_runs as runs
from gatebook_hub.portal import routes_saved as saved
from gatebook_hub.portal import routes_saving as saving
from gatebook_hub.portal import routes_tools as tools
from gatebook_hub.portal import routes_who_can as who_can
from gatebook_hub.portal.files import read_files, send_file
from gatebook_hub.portal.pages.problem import NotFoundPage, ProblemPage
from gatebook_hub.portal.routes_session import SignIn
from gatebook_hub.portal.visits import Entrance, Visit, frame_of, shown
from gatebook_hub.services.cases import UseCases
from gatebook_hub.web.hub import HubDirectory

_LISTS = {
    "/inbox": inbox.inbox,
    "/catalogue": catalogue.catalogue,
    "/actions": actions.listed,
    "/audit": audit.audit,
    "/runs": runs.runs,
    "/saved": saved.listed,
    "/access": access.access,
    "/who-can": who_can.who_can,
}
_PAGES = {
    "/": home.home,
    "/pattern": home.pattern,
    "/find": find.find,
    "/find/at-hand.json": find.at_hand,
    "/actions/{name}": actions.action,
    "/changes/{id}": changes.change,
    "/notifications": notifications.notifications,
    "/tool-versions": tools.versions,
    "/tool-versions/{name}/{version}": tools.version,
    "/catalogue/{source}": catalogue.source,
    "/audit/checkpoint": audit.checkpoint,
    "/audit/{index:int}": audit.event,
    "/runs/{id}": runs.run,
    "/runs/{id}/notebook": runs.notebook,
    "/runs/{id}/notebook.ipynb": runs.notebook_file,
    "/saved/new": saving.new,
    "/saved/{id}": saved.query,
    "/saved/{id}/history": saved.history,
    "/saved/{id}/edit": saving.edit,
    "/saved/{id}/share": saving.shares,
}
_PRESSES = {
    "/changes/{id}/review": changes.review,
    "/changes/{id}/execute": changes.execute,
    "/changes/{id}/withdraw": changes.withdraw,
    "/changes/{id}/undo": changes.undo,
    "/changes/{id}/break-glass": changes.break_glass,
    "/changes/{id}/comments": changes.comment,
    "/notifications": notifications.choose,
    "/find": find.found,
    "/favourites": home.mark,
    "/access/ask": access.ask,
    "/access/{id}/end": access.end,
    "/saved/{id}/share": saving.share,
    "/saved/{id}/delete": saving.delete,
    "/saved/{id}/versions/{number:int}/restore": saving.bring_back,
    "/tool-versions/{name}/{version}/review": tools.review,
}
# Forms with fields for each parameter of a saved query or an action.
_LONG_PRESSES = {
    "/actions/{name}/try": actions.rehearse,
    "/actions/{name}/call": actions.call,
    "/saved": saving.save,
    "/saved/{id}/edit": saving.save,
    "/saved/{id}/result": saved.result,
    "/saved/{id}/download": saved.download,
}
_MACHINES = ("/api/", "/healthz", "/readyz", "/metrics")
_log = logging.getLogger(__name__)


def install(app: FastAPI, cases: UseCases, hub: HubDirectory | None) -> None:
    """Add every page to the application; `app.state.doorman` is there already."""
    entrance = Entrance(cases, hub, app.state.doorman)
    sign_in = SignIn(entrance)
    routes: list[tuple[str, str, Callable[[Request], Awaitable[Response]]]] = [
        *(("GET", path + kind, entrance.page(show)) for path, show in _LISTS.items() for kind in ("", ".json", ".csv")),
        *(("GET", path, entrance.page(show)) for path, show in _PAGES.items()),
        *(("POST", path, entrance.press(act)) for path, act in _PRESSES.items()),
        *(("POST", path, entrance.press(act, most_fields=saving.MOST_FIELDS)) for path, act in _LONG_PRESSES.items()),
        ("GET", "/sign-in", sign_in.show),
        ("POST", "/sign-in", sign_in.press),
        ("GET", "/oauth_callback", sign_in.come_back),
        ("POST", "/sign-out", entrance.press(sign_in.leave)),
        ("GET", "/signed-out", sign_in.show_left),
        ("GET", "/static/{name}", _static()),
    ]
    for method, path, endpoint in routes:
        app.add_route(path, endpoint, methods=[method], include_in_schema=False)
    _install_problems(app, entrance)


def _static() -> Callable[[Request], Awaitable[Response]]:
    send = partial(send_file, read_files())

    async def endpoint(request: Request) -> Response:
        return send(request)

    return endpoint


def _install_problems(app: FastAPI, entrance: Entrance) -> None:
    """Errors of pages are pages; those of the API and of downloads stay problem documents."""

    def told(kind: type[Exception], translate: Callable[[Exception], GatebookError]) -> None:
        before = app.exception_handlers[kind]

        async def handler(request: Request, error: Exception) -> Response:
            path = request.url.path
            if path.startswith(_MACHINES) or path.endswith((".json", ".csv")):
                answer = before(request, error)
                return answer if isinstance(answer, Response) else await answer
            return await _problem(entrance, request, translate(error))

        app.add_exception_handler(kind, handler)

    told(GatebookError, lambda error: error if isinstance(error, GatebookError) else GatebookError())
    told(HTTPException, _from_http)
    told(Exception, _unexpected)


def _from_http(error: Exception) -> GatebookError:
    status = error.status_code if isinstance(error, HTTPException) else 500
    if status == 404:
        return NotFound("there is nothing at this address")
    made = _Refused("this address is not asked that way")
    made.seen_status = status
    return made


class _Refused(GatebookError):
    """An answer of the framework's own, such as 405."""

    code, title = "GB-104", "invalid input"
    seen_status = 400


def _unexpected(error: Exception) -> GatebookError:
    _log.error("unexpected error", exc_info=error)
    return GatebookError("something went wrong inside the gateway; the operator's log has more")


async def _problem(entrance: Entrance, request: Request, error: GatebookError) -> Response:
    try:
        visit = await entrance.enter(request)
    except GatebookError:
        # The Hub is away, or there were too many requests: the page says so without naming anybody.
        visit = None
    return await run_in_threadpool(_problem_page, entrance, visit, error)


def _problem_page(entrance: Entrance, visit: Visit | None, error: GatebookError) -> Response:
    has_hub = entrance.hub is not None
    frame = frame_of(entrance.cases, visit.session if visit else None, None, has_hub=has_hub)
    if isinstance(error, NotFound):
        return shown(NotFoundPage(frame=frame), error.status)
    status = error.seen_status if isinstance(error, _Refused) else error.status
    page = ProblemPage(
        frame=frame,
        status=status,
        title=error.title[0].upper() + error.title[1:],
        detail=error.detail or error.title,
        code=error.code,
        rule=error.rule,
        ask=error.ask,
        reference=str(error.reference) if error.reference is not None else None,
    )
    return shown(page, status)
