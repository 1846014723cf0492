"""Do both texts of a comparison get the same number for the same name?"""

from __future__ import annotations

import pytest
import sqlglot
from sqlglot.dialects.postgres import Postgres

from gatebook_hub.errors import ConstructRefused, NotParsed
from gatebook_hub.sql.second_reading import number_placeholders, numbered, trees_agree


@pytest.mark.parametrize(
    "text",
    [
        "select a::int from t where b = :name and c in (:limit, :name)",
        "select 'é :name', \"x:name\" from t where b=:name or c<:limit::int -- :other\n and d = /* :other */ :limit",
        "select a from t limit :limit",
        "select $q$ :name $q$, E'it\\'s :name' from t where a||:name='x'",
        "select case when a = :name then :limit else :name end from t",
    ],
)
def test_numbers_stand_for_names(text: str) -> None:
    names = ["limit", "name"]
    tree = sqlglot.parse_one(text, dialect=Postgres)
    number_placeholders(tree, names)
    assert trees_agree(numbered(text, names, Postgres), tree.sql(dialect=Postgres, identify=True)) is None


def test_another_name_is_a_difference() -> None:
    tree = sqlglot.parse_one("select a from t where b = :one and c = :two", dialect=Postgres)
    number_placeholders(tree, ["one", "two"])
    written = tree.sql(dialect=Postgres, identify=True)
    typed = numbered("select a from t where b = :two and c = :one", ["one", "two"], Postgres)
    assert trees_agree(typed, written) is not None


@pytest.mark.parametrize("text", ["select $1", "select :other", "select a from t where b = :name and c = $1"])
def test_other_parameters_are_refused(text: str) -> None:
    with pytest.raises(ConstructRefused):
        numbered(text, ["name"], Postgres)


@pytest.mark.parametrize("text", ["select : name", "select ':name", "select a[1:2:name]", "select :name:name"])
def test_a_colon_elsewhere_is_not_taken(text: str) -> None:
    with pytest.raises((NotParsed, ConstructRefused)):
        trees_agree(numbered(text, ["name"], Postgres), "select 1")
