"""Which schema and which obligations do the tests of this room use?"""

from __future__ import annotations

import pytest

from gatebook_hub.model import Column, Engine, Mask, RowFilter, Schema, Table, TableObligation

NAMESPACES = {Engine.SQLITE: "main", Engine.POSTGRESQL: "public", Engine.MARIADB: "shop", Engine.DUCKDB: "main"}


def _table(name: str, columns: str) -> Table:
    return Table(name=name, columns=tuple(Column(name=item, type="text") for item in columns.split()), key=("id",))


TABLES = {
    "customer": _table("customer", "id name email country"),
    "invoice": _table("invoice", "id customer_id total secret"),
    "genre": _table("genre", "id name"),
    "log": Table(name="log", columns=(Column(name="line", type="text"),)),
    "sums": Table(
        name="sums",
        columns=(
            Column(name="id", type="int"),
            Column(name="a", type="int"),
            Column(name="b", type="int", is_generated=True),
        ),
        key=("id",),
    ),
}
OBLIGATIONS = {
    "customer": TableObligation(
        table="customer",
        columns=("id", "name", "email", "country"),
        masks={"email": Mask(name="redact", rule="mask-email")},
        row_filters=(RowFilter(condition="country = 'DE'", rules=("scope",)),),
    ),
    "invoice": TableObligation(
        table="invoice",
        columns=("id", "customer_id", "total"),
        row_filters=(
            RowFilter(
                condition="customer_id in (select c.id from customer c where c.name = :principal)", rules=("mine",)
            ),
        ),
    ),
    "genre": TableObligation(table="genre", columns=("id", "name")),
}


def schema_of(engine: Engine) -> Schema:
    """The same five tables on any engine."""
    return Schema(source="shop", engine=engine, version="1", tables=TABLES, namespace=NAMESPACES[engine])


@pytest.fixture(params=list(Engine), ids=str)
def schema(request: pytest.FixtureRequest) -> Schema:
    """One schema per engine."""
    return schema_of(request.param)
