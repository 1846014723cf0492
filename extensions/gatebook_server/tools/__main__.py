"""Start the tools service: `python -m gatebook_server.tools`, which the Hub does."""

from __future__ import annotations

import logging
import os
import sys

from gatebook_server.process import settle


def main() -> None:
    """Close this process to inspection, take the secrets out of the environment, then load what serves."""
    settle()
    # Imported only now: loading all of this takes a second in which the environment could be read.
    from gatebook_server.tools.options import Options
    from gatebook_server.tools.processes import start
    from gatebook_server.tools.service import run

    options = Options.read(sys.argv[1:], os.environ)
    logging.basicConfig(level=logging.INFO, format="[tools] %(levelname)s %(message)s", stream=sys.stderr)
    start(options, run)


if __name__ == "__main__":
    main()
