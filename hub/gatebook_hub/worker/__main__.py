"""Start the worker: `python -m gatebook_hub.worker`, which the Hub does, or a person with `GATEBOOK_WORKER_TOKEN`."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

from gatebook_server.process import die_with_parent, forbid_inspection


def main() -> None:
    """Close this process to inspection, take the token out of the environment, then load what works."""
    if "JUPYTERHUB_SERVICE_NAME" in os.environ:
        die_with_parent()
    forbid_inspection()
    os.umask(0o077)
    # Imported only now: loading takes a moment in which the environment could be read.
    from gatebook_hub.worker.options import Options
    from gatebook_hub.worker.supervising import run

    options = Options.read(sys.argv[1:], os.environ)
    logging.basicConfig(level=logging.INFO, format="[worker] %(levelname)s %(message)s", stream=sys.stderr)
    asyncio.run(run(options))


if __name__ == "__main__":
    main()
