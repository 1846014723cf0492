"""Which of the things that there are is meant?"""

from gatebook_hub.portal.pages.catalogue import Match
from gatebook_hub.portal.things import MOST_MATCHES, search


def thing(kind: str, title: str, summary: str = "", also: str = "") -> Match:
    return Match(kind=kind, title=title, url="/", summary=summary, also=also)


def titles(query: str, *things: Match) -> list[str]:
    return [one.title for one in search(things, query)]


def test_what_is_called_so_comes_before_what_begins_so_and_what_only_says_so() -> None:
    known = (
        thing("column", "invoice.total"),
        thing("action", "Refund invoice"),
        thing("table", "invoiceline"),
        thing("table", "invoice"),
        thing("tool", "Finance month", "Revenue of each invoice"),
    )
    assert titles("Invoice", *known) == ["invoice", "invoiceline", "invoice.total", "Finance month", "Refund invoice"]


def test_every_word_has_to_be_there_somewhere() -> None:
    known = (thing("tool", "Finance month", "Revenue", also="finance_month"), thing("tool", "Customer desk"))
    assert titles("revenue month", *known) == ["Finance month"]
    assert titles("finance_month", *known) == ["Finance month"]
    assert titles("revenue desk", *known) == []


def test_of_many_there_are_so_many_as_somebody_reads() -> None:
    assert len(search((thing("table", f"t{number}") for number in range(500)), "t")) == MOST_MATCHES
