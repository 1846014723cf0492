"""In which words is a definition sent to SQLite?  It keeps the text, and readers look for names and words in it."""

from __future__ import annotations

import re

from sqlglot import exp

from gatebook_hub.model import Engine
from gatebook_hub.sql.generating import quote, write

_BARE = re.compile(r"[A-Za-z_]\w*", re.ASCII)


def write_for_sqlite(tree: exp.Expr, nonce: str) -> str:
    """The text of a definition; consumes the tree.

    Names have double quotes, the names of constraints none where they were typed so. In an expression SQLite itself
    takes double quotes for a text where it knows no such column: there, names have the quotes that are never a text.
    """
    computed: dict[str, str] = {}
    for place, constraint in enumerate(tree.find_all(exp.ComputedColumnConstraint)):
        marker = f"gbx_{nonce}_{place}_"
        computed[marker] = write(constraint.this, Engine.SQLITE)
        constraint.set("this", exp.column(exp.to_identifier(marker, quoted=True)))
    markers: dict[tuple[str, bool], str] = {}
    for identifier in tree.find_all(exp.Identifier):
        if isinstance(identifier.parent, exp.Column):
            continue
        is_typed_bare = isinstance(identifier.parent, exp.Constraint) and not identifier.args.get("quoted")
        key = identifier.name, is_typed_bare and _BARE.fullmatch(identifier.name) is not None
        identifier.set("this", markers.setdefault(key, f"gbn_{nonce}_{len(markers)}_"))
    sql = write(tree, Engine.SQLITE)
    for (name, is_bare), marker in markers.items():
        written = name if is_bare else '"' + name.replace('"', '""') + '"'
        sql = sql.replace(quote(marker, Engine.SQLITE), written)
    for marker, expression in computed.items():
        sql = sql.replace(f"AS ({quote(marker, Engine.SQLITE)})", f"GENERATED ALWAYS AS ({expression})")
    return sql
