"""The first page offers tools, and nothing that only looks like one."""

import json
from pathlib import Path
from typing import Any

from gatebook_hub.portal.routes_home import read_tools


def put(folder: Path, name: str, metadata: Any) -> None:
    (folder / name).write_text(json.dumps({"metadata": metadata, "cells": []}))


def test_tools_describe_themselves(tmp_path: Path) -> None:
    put(tmp_path, "desk.ipynb", {"gatebook": {"kind": "tool", "title": "Desk", "summary": "Look"}})
    put(tmp_path, "bare.ipynb", {"gatebook": {"kind": "tool", "title": ["no", "text"]}})
    assert [(tool.name, tool.title, tool.summary) for tool in read_tools(tmp_path)] == [
        ("bare", "bare", ""),
        ("desk", "Desk", "Look"),
    ]


def test_what_is_no_tool_is_left_out(tmp_path: Path) -> None:
    put(tmp_path, "job.ipynb", {"gatebook": {"kind": "job", "title": "Job"}})
    put(tmp_path, "plain.ipynb", {})
    put(tmp_path, "listed.ipynb", [])
    put(tmp_path, "Odd name.ipynb", {"gatebook": {"kind": "tool"}})
    (tmp_path / "broken.ipynb").write_text("{")
    (tmp_path / "array.ipynb").write_text("[1]")
    assert read_tools(tmp_path) == ()
    assert read_tools(tmp_path / "nowhere") == ()
