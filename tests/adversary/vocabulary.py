"""Which words do random reads know? Columns by what they hold, and values that are hidden, shown or nowhere."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Word:
    """A column: `n` for a number, `s` for a text, `d` for a day."""

    name: str
    kind: str


def _words(numbers: str, strings: str, days: str = "") -> tuple[Word, ...]:
    return tuple(
        Word(name, kind) for kind, names in (("n", numbers), ("s", strings), ("d", days)) for name in names.split()
    )


# All that Mallory sees of these tables, so that `*` holds what the grammar thinks; in no order.
ALL_TABLES: Mapping[str, tuple[Word, ...]] = {
    "customer": _words(
        "customerid supportrepid",
        "firstname lastname company address city state country postalcode phone fax email",
    ),
    "employee": _words(
        "employeeid reportsto",
        "lastname firstname title address city state country postalcode phone fax email",
        "hiredate",
    ),
    "refund": _words("refundid invoiceid amount", ""),
    "genre": _words("genreid", "name"),
    "mediatype": _words("mediatypeid", "name"),
    "genre_sizes": _words("genreid tracks", ""),
    # Some columns of the larger tables.
    "invoice": _words("invoiceid customerid total", "billingcity billingcountry billingpostalcode"),
    "support_ticket": _words("ticketid customerid", "subject status"),
    "track": _words("trackid genreid mediatypeid milliseconds bytes unitprice", "name composer"),
}
SMALL = tuple(ALL_TABLES[name] for name in ("genre", "mediatype", "employee", "genre_sizes"))
PROBES = (
    "leonekohler@surfeu.de", "luisg@embraer.com.br", "Brazil", "Germany", "Gonçalves", "Köhler", "a", "Nowhere", "%e%",
    "M%", "***", "MPEG-15", "70174", "The", "For Those About%",
)  # fmt: skip
