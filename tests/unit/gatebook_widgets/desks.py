"""Which gateway do widgets ask that write tables? That of the demo with further grants, as some person."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tests.stories.alone import Alone
from tests.stories.gateway import APP, Gateway


@contextmanager
def desk(folder: Path, chinook: Path, grants: str, *actions: str) -> Iterator[Gateway]:
    """A gateway of the demo whose policy has these grants and actions too."""
    policies = folder / "policies"
    shutil.copytree(APP / "policies", policies)
    shutil.rmtree(policies / "tests")
    (policies / "more.yaml").write_text(grants)
    for number, action in enumerate(actions):
        (policies / "actions" / f"more_{number}.yaml").write_text(action)
    with Gateway(folder, chinook, policies=policies) as running:
        yield running


@contextmanager
def as_person(stand: Gateway | Alone, name: str, group: str) -> Iterator[None]:
    """This process calls the gateway as a kernel of that person would."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("GATEBOOK_URL", stand.url)
        patch.setenv("GATEBOOK_TOKEN", stand.token(name, group))
        yield
