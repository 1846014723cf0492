"""The second hop of a benchmark, in a process of its own: the relay that every server of a user has.

    python benchmarks/relay.py GATEWAY_URL < a token of the gateway

Prints its address and a kernel's token as JSON, and serves until its standard input ends.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Mapping

from gatebook_server.handlers import listen, serve_relay
from gatebook_server.relay import Relay
from gatebook_server.tokens import KernelTokens


async def serve(gateway_url: str, token: str) -> None:
    """Serve one kernel."""
    tokens = KernelTokens()

    async def credentials(_kernel_id: str) -> Mapping[str, str]:
        return {"Authorization": f"Bearer {token}"}

    relay = Relay(
        gateway_url=gateway_url,
        tokens=tokens,
        credentials=credentials,
        provenance=lambda _kernel_id: {"notebook": "benchmark.ipynb"},
    )
    sockets, url = listen()
    server = serve_relay(relay, sockets=sockets, url=url)
    print(json.dumps({"url": server.url, "token": tokens.issue("benchmark")}), flush=True)
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    await server.aclose()


if __name__ == "__main__":
    asyncio.run(serve(sys.argv[1], sys.stdin.readline().strip()))
