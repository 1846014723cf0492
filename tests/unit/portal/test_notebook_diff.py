"""Does a reviewer read a notebook's lines as Python does?"""

from __future__ import annotations

import ast
import json

import pytest

from gatebook_hub.portal.notebook_diff import cells_of
from gatebook_hub.services.notebook_form import ToolNotebook, look_at


def notebook(source: str) -> ToolNotebook:
    cell = {"cell_type": "code", "metadata": {}, "source": source}
    return look_at("desk", json.dumps({"nbformat": 4, "nbformat_minor": 5, "metadata": {}, "cells": [cell]}))


@pytest.mark.parametrize(
    "sign", ["\u2028", "\u2029", "\x85", "\x1c", "\x1d", "\x1e", "\x0b", "\x0c", "\n", "\r", "\r\n"]
)
@pytest.mark.parametrize("is_new", [True, False])
def test_no_sign_moves_code_into_a_comment_or_out_of_it(sign: str, is_new: bool) -> None:
    """What stands on a line of its own is run, and what is run stands on a line of its own."""
    source = f"a = 1  # as before{sign}b = 2"
    (cell,) = cells_of(None if is_new else notebook("c = 3"), notebook(source))
    lines = [line.text for line in cell.lines if line.kind != "removed"]
    assert len(lines) == len(ast.parse(source).body)
    assert "".join(lines) == source.replace(sign, "") if len(lines) > 1 else source
