"""Which tools are there, and in which version? Those in force, each proven by its hash whenever it is read."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.unit.gatebook_server_tools.conftest import Shelf, notebook, version_of

from gatebook_server.errors import GatewayUnreachable
from gatebook_server.tools.catalogue import RESERVED, Catalogue, NotProven


def paths_below(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*"))


async def test_a_tool_is_described_by_its_notebook(catalogue: Catalogue, shelf: Shelf) -> None:
    tool = catalogue.find("customer_desk")
    assert tool is not None
    assert (tool.title, tool.summary) == ("Customer desk", "Refunds.")
    assert tool.version == version_of(shelf.tools["customer_desk"])
    assert tool.claim == f"customer_desk@{tool.version}"
    assert tool.content() == shelf.tools["customer_desk"]
    assert tool.parameters == {"customer": {"type": "integer", "minimum": 1}}


async def test_another_version_takes_its_place(catalogue: Catalogue, shelf: Shelf) -> None:
    """What changed is told once; the copy of the version before is gone; nothing is fetched twice."""
    before = catalogue.find("customer_desk")
    assert before is not None
    assert await catalogue.refresh() == frozenset()
    shelf.put("customer_desk", notebook(summary="Refunds and more."))
    shelf.put("other", notebook(title="Other"))
    assert await catalogue.refresh() == {"customer_desk", "other"}
    after = catalogue.find("customer_desk")
    assert after is not None
    assert after.version != before.version
    assert not before.file.exists()
    assert [tool.name for tool in catalogue.all()] == ["customer_desk", "other"]
    del shelf.versions["other"]
    assert await catalogue.refresh() == {"other"}
    assert catalogue.find("other") is None
    assert len(shelf.fetched) == 3


async def test_a_version_that_lies_about_its_hash_is_not_served(catalogue: Catalogue, shelf: Shelf) -> None:
    """Whoever answers in the gateway's place, or changes what it keeps, opens no other notebook."""
    honest = shelf.versions["customer_desk"]
    shelf.put("evil", notebook(title="Evil"), version=honest)
    await catalogue.refresh()
    assert catalogue.find("evil") is None
    assert catalogue.find("customer_desk") is not None


async def test_a_kernel_that_writes_the_private_copy_changes_nothing(catalogue: Catalogue, shelf: Shelf) -> None:
    """The copy is proven when it is read, refused if it is another one, and fetched anew."""
    tool = catalogue.find("customer_desk")
    assert tool is not None
    assert tool.file.parent.stat().st_mode & 0o777 == 0o700
    assert tool.file.stat().st_mode & 0o777 == 0o400
    tool.file.chmod(0o600)
    tool.file.write_text(notebook(title="Evil"))
    with pytest.raises(NotProven):
        tool.content()
    await catalogue.refresh()
    again = catalogue.find("customer_desk")
    assert again is not None
    assert again.content() == shelf.tools["customer_desk"]
    assert len(shelf.fetched) == 2


async def test_a_link_in_the_private_folder_leads_nowhere(shelf: Shelf, tmp_path: Path) -> None:
    folder, outside = tmp_path / "private", tmp_path / "outside"
    folder.mkdir(mode=0o700)
    outside.write_text("kept")
    name = f"customer_desk-{shelf.versions['customer_desk']}"
    (folder / f"{name}.ipynb").symlink_to(outside)
    (folder / f"{name}.new").symlink_to(outside)
    catalogue = Catalogue(shelf, folder)
    await catalogue.refresh()
    tool = catalogue.find("customer_desk")
    assert tool is not None
    assert not tool.file.is_symlink()
    assert outside.read_text() == "kept"


@pytest.mark.parametrize(
    "name",
    ["../customer_desk", "customer_desk.ipynb", "Customer_Desk", "", "customer_desk\n", "a" * 65, "x/../customer_desk"],
)
async def test_a_name_is_no_path(catalogue: Catalogue, shelf: Shelf, name: str, tmp_path: Path) -> None:
    """Neither one that a viewer asks for nor one that is said to be in force."""
    shelf.put(name, notebook())
    before = paths_below(tmp_path)
    await catalogue.refresh()
    assert catalogue.find(name) is None
    assert paths_below(tmp_path) == before


@pytest.mark.parametrize("name", sorted(RESERVED))
async def test_a_tool_cannot_take_the_place_of_a_route(catalogue: Catalogue, shelf: Shelf, name: str) -> None:
    shelf.put(name, notebook())
    await catalogue.refresh()
    assert catalogue.find(name) is None


@pytest.mark.parametrize(
    "content", ["", "{", "[]", '{"metadata": 1}', notebook(kind="guide"), notebook(kind=None), notebook(parameters=1)]
)
async def test_what_is_no_tool_is_not_served(catalogue: Catalogue, shelf: Shelf, content: str) -> None:
    shelf.put("other", content)
    await catalogue.refresh()
    assert [tool.name for tool in catalogue.all()] == ["customer_desk"]


async def test_while_the_gateway_is_away_what_was_known_stays(catalogue: Catalogue, shelf: Shelf) -> None:
    async def away() -> dict[str, str]:
        message = "away"
        raise GatewayUnreachable(message)

    shelf.in_force = away  # type: ignore[method-assign]
    with pytest.raises(GatewayUnreachable):
        await catalogue.refresh()
    assert catalogue.find("customer_desk") is not None
