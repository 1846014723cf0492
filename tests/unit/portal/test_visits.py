"""Nobody is sent out of the portal, and a form says each thing once."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from starlette.requests import Request

from gatebook_hub.errors import InvalidInput
from gatebook_hub.portal.visits import FORM, form_of, local_address


@pytest.mark.parametrize("path", ["/", "/inbox?tab=mine", "/audit?principal=user%3Aanalyst&since=2026", "/access#x"])
def test_a_path_of_the_portal_stays(path: str) -> None:
    assert local_address(path) == path


@pytest.mark.parametrize(
    "given_address",
    [
        "", "inbox", "//evil.example", "/\\evil.example", "\\/evil.example", "http://evil.example", "/a\\b", "/\tx",
        "javascript:alert(1)", "/\n/evil.example", "/\u202eevil", "/sign-in", "/sign-in?next=/", "/sign-out",
        "/oauth_callback?a=b", "/" + "x" * 3_000,
    ],
)  # fmt: skip
def test_anything_else_is_the_first_page(given_address: str) -> None:
    assert local_address(given_address) == "/"


@given(st.text(alphabet=st.sampled_from("/\\:.?#%@ \t\n\r09azü\u200b"), max_size=12))
def test_whatever_is_given_the_browser_stays(text: str) -> None:
    found = local_address(text)
    assert found.startswith("/")
    assert not found.startswith(("//", "/\\"))
    assert found.isascii()
    assert found.isprintable()


def request(body: bytes, kind: str = FORM) -> Request:
    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": body, "more_body": False}

    scope = {"type": "http", "method": "POST", "path": "/", "headers": [(b"content-type", kind.encode())]}
    return Request(scope, receive)


async def test_a_form_is_read() -> None:
    assert await form_of(request(b"a=1&b=&c=%C3%A4+x")) == {"a": "1", "b": "", "c": "ä x"}
    assert await form_of(request(b"a=1", f"{FORM}; charset=utf-8")) == {"a": "1"}


@pytest.mark.parametrize("body", [b"a=1&a=2", b"a=%ff", "a=ä".encode(), b"&".join(b"f%d=1" % n for n in range(30))])
async def test_a_form_that_says_two_things_or_none_is_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        await form_of(request(body))


@pytest.mark.parametrize("kind", ["application/json", "text/plain", "multipart/form-data; boundary=x", ""])
async def test_another_kind_of_body_is_refused(kind: str) -> None:
    with pytest.raises(InvalidInput):
        await form_of(request(b"a=1", kind))
