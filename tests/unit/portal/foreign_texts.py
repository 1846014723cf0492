"""Every page of the portal with one text wherever people, policy or a database give one."""

from dataclasses import replace
from types import ModuleType

from gatebook_hub.portal.pages.audit import AuditFilters, EventField
from gatebook_hub.portal.pages.catalogue import CataloguePage, Match
from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.change import Parameter, Permission, TimelineEntry
from gatebook_hub.portal.pages.changes import Quorum
from gatebook_hub.portal.pages.frame import FieldError
from gatebook_hub.portal.pages.home import PolicyTrouble
from gatebook_hub.portal.pages.runs import CellFailure
from gatebook_hub.portal.pages.session import SignedOutPage, SignInOffer, SignInPage
from gatebook_hub.portal.render import Page

HOSTILE = """<script>alert("'1'")</script>"""
LONG = "Wortungetüm" * 24


def pages_saying(text: str, examples: ModuleType) -> dict[str, Page]:
    """Return the pages with `text` wherever a text comes from people, policy or a database."""
    said = examples.frame(person=text, groups=(text,), notice=text, xsrf=text)
    quorum = (Quorum(groups=(text, text), needed=1, given=0),)
    version = examples.version_row(text, name=text, version=text, state=text, author=text, note=text)
    named = examples.card(
        summary=text, source=text, requester=text, action=text, risk=text, state=text, quorum=quorum, id=text
    )
    return {
        "home": replace(
            examples.home(text, text),
            frame=said,
            waiting=(named,),
            trouble=PolicyTrouble(lines=(text,), revision=text, since=examples.NOW),
        ),
        "catalogue": CataloguePage(
            frame=said,
            sources=(replace(examples.source(), name=text, title=text, engine=text),),
            downloads=examples.DOWNLOADS,
            query=text,
            matches=(Match(kind=text, title=text, url=text, summary=text),),
        ),
        "source": replace(examples.source_page(text, text), frame=said),
        "inbox": replace(examples.inbox((named,)), frame=said),
        "tool_versions": replace(examples.tool_versions(version), frame=said),
        "tool_version": examples.tool_version(
            text,
            frame=said,
            row=version,
            seen=text,
            errors=(FieldError(message=text, field="reason"), FieldError(message=text)),
            given_reason=text,
        ),
        "change": replace(
            examples.change(text),
            frame=said,
            errors=(FieldError(message=text, field="reason"), FieldError(message=text)),
            given_reason=text,
            seen=text,
            news=(TimelineEntry(at=None, sentence=text),),
            execute=Permission(is_allowed=False, why_not=text),
            withdraw=Permission(is_allowed=False, why_not=text),
            failure=text,
            state=text,
        ),
        "audit": replace(
            examples.audit((examples.event(text, text),)),
            frame=said,
            filters=AuditFilters(principal=text, kind=text, source=text, table=text, since=text, until=text),
            errors=(FieldError(message=text, field="since"),),
        ),
        "event": replace(
            examples.event_page(text), frame=said, fields=(EventField(name=text, text=text),), checkpoint=text
        ),
        "runs": replace(
            examples.runs((replace(examples.run_row("failed"), title=text, job=text, id=text),)), frame=said
        ),
        "run": replace(
            examples.run(replace(examples.run_row("failed"), title=text, job=text, id=text)),
            frame=said,
            principal=text,
            notebook=text,
            schedule=text,
            notebook_url=text,
            parameters=(Parameter(name=text, value=cell_of(text)),),
            failure=CellFailure(number=1, source=text, error_name=text, error_text=text),
        ),
        "saved": replace(examples.saved_list((examples.saved_card(text, text),), text), frame=said),
        "saved_query": replace(
            examples.saved_query(text),
            frame=said,
            id=text,
            name=text,
            author=text,
            source=text,
            sql=text,
            saved_by=text,
            call=text,
            result=replace(examples.saved_result("bar", text), no_chart=text),
            errors=(FieldError(message=text, field="p-country"), FieldError(message=text)),
            given_reason=text,
            given_purpose=text,
        ),
        "saved_line": replace(
            examples.saved_query(text), frame=said, result=replace(examples.saved_result("line", text), is_whole=False)
        ),
        "saved_history": replace(examples.saved_history(text), frame=said, id=text, name=text, author=text),
        "saved_edit": replace(examples.saved_edit(text), frame=said, id=text, name=text),
        "saved_share": replace(examples.saved_share(text), frame=said, id=text, name=text),
        "find": replace(examples.find_page(text), frame=said),
        "actions": replace(examples.actions(examples.action_card(text)), frame=said),
        "action": replace(
            examples.action_page(text),
            frame=said,
            errors=(FieldError(message=text, field="p-amount"), FieldError(message=text)),
            given_reason=text,
            given_purpose=text,
        ),
        "access": replace(examples.access(text, text), frame=said, revision=text),
        "who_can": replace(examples.who_can(text, text), frame=said, target=text, revision=text),
        "notifications": replace(examples.notifications(text, text), frame=said, digest_at=text),
        "sign_in": SignInPage(
            frame=examples.STRANGER,
            command=text,
            problem=text,
            offer=SignInOffer(code=text),
        ),
        "signed_out": SignedOutPage(frame=examples.STRANGER, sign_in_url=text),
        "problem": replace(
            examples.problem(text), frame=said, title=text, code=text, rule=text, ask=text, reference=text
        ),
    }
