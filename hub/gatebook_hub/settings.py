"""What may the operator set? Each field comes from the environment (`GATEBOOK_…`) or one file, read once at start."""

from __future__ import annotations

from pathlib import Path
from typing import Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """All settings of one Gatebook; passed down, never read again."""

    model_config = SettingsConfigDict(
        env_prefix="GATEBOOK_", env_file="gatebook.env", extra="ignore", frozen=True, validate_default=True
    )

    state: Path = Field(
        Path(".state"), description="Folder of the gateway's own state, 0700: the book, keys, requests."
    )
    policies: Path = Field(Path("policies"), description="Folder of the policy set.")
    notebooks: Path = Field(Path("notebooks"), description="Folder of curated notebooks (tools, jobs, guides).")
    cache: Path | None = Field(
        None, description="Folder for downloaded demo data; default `cache` in the state folder."
    )
    checkpoint_copy: Path | None = Field(
        None, description="File outside the state folder that receives each signed checkpoint, for auditors."
    )

    hub_host: str = Field("localhost", description="Host name under which browsers reach the Hub.")
    hub_port: int = Field(8000, description="Port of the proxy in front of the Hub.")
    hub_internal_port: int = Field(8081, description="Loopback port of the Hub's own API.")
    proxy_api_port: int = Field(8082, description="Loopback port of the proxy's API.")
    gateway_host: str = Field("127.0.0.1", description="Host name of gateway and portal; must differ from the Hub's.")
    gateway_port: int = Field(8001, description="Port of gateway and portal.")
    gateway_bind: str = Field("127.0.0.1", description="Address on which the gateway listens.")
    public_hub_url: str = Field("", description="The Hub's address behind a TLS proxy; made of host and port if empty.")
    public_portal_url: str = Field("", description="The portal's address behind a TLS proxy, on another host name.")
    tools_port: int = Field(8083, description="Loopback port of the tools service.")
    installed_tools: bool | None = Field(
        None,
        description="Whether tools of the notebooks folder are served without a review while none of their name is "
        "published; without a word, in the demo alone.",
    )
    tool_slots: int = Field(6, ge=1, description="Kernels of tools at once, each with a Linux account (root only).")
    tools_processes: int = Field(
        1, ge=1, description="Processes of the tools service, among which viewers are divided."
    )
    tools_ready: int = Field(1, ge=0, description="Pages of each tool that are drawn before anybody opens it.")
    tools_spare: int = Field(
        2, ge=0, description="Kernels that wait for a viewer of any tool, for pages that cannot be drawn beforehand."
    )
    run_slots: int = Field(2, ge=1, description="Kernels of jobs at once, each with a Linux account (root only).")
    services: tuple[str, ...] = Field(
        ("gateway", "tools", "worker"), description="Which services the Hub starts (the launcher comes with root)."
    )
    account_prefix: str = Field("gb-", description="Prefix of the Linux accounts made when started as root.")
    home_root: Path = Field(Path("/var/lib/gatebook"), description="Parent of the accounts' home folders (root only).")
    trial: bool = Field(
        default=False, description="Whether every part runs under one account; the pages then say what is open."
    )
    demo: bool = Field(default=False, description="Make the demo accounts and the demo database at start.")

    hub_api_url: str = Field("", description="The Hub's API; set by the Hub for its services, empty without a Hub.")
    hub_api_token: SecretStr = Field(SecretStr(""), description="The service's own Hub token; set by the Hub.")
    hub_cache_s: float = Field(
        10.0, description="How long a resolved Hub token may serve reads, seconds; writes never."
    )

    cors_origins: tuple[str, ...] = Field((), description="Origins whose pages may call the API; none by default.")
    limit_body_bytes: int = Field(1_000_000, description="Largest request body, bytes.")
    limit_requests_per_s: float = Field(50.0, description="Sustained requests per second and principal.")
    limit_request_burst: int = Field(200, description="Requests a principal may make at once above the sustained rate.")
    limit_rows: int = Field(5_000_000, description="Rows of one answer, unless a source or grant says less.")
    limit_bytes: int = Field(4_000_000_000, description="Bytes of one answer, unless a source or grant says less.")
    limit_time_s: float = Field(60.0, description="Seconds one statement may run, unless a source or grant says less.")
    limit_concurrent: int = Field(4, description="Statements one principal may run at once in one source.")
    preview_rows: int = Field(1_000, description="Rows that a change request shows one by one.")
    large_rows: int = Field(
        100_000,
        description="Rows that a request may change at most, where the rules that ask for people take a `sample`.",
    )
    change_ttl_h: float = Field(72.0, description="Hours after which a change request that nobody decided expires.")
    image_days: float = Field(
        90.0,
        gt=0,
        description="Days after which the rows of an ended change request are forgotten; then it has no undo.",
    )
    policy_poll_s: float = Field(
        2.0,
        description="Seconds between looks at the policy folder for changes; 0 for on request alone.",
    )
    outbox_poll_s: float = Field(
        5.0, gt=0, description="Seconds between looks for messages that are to be sent again, and for digests."
    )
    limit_outbox: int = Field(
        10_000, gt=0, description="Messages about change requests that may wait to be sorted out; more are dropped."
    )
    session_ttl_h: float = Field(8.0, description="Hours a portal session lasts.")

    @field_validator("state", "policies", "notebooks", "cache", "checkpoint_copy")
    @classmethod
    def _is_absolute(cls, path: Path | None) -> Path | None:
        return path.absolute() if path is not None else None

    @model_validator(mode="after")
    def _portal_has_its_own_host(self) -> Self:
        if self.portal_host == urlsplit(self.hub_url).hostname:
            msg = "the portal's host name must differ from the Hub's: cookies ignore ports"
            raise ValueError(msg)
        return self

    @property
    def portal_url(self) -> str:
        """Where browsers find the portal, without a trailing slash."""
        return self.public_portal_url.rstrip("/") or f"http://{self.gateway_host}:{self.gateway_port}"

    @property
    def gateway_url(self) -> str:
        """Where the other services of this machine find the gateway."""
        return f"http://{self.gateway_bind}:{self.gateway_port}"

    @property
    def hub_url(self) -> str:
        """Where browsers find the Hub, without a trailing slash."""
        return self.public_hub_url.rstrip("/") or f"http://{self.hub_host}:{self.hub_port}"

    @property
    def is_tls(self) -> bool:
        """Whether browsers reach the portal by https; then cookies say Secure and HSTS is sent."""
        return self.portal_url.startswith("https://")

    @property
    def serves_installed_tools(self) -> bool:
        """Whether a tool of the notebooks folder counts as published by the installation."""
        return self.demo if self.installed_tools is None else self.installed_tools

    @property
    def portal_host(self) -> str:
        """The portal's host name."""
        return urlsplit(self.portal_url).hostname or self.gateway_host
