"""In whose name does a tool's kernel call the gateway? Its viewer's, and this service attests which tool it is."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import aiohttp

from gatebook_server.errors import GatewayUnreachable, NoCredentials
from gatebook_server.tools.sessions import Sessions
from gatebook_server.tools.viewers import Handouts

_TIMEOUT = aiohttp.ClientTimeout(total=10)
_REFUSED = frozenset({401, 403, 404})
_AWAY = "the gateway does not answer, so it is not known what you may open"


@dataclass(frozen=True, slots=True, kw_only=True)
class Speaker:
    """Credentials and provenance of this service's kernels."""

    handouts: Handouts
    sessions: Sessions
    service_token: str = field(repr=False)

    async def credentials(self, kernel_id: str) -> Mapping[str, str]:
        """Return the headers that say who calls through which tool; a kernel that still waits has nobody."""
        handout = self.handouts.find(kernel_id)
        session = self.sessions.find(handout.viewer.session_id) if handout is not None else None
        if handout is None:
            self.handouts.note_early(kernel_id)
        if handout is None or session is None:
            message = "nobody has this page open, or its viewer has signed out"
            raise NoCredentials(message)
        return {
            "Authorization": f"Bearer {session.token}",
            "Gatebook-Service-Token": self.service_token,
            "Gatebook-Tool": handout.tool.claim,
        }

    def provenance(self, kernel_id: str) -> Mapping[str, object]:
        """Say which tool it is; the gateway believes the header above, not this."""
        handout = self.handouts.find(kernel_id)
        return {"server": "tools", "notebook": f"tools/{handout.tool.name}.ipynb" if handout is not None else None}


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What the gateway says of a viewer."""

    tools: frozenset[str]
    portal_url: str


class Gateway:
    """Asks the gateway what a viewer may open, each time they open something, and which tools are in force."""

    def __init__(self, url: str, service_token: str = "") -> None:
        self._api = f"{url}/api/v1"
        self._service_token = service_token
        self._client: aiohttp.ClientSession | None = None

    async def standing(self, token: str) -> Standing:
        """Return what the owner of this token may open; raises `GatewayUnreachable`."""
        try:
            document = await self._get("/me", token)
        except NotAnswered:
            return Standing(tools=frozenset(), portal_url="")
        try:
            return Standing(
                tools=frozenset(map(str, document["tools"])), portal_url=str(document.get("portal_url") or "")
            )
        except (KeyError, TypeError) as exc:
            raise GatewayUnreachable(_AWAY) from exc

    async def in_force(self) -> Mapping[str, str]:
        """Name and version of every tool in force; raises `GatewayUnreachable`."""
        document = await self._of_service("/tools/in-force")
        try:
            return {str(tool["name"]): str(tool["version"]) for tool in document["tools"]}
        except (KeyError, TypeError) as exc:
            raise GatewayUnreachable(_AWAY) from exc

    async def notebook(self, name: str, version: str) -> str:
        """The text of a version that is in force; raises `GatewayUnreachable`."""
        return str((await self._of_service(f"/tools/{name}/versions/{version}")).get("content", ""))

    async def aclose(self) -> None:
        """Close the connection."""
        if self._client is not None:
            await self._client.close()

    async def _of_service(self, path: str) -> Mapping[str, Any]:
        try:
            return await self._get(path, self._service_token)
        except NotAnswered as exc:
            raise GatewayUnreachable(_AWAY) from exc

    async def _get(self, path: str, token: str) -> Mapping[str, Any]:
        if self._client is None:
            self._client = aiohttp.ClientSession(trust_env=False, cookie_jar=aiohttp.DummyCookieJar(), timeout=_TIMEOUT)
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with self._client.get(self._api + path, headers=headers, allow_redirects=False) as answer:
                if answer.status in _REFUSED:
                    raise NotAnswered
                answer.raise_for_status()
                document = await answer.json()
        except (aiohttp.ClientError, TimeoutError, ValueError) as exc:
            raise GatewayUnreachable(_AWAY) from exc
        if not isinstance(document, dict):
            raise GatewayUnreachable(_AWAY)
        return document


class NotAnswered(Exception):
    """The gateway refuses to say it to the owner of this token."""
