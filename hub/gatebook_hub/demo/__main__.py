"""What does `python -m gatebook_hub.demo` do? It fetches the sample database's archive and builds the demo from it."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import date
from pathlib import Path

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from gatebook_hub.demo import TODAY, build, fetch, load_rows
from gatebook_hub.demo.errors import DemoError
from gatebook_hub.settings import Settings


def main(argv: Sequence[str] | None = None) -> int:
    """Exit code 0 if the demo is there, made now or before; 1 with a sentence if not."""
    asked = _parser().parse_args(argv)
    settings = Settings()
    try:
        archive = asked.archive or fetch(asked.cache or settings.cache or settings.state / "cache")
        if asked.fetch_only:
            sys.stdout.write(f"{archive}\n")
            return 0
        url = _url(asked)
        made = build(url, load_rows(archive), asked.today)
    except (DemoError, OSError) as exc:
        sys.stderr.write(f"{exc}\n")
        return 1
    state = "made" if made else "already there, left as it is"
    sys.stdout.write(f"demo database {url.render_as_string(hide_password=True)}: {state}\n")
    return 0


def _url(asked: argparse.Namespace) -> URL:
    if asked.sqlite:
        return URL.create("sqlite", database=str(asked.sqlite.absolute()))
    url: URL = asked.url
    return url


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m gatebook_hub.demo", description=__doc__)
    place = parser.add_mutually_exclusive_group(required=True)
    place.add_argument("--sqlite", type=Path, metavar="PATH", help="make an SQLite file")
    place.add_argument("--url", type=_parse_url, metavar="URL", help="fill a PostgreSQL or MariaDB database")
    place.add_argument("--fetch-only", action="store_true", help="put the archive into the cache and print its path")
    parser.add_argument("--archive", type=Path, metavar="FILE", help="use this archive, ask no package index")
    parser.add_argument("--cache", type=Path, metavar="DIR", help="folder for the archive (else GATEBOOK_CACHE)")
    parser.add_argument("--today", type=date.fromisoformat, default=TODAY, metavar="DATE", help="default: %(default)s")
    return parser


def _parse_url(given: str) -> URL:
    try:
        return make_url(given)
    except ArgumentError as exc:
        raise argparse.ArgumentTypeError("not a database URL such as postgresql+psycopg://user@host/name") from exc


if __name__ == "__main__":
    sys.exit(main())
