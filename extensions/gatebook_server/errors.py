"""What can go wrong between a kernel and the gateway, with which code?

RelayError                  the base, never raised
├── GatewayUnreachable      GB-601  the gateway does not answer
├── GateTokenRefused        GB-602  the gate token is not (or no longer) that of a running kernel
├── NotRelayed              GB-603  a kernel may not reach this part of the gateway
├── RelayBodyTooLarge       GB-604  the request's body is over the limit
└── NoCredentials           GB-605  the relay has no identity to present for this kernel
"""

from __future__ import annotations

from typing import ClassVar


class RelayError(Exception):
    """The base of the relay's errors; never raised itself."""

    code: ClassVar[str] = "GB-600"
    status: ClassVar[int] = 500
    title: ClassVar[str] = "the relay failed"

    def __init__(self, detail: str = "") -> None:
        super().__init__(detail)
        self.detail = detail

    def __str__(self) -> str:
        return self.detail or self.title

    def problem(self) -> dict[str, object]:
        """Return the problem document (RFC 9457) in the gateway's own shape."""
        return {
            "type": f"urn:gatebook:problem:{self.code}",
            "title": self.title,
            "status": self.status,
            "detail": str(self),
            "code": self.code,
            "rule": None,
            "ask": None,
            "reference": None,
        }


class GatewayUnreachable(RelayError):
    """The gateway does not answer."""

    code, status, title = "GB-601", 502, "the gateway does not answer"


class GateTokenRefused(RelayError):
    """The gate token is missing, or not (or no longer) that of a running kernel."""

    code, status, title = "GB-602", 401, "the gate token is not that of a running kernel"


class NotRelayed(RelayError):
    """A kernel may not reach this part of the gateway."""

    code, status, title = "GB-603", 403, "kernels may not reach this part of the gateway"


class RelayBodyTooLarge(RelayError):
    """The request's body is over the limit."""

    code, status, title = "GB-604", 413, "the request's body is over the limit"


class NoCredentials(RelayError):
    """The relay has no identity to present for this kernel: no viewer is bound to it, or no run."""

    code, status, title = "GB-605", 401, "nobody is bound to this kernel"
