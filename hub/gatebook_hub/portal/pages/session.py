"""How a person comes in, and what they see after they left."""

from dataclasses import dataclass

from gatebook_hub.portal.pages.frame import Frame


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInOffer:
    """A link's one-time code, opened but not used yet: only a POST uses it up, so that a preview of the link cannot.

    Whose link it is stays unsaid until then: to look it up would tell a stranger which codes are good.
    """

    code: str


@dataclass(frozen=True, slots=True, kw_only=True)
class SignInPage:
    """The way in where no Hub is.

    `command` is what the operator types to make a link; `problem` says why a link failed.
    """

    frame: Frame
    command: str
    offer: SignInOffer | None = None
    problem: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class SignedOutPage:
    """Shown after sign-out; `sign_in_url` leads back in."""

    frame: Frame
    sign_in_url: str
