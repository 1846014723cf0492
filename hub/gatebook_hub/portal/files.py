"""Which files does the portal serve as they are? Those of its folder, read once; nothing is looked up by a path."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType

from starlette.requests import Request
from starlette.responses import Response

from gatebook_hub.errors import NotFound
from gatebook_hub.portal.render import STATIC

_KINDS = {".css": "text/css; charset=utf-8", ".svg": "image/svg+xml", ".js": "text/javascript; charset=utf-8"}
_LONG = "public, max-age=31536000, immutable"
_SHORT = "public, max-age=300"


@dataclass(frozen=True, slots=True, kw_only=True)
class StaticFile:
    """A file; `version` is of its content."""

    content: bytes
    kind: str
    version: str


def read_files(folder: Path = STATIC) -> Mapping[str, StaticFile]:
    """Every file of the folder by its name."""
    return MappingProxyType({
        path.name: StaticFile(
            content=path.read_bytes(), kind=_KINDS[path.suffix], version=sha256(path.read_bytes()).hexdigest()[:12]
        )
        for path in folder.iterdir()
        if path.suffix in _KINDS
    })  # fmt: skip


def send_file(files: Mapping[str, StaticFile], request: Request) -> Response:
    """Answer for one file: kept for a year under the address that names its version, asked about again elsewhere."""
    found = files.get(request.path_params["name"])
    if found is None:
        raise NotFound("there is no such file")
    tag = f'"{found.version}"'
    kept = _LONG if request.query_params.get("v") == found.version else _SHORT
    headers = {"ETag": tag, "Cache-Control": kept}
    known = {item.strip().removeprefix("W/") for item in request.headers.get("if-none-match", "").split(",")}
    if tag in known or "*" in known:
        return Response(status_code=304, headers=headers)
    return Response(found.content, media_type=found.kind, headers=headers)
