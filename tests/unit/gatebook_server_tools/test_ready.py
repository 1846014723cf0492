"""What waits for a viewer, in which state, and is it ever handed out twice? With real kernels."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
from jupyter_client.provisioning.factory import KernelProvisionerFactory
from tests.unit.gatebook_server_tools.conftest import Shelf, notebook, version_of

from gatebook_server.errors import NoCredentials
from gatebook_server.launching import KernelStart, LauncherRefused, LocalLauncher
from gatebook_server.provisioner import GatebookProvisioner, KernelGate, install
from gatebook_server.tokens import KernelTokens
from gatebook_server.tools.catalogue import Catalogue, NotProven, Tool
from gatebook_server.tools.kernels import LOADED, ToolKernel, ToolKernels, make_kernels
from gatebook_server.tools.options import Options
from gatebook_server.tools.ready import NoKernelFree, ReadyPages
from gatebook_server.tools.rendering import Page, voila_configuration
from gatebook_server.tools.sessions import Sessions
from gatebook_server.tools.speaking import Speaker
from gatebook_server.tools.viewers import Handouts, Viewer

OPS = Viewer(name="ops", session_id="one")
REVIEWER = Viewer(name="reviewer", session_id="two")
LOOK = """
import sys
ours = get_ipython().user_ns_hidden
names = sorted(name for name in globals() if name not in ours and not name.startswith("_"))
print(names, get_ipython().execution_count, all(name in sys.modules for name in LOADED))
""".replace("LOADED", repr(LOADED))


class Refusing(LocalLauncher):
    """Starts as many kernels as there are places, as the root-owned launcher does."""

    places = 100

    def start(self, kernel: KernelStart) -> Any:
        """Start one, or refuse."""
        if self.places < 1:
            message = "all kernel slots are taken"
            raise LauncherRefused(message)
        return super().start(kernel)


@dataclass(kw_only=True)
class Room:
    """Kernels, and what begins to draw pages in them."""

    kernels: ToolKernels
    catalogue: Catalogue
    shelf: Shelf
    launcher: Refusing
    begun: list[str | None] = field(default_factory=list)
    made: list[ReadyPages] = field(default_factory=list)

    def ready(self, **how: Any) -> ReadyPages:
        """What waits, drawn as the service draws it; `begun` says whose each kernel was when its cells began to run."""
        configuration = voila_configuration("/static/")

        def begin(page: Page) -> None:
            handout = self.kernels.handouts.find(page.kernel_id)
            self.begun.append(handout.viewer.name if handout is not None else None)
            page.begin(self.kernels, prefix="/", assets="/static/", configuration=configuration)

        made = ReadyPages(self.kernels, self.catalogue, begin=begin, **{"ready": 0, **how})
        self.made.append(made)
        return made

    @property
    def tool(self) -> Tool:
        """The one tool."""
        found = self.catalogue.find("customer_desk")
        assert found is not None
        return found


@pytest.fixture
def shelf() -> Shelf:
    return Shelf(customer_desk=with_cell("print(customer, 'is the customer')"))


def with_cell(source: str) -> str:
    """A tool with a parameter, and a cell."""
    import json

    document = json.loads(notebook(parameters={"customer": {"type": "integer", "minimum": 1}}))
    about: dict[str, Any] = {"cell_type": "code", "execution_count": None, "outputs": []}
    document["cells"] = [
        {**about, "id": "a", "metadata": {"tags": ["parameters"]}, "source": "customer = 0"},
        {**about, "id": "b", "metadata": {}, "source": source},
    ]
    return json.dumps(document)


@pytest_asyncio.fixture
async def room(
    options: Options, catalogue: Catalogue, shelf: Shelf, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Room]:
    KernelProvisionerFactory.clear_instance()
    monkeypatch.setattr(KernelProvisionerFactory, "provisioners", {})
    monkeypatch.setattr(GatebookProvisioner, "gate", None)
    kernels = make_kernels(options, folder=str(tmp_path))
    tokens, launcher = KernelTokens(), Refusing()
    kernels.watch(Handouts(), vanished_s=options.vanished_s, on_end=tokens.revoke)
    install(KernelGate(url="http://127.0.0.1:9/gatebook", tokens=tokens, launcher=launcher), parent=kernels)
    made = Room(kernels=kernels, catalogue=catalogue, shelf=shelf, launcher=launcher)
    yield made
    for ready in made.made:
        await ready.aclose()
    await kernels.shutdown_all(now=True)
    KernelProvisionerFactory.clear_instance()


async def until(is_so: Callable[[], bool]) -> None:
    async with asyncio.timeout(60):
        while not is_so():  # noqa: ASYNC110 - kernels set no event
            await asyncio.sleep(0.05)


async def printed(kernel: ToolKernel, code: str) -> str:
    """What the code prints in this kernel."""
    texts: list[str] = []
    channels = await kernel.channels()
    hook = lambda message: texts.append(message["content"].get("text", ""))  # noqa: E731 - handed over once
    await channels.execute_interactive(code, output_hook=hook, timeout=30)
    return "".join(texts)


async def whole(page: Page, viewer: str = "ops") -> str:
    return "".join([snippet async for snippet in page.snippets(viewer)])


async def test_a_spare_has_loaded_what_tools_need_and_nothing_else(room: Room) -> None:
    """No name, no cell counted: a notebook finds it as it would find a kernel that was started for it."""
    spare = room.kernels.begin(is_loaded=True)
    await spare.channels()
    fresh = room.kernels.begin()
    found, plain = await printed(spare, LOOK), await printed(fresh, LOOK)
    assert plain.startswith("['ours', 'sys'] ")
    assert plain.endswith(" False\n")
    assert found == plain.replace("False", "True")


async def test_a_kernel_knows_that_a_page_shows_it(room: Room) -> None:
    """Which is how the client chooses what a change request looks like."""
    kernel = room.kernels.begin()
    code = "from gatebook.displaying import front_end_here\nprint(front_end_here().value, VOILA)"
    told = await printed(kernel, code.replace("VOILA", "__import__('os').environ['VOILA_KERNEL_ID']"))
    assert told == f"page {kernel.id}\n"


async def test_a_page_with_values_takes_a_spare_and_is_its_viewers_before_a_cell_runs(room: Room) -> None:
    """And the values of the address are what the cells see."""
    room.shelf.put(
        "customer_desk", with_cell("from IPython.display import HTML\nHTML(f'customer {customer} of the page')")
    )
    await room.catalogue.refresh()
    ready = room.ready(spare=1)
    ready.fill()
    (waiting,) = ready._spares
    await until(lambda: waiting.has_started)
    page = await ready.take(room.tool, OPS, {"customer": 12})
    assert page.kernel is waiting
    assert room.begun == ["ops"]
    assert "customer 12 of the page" in await whole(page)
    assert room.kernels.handouts.is_of(page.kernel_id, OPS)


async def test_each_viewer_gets_another_kernel(room: Room) -> None:
    """Spares, pages that wait, and kernels made for somebody: none of them twice."""
    ready = room.ready(ready=1, spare=1)
    ready.fill()
    taken = [
        await ready.take(room.tool, viewer, values) for viewer in (OPS, REVIEWER) for values in (None, {"customer": 1})
    ]
    assert len({page.kernel_id for page in taken}) == 4
    assert not {page.kernel_id for page in taken} & {one.id for one in ready._spares}
    assert [room.kernels.handouts.is_of(page.kernel_id, OPS) for page in taken] == [True, True, False, False]
    # One was drawn while it waited; the others' cells ran for those who had them by then.
    assert room.begun == [None, "ops", "reviewer", "reviewer"]


async def test_a_page_that_is_drawn_is_preferred_to_a_spare(room: Room) -> None:
    ready = room.ready(ready=1, spare=1)
    ready.fill()
    (waiting,) = ready._pages["customer_desk"]
    await until(lambda: waiting.is_drawn)
    assert await ready.take(room.tool, OPS) is waiting
    assert "ops" in await whole(waiting)


async def test_what_asked_before_it_had_a_viewer_is_handed_out_to_nobody(room: Room) -> None:
    """It ends, and the next of that tool runs no cell before its viewer is there."""
    ready = room.ready(ready=1, spare=1)
    ready.fill()
    (page,), (spare,) = ready._pages["customer_desk"], ready._spares
    speaker = Speaker(handouts=room.kernels.handouts, sessions=Sessions(), service_token="s")
    for kernel_id in (page.kernel_id, spare.id):
        await until(lambda kernel_id=kernel_id: kernel_id in room.kernels)  # type: ignore[misc]
        with pytest.raises(NoCredentials):
            await speaker.credentials(kernel_id)
    await until(lambda: page.kernel_id not in room.kernels and spare.id not in room.kernels)
    ready.fill()
    assert ready._pages["customer_desk"] == []
    taken = await ready.take(room.tool, OPS)
    assert taken.kernel_id not in {page.kernel_id, spare.id}
    assert room.begun == [None, "ops"]


async def test_a_page_of_another_version_is_handed_out_to_nobody(room: Room) -> None:
    ready = room.ready(ready=1)
    ready.fill()
    (old,) = ready._pages["customer_desk"]
    room.shelf.put("customer_desk", with_cell("print('newer')"))
    changed = await room.catalogue.refresh()
    # Also before anybody has told what waits that another version is in force.
    page = await ready.take(room.tool, OPS)
    assert page is not old
    assert page.tool.version == version_of(room.shelf.tools["customer_desk"])
    ready.replace(changed)
    await until(lambda: old.kernel_id not in room.kernels and old not in ready._pages.get("customer_desk", ()))


async def test_a_notebook_that_is_not_its_version_waits_for_nobody(room: Room) -> None:
    """And is not opened; the other things that wait are made all the same."""
    ready = room.ready(ready=1, spare=1)
    room.tool.file.chmod(0o600)
    room.tool.file.write_text("changed")
    ready.fill()
    assert ready._pages["customer_desk"] == []
    assert len(ready._spares) == room.kernels.count == 1
    with pytest.raises(NotProven):
        await ready.take(room.tool, OPS)
    assert room.kernels.count == 1


async def test_what_waits_gives_way_to_somebody_who_is_here(room: Room) -> None:
    """With as many kernels as there are seats, a page that waits for nobody ends; then there is no seat any more."""
    ready = room.ready(ready=1, spare=1, seats=2)
    ready.fill()
    assert room.kernels.count == 2
    taken = [await ready.take(room.tool, OPS, {"customer": place + 1}) for place in range(2)]
    assert room.kernels.count == 2
    assert ready._spares == ready._pages["customer_desk"] == []
    ready.fill()
    assert room.kernels.count == 2
    with pytest.raises(NoKernelFree):
        await ready.take(room.tool, REVIEWER)
    await room.kernels.end(taken[0].kernel_id)
    assert room.kernels.handouts.is_of((await ready.take(room.tool, REVIEWER)).kernel_id, REVIEWER)


async def test_a_kernel_that_does_not_start_is_a_sentence_on_the_page(room: Room) -> None:
    """And belongs to nobody, and is not tried again at once."""
    room.launcher.places = 0
    ready = room.ready(spare=1)
    page = await ready.take(room.tool, OPS)
    text = await whole(page)
    assert "Opening Customer desk" in text
    assert "This tool could not be opened" in text
    ready._paused_until = 0.0
    ready.fill()
    await until(lambda: ready._spares[0].has_failed)
    ready.fill()
    assert ready._spares == []


async def test_a_kernel_that_is_ended_while_it_starts_does_not_stay(room: Room) -> None:
    kernel = room.kernels.begin()
    assert room.kernels.count == 1
    await room.kernels.end(kernel.id)
    assert room.kernels.count == 0
    assert kernel.id not in room.kernels
    assert not list(room.kernels.list_kernel_ids())
