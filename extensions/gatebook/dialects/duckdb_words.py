"""How are statements and tables written for DuckDB? As for PostgreSQL, but for what means something else there."""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import cast, exc, types
from sqlalchemy.dialects.postgresql.base import PGDDLCompiler, PGIdentifierPreparer
from sqlalchemy.sql.compiler import DDLCompiler

from gatebook.dialects.postgresql import GatePGCompiler

# Words of DuckDB's, or of the gate's parser, that PostgreSQL takes as names. A name means the same quoted and not.
RESERVED = frozenset(
    """
    alter anti asof at by collation concurrently date describe drop exclude force function glob if insert install int
    lambda lateral macro map no partitioned_by pivot pivot_longer pivot_wider positional qualify recursive regexp revoke
    rlike rollback semi set show summarize tablesample uncache unnest unpack unpivot value values xor
    """.split()  # noqa: SIM905 - a list of words reads better as text
)


class Words(GatePGCompiler):
    """Statements."""

    def for_update_clause(self, select: Any, **kw: Any) -> str:
        """Nothing: there are no locks of rows, and one transaction writes at a time."""
        return ""

    def fetch_clause(self, select: Any, **kw: Any) -> str:
        """As a limit, which it is; raises CompileError for what would be more than one."""
        options = select._fetch_clause_options
        if options and (options["percent"] or options["with_ties"]):
            raise exc.CompileError("DuckDB has neither `percent` nor `with ties`")
        offset, most = select._offset_clause, select._fetch_clause
        limited = "" if most is None else f"\n LIMIT {self.process(most, **kw)}"
        return limited if offset is None else f"{limited}\n OFFSET {self.process(offset, **kw)}"

    def visit_try_cast(self, cast: Any, **kw: Any) -> str:
        """Null for what cannot be cast."""
        return f"TRY_CAST({self.process(cast.clause, **kw)} AS {self.process(cast.typeclause, **kw)})"

    def visit_floordiv_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """Of whole numbers `//`, for `/` has a fraction."""
        if {binary.left.type._type_affinity, binary.right.type._type_affinity} == {types.Integer}:
            return f"{self.process(binary.left, **kw)} // {self.process(binary.right, **kw)}"
        return str(super().visit_floordiv_binary(binary, operator, **kw))  # type: ignore[no-untyped-call]

    def visit_bitwise_xor_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """A function: `^` is a power, and `#` is a column by its place."""
        return f"xor({self.process(binary.left, **kw)}, {self.process(binary.right, **kw)})"

    def visit_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """A function: `~` wants the whole text to match."""
        flags = binary.modifiers["flags"]
        given = [self.process(binary.left, **kw), self.process(binary.right, **kw)]
        if flags is not None:
            given.append(self.render_literal_value(flags, types.String()))  # type: ignore[no-untyped-call]
        return f"regexp_matches({', '.join(given)})"

    def visit_not_regexp_match_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """As above, the other way round."""
        return f"NOT {self.visit_regexp_match_op_binary(binary, operator, **kw)}"

    def visit_json_getitem_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """A function: `->` binds loosely, and is a lambda's arrow too."""
        is_cast = kw.pop("_cast_applied", False)
        if not is_cast and binary.type._type_affinity is not types.JSON:
            return str(self.process(cast(binary, binary.type), _cast_applied=True, **kw))
        given = f"{self.process(binary.left, **kw)}, {self.process(binary.right, **kw)}"
        return f"json_extract_string({given})" if is_cast else f"json_extract({given})"

    def visit_json_path_getitem_op_binary(self, binary: Any, operator: Any, **kw: Any) -> str:
        """As above: a path is a text too."""
        return self.visit_json_getitem_op_binary(binary, operator, **kw)


class TableWords(PGDDLCompiler):
    """Tables and indexes."""

    def get_column_specification(self, column: Any, **kw: Any) -> str:
        """A column; a whole number in the key is no `serial`, for there is none."""
        return DDLCompiler.get_column_specification(self, column, **kw)


class Names(PGIdentifierPreparer):
    """It quotes those words, too."""

    reserved_words: ClassVar = PGIdentifierPreparer.reserved_words | RESERVED
