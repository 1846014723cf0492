"""Which notebooks are tools, and in which version?"""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest
from tests.unit.gatebook_server_tools.conftest import notebook

from gatebook_server.tools.catalogue import RESERVED, Catalogue


def test_a_tool_is_described_by_its_notebook(tools: Path) -> None:
    tool = Catalogue(tools).find("customer_desk")
    assert tool is not None
    assert (tool.title, tool.summary) == ("Customer desk", "Refunds.")


def test_the_version_is_of_the_very_bytes(tools: Path) -> None:
    catalogue, file = Catalogue(tools), tools / "customer_desk.ipynb"
    before = catalogue.find("customer_desk")
    assert before is not None
    assert before.version == hashlib.sha256(file.read_bytes()).hexdigest()[:12]
    file.write_text(notebook(summary="Refunds and more."))
    after = catalogue.find("customer_desk")
    assert after is not None
    assert after.version != before.version
    assert after.claim == f"customer_desk@{after.version}"


@pytest.mark.parametrize(
    "name",
    ["../customer_desk", "customer_desk.ipynb", "Customer_Desk", "", "customer_desk\n", "a" * 65, "x/../customer_desk"],
)
def test_a_name_is_no_path(tools: Path, name: str) -> None:
    assert Catalogue(tools).find(name) is None


@pytest.mark.parametrize("name", sorted(RESERVED))
def test_a_tool_cannot_take_the_place_of_a_route(tools: Path, name: str) -> None:
    (tools / f"{name}.ipynb").write_text(notebook())
    assert Catalogue(tools).find(name) is None


@pytest.mark.parametrize("content", ["", "{", "[]", '{"metadata": 1}', notebook(kind="guide"), notebook(kind=None)])
def test_what_is_no_tool_is_not_served(tools: Path, content: str) -> None:
    (tools / "other.ipynb").write_text(content)
    catalogue = Catalogue(tools)
    assert catalogue.find("other") is None
    assert [tool.name for tool in catalogue.all()] == ["customer_desk"]
