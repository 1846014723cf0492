"""Does a press do once what it says, at a real gateway?"""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd
import pytest

import gatebook
from gatebook import Change, Outcome
from gatebook_widgets import ActionForm, Part, RecordTable, Search
from gatebook_widgets.forms import _filled

pytestmark = pytest.mark.usefixtures("ops")

INVOICES = "select i.invoiceid, i.total from invoice i where i.customerid = :id order by i.invoiceid"
REFUNDS = "select amount, reason from refund where invoiceid = :id order by refundid"


def refunds(invoice: int) -> list[float]:
    frame = gatebook.query("chinook", REFUNDS, id=invoice)
    assert isinstance(frame, pd.DataFrame)
    return [float(one) for one in frame["amount"]]


@pytest.fixture
def form() -> Iterator[ActionForm]:
    made = ActionForm("refund_invoice")
    yield made
    if made.card.change is not None:
        made.card.change.withdraw()


def test_the_form_is_drawn_from_the_schema(form: ActionForm) -> None:
    form.open(invoice_id=98)
    assert [field.label for field in form._inputs] == ["Amount", "Why"]
    assert "98" in form._head.value
    assert "Refund invoice" in form._head.value


def test_a_small_refund_is_done_once_however_often_it_is_pressed(form: ActionForm) -> None:
    before = refunds(98)
    form.open(invoice_id=98)
    form.fill(amount="1.00", reason="charged twice")
    form._press.click()
    assert "Refund 1.00 on invoice 98?" in form._question.value
    params, key = dict(form._ready or {}), form._key
    form._yes.click()
    form._yes.click()
    assert isinstance(form.answer, Outcome)
    assert "Done: 1 row changed" in form.status.text
    assert refunds(98) == [*before, 1.0]
    # The same press again, as after an answer that was lost on its way.
    form._ready, form._key = params, key
    form.send()
    assert refunds(98) == [*before, 1.0]


def test_a_large_refund_becomes_a_card(form: ActionForm) -> None:
    before = refunds(5)
    said: list[object] = []
    form.follow(said.append)
    form.open(invoice_id=5)
    form.fill(amount="6", reason="charged twice")
    form.ask()
    form.send()
    assert isinstance(form.answer, Change)
    assert said == [form.answer]
    assert "Awaiting review" in form.card._view.value
    assert "nothing has changed yet" in form.status.text
    assert refunds(5) == before


def test_nothing_is_sent_that_was_not_asked_about(form: ActionForm) -> None:
    """A forged press of the hidden button does nothing; so does one after going back."""
    before = refunds(98)
    form._yes.click()
    form.open(invoice_id=98)
    form._yes.click()
    form.fill(amount="1", reason="charged twice")
    form._yes.click()
    form.ask()
    form._back.click()
    form._yes.click()
    assert form.answer is None
    assert refunds(98) == before


def test_what_does_not_fit_is_said_at_its_field(form: ActionForm) -> None:
    form.open(invoice_id=98)
    form.fill(amount="0", reason="")
    form.ask()
    messages = {field.name: message.value for field, (_widget, message) in form._inputs.items()}
    assert "Amount has to be above 0." in messages["amount"]
    assert "Why is missing." in messages["reason"]
    assert form._asking.layout.display == "none"


def test_the_gateways_refusal_is_a_sentence_with_a_reference(form: ActionForm) -> None:
    form.open(invoice_id=999_999)
    form.fill(amount="1", reason="charged twice")
    form.ask()
    form.send()
    assert form.answer is None
    assert "reference" in form.status.text
    assert 'role="alert"' in form.status.text
    assert form._asking.layout.display == "none"


def test_an_action_that_is_not_ones_own_says_so() -> None:
    form = ActionForm("drop_everything")
    form.open()
    assert "that you may call" in form.status.text
    assert "<code>drop_everything</code>" in form.status.text
    assert form._form.layout.display == "none"


def test_the_question_takes_values_and_follows_nothing() -> None:
    """`str.format` would read attributes of what it is given."""
    assert _filled("{amount} on {invoice}, {amount.__class__}, {more}", {"amount": 1, "invoice": "{amount}"}) == (
        "1 on {amount}, {amount.__class__}, {more}"
    )


def test_search_table_form_follow_one_another() -> None:
    """The desk in small: the chosen invoice is the form's, and the table is loaded again after the press."""
    loads: list[int] = []

    def invoices_of(customer: dict[str, object]) -> object:
        loads.append(int(str(customer["customerid"])))
        return gatebook.query("chinook", INVOICES, id=loads[-1])

    find = "select customerid, lastname from customer where lastname like :name || '%' order by customerid"
    search = Search("Name", lambda text: gatebook.query("chinook", find, name=text))
    customers = RecordTable("Customers", search)
    invoices = RecordTable("Invoices", customers, invoices_of)
    form = ActionForm("refund_invoice", invoices, invoice_id="invoiceid")
    search.field.value = "Köh"
    assert customers.frame is not None
    assert customers.frame["lastname"].tolist() == ["Köhler"]
    customers.choose(0)
    invoices.choose(1)
    assert form._given == {"invoice_id": 12}
    form.fill(amount="0.5", reason="charged twice")
    form.ask()
    form.send()
    assert isinstance(form.answer, Outcome), form.status.text
    assert loads == [2, 2]
    assert form._form.layout.display == "none"
    search.run("x")
    assert customers.frame is None
    assert "at least 2 characters" in search.status.text


def test_a_part_of_a_tool_can_be_anything_that_follows() -> None:
    part, said = Part(), []
    part.follow(said.append)
    part.announce(1)
    assert said == [1]
