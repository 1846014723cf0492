"""Which nodes of PostgreSQL's trees, with which fields, does the gate know? All else is unknown and to be refused.

A class or a field that a new version of the parser brings is not here, so a statement that uses it is refused.
"""

from __future__ import annotations

KNOWN: dict[str, frozenset[str]] = {
    name: frozenset(fields.split())
    for name, fields in {
        # queries
        "SelectStmt": """distinctClause targetList fromClause whereClause groupClause groupDistinct havingClause
            windowClause valuesLists sortClause limitOffset limitCount limitOption withClause op all larg rarg""",
        "WithClause": "ctes recursive",
        "CommonTableExpr": "ctename aliascolnames ctematerialized ctequery",
        "ResTarget": "name indirection val",
        "RangeVar": "schemaname relname inh relpersistence alias",
        "RangeSubselect": "lateral subquery alias",
        "RangeFunction": "lateral ordinality is_rowsfrom functions alias coldeflist",
        "ColumnDef": "colname typeName is_local",
        "JoinExpr": "jointype isNatural larg rarg usingClause quals alias join_using_alias",
        "Alias": "aliasname colnames",
        "SortBy": "node sortby_dir sortby_nulls",
        "WindowDef": "name refname partitionClause orderClause frameOptions startOffset endOffset",
        "GroupingSet": "kind content",
        "List": "items",
        # writes
        "InsertStmt": "relation cols selectStmt returningList override onConflictClause withClause",
        "UpdateStmt": "relation targetList whereClause fromClause returningList withClause",
        "DeleteStmt": "relation usingClause whereClause returningList withClause",
        "OnConflictClause": "action infer targetList whereClause",
        "InferClause": "indexElems whereClause conname",
        "IndexElem": "name ordering nulls_ordering",
        "MultiAssignRef": "source colno ncolumns",
        "SetToDefault": "",
        # expressions
        "A_ArrayExpr": "elements",
        "A_Const": "ival fval boolval sval bsval isnull",
        "A_Expr": "kind name lexpr rexpr",
        "A_Indices": "is_slice lidx uidx",
        "A_Indirection": "arg indirection",
        "A_Star": "",
        "BitString": "bsval",
        "BoolExpr": "boolop args",
        "Boolean": "boolval",
        "BooleanTest": "arg booltesttype",
        "CaseExpr": "arg args defresult",
        "CaseWhen": "expr result",
        "CoalesceExpr": "args",
        "CollateClause": "arg collname",
        "ColumnRef": "fields",
        "Float": "fval",
        "FuncCall": """funcname args agg_order agg_filter over agg_within_group agg_star agg_distinct func_variadic
            funcformat""",
        "GroupingFunc": "args",
        "Integer": "ival",
        "MinMaxExpr": "op args",
        "NamedArgExpr": "name arg argnumber",
        "NullTest": "arg nulltesttype",
        "ParamRef": "number",
        "RowExpr": "args row_format",
        "SQLValueFunction": "op typmod",
        "String": "sval",
        "SubLink": "subLinkType testexpr operName subselect",
        "TypeCast": "arg typeName",
        "TypeName": "names typmods typemod arrayBounds",
    }.items()
}
