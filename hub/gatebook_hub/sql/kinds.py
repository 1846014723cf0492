"""What kind of statement is this, if it is none that the gate takes, and what can be done instead?"""

from __future__ import annotations

import re

from gatebook_hub.sql.asking import bare

_CLASSES = {
    "a change of the schema": (
        "alter comment create drop rename security truncate",
        "schemas change through the database's own migrations",
    ),
    "about the session": (
        (
            "abort begin close commit deallocate declare discard end execute fetch handler listen lock move notify "
            "prepare release reset rollback savepoint set start unlisten unlock use"
        ),
        "each statement is a transaction of its own, and the gate sets the session",
    ),
    "administration": (
        (
            "analyze attach call checkpoint cluster copy detach do export flush grant import install kill load pragma "
            "reindex reassign refresh repair revoke shutdown vacuum"
        ),
        "it belongs to the database's operator",
    ),
    "a question about the source": (
        "desc describe explain show summarize",
        "`show tables`, `describe NAME` and `explain STATEMENT` are answered, without options",
    ),
}
_TAKEN = "`select`, `insert`, `update`, `delete` and `merge` are taken"


def refusal_of(text: str) -> str:
    """Why a statement is not taken, seen from its first word, in a sentence."""
    found = re.match(r"[A-Za-z]+", bare(text))
    word = found[0].lower() if found else ""
    for what, (words, instead) in _CLASSES.items():
        if word in words.split():
            return f"`{word}` is {what} and not taken here; {instead}"
    # The word is not repeated: it may be anything, and the book keeps the sentence.
    return f"this kind of statement is not taken here; {_TAKEN}"
