"""Is this notebook a tool? What it says about itself, its parameters, and its cells, looked at without running it."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

from gatebook_hub.errors import InvalidInput
from gatebook_hub.policy.patterns import why_slow

NAME = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
# The first part of every other path that the tools service answers.
RESERVED = frozenset({"api", "voila", "static", "logout", "oauth_callback"})
MAX_BYTES = 900_000
MAX_NOTE = 2_000
_MAX_TEXT = 300
_MAX_CELLS = 200
_PARAMETER = re.compile(r"[a-z][a-z0-9_]{0,63}\Z")
_WORDS: Mapping[str, tuple[type, ...]] = {
    "minimum": (int, float),
    "maximum": (int, float),
    "maxLength": (int,),
    "pattern": (str,),
    "enum": (list,),
    "required": (bool,),
    "title": (str,),
}
_TYPES: Mapping[str, tuple[type, ...]] = {
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "string": (str,),
}
_OF_NUMBERS, _OF_TEXTS = {"minimum", "maximum"}, {"maxLength", "pattern"}


@dataclass(frozen=True, slots=True, kw_only=True)
class Cell:
    """A cell as a person reads it; `kind` is `code`, `markdown` or `raw`."""

    kind: str
    source: str
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolNotebook:
    """A notebook that is a tool; `described` is its metadata under `gatebook`."""

    name: str
    version: str
    title: str
    summary: str
    parameters: Mapping[str, Mapping[str, Any]]
    described: Mapping[str, Any]
    cells: tuple[Cell, ...]


def version_of(content: str) -> str:
    """The version of a notebook: the SHA-256 of its bytes, in hexadecimal."""
    return sha256(content.encode()).hexdigest()


def is_name(name: str) -> bool:
    """Whether a tool may have this name, which becomes a part of an address and of a file's name."""
    return bool(NAME.match(name)) and name not in RESERVED


def read_tool(name: str, content: str) -> ToolNotebook:
    """The tool; raises InvalidInput with everything that is wrong."""
    if not is_name(name):
        raise InvalidInput(f"`{name[:64]}` is no name of a tool: small letters, digits and underscores, a letter first")
    document = _document(content)
    wrong = [*_about_wrong(document), *_cells_wrong(document)]
    if not wrong:
        wrong = [*_parameters_wrong(document)]
    if wrong:
        raise InvalidInput(f"`{name}` is no tool that can be published: {'; '.join(wrong[:20])}")
    return look_at(name, content)


def look_at(name: str, content: str) -> ToolNotebook:
    """The tool of a notebook that was read before, or that nobody has checked; raises InvalidInput if it is none."""
    document = _document(content)
    described = document["metadata"].get("gatebook")
    described = described if isinstance(described, dict) else {}
    parameters = described.get("parameters")
    return ToolNotebook(
        name=name,
        version=version_of(content),
        title=str(described.get("title") or name),
        summary=str(described.get("summary") or ""),
        parameters=parameters if isinstance(parameters, dict) else {},
        described=described,
        cells=tuple(_cell(cell) for cell in document["cells"] if isinstance(cell, dict)),
    )


def _document(content: str) -> dict[str, Any]:
    if len(content.encode(errors="replace")) > MAX_BYTES:
        raise InvalidInput(f"the notebook has more than {MAX_BYTES:,} bytes")
    try:
        content.encode()
        found = json.loads(content, object_pairs_hook=_once)
    except (ValueError, RecursionError) as error:
        raise InvalidInput(f"the notebook cannot be read: {error}") from error
    is_notebook = (
        isinstance(found, dict)
        and found.get("nbformat") == 4
        and isinstance(found.get("metadata"), dict)
        and isinstance(found.get("cells"), list)
    )
    if not is_notebook:
        raise InvalidInput("this is no notebook of format 4")
    return dict(found)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """An object in which no name comes twice: whoever reads it the other way would see another notebook."""
    found = dict(pairs)
    if len(found) != len(pairs):
        message = "a name comes twice in one object"
        raise ValueError(message)
    return found


def _cell(cell: Mapping[str, Any]) -> Cell:
    metadata = cell.get("metadata")
    tags = metadata.get("tags") if isinstance(metadata, dict) else None
    return Cell(
        kind=str(cell.get("cell_type")),
        source=_source(cell),
        tags=tuple(str(tag) for tag in tags) if isinstance(tags, list) else (),
    )


def _source(cell: Mapping[str, Any]) -> str:
    source = cell.get("source", "")
    return "".join(map(str, source)) if isinstance(source, list) else str(source)


def _about_wrong(document: Mapping[str, Any]) -> Iterator[str]:
    described = document["metadata"].get("gatebook")
    if not isinstance(described, dict) or described.get("kind") != "tool":
        yield "its metadata has no `gatebook` with `kind: tool`"
        return
    for name in ("title", "summary"):
        text = described.get(name)
        if not isinstance(text, str) or not text.strip() or len(text) > _MAX_TEXT or not text.isprintable():
            yield f"`gatebook.{name}` in its metadata is a text of 1 to {_MAX_TEXT} characters that can be shown"


def _cells_wrong(document: Mapping[str, Any]) -> Iterator[str]:
    if len(document["cells"]) > _MAX_CELLS:
        yield f"it has more than {_MAX_CELLS} cells"
        return
    for number, cell in enumerate(document["cells"], 1):
        if not isinstance(cell, dict) or cell.get("cell_type") not in {"code", "markdown", "raw"}:
            yield f"cell {number} is of no known kind"
            continue
        if cell.get("attachments"):
            yield f"cell {number} has an attachment"
        if cell["cell_type"] != "code":
            continue
        if cell.get("outputs") or cell.get("execution_count") is not None:
            yield f"cell {number} has outputs or a number; clear all outputs and save"
        try:
            compile(_source(cell), f"<cell {number}>", "exec", flags=_FLAGS, dont_inherit=True)
        except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
            said = error.msg if isinstance(error, SyntaxError) else type(error).__name__
            place = f", line {error.lineno}" if isinstance(error, SyntaxError) and error.lineno else ""
            yield f"cell {number}{place} does not compile: {said}"


_FLAGS = ast.PyCF_ONLY_AST | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT


def _parameters_wrong(document: Mapping[str, Any]) -> Iterator[str]:
    declared = document["metadata"]["gatebook"].get("parameters", {})
    if not isinstance(declared, dict):
        yield "`gatebook.parameters` is an object of names"
        return
    cells = [cell for cell in map(_cell, document["cells"]) if "parameters" in cell.tags]
    if len(cells) > 1:
        yield "more than one cell is tagged `parameters`"
    known = _assigned(cells[0].source) if cells else frozenset()
    for name, schema in declared.items():
        if not _PARAMETER.match(name):
            yield f"`{name[:64]}` is no name of a parameter"
        elif name not in known:
            yield f"the cell tagged `parameters` gives `{name}` no value to start with"
        else:
            yield from _schema_wrong(name, schema)


def _assigned(source: str) -> frozenset[str]:
    found: set[str] = set()
    for statement in ast.parse(source).body:
        targets: list[ast.expr] = statement.targets if isinstance(statement, ast.Assign) else []
        if isinstance(statement, ast.AnnAssign) and statement.value is not None:
            targets = [statement.target]
        found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)


def _schema_wrong(name: str, schema: Any) -> Iterator[str]:
    kind = str(schema.get("type")) if isinstance(schema, dict) else ""
    if kind not in _TYPES:
        yield f"the parameter `{name}` has a `type`: {', '.join(_TYPES)}"
        return
    for word, value in schema.items():
        if word == "type":
            continue
        fits = (
            word in _WORDS and isinstance(value, _WORDS[word]) and (word == "required" or not isinstance(value, bool))
        )
        if word in _OF_NUMBERS and kind not in {"integer", "number"}:
            fits = False
        if word in _OF_TEXTS and kind != "string":
            fits = False
        if word == "enum" and isinstance(value, list):
            is_of = all(isinstance(item, _TYPES[kind]) for item in value)
            fits = bool(value) and is_of and (kind == "boolean" or not any(isinstance(item, bool) for item in value))
        if word == "pattern" and isinstance(value, str):
            fits = fits and _is_pattern(value)
        if not fits:
            yield f"`{word[:40]}` of the parameter `{name}` is not understood"


def _is_pattern(text: str) -> bool:
    return len(text) <= _MAX_TEXT and why_slow(text) is None
