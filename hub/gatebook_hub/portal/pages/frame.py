"""What every page shows around its content."""

from dataclasses import dataclass
from datetime import datetime
from urllib.parse import urlencode


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """The common part of a page: who looks at it, when, and under which path the portal is served.

    `portal_path` is empty when the portal has the root of its host, else it begins with a slash and does not end
    with one. `person` is None for somebody who is not signed in: navigation and sign-out are then left out.
    `now` is an aware time; ages on the page are counted from it.
    """

    now: datetime
    xsrf: str
    person: str | None
    groups: tuple[str, ...] = ()
    portal_path: str = ""
    hub_url: str | None = None
    inbox_count: int = 0
    is_trial: bool = False
    notice: str | None = None

    def url(self, path: str, **query: str | int | None) -> str:
        """Return the address of a page of the portal; query values that are None or empty are left out."""
        return address(self.portal_path + path, **query)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tab:
    """One of several lists of which a page shows one."""

    title: str
    url: str
    is_current: bool
    count: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pager:
    """Where the lists before and after this one are; None at an end."""

    newer_url: str | None = None
    older_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Downloads:
    """Where the same list is for programs."""

    json_url: str
    csv_url: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldError:
    """What is wrong with an answer, and the `id` of the field it belongs to (None: the whole form)."""

    message: str
    field: str | None = None


def address(path: str, **query: str | int | None) -> str:
    """Return `path` with those query values that are given, encoded."""
    given = {name: value for name, value in query.items() if value is not None and value != ""}
    return f"{path}?{urlencode(given)}" if given else path
