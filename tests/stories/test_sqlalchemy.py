"""A program speaks SQLAlchemy to sandboxes behind the gate: Core, mapped classes, pandas, reflection."""

from __future__ import annotations

import datetime as dt
import uuid
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import pandas as pd
import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, relationship
from tests.stories.alone import Alone
from tests.stories.sandboxes import ENGINES, opened

import gatebook.dbapi

URLS = {"sqlite": "sqlite", "postgresql": "postgresql", "mariadb": "mysql", "duckdb": "duckdb"}
COUNTED = (
    "create sequence numbers start 10; create table counted (id bigint primary key default nextval('numbers'), n int)"
)


class Model(DeclarativeBase):
    """What the stories map."""


class Shop(Model):
    """Its number is made by the program."""

    __tablename__ = "shop"

    id: Mapped[uuid.UUID] = mapped_column(primary_key=True, default=uuid.uuid4)
    name: Mapped[str] = mapped_column(sa.String(50))
    items: Mapped[list[Item]] = relationship(back_populates="shop")


class Item(Model):
    """One of each kind of value."""

    __tablename__ = "item"
    __table_args__ = (sa.UniqueConstraint("shop_id", "bought"),)

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    shop_id: Mapped[uuid.UUID | None] = mapped_column(sa.ForeignKey("shop.id"))
    price: Mapped[Decimal | None] = mapped_column(sa.Numeric(10, 2))
    weight: Mapped[float | None]
    bought: Mapped[dt.date | None]
    changed: Mapped[dt.datetime | None]
    picture: Mapped[bytes | None]
    is_sold: Mapped[bool | None]
    more: Mapped[Any] = mapped_column(sa.JSON, nullable=True)
    shop: Mapped[Shop | None] = relationship(back_populates="items")


@pytest.fixture(scope="module")
def gateway(
    chinook_template: Path, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Alone]:
    folder = tmp_path_factory.mktemp("sqlalchemy")
    with duckdb.connect(folder / "lab.duckdb") as owner:  # who makes what no statement of the gate makes
        owner.execute(COUNTED)
    yield from opened(request, folder, chinook_template)


@pytest.fixture(params=ENGINES)
def name(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def engine(gateway: Alone, name: str) -> Iterator[sa.Engine]:
    """A builder's engine on the sandbox, with the tables of the model."""
    made = connected(gateway, name)
    Model.metadata.create_all(made)
    yield made
    Model.metadata.drop_all(made)
    made.dispose()


def connected(gateway: Alone, name: str) -> sa.Engine:
    token = gateway.token("ann", "builders", "analysts")
    return sa.create_engine(f"gatebook+{URLS[name]}://:{token}@{gateway.url.partition('://')[2]}/lab_{name}")


def test_values_come_back_as_they_went(engine: sa.Engine) -> None:
    row: dict[str, Any] = {
        "price": Decimal("12.50"),
        "weight": 1 / 3,
        "bought": dt.date(2026, 1, 2),
        "changed": dt.datetime(2026, 1, 2, 3, 4, 5),  # noqa: DTZ001 - the column has no zone
        "picture": b"\0x",
        "is_sold": True,
        "more": {"a": [1, "x"]},
    }
    table = sa.inspect(Item).local_table
    with engine.begin() as connection:
        assert connection.execute(sa.insert(table), {"id": 1, **row}).inserted_primary_key == (1,)
        connection.execute(sa.insert(table), [{"id": number, "price": number} for number in (2, 3)])
    with engine.connect() as connection:
        found = connection.execute(sa.select(table).where(table.c.id == 1)).mappings().one()
        assert {key: found[key] for key in row} == row
        assert connection.scalar(sa.select(sa.func.sum(table.c.id))) == 6
        assert connection.scalar(sa.select(table.c.id).where(table.c.more["a"][1].as_string() == "x")) == 1
    with engine.begin() as connection:
        assert connection.execute(sa.update(table).where(table.c.id > 1).values(price=table.c.price + 1)).rowcount == 2
        assert connection.execute(sa.delete(table).where(table.c.price == 4)).rowcount == 1
    with engine.connect() as connection:
        connection.execute(sa.delete(table))
        connection.rollback()
        assert connection.scalars(sa.select(table.c.id).order_by(table.c.id)).all() == [1, 2]


def test_mapped_classes_are_written_and_read(engine: sa.Engine) -> None:
    with Session(engine) as session:
        session.add(Shop(name="one", items=[Item(id=1, price=Decimal(1)), Item(id=2)]))
        session.commit()
        shop = session.scalars(sa.select(Shop)).one()
        shop.items[0].price = Decimal("2.50")
        shop.name = "uno"
        session.commit()
        assert session.scalars(sa.select(Item.price).join(Shop).order_by(Item.id)).all() == [Decimal("2.50"), None]
        session.add(Item(id=1))
        with pytest.raises(sa.exc.IntegrityError):
            session.commit()


def test_alembic_tells_what_differs_and_nothing_else(engine: sa.Engine) -> None:
    """Tables that others made, and the one that each test needs, are left out, as a program's own filter does."""

    def is_ours(name: str | None, kind: str, _: object) -> bool:
        return kind != "table" or name in Model.metadata.tables

    changed = sa.MetaData()
    for table in Model.metadata.sorted_tables:
        table.to_metadata(changed)
    changed.tables["item"].append_column(sa.Column("colour", sa.String(20)))
    with engine.connect() as connection:
        context = MigrationContext.configure(connection, opts={"include_name": is_ours, "compare_type": True})
        assert compare_metadata(context, Model.metadata) == []
        found = compare_metadata(context, changed)
    assert [(what, table, column.name) for what, _, table, column in found] == [("add_column", "item", "colour")]


def test_frames_go_out_and_in(engine: sa.Engine) -> None:
    frame = pd.DataFrame({"n": [1, 2], "text": ["a", None], "at": pd.to_datetime(["2026-01-01", "2026-02-01"])})
    assert frame.to_sql("frame", engine, index=False) == 2
    with pytest.raises(ValueError, match="already exists"):
        frame.to_sql("frame", engine, index=False)
    frame.to_sql("frame", engine, index=False, if_exists="append", method="multi")
    assert pd.read_sql(sa.text("select n from frame where n > :n"), engine, params={"n": 1})["n"].tolist() == [2, 2]
    frame.to_sql("frame", engine, index=False, if_exists="replace")
    found = pd.read_sql_table("frame", engine)
    pd.testing.assert_frame_equal(found.sort_values("n", ignore_index=True), frame, check_dtype=False)
    with engine.begin() as connection:
        connection.execute(sa.text("drop table frame"))


def test_tables_are_reflected(engine: sa.Engine, name: str) -> None:
    inspector = sa.inspect(engine)
    assert {"shop", "item"} <= set(inspector.get_table_names())
    kinds = {column["name"]: column["type"] for column in inspector.get_columns("item")}
    assert isinstance(kinds["price"], sa.Numeric)
    assert (kinds["price"].precision, kinds["price"].scale) == (10, 2)
    assert isinstance(kinds["changed"], sa.DateTime)
    assert isinstance(kinds["picture"], sa.LargeBinary)
    assert inspector.get_pk_constraint("item")["constrained_columns"] == ["id"]
    (reference,) = inspector.get_foreign_keys("item")
    assert (reference["constrained_columns"], reference["referred_table"]) == (["shop_id"], "shop")
    assert [one["column_names"] for one in inspector.get_unique_constraints("item")] == [["shop_id", "bought"]]
    table = sa.Table("item", sa.MetaData(), autoload_with=engine)
    assert {key.column.table.name for key in table.foreign_keys} == {"shop"}
    with pytest.raises(sa.exc.NoSuchTableError):
        inspector.get_columns("nowhere")


def test_savepoints_undo_a_part_where_there_are_any(engine: sa.Engine, name: str) -> None:
    table = sa.inspect(Item).local_table
    with engine.connect() as connection:
        connection.execute(sa.insert(table), {"id": 1})
        if name == "duckdb":
            with pytest.raises(gatebook.dbapi.ProgrammingError, match="no savepoints"):
                connection.begin_nested()
            return
        nested = connection.begin_nested()
        connection.execute(sa.insert(table), {"id": 2})
        nested.rollback()
        assert connection.scalars(sa.select(table.c.id)).all() == [1]


def test_large_results_are_streamed(gateway: Alone) -> None:
    series = sa.func.range(0, 50_000).table_valued("n").render_derived()
    with connected(gateway, "duckdb").connect().execution_options(yield_per=1_000) as connection:
        sizes = [len(part) for part in connection.execute(sa.select(series.c.n)).partitions()]
    assert sizes == [1_000] * 50


def test_duckdb_counts_where_the_owner_made_a_sequence_and_nowhere_else(gateway: Alone) -> None:
    engine = connected(gateway, "duckdb")
    table = sa.Table("counted", sa.MetaData(), autoload_with=engine)
    with engine.begin() as connection:
        assert connection.execute(sa.insert(table), {"n": 1}).inserted_primary_key == (10,)
        asked = sa.insert(table).returning(table.c.id, sort_by_parameter_order=True)
        assert connection.scalars(asked, [{"n": 2}, {"n": 3}]).all() == [11, 12]
    made = sa.Table("made", sa.MetaData(), sa.Column("id", sa.Integer, primary_key=True), sa.Column("n", sa.Integer))
    made.create(engine)
    with pytest.raises(sa.exc.IntegrityError, match="must not be empty"), engine.begin() as connection:
        connection.execute(sa.insert(made), {"n": 1})
    made.drop(engine)


def test_duckdb_has_types_of_its_own(gateway: Alone) -> None:
    engine = connected(gateway, "duckdb")
    sql = "create table kinds (id hugeint primary key, tags varchar[], way uuid, long interval, small utinyint)"
    row = (2**100, ["a", "b"], uuid.UUID(int=7), dt.timedelta(days=2, microseconds=5), 255)
    with engine.begin() as connection:
        connection.execute(sa.text(sql))
        table = sa.Table("kinds", sa.MetaData(), autoload_with=connection)
        assert [type(column.type).__name__ for column in table.c] == [
            "HUGEINT",
            "ARRAY",
            "UUID",
            "INTERVAL",
            "UTINYINT",
        ]
        number, tags, *rest = row
        values = {
            "id": number,
            "tags": sa.dialects.postgresql.array(tags),
            **dict(zip(("way", "long", "small"), rest, strict=True)),
        }
        connection.execute(sa.insert(table).values(values))
        assert tuple(connection.execute(sa.select(table)).one()) == row
    with engine.begin() as connection:
        table.drop(connection)
