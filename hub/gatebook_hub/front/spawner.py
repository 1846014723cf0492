"""How does a user's server start? Under an account of its own (or, in trial mode, ours), its token through a pipe."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

from jupyterhub.spawner import LocalProcessSpawner
from jupyterhub.utils import random_port
from traitlets import Unicode

from gatebook_hub.front.accounts import Accounts, end_processes

_SECRETS = ("JUPYTERHUB_API_TOKEN", "JPY_API_TOKEN")


class PipeSpawner(LocalProcessSpawner):
    """Starts `gatebook_server.singleuser`; the token goes through its standard input and nowhere else."""

    port: int  # a trait of the base class

    gateway_url = Unicode("", help="Address of the gateway, for the relay in the user's server.").tag(config=True)
    guides = Unicode("", help="Folder of notebooks that every user gets a read-only copy of.").tag(config=True)

    def get_env(self) -> dict[str, str]:
        """Return the server's environment; it holds no secret."""
        env: dict[str, str] = super().get_env()
        for name in _SECRETS:
            env.pop(name, None)
        # Not the Hub's own search path, which may be that of the person who started it.
        env["PATH"] = f"{Path(sys.executable).parent}:/usr/local/bin:/usr/bin:/bin"
        env["GATEBOOK_GATEWAY_URL"] = self.gateway_url
        env["GATEBOOK_GUIDES"] = self.guides
        return env

    def wrapper(self) -> list[str]:
        """Return the command in front of the server's own arguments. `-I`: the user's folders are not searched."""
        return [sys.executable, "-I", "-m", "gatebook_server.singleuser"]

    async def start(self) -> tuple[str, int]:
        """Start the server and hand over its token."""
        port: int = self.port or random_port()
        self.port = port
        await self.make_ready()
        command = [*self.wrapper(), "--", *self.get_args()]
        self.log.info("starting the server of %s", self.user.name)
        self.proc = subprocess.Popen(  # noqa: ASYNC220, S603 - returns at once; our own command
            command, env=self.get_env(), cwd="/", stdin=subprocess.PIPE, start_new_session=True
        )
        self.pid = self.proc.pid
        if self.proc.stdin is not None:
            # A token is far smaller than a pipe's buffer, so this does not wait.
            with self.proc.stdin as pipe:
                pipe.write(self.api_token.encode("ascii"))
        return (self.ip or "127.0.0.1", port)

    async def make_ready(self) -> None:
        """Prepare account and home folder."""
        raise NotImplementedError


class AccountSpawner(PipeSpawner):
    """As root: every user has a Linux account, and nothing of it outlives the server."""

    account_prefix = Unicode("gb-", help="Prefix of the Linux accounts.").tag(config=True)
    home_root = Unicode("/var/lib/gatebook", help="Parent of the accounts' home folders.").tag(config=True)

    @property
    def _accounts(self) -> Accounts:
        return Accounts(self.account_prefix, Path(self.home_root))

    @property
    def _account_name(self) -> str:
        return self._accounts.user_name(self.user.name)

    def wrapper(self) -> list[str]:
        """Start as root; the wrapper's first act is to become the account."""
        return [*super().wrapper(), "--account", self._account_name]

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Describe the account."""
        account = self._accounts.ensure(self._account_name)
        env |= {"USER": account.name, "LOGNAME": account.name, "HOME": str(account.home), "SHELL": "/bin/bash"}
        return env

    async def make_ready(self) -> None:
        """Make the account, and end whatever a server before this one left behind."""
        account = await asyncio.to_thread(self._accounts.ensure, self._account_name)
        await asyncio.to_thread(end_processes, account)

    async def stop(self, now: bool = False) -> None:  # noqa: FBT001, FBT002 - the base class says so
        """Stop the server, then everything else of the account: terminals, kernels, what they started."""
        await super().stop(now=now)
        await asyncio.to_thread(end_processes, self._accounts.lookup(self._account_name))

    async def move_certs(self, paths: dict[str, str]) -> Any:
        """Refuse: the base class would follow links in the user's home as root."""
        message = "internal_ssl is not supported"
        raise NotImplementedError(message)


class TrialSpawner(PipeSpawner):
    """Not root: one account for everything. Nothing keeps a kernel from reading what this account can read."""

    homes = Unicode("", help="Folder that holds the users' home folders in trial mode.").tag(config=True)

    @property
    def _home(self) -> Path:
        # The same safe names as those of accounts: a Hub user's name never becomes a path.
        return Path(self.homes) / Accounts("trial-").user_name(self.user.name)

    def user_env(self, env: dict[str, str]) -> dict[str, str]:
        """Give the user a home folder; the account stays ours."""
        env |= {"USER": self.user.name, "HOME": str(self._home), "SHELL": os.environ.get("SHELL", "/bin/sh")}
        return env

    async def make_ready(self) -> None:
        """Make the home folder."""
        self._home.mkdir(mode=0o700, parents=True, exist_ok=True)
