"""What does Gatebook add to a Jupyter server? A relay to the gateway, and kernels that hold a gate token alone."""

from __future__ import annotations


def _jupyter_server_extension_points() -> list[dict[str, object]]:
    # Imported late: the package is also imported by a wrapper that is still root and must not load Jupyter.
    from gatebook_server.extension import GatebookExtension

    return [{"module": "gatebook_server", "app": GatebookExtension}]
