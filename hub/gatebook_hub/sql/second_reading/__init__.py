"""Does the database's own parser read what sqlglot read?

A check on PostgreSQL goes like this:

    names = sorted(statement.parameters)
    tree = statement.tree.copy()                     # names folded, as in a rewrite
    number_placeholders(tree, names)
    difference = trees_agree(numbered(statement.text, names, dialect), tree.sql(dialect=dialect, identify=True))
"""

from gatebook_hub.sql.second_reading.comparison import trees_agree
from gatebook_hub.sql.second_reading.differences import Difference
from gatebook_hub.sql.second_reading.duckdb_reading import trees_agree_duckdb
from gatebook_hub.sql.second_reading.facts import EngineFacts, facts_of
from gatebook_hub.sql.second_reading.parameters import number_placeholders, numbered

__all__ = [
    "Difference",
    "EngineFacts",
    "facts_of",
    "number_placeholders",
    "numbered",
    "trees_agree",
    "trees_agree_duckdb",
]
