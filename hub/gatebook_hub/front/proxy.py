"""Which host name does the proxy answer? The Hub's alone, so that the portal's cookies never reach a user's server.

Cookies ignore ports. With the portal at `127.0.0.1:8001`, a browser that asked for `127.0.0.1:8000/user/…` would send
the portal's session to a program that somebody else controls. So every route is bound to the Hub's own host name.
"""

from __future__ import annotations

from jupyterhub.proxy import ConfigurableHTTPProxy
from traitlets import Unicode


class OneHostProxy(ConfigurableHTTPProxy):
    """configurable-http-proxy with host routing, all routes below one host name."""

    host_name = Unicode("localhost", help="The host name under which browsers reach the Hub.").tag(config=True)

    def _routespec_to_chp_path(self, routespec: str) -> str:
        path: str = super()._routespec_to_chp_path(routespec)
        return f"/{self.host_name}{path}".rstrip("/")

    def _routespec_from_chp_path(self, chp_path: str) -> str:
        return str(super()._routespec_from_chp_path(chp_path.removeprefix(f"/{self.host_name}") or "/"))
