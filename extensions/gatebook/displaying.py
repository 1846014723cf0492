"""How does the card of a change request come onto the page?

In a notebook as HTML, which stays in its file and is replaced as the request moves on, and beneath it buttons, which
live as long as the kernel does. A page of Voila keeps what was printed as it is, so there all of it is one widget.
Where nobody presses anything (a job, a terminal, a kernel without ipywidgets) the card has no buttons.
"""

from __future__ import annotations

import os
import uuid
from enum import Enum
from importlib.util import find_spec
from typing import Any

from gatebook import provenance
from gatebook.changes import Change
from gatebook.live import watch


class FrontEnd(Enum):
    """Who shows what a kernel displays?"""

    NOTEBOOK = "notebook"
    PAGE = "page"
    FILE = "file"


def show(change: Change) -> None:
    """Show the card; in a kernel it then follows the request."""
    from IPython import get_ipython

    shell = get_ipython()
    if shell is None or not hasattr(shell, "kernel"):
        # A terminal cannot replace what it has printed.
        print(change)  # noqa: T201 - this is the display
        return
    publisher = shell.display_pub
    front_end = front_end_here()
    if front_end is FrontEnd.PAGE:
        from gatebook.buttons import Card

        publisher.publish(data=Card(change).bundle)
        return
    transient = {"display_id": f"gatebook-{uuid.uuid4().hex}"}
    publisher.publish(data=bundle_of(change), metadata={}, transient=transient)

    def update(newer: Change) -> None:
        publisher.publish(data=bundle_of(newer), metadata={}, transient=transient, update=True)

    if front_end is FrontEnd.NOTEBOOK and (change.steps or not change.is_final):
        from gatebook.buttons import Buttons

        publisher.publish(data=Buttons(change, update).bundle)
    else:
        watch(change, update)


def front_end_here() -> FrontEnd:
    """Who shows this kernel's widgets: a front end with a person says which cell it runs, and Voila which kernel."""
    if find_spec("ipywidgets") is None:
        return FrontEnd.FILE
    if "VOILA_KERNEL_ID" in os.environ:
        return FrontEnd.PAGE
    return FrontEnd.NOTEBOOK if "cell_id" in provenance.claims() else FrontEnd.FILE


def bundle_of(change: Change) -> dict[str, Any]:
    """The card in every form that a front end may choose."""
    return change._repr_mimebundle_()
