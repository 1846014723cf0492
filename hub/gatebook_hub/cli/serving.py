"""How is the gateway run, and what does its API look like?"""

from __future__ import annotations

import gc
import json
from typing import Any

import click
import pyarrow as pa

from gatebook_hub import __version__
from gatebook_hub.cli.options import POLICIES, STATE, settings_of
from gatebook_hub.services.opening import open_gate
from gatebook_server.process import die_with_parent, share_memory, stay_on_one_processor

_RARELY = 20_000


@click.command()
@STATE
@POLICIES
@click.option("--host", "gateway_host", help="The portal's host name, as browsers see it.")
@click.option("--bind", "gateway_bind", help="Address to listen on.")
@click.option("--port", "gateway_port", type=int, help="Port to listen on.")
@click.option("--hub-api-url", envvar="JUPYTERHUB_API_URL", help="The Hub's API, if a Hub starts this.")
@click.option("--hub-api-token", envvar="JUPYTERHUB_API_TOKEN", hidden=True)
def serve(**given: Any) -> None:
    """Run the gateway: API and portal."""
    import uvicorn

    from gatebook_hub.app import make_app  # the web is slow to import, and no other command needs it

    settings = settings_of(**given)
    if settings.hub_api_url:
        die_with_parent()
    stay_on_one_processor()
    with open_gate(settings) as gate:
        app = make_app(gate)
        # Batches come and go: what they took is free for the next, whichever thread makes it.
        share_memory()
        pa.set_memory_pool(pa.system_memory_pool())
        # What is loaded now stays; and what a statement makes is small and soon gone, so it is looked at less often.
        gc.collect()
        gc.freeze()
        gc.set_threshold(_RARELY)
        click.echo(f"gatebook {__version__}: policy {gate.policy.revision}, portal {settings.portal_url}/", err=True)
        uvicorn.run(
            app,
            host=settings.gateway_bind,
            port=settings.gateway_port,
            server_header=False,
            access_log=False,
            log_level="warning",
            timeout_graceful_shutdown=5,
            proxy_headers=False,
        )


@click.command()
def openapi() -> None:
    """Print the OpenAPI document."""
    from gatebook_hub.app import openapi_document

    click.echo(json.dumps(openapi_document(), indent=2))
