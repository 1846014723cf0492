"""How does the process of one run talk to the worker? An order comes in; progress and one report go out.

The process knows the run's token and no other. It ends with the worker, and its kernel ends with it.
"""

from __future__ import annotations

import json
import os
import sys
from typing import TextIO

from gatebook_server.process import settle


def main() -> None:
    """Run `python -m gatebook_hub.worker.running`, with an order on standard input."""
    settle()
    channel = _report_channel()
    # Imported only now: the process is to be closed before it holds a token, and loading papermill takes a second.
    from gatebook_hub.worker.carrying import carry_out
    from gatebook_hub.worker.orders import Order

    order = Order.from_json(sys.stdin.readline())
    report = carry_out(order, lambda done, total: _write(channel, json.dumps({"progress": [done, total]})))
    _write(channel, report.to_json())


def _report_channel() -> TextIO:
    # Whatever else is printed in this process, or inherited by the kernel, goes to the log.
    channel = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return channel


def _write(channel: TextIO, line: str) -> None:
    channel.write(line + "\n")
    channel.flush()


if __name__ == "__main__":
    main()
