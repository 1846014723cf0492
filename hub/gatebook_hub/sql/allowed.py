"""Which syntax nodes, node arguments and types does the gate understand? All else is refused."""

from __future__ import annotations

NODES = frozenset(
    """
    Select From Join Where Group Having Order Ordered Limit Offset Fetch With CTE TableAlias Table Subquery
    Union Intersect Except Distinct Alias Column Identifier Star Literal Null Boolean Placeholder Paren Tuple
    EQ NEQ GT GTE LT LTE NullSafeEQ NullSafeNEQ Is In Between Like ILike Escape Not Neg
    Add Sub Mul Div IntDiv Mod DPipe DataType DataTypeParam Window WindowSpec Filter Interval Var
    Values Cube Rollup GroupingSets WithinGroup IgnoreNulls RespectNulls
    Qualify BitwiseAnd BitwiseLeftShift BitwiseNot BitwiseOr BitwiseRightShift BitwiseXor SimilarTo Glob AtTimeZone
    Overlaps Bracket Slice Lateral JSONPath JSONPathRoot JSONPathKey JSONPathSubscript HexString BitString
    ByteString RawString Adjacent ExtendsLeft ExtendsRight Distance Any All
    PropertyEQ Prior Variadic Kwarg IntervalSpan UnicodeString LimitOptions ColumnDef Lambda
    """.split()  # noqa: SIM905 - a list of a hundred names reads better as text
)

# Arguments that are allowed where a node has dangerous ones: anything else that is set is refused.
ARGUMENTS: dict[str, frozenset[str]] = {
    "Select": frozenset(
        {
            *("with_", "expressions", "from_", "joins", "laterals", "where", "group", "having", "qualify", "windows"),
            *("order", "limit", "offset", "distinct"),
        }
    ),
    "Table": frozenset({"this", "db", "alias", "joins", "ordinality"}),
    "Join": frozenset({"this", "side", "kind", "on", "using", "method"}),
    "Subquery": frozenset({"this", "alias", "order", "limit", "offset", "with_", "joins"}),
    "Union": frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    "Intersect": frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    "Except": frozenset({"with_", "this", "expression", "distinct", "order", "limit", "offset"}),
    "CTE": frozenset({"this", "alias", "materialized"}),
    "With": frozenset({"expressions", "recursive"}),
    "Column": frozenset({"this", "table"}),
    "Star": frozenset({"except_", "replace"}),
    "Lambda": frozenset({"this", "expressions"}),
    "In": frozenset({"this", "expressions", "query"}),
    "Insert": frozenset({"this", "expression", "with_", "conflict", "alternative", "ignore", "returning"}),
    "Update": frozenset({"this", "expressions", "where", "from_", "with_", "order", "limit", "returning"}),
    "Delete": frozenset({"this", "where", "using", "tables", "with_", "order", "limit", "returning"}),
    "Merge": frozenset({"this", "using", "on", "whens"}),
    "OnConflict": frozenset({"duplicate", "expressions", "action", "conflict_keys", "where"}),
    "When": frozenset({"matched", "source", "condition", "then"}),
    "Returning": frozenset({"expressions"}),
    "Placeholder": frozenset({"this"}),
    "Fetch": frozenset({"direction", "count", "limit_options"}),
    "LimitOptions": frozenset({"rows", "with_ties"}),
    "ColumnDef": frozenset({"this", "kind"}),
    "Schema": frozenset({"this", "expressions"}),
    "Values": frozenset({"expressions", "alias"}),
    "Identifier": frozenset({"this", "quoted"}),
    "Lateral": frozenset({"this", "alias"}),
    "Unnest": frozenset({"expressions", "alias", "offset"}),
    "Bracket": frozenset({"this", "expressions", "offset"}),
    "Any": frozenset({"this"}),
    "Collate": frozenset({"this", "expression"}),
    "All": frozenset({"this"}),
}

JOIN_METHODS = frozenset({"", "NATURAL"})
JOIN_KINDS = frozenset({"", "INNER", "OUTER", "CROSS"})
# DuckDB has more of both.
DUCKDB_JOINS = frozenset({"ASOF", "SEMI", "ANTI"})

# Types of casts, by the parser's names and by the words that are sent before a parenthesis.
TYPES = frozenset(
    """
    ARRAY BIGINT BINARY BIT BLOB BOOL BOOLEAN BPCHAR BYTEA CHAR CHARACTER CIDR CLOB DATE DATEMULTIRANGE DATERANGE
    DATETIME DATETIME2 DECIMAL DECIMAL128 DECIMAL256 DECIMAL32 DECIMAL64 DOUBLE FLOAT HUGEINT INET INT INT1 INT128
    INT16 INT2 INT32 INT4 INT4MULTIRANGE INT4RANGE INT64 INT8 INT8MULTIRANGE INT8RANGE INTEGER INTERVAL JSON JSONB LIST
    LONGBLOB LONGTEXT MEDIUMBLOB MEDIUMINT MEDIUMTEXT MONEY NAME NCHAR NUMERIC NUMMULTIRANGE NUMRANGE NVARCHAR POINT
    POLYGON PRECISION REAL SIGNED SMALLINT SMALLMONEY STRING STRUCT TEXT TIME TIMESTAMP TIMESTAMPLTZ TIMESTAMPNTZ
    TIMESTAMPTZ TIMESTAMP_MS TIMESTAMP_NS TIMESTAMP_S TIMETZ TINYBLOB TINYINT TINYTEXT TSMULTIRANGE TSRANGE
    TSTZMULTIRANGE TSTZRANGE UBIGINT UHUGEINT UINT UINT128 UINTEGER UMEDIUMINT UNSIGNED USMALLINT UTINYINT UUID
    VARBINARY VARBIT VARCHAR VARYING XML YEAR
    """.split()  # noqa: SIM905 - as above
)

# Types of PostgreSQL that the parser knows by their names alone. None of those that number or name what is in the
# server (`xid`, `pg_lsn`, `regclass` …), for their input and their functions tell of it.
NAMED_TYPES = frozenset(
    """
    "char" box cidr circle jsonpath line lseg macaddr macaddr8 path tsquery tsvector
    """.split()  # noqa: SIM905 - as above
)

# Words that may stand before a parenthesis without being a function.
BEFORE_PARENTHESIS = frozenset(
    """
    SELECT DISTINCT FROM JOIN ON USING WHERE AND OR XOR NOT IN AS BY HAVING OVER WITH UNION ALL ANY INTERSECT EXCEPT
    EXISTS BETWEEN LIKE ILIKE IS WHEN THEN ELSE CASE VALUES FILTER GROUP ORDER LIMIT OFFSET SET CUBE ROLLUP SETS
    MATERIALIZED INTERVAL LATERAL ESCAPE DIV RETURNING INTO ARRAY TO GLOB RLIKE REGEXP
    QUALIFY SOME SEPARATOR EXCLUDE
    """.split()  # noqa: SIM905 - as above
)
