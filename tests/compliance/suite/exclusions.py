"""The tests of SQLAlchemy's suite that an engine's own dialect passes and the gate does not: pattern, engines, reason.

`benchmarks/compliance.py` compares with the engines' own dialects and writes this list into the docs.
"""

from __future__ import annotations

ALL = frozenset({"sqlite", "postgresql", "mariadb"})
SQLITE, POSTGRESQL, MARIADB = frozenset({"sqlite"}), frozenset({"postgresql"}), frozenset({"mariadb"})

_ONE_NAMESPACE = "a source is one namespace"
_NO_VIEWS = "its tables come with views, which are not made through the gate"
_STREAMED = "it asks for the driver's own kind of cursor; every result of the gate is streamed"

EXCLUSIONS: tuple[tuple[str, frozenset[str], str], ...] = (
    ("ComponentReflectionTestExtra::*[True-*", ALL, _ONE_NAMESPACE),
    ("ComponentReflectionTestExtra::*[True]", ALL, _ONE_NAMESPACE),
    ("HasTableTest::*", ALL, _NO_VIEWS),
    ("ServerSideCursorsTest::*", ALL, _STREAMED),
    ("*TableDDLTest::test_drop_index_if_exists", ALL, "an index that is not there is refused, `if exists` or not"),
    ("InsertBehaviorTest::test_empty_insert*", ALL, "an insert names its columns"),
    ("NumericTest::test_infinity_floats", ALL, "infinity is no parameter"),
    ("LikeFunctionsTest::test_*regexp*", SQLITE, "SQLite has no such function; its Python driver brings one"),
    (
        "ComponentReflectionTestExtra::test_reflect_expression_based_indexes",
        SQLITE,
        "the warning about an index of expressions is given at the gateway",
    ),
    (
        "ComputedReflectionTest::test_get_column_returns_persisted",
        SQLITE,
        "the text of a definition is on one line here",
    ),
    (
        "UnicodeSchemaTest::*",
        SQLITE,
        "references are enforced through the gate, and by default not by the driver alone",
    ),
    ("UnicodeSchemaTest::*", MARIADB, "names of tables are folded, whatever the server's setting is"),
    ("CTETest::*", MARIADB, "its rows refer to one another, and MariaDB deletes those only with checks turned off"),
    ("ReturningGuardsTest::test_update_single", MARIADB, "the gate knows `update … returning` on MariaDB too"),
    ("ArrayTest::test_array_roundtrip", POSTGRESQL, "a parameter is one value; lists are written as `array[…]`"),
    ("Identity*Test::*", POSTGRESQL, "`no minvalue`, and options in an order of their own, are not parsed"),
    ("LastrowidTest::*", POSTGRESQL, "sequences are not asked; the number comes by `returning`"),
    ("InsertBehaviorTest::test_no_results_for_non_returning_insert*", POSTGRESQL, "sequences are not asked"),
    ("PrecisionIntervalTest::*literal*", POSTGRESQL, "an interval is written as `'…'::interval`"),
)
