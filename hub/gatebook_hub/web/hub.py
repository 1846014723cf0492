"""Whose Hub token is this? The Hub itself answers; its answer may serve reads for some seconds, never writes."""

from __future__ import annotations

import hashlib
import time
from typing import Any
from urllib.parse import urlencode

from jupyterhub.services.auth import HubOAuth
from tornado.web import HTTPError

from gatebook_hub.errors import AuthenticationError, NotPermitted, SourceUnavailable
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.settings import Settings

_MOST_CACHED = 5_000


class HubDirectory:
    """Resolves Hub tokens, and walks people through the Hub's OAuth log-in with PKCE."""

    def __init__(self, settings: Settings, oauth: HubOAuth) -> None:
        self._oauth = oauth
        self._cache_s = settings.hub_cache_s
        self._cache: dict[str, tuple[float, dict[str, Any]]] = {}
        self.public_url = settings.hub_url
        self.redirect_uri = f"{settings.portal_url}/oauth_callback"

    async def resolve(self, token: str, *, is_fresh: bool) -> Principal:
        """Who owns the token; raises AuthenticationError, NotPermitted when its scopes do not reach the gateway."""
        model = await self._model(token, is_fresh=is_fresh)
        if not self._oauth.check_scopes(self._oauth.access_scopes, model):
            raise NotPermitted(
                "this token does not reach the gateway", ask="a token with `access:services!service=gateway`"
            )
        return _principal(model)

    def authorize_url(self, state: str, code_challenge: str) -> str:
        """Where to send the browser."""
        query = {
            "client_id": self._oauth.oauth_client_id,
            "redirect_uri": self.redirect_uri,
            "response_type": "code",
            "state": state,
            "code_challenge": code_challenge,
            "code_challenge_method": "S256",
        }
        return f"{self.public_url}/hub/api/oauth2/authorize?{urlencode(query)}"

    async def token_for_code(self, code: str, code_verifier: str) -> str:
        """The person's token for the code that the browser brought back; raises AuthenticationError."""
        try:
            found = await self._oauth.token_for_code(code, code_verifier=code_verifier, sync=False)
        except HTTPError as error:
            raise AuthenticationError("the Hub did not confirm the log-in") from error
        if not found:
            raise AuthenticationError("the Hub did not confirm the log-in")
        return str(found)

    async def _model(self, token: str, *, is_fresh: bool) -> dict[str, Any]:
        key = hashlib.sha256(token.encode()).hexdigest()
        known = self._cache.get(key)
        if known is not None and not is_fresh and known[0] > time.monotonic():
            return known[1]
        try:
            model = await self._oauth.user_for_token(token, use_cache=False, sync=False)
        except HTTPError as error:
            raise SourceUnavailable("the Hub cannot say who you are right now") from error
        if not model:
            self._cache.pop(key, None)
            raise AuthenticationError("the token is unknown, expired or revoked")
        if len(self._cache) > _MOST_CACHED:
            self._cache.clear()
        found: dict[str, Any] = model
        self._cache[key] = (time.monotonic() + self._cache_s, found)
        return found


def _principal(model: dict[str, Any]) -> Principal:
    kind = PrincipalKind.SERVICE if model.get("kind") == "service" else PrincipalKind.USER
    return Principal(
        kind=kind,
        name=model["name"],
        groups=frozenset(model.get("groups") or ()),
        channel=Channel.HUB_TOKEN,
    )


def open_hub(settings: Settings) -> HubDirectory | None:
    """The Hub that started this process as its service, or None without one; reads the service's own environment."""
    if not settings.hub_api_url:
        return None
    oauth = HubOAuth(
        api_url=settings.hub_api_url,
        api_token=settings.hub_api_token.get_secret_value(),
        oauth_client_id="service-gateway",
        oauth_redirect_uri=f"{settings.portal_url}/oauth_callback",
        cache_max_age=0,
    )
    oauth.access_scopes = {"access:services", "access:services!service=gateway"}
    return HubDirectory(settings, oauth)
