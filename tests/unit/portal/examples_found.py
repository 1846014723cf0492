"""The pages of the search and of actions with ordinary values."""

from tests.unit.portal.framed import DOWNLOADS, frame

from gatebook_hub.portal.pages.actions import ActionCard, ActionPage, ActionsPage, ParameterRow, Rehearsal
from gatebook_hub.portal.pages.catalogue import Match
from gatebook_hub.portal.pages.cells import cell_of
from gatebook_hub.portal.pages.changes import Quorum
from gatebook_hub.portal.pages.diff import row_diff_of
from gatebook_hub.portal.pages.fields import YES_NO, Choice, ValueField
from gatebook_hub.portal.pages.find import FindPage, FoundRecord


def find_page(text: str) -> FindPage:
    """Return what was found, of two entities, one of which opens nothing."""
    shown = (("lastname", cell_of(text)), ("email", cell_of("a***@x.example", is_masked=True)), ("fax", cell_of(None)))
    return FindPage(
        frame=frame(),
        entities=("Customer", text),
        text=text,
        matches=(
            Match(kind="tool", title=text, url="http://localhost:8000/services/tools/customer_desk", summary=text),
            Match(kind="request", title=text, url="/changes/c-81", summary="awaiting review, asked by analyst"),
        ),
        records=(
            FoundRecord(
                entity="Customer", key="12", shown=shown, url="http://localhost:8000/services/tools/desk?id=12"
            ),
            FoundRecord(entity=text, key=text, shown=shown[:1], url=None),
        ),
        more=("Customer", text),
        notes=(f"{text}: its source did not answer",),
    )


def action_card(text: str = "Refund invoice") -> ActionCard:
    """Return an action in a list."""
    return ActionCard(
        name="refund_invoice",
        title=text,
        description=text,
        place="chinook",
        approval="needs 1 of reviewers when amount > 50",
        is_favourite=True,
        tools=((text, "http://localhost:8000/services/tools/customer_desk"),),
    )


def actions(*cards: ActionCard) -> ActionsPage:
    """Return the list of actions."""
    return ActionsPage(frame=frame(), actions=cards, downloads=DOWNLOADS)


def action_page(text: str = "Refund invoice") -> ActionPage:
    """Return an action with a field of each kind, and what it would do."""
    diff = {
        "key": ["refundid"],
        "columns": ["refundid", "amount", "reason"],
        "rows": [{"kind": "added", "key": [7], "before": None, "after": [7, "12.50", text]}],
        "is_complete": True,
    }
    return ActionPage(
        frame=frame(),
        action=action_card(text),
        fields=(
            ValueField(name="invoice_id", title=text, kind="integer", hint="Whole number, at least 1"),
            ValueField(name="amount", title="Amount", kind="number", value="12.50", hint="Number, above 0"),
            ValueField(name="is_paid", title="Paid", kind="boolean", choices=YES_NO),
            ValueField(name="why", title="Why", kind="text", choices=(Choice(value=text, words=text),)),
        ),
        parameters=(
            ParameterRow(name="invoice_id", title=text, kind="whole number", limits=("at least 1", text)),
            ParameterRow(name="why", title="Why", kind="text", default=text),
        ),
        does=f"insert into refund (amount) values (:amount) -- {text}",
        checks=(text,),
        rates=("at most 20 times an hour",),
        confirm=text,
        notebook_call="gatebook.action('refund_invoice', invoice_id=1, amount=0.01)",
        http_call=f"POST /api/v1/actions/refund_invoice {text}",
        key="0123456789abcdef" * 2,
        downloads=DOWNLOADS,
        rehearsal=Rehearsal(
            summary=text,
            diffs=(row_diff_of(diff),),
            beside=(row_diff_of({**diff, "table": "ledger"}),),
            warnings=(text,),
            quorum=(Quorum(groups=("reviewers", text), needed=1, given=0),),
        ),
    )
