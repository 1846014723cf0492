"""What went wrong, and what the person can do now."""

from dataclasses import dataclass

from gatebook_hub.portal.pages.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class ProblemPage:
    """A problem document (RFC 9457) for people. `reference` is what to tell the operator."""

    frame: Frame
    status: int
    title: str
    detail: str
    code: str
    rule: str | None = None
    ask: str | None = None
    reference: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class NotFoundPage:
    """There is nothing here that the reader may see; the two cases look the same on purpose."""

    frame: Frame
