"""How long may what a call gives be, by the lengths of what it is given?"""

from __future__ import annotations

import re
from collections.abc import Sequence

from sqlglot import exp

# A number, a moment, a digest: as short whatever they are given.
_SMALL = frozenset(
    """
    ABS AVG BIT_COUNT BIT_LENGTH CARDINALITY CEIL CEILING CHARACTER_LENGTH CHAR_LENGTH COUNT COUNT_IF CRC32 CUME_DIST
    DATEDIFF DATE_DIFF DATE_PART DATE_TRUNC DAY DENSE_RANK DIV EXP EXTRACT FIELD FLOOR GENERATE_SERIES HOUR INSTR
    ISNULL JSON_ARRAY_LENGTH JSON_LENGTH JSON_TYPE JSON_VALID JULIANDAY LAST_DAY LEN LENGTH LN LOCATE LOG MD5 MINUTE
    MOD MONTH NTILE OCTET_LENGTH PERCENTILE_CONT PERCENTILE_DISC PERCENT_RANK POSITION POW POWER QUARTER RAND RANDOM
    RANK ROUND ROW_NUMBER SECOND SHA SHA1 SHA2 SHA224 SHA256 SIGN SQRT STARTS_WITH STD STDDEV STDDEV_POP STDDEV_SAMP
    STRCMP STRLEN STRPOS STRPTIME SUM TIMESTAMPDIFF TO_DATE TO_NUMBER TO_TIMESTAMP TOTAL TRUNC TRUNCATE TRY_STRPTIME
    TYPEOF UNICODE UNIXEPOCH UNIX_TIMESTAMP VARIANCE VAR_POP VAR_SAMP WEEK YEAR
    """.split()  # noqa: SIM905 - a list of names reads better as text
)
# One of what they are given.
_CHOOSE = frozenset(
    """
    ANY_VALUE ARBITRARY ARG_MAX ARG_MIN COALESCE FIRST FIRST_VALUE GREATEST IF IFNULL IIF LAG LAST LAST_VALUE LEAD LEAST
    LOWER LTRIM MAX MAX_BY MEDIAN MIN MIN_BY MODE NTH_VALUE NULLIF NVL NVL2 REVERSE RTRIM TRANSLATE TRIM UPPER
    """.split()  # noqa: SIM905 - as above
)
# All that their rows hold.
_GATHER = frozenset(
    """
    ARRAY_AGG BITSTRING_AGG GROUP_CONCAT HISTOGRAM JSONB_AGG JSONB_OBJECT_AGG JSON_AGG JSON_ARRAYAGG JSON_GROUP_ARRAY
    JSON_GROUP_OBJECT JSON_OBJECTAGG JSON_OBJECT_AGG LIST LISTAGG STRING_AGG
    """.split()  # noqa: SIM905 - as above
)
# Signs for one sign.
_SWELL = {
    **dict.fromkeys(("HEX", "TO_HEX", "TO_BASE64", "BASE64", "QUOTE", "REGEXP_ESCAPE"), 2.0),
    **dict.fromkeys(("QUOTE_LITERAL", "QUOTE_IDENT", "QUOTE_NULLABLE", "JSON_QUOTE", "TO_JSON", "TO_JSONB"), 2.0),
    **dict.fromkeys(("JSON_ARRAY", "JSON_OBJECT", "JSON_BUILD_ARRAY", "JSON_BUILD_OBJECT", "ROW_TO_JSON"), 2.0),
    **dict.fromkeys(("JSONB_BUILD_ARRAY", "JSONB_BUILD_OBJECT", "ARRAY_TO_JSON", "URL_ENCODE"), 3.0),
    **dict.fromkeys(("ENCODE", "JSON_PRETTY", "JSONB_PRETTY", "JSON_DETAILED"), 4.0),
    **dict.fromkeys(("BIN", "TO_BINARY"), 8.0),
}
# Their lengths stand in this place.
_CUT = {**dict.fromkeys(("LEFT", "RIGHT"), 1), **dict.fromkeys(("SUBSTR", "SUBSTRING", "MID"), 2)}
_PADS = frozenset({"LPAD", "RPAD"})
_FORMATS = frozenset({"FORMAT", "PRINTF"})
_JOINS = frozenset(
    {"ARRAY_TO_STRING", "LIST_STRING_AGG", "LIST_AGGR", "LIST_AGGREGATE", "ARRAY_AGGR", "ARRAY_AGGREGATE"}
)
_WIDE = re.compile(r"\d{3}")


def length_of_call(name: str, given: Sequence[exp.Expr], lengths: Sequence[float], rows: float) -> float:
    """The length of the result, where those of the arguments are `lengths` and an aggregate sees `rows` rows."""
    if not lengths or name in _SMALL:
        return 1.0
    first = lengths[0]
    if name in _CHOOSE:
        return max(lengths)
    if name in _GATHER:
        return sum(lengths) * rows * (2.0 if name.startswith("JSON") else 1.0)
    if name in _SWELL:
        return sum(lengths) * _SWELL[name]
    if name in _CUT:
        return min([first, *filter(None, map(number, given[_CUT[name] :]))])
    if name in _PADS and len(given) > 1:
        return max(first, number(given[1]) or 1.0)
    if name in _JOINS:
        return first * (1.0 + sum(lengths[1:]))
    if name == "CONCAT_WS":
        return first * len(lengths) + sum(lengths[1:])
    if name in _FORMATS:
        wide = 1_000.0 if _WIDE.search(given[0].name) else 1.0
        return first + max(2.0, first / 2) * max([wide, *lengths[1:]])
    return _of_multiplied(name, given, lengths)


def number(node: exp.Expr) -> float | None:
    """A literal that is a whole number."""
    is_plain = isinstance(node, exp.Literal) and not node.is_string and node.name.isdigit()
    return float(node.name) if is_plain else None


def _of_multiplied(name: str, given: Sequence[exp.Expr], lengths: Sequence[float]) -> float:
    """What repeats and replaces, and whatever else there is: as long as all that it is given."""
    if name == "REPEAT" and len(given) == 2:
        return lengths[0] * (number(given[1]) or 1.0)
    if name == "REPLACE" and len(given) == 3:
        found = max(1, len(given[1].name)) if isinstance(given[1], exp.Literal) else 1
        return lengths[0] * max(1.0, lengths[2] / found)
    if name == "REGEXP_REPLACE" and len(given) > 2:
        return lengths[0] * lengths[2]
    bodies = [length for node, length in zip(given, lengths, strict=True) if isinstance(node, exp.Lambda)]
    total = sum(length for node, length in zip(given, lengths, strict=True) if not isinstance(node, exp.Lambda))
    for body in bodies:
        total *= body
    return total
