"""How does a user's server start? Under its own account, closed to inspection, with a token that no one else sees.

`python -I -m gatebook_server.singleuser [--account NAME] -- ARGS…`, started by the Hub's spawner. As root it becomes
the account itself: a process that changes its user is closed to others of that user from the first instant. The token
comes through standard input. It is never in the environment, in an argument or in a file.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from gatebook_server.process import become, die_with_parent, forbid_inspection

if TYPE_CHECKING:
    from jupyter_server.serverapp import ServerApp

_GUIDES = "guides"


def _receive_token() -> str:
    with os.fdopen(0, "rb", closefd=False) as stdin:
        token = stdin.read().decode("ascii").strip()
    # Whatever this process starts must not find the pipe.
    null = os.open(os.devnull, os.O_RDONLY)
    os.dup2(null, 0)
    os.close(null)
    if not token:
        message = "no token came through standard input"
        raise SystemExit(message)
    return token


def _copy_guides(source: Path, home: Path) -> None:
    """Give the user their own read-only copies; run as the user, so a link in their home leads nowhere new."""
    target = home / _GUIDES
    if not source.is_dir() or target.is_symlink():
        return
    target.mkdir(exist_ok=True)
    for guide in sorted(source.glob("*.ipynb")):
        copy = target / guide.name
        content = guide.read_bytes()
        if copy.is_symlink() or (copy.is_file() and copy.read_bytes() == content):
            continue
        copy.unlink(missing_ok=True)
        copy.write_bytes(content)
        copy.chmod(0o400)


def _serve(token: str, argv: list[str]) -> None:
    # Jupyter is imported here: nothing of it may run before the user was changed.
    from jupyterhub.singleuser.extension import JupyterHubSingleUser
    from traitlets.config import Config

    class UserServer(JupyterHubSingleUser):
        """The Hub's single-user server, with the token handed over and no files that tell of it."""

        @classmethod
        def get_extension_package(cls) -> str:
            return "jupyterhub"

        @classmethod
        def make_serverapp(cls, **kwargs: object) -> ServerApp:
            server: ServerApp = super().make_serverapp(**kwargs)
            config = Config()
            config.HubAuth.api_token = token
            config.KernelManager.transport_encryption = "required"
            config.MappingKernelManager.transport_encryption = "required"
            # Looking for language servers starts npm and others at every start, for nothing that we ship.
            config.LanguageServerManager.autodetect = False
            config.LabApp.news_url = None
            config.LabApp.check_for_updates_class = "jupyterlab.handlers.announcements.NeverCheckForUpdate"
            config.LabApp.extension_manager = "readonly"
            config.GatebookExtension.gateway_url = os.environ.get("GATEBOOK_GATEWAY_URL", "")
            server.update_config(config)
            # These files would hold the token, for every process of this user to read.
            server.write_server_info_file = lambda: None  # type: ignore[method-assign]
            server.write_browser_open_files = lambda: None  # type: ignore[method-assign]
            return server

    UserServer.launch_instance(argv=argv)


def main(argv: list[str]) -> None:
    """Run a user's server; see the module."""
    parent = os.getppid()
    if argv[:1] == ["--account"]:
        become(argv[1])
        argv = argv[2:]
    forbid_inspection()
    die_with_parent(parent=parent)
    os.umask(0o077)
    home = Path(os.environ["HOME"])
    os.chdir(home)
    token = _receive_token()
    guides = os.environ.pop("GATEBOOK_GUIDES", "")
    if guides:
        try:
            _copy_guides(Path(guides), home)
        except OSError as exc:
            print(f"the guides could not be copied: {exc}", file=sys.stderr)  # noqa: T201 - logging starts later
    _serve(token, argv[1:] if argv[:1] == ["--"] else argv)


if __name__ == "__main__":
    if os.geteuid() == 0 and sys.argv[1:2] != ["--account"]:
        raise SystemExit("refusing to run a user's server as root")
    main(sys.argv[1:])
