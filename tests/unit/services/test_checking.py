"""Does a check against the live schema name file, line and what was probably meant?"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.unit.services.shop import ACTION, RULES, SOURCE, Shop

from gatebook_hub import policy
from gatebook_hub.services.cases import UseCases
from gatebook_hub.services.checking import check, known_tools


@pytest.fixture(scope="module")
def cases(tmp_path_factory: pytest.TempPathFactory) -> Iterator[UseCases]:
    with Shop(tmp_path_factory.mktemp("shop")).open() as found:
        yield found


def findings(cases: UseCases, rules: str) -> list[str]:
    texts = {"sources/shop.yaml": SOURCE.format(path="x"), "actions/credit.yaml": ACTION, "rules.yaml": rules}
    return [str(finding) for finding in check(policy.load(texts), cases.gate.in_force.sources)]


@pytest.mark.parametrize(
    "old, new, told",
    [
        ("on: shop.customer\n", "on: shop.custmer\n", "rules.yaml:6: policy.E010 .*did you mean `customer`?"),
        ("customer.email]", "customer.emial]", "rules.yaml:3: policy.E011 .*did you mean `email`?"),
        ("customer.email]", "custmer.email]", "rules.yaml:3: policy.E011 .*did you mean `customer`?"),
        ("where: country", "where: cntry", "rules.yaml:6: policy.E012 "),
        ("where: country", "columns: [naem]\n    where: country", "rules.yaml:6: policy.E011 .*did you mean `name`?"),
        (
            "mask: email",
            "mask: custom\n    expression: upper(nothing) || value",
            "policy.E018 .*mask-email",
        ),
        ("mask: email", "mask: custom\n    expression: value || name", "policy.E018 "),
        ("mask: email", "mask: custom\n    expression: load_extension(value)", "policy.E018 "),
        ("[shop.customer.email]", "[shop.customer.id]", "shop.yaml:2: policy.W020 .*shop.customer.email"),
    ],
)  # fmt: skip
def test_each_finding_has_its_place_and_a_hint(old: str, new: str, told: str, cases: UseCases) -> None:
    found = findings(cases, RULES.replace(old, new, 1))
    pattern = told.replace("?", r"\?")
    assert any(re.search(pattern, line) for line in found), found


def test_a_custom_mask_of_its_own_column_is_good(cases: UseCases) -> None:
    rules = RULES.replace("mask: email", "mask: custom\n    expression: upper(substr(value, 1, 2))")
    assert [line for line in findings(cases, rules) if ".E" in line] == []


def test_a_description_of_what_is_not_there_is_told(cases: UseCases) -> None:
    described = "descriptions:\n  customer: people\n  customer.emial: x\n  custmer: y\n"
    texts = {
        "sources/shop.yaml": SOURCE.format(path="x") + described,
        "actions/credit.yaml": ACTION,
        "rules.yaml": RULES,
    }
    found = [str(one) for one in check(policy.load(texts), cases.gate.in_force.sources) if one.id == "policy.W011"]
    assert len(found) == 2
    assert "`shop.customer.emial`" in found[1]
    assert "did you mean `email`?" in found[1]
    assert "did you mean `customer`?" in found[0]


def test_an_action_for_lists_has_one_statement(cases: UseCases) -> None:
    several = ACTION.replace("sql: ", "bulk: {parameter: customer}\nsql: ", 1)
    several = re.sub(r"sql: (.*)", r"sql: \1; \1", several)
    texts = {"sources/shop.yaml": SOURCE.format(path="x"), "actions/credit.yaml": several, "rules.yaml": RULES}
    found = [str(one) for one in check(policy.load(texts), cases.gate.in_force.sources)]
    assert any("policy.E013" in line and "exactly one statement" in line for line in found), found


def test_tools_are_known_where_there_is_a_folder_of_them(tmp_path: Path) -> None:
    assert known_tools(tmp_path) is None
    (tmp_path / "tools").mkdir()
    (tmp_path / "tools" / "desk.ipynb").write_text("{}")
    assert known_tools(tmp_path) == {"desk"}
