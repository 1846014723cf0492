"""How does PostgreSQL's own parser read this text?

libpg_query (the grammar of PostgreSQL 17) through `pgparse`; this is the one module that imports it.
"""

from __future__ import annotations

import pgparse

from gatebook_hub.errors import NotParsed
from gatebook_hub.sql.second_reading.differences import TOO_DEEP
from gatebook_hub.sql.second_reading.trees import Tree

_MAX_LENGTH = 200_000
# The library walks its trees by recursion in C and has no guard of its own: 50,000 levels fit into a stack of 8 MB.
# A level takes a symbol or a word of seven letters (`notnull`) at least; a short text cannot hold too many of either.
# Parentheses need no count: the grammar's own stack ends at 10,000.
_SHORT = 30_000
_MAX_SYMBOLS = 20_000
_SYMBOLS = "+-*/<>=~!@#%^&|`?:"
_TOO_LONG = "the statement is too long or has too many operators for the database's own parser; split it"


def read(text: str) -> list[Tree]:
    """The statements of a text, each the node that PostgreSQL makes of it.

    Raises NotParsed; its sentence says where, never what the parser says, for that quotes the text.
    """
    _check_size(text)
    try:
        found = pgparse.parse(text)
    except RecursionError as error:
        raise NotParsed(TOO_DEEP) from error
    except pgparse.PGQueryError as error:
        where = f" at character {error.position:,}" if error.position > 0 else ""
        raise NotParsed(f"the database's own parser does not take the statement{where}") from None
    except UnicodeError:
        raise NotParsed("the statement holds characters that cannot be sent to the database") from None
    return [statement["stmt"] for statement in found if "stmt" in statement]


def _check_size(text: str) -> None:
    if "\0" in text:
        # C would stop reading there.
        raise NotParsed("the statement contains a NUL character")
    if len(text) <= _SHORT:
        return
    symbols = sum(text.count(symbol) for symbol in _SYMBOLS)
    if len(text) > _MAX_LENGTH or symbols > _MAX_SYMBOLS:
        raise NotParsed(_TOO_LONG)
