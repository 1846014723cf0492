"""/api/v1/tools: which versions of tools are in force, and their notebooks; for the tools service alone."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Path

from gatebook_hub.gateway.answers import ToolNotebookDocument, ToolsDocument
from gatebook_hub.gateway.edge import Calling, Cases, answers
from gatebook_hub.services.publishing import Served

router = APIRouter()
Name = Annotated[str, Path(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
Version = Annotated[str, Path(pattern=r"^[0-9a-f]{64}$")]


@router.get("/tools/in-force", operation_id="list_tools_in_force", **answers(ToolsDocument))
def list_tools_in_force(cases: Cases, call: Calling) -> dict[str, Any]:
    """What is in force now, by name; for the tools service alone."""
    return {"tools": [_told(one) for one in cases.publishing.hand_out(call)]}


@router.get("/tools/{name}/versions/{version}", operation_id="get_tool_notebook", **answers(ToolNotebookDocument))
def get_tool_notebook(cases: Cases, call: Calling, name: Name, version: Version) -> dict[str, Any]:
    """The notebook of a version that is in force, and of no other; for the tools service alone."""
    (found,) = cases.publishing.hand_out(call, name, version)
    return {**_told(found), "content": found.content}


def _told(one: Served) -> dict[str, Any]:
    return {
        "name": one.name,
        "version": one.version,
        "title": one.title,
        "summary": one.summary,
        "by": one.by,
        "since": one.since,
    }
