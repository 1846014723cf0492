"""Does a page that is not wanted any more let go of its kernel, whatever its notebook does?"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

from gatebook_server.tools.catalogue import Catalogue
from gatebook_server.tools.kernels import make_kernels
from gatebook_server.tools.options import Options
from gatebook_server.tools.rendering import Page, voila_configuration
from gatebook_server.tools.viewers import Handouts

WAITS = "import pathlib, time\npathlib.Path(r'{mark}').touch()\ntime.sleep(60)"


def wait_for(mark: Path) -> None:
    deadline = time.monotonic() + 30
    while not mark.exists():
        assert time.monotonic() < deadline, "the notebook's first cell did not begin"
        time.sleep(0.05)


async def test_a_page_whose_cells_wait_is_closed_at_once(
    options: Options, catalogue: Catalogue, tmp_path: Path
) -> None:
    """One cell waits for a viewer and another follows: nobody who opens the tool may have to wait for either."""
    tool, mark = catalogue.find("customer_desk"), tmp_path / "began"
    assert tool is not None
    cells = [
        {"cell_type": "code", "execution_count": None, "id": str(place), "metadata": {}, "outputs": [], "source": text}
        for place, text in enumerate((WAITS.format(mark=mark), "time.sleep(60)", "time.sleep(60)"))
    ]
    content = json.dumps({**json.loads(tool.content()), "cells": cells})
    kernels = make_kernels(options, folder=str(tmp_path))
    kernels.watch(Handouts(), vanished_s=60, on_end=lambda _kernel_id: None)
    kernel = kernels.begin()
    await kernel.channels()
    # Without it the first error inside of the kernel would end what its page hears.
    assert kernels.get_kernel(kernel.id).traceback_replacement_message
    page = Page(tool, kernel, content=content)
    try:
        page.begin(kernels, prefix=options.prefix, assets="/static/", configuration=voila_configuration("/static/"))
        await asyncio.to_thread(wait_for, mark)
        async with asyncio.timeout(10):
            await page.aclose()
    finally:
        await kernels.end(kernel.id)
