"""What does a statement touch, and how is it rewritten so that nothing else is reached?

The only room that imports sqlglot. Pure: statement, schema, obligations and a nonce go in, values come out.
"""

from gatebook_hub.sql.analysis import Analysis, analyse
from gatebook_hub.sql.asking import Asked, Explain, ShowColumns, ShowTables, asked
from gatebook_hub.sql.defining import Definition, defines, parse_definition, write_definition
from gatebook_hub.sql.direct import can_be_direct, write_directly
from gatebook_hub.sql.generating import Plan
from gatebook_hub.sql.inverse import inverse_text
from gatebook_hub.sql.keyed import (
    KeyedStatements,
    ListedStatements,
    count_up_to,
    is_followed_exactly,
    keyed_lookup,
    keyed_statements,
    listed_statements,
    quoted_table,
    select_any,
    select_following,
    select_keys_ended,
    select_keys_made,
    select_last_key,
    select_rows,
    select_rows_after,
)
from gatebook_hub.sql.kinds import refusal_of
from gatebook_hub.sql.lifting import LiftedStatement, lift
from gatebook_hub.sql.masks import check_mask
from gatebook_hub.sql.parsing import Statement, StatementKind, parse, parse_script, split
from gatebook_hub.sql.reading import check_condition, rewrite, tables_in
from gatebook_hub.sql.searching import like, lookup_text, record_text, search_text
from gatebook_hub.sql.steps import RETURNED_KEY, WritePlan, WriteStep
from gatebook_hub.sql.writing import plan_write

__all__ = [
    "RETURNED_KEY",
    "Analysis",
    "Asked",
    "Definition",
    "Explain",
    "KeyedStatements",
    "LiftedStatement",
    "ListedStatements",
    "Plan",
    "ShowColumns",
    "ShowTables",
    "Statement",
    "StatementKind",
    "WritePlan",
    "WriteStep",
    "analyse",
    "asked",
    "can_be_direct",
    "check_condition",
    "check_mask",
    "count_up_to",
    "defines",
    "inverse_text",
    "is_followed_exactly",
    "keyed_lookup",
    "keyed_statements",
    "lift",
    "like",
    "listed_statements",
    "lookup_text",
    "parse",
    "parse_definition",
    "parse_script",
    "plan_write",
    "quoted_table",
    "record_text",
    "refusal_of",
    "rewrite",
    "search_text",
    "select_any",
    "select_following",
    "select_keys_ended",
    "select_keys_made",
    "select_last_key",
    "select_rows",
    "select_rows_after",
    "split",
    "tables_in",
    "write_definition",
    "write_directly",
]
