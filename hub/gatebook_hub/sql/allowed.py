"""Which syntax nodes, node arguments and functions does the gate understand? All else is refused."""

from __future__ import annotations

from gatebook_hub.model import Engine

NODES = frozenset(
    """
    Select From Join Where Group Having Order Ordered Limit Offset Fetch With CTE TableAlias Table Subquery
    Union Intersect Except Distinct Alias Column Identifier Star Literal Null Boolean Placeholder Paren Tuple
    EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ Is In Between Like ILike Escape Not Neg
    Add Sub Mul Div IntDiv Mod DPipe DataType DataTypeParam Window WindowSpec Filter Interval Var
    Values Cube Rollup GroupingSets WithinGroup IgnoreNulls RespectNulls
    """.split()  # noqa: SIM905 - a list of a hundred names reads better as text
)

FUNCTION_NODES = frozenset(
    """
    And Or Xor Case If Cast TryCast Coalesce Nullif Exists Any All
    Count Sum Avg Min Max Stddev StddevPop StddevSamp Variance VariancePop GroupConcat Median
    Abs Ceil Floor Round Sign Sqrt Pow Exp Ln Log Trunc Greatest Least Mod
    Lower Upper Length Trim Substring Left Right Replace StrPosition Concat ConcatWs Initcap Reverse Ascii
    CurrentDate CurrentTime CurrentTimestamp Extract Date Time Timestamp DateTrunc TimestampTrunc TimeToStr
    TsOrDsToDate TsOrDsToTimestamp DateAdd DateSub DateDiff TimestampDiff TsOrDsAdd Year Month Day Quarter Week
    Hour Minute Second DayOfWeek DayOfMonth DayOfYear LastDay ToDays UnixToTime StrToDate StrToTime MakeDate
    RowNumber Rank DenseRank PercentRank CumeDist Ntile Lag Lead FirstValue LastValue NthValue
    PercentileCont PercentileDisc Anonymous AnonymousAggFunc
    """.split()  # noqa: SIM905 - as above
)

# Arguments that are allowed where a node has dangerous ones: anything else that is set is refused.
ARGUMENTS: dict[str, frozenset[str]] = {
    "Select": frozenset(
        {"with_", "expressions", "from_", "joins", "where", "group", "having", "order", "limit", "offset", "distinct"}
    ),
    "Table": frozenset({"this", "db", "alias"}),
    "Join": frozenset({"this", "side", "kind", "on", "using", "method"}),
    "Subquery": frozenset({"this", "alias", "order", "limit", "offset", "with_"}),
    "Union": frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    "Intersect": frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    "Except": frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    "CTE": frozenset({"this", "alias", "materialized"}),
    "With": frozenset({"expressions", "recursive"}),
    "Column": frozenset({"this", "table"}),
    "Star": frozenset(),
    "In": frozenset({"this", "expressions", "query"}),
    "Insert": frozenset({"this", "expression"}),
    "Update": frozenset({"this", "expressions", "where"}),
    "Delete": frozenset({"this", "where"}),
    "Placeholder": frozenset({"this"}),
    "Fetch": frozenset({"direction", "count"}),
    "Schema": frozenset({"this", "expressions"}),
    "Values": frozenset({"expressions", "alias"}),
    "Identifier": frozenset({"this", "quoted"}),
}

JOIN_METHODS = frozenset({"", "NATURAL"})
JOIN_KINDS = frozenset({"", "INNER", "OUTER", "CROSS"})

_COMMON = """
    COUNT SUM AVG MIN MAX ABS CEIL CEILING FLOOR ROUND SIGN SQRT POWER POW EXP LN LOG
    LOWER UPPER LENGTH TRIM LTRIM RTRIM SUBSTR SUBSTRING REPLACE COALESCE NULLIF CAST CONCAT CONCAT_WS
    ROW_NUMBER RANK DENSE_RANK PERCENT_RANK CUME_DIST NTILE LAG LEAD FIRST_VALUE LAST_VALUE NTH_VALUE
"""
FUNCTIONS: dict[Engine, frozenset[str]] = {
    Engine.SQLITE: frozenset(
        f"""{_COMMON} DATE TIME DATETIME JULIANDAY STRFTIME UNIXEPOCH IFNULL IIF INSTR TOTAL GROUP_CONCAT
        TYPEOF UNICODE TRUNC MOD TIMEDIFF""".split()
    ),
    Engine.POSTGRESQL: frozenset(
        f"""{_COMMON} EXTRACT DATE_PART DATE_TRUNC TO_CHAR TO_DATE AGE MAKE_DATE STRING_AGG LEFT RIGHT POSITION
        STRPOS INITCAP REVERSE GREATEST LEAST TRUNC MOD STDDEV STDDEV_POP STDDEV_SAMP VARIANCE VAR_POP VAR_SAMP
        PERCENTILE_CONT PERCENTILE_DISC BOOL_AND BOOL_OR CHAR_LENGTH SPLIT_PART NOW""".split()
    ),
    Engine.MARIADB: frozenset(
        f"""{_COMMON} DATE TIME TIMESTAMP YEAR MONTH DAY QUARTER WEEK HOUR MINUTE SECOND DAYOFWEEK DAYOFMONTH
        DAYOFYEAR LAST_DAY DATE_FORMAT STR_TO_DATE DATE_ADD DATE_SUB DATEDIFF TIMESTAMPDIFF IFNULL IF INSTR LOCATE
        LEFT RIGHT REVERSE GREATEST LEAST TRUNCATE MOD GROUP_CONCAT CHAR_LENGTH STDDEV STDDEV_POP STDDEV_SAMP
        VARIANCE VAR_POP VAR_SAMP NOW CURDATE CURRENT_DATE CURRENT_TIMESTAMP EXTRACT TO_DAYS""".split()
    ),
}

TYPES = frozenset(
    """
    INT INTEGER SMALLINT BIGINT TINYINT REAL DOUBLE PRECISION FLOAT DECIMAL NUMERIC TEXT VARCHAR CHAR BOOLEAN
    DATE TIME DATETIME TIMESTAMP TIMESTAMPTZ INTERVAL BLOB BYTEA UUID SIGNED UNSIGNED
    """.split()  # noqa: SIM905 - as above
)

# Words that may stand before a parenthesis without being a function.
BEFORE_PARENTHESIS = frozenset(
    """
    SELECT DISTINCT FROM JOIN ON USING WHERE AND OR XOR NOT IN AS BY HAVING OVER WITH UNION ALL ANY INTERSECT EXCEPT
    EXISTS BETWEEN LIKE ILIKE IS WHEN THEN ELSE CASE VALUES FILTER GROUP ORDER LIMIT OFFSET SET CUBE ROLLUP SETS
    MATERIALIZED INTERVAL LATERAL ESCAPE DIV RETURNING INTO
    """.split()  # noqa: SIM905 - as above
)
