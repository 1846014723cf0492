"""Is a body that is none said so, whoever reads it, and never an error of the gateway's own?"""

from __future__ import annotations

import asyncio
import datetime as dt
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from tests.unit.services.shop import Shop

from gatebook_hub.app import make_app
from gatebook_hub.model import Channel, Principal, PrincipalKind
from gatebook_hub.services.opening import OPERATOR, open_gate
from gatebook_hub.services.sessions import Sessions
from gatebook_hub.settings import Settings

JSON = b"application/json"
GOOD = b'{"source": "shop", "sql": "select name from customer"}'


class Place:
    """A gateway that is spoken to below HTTP."""

    def __init__(self, app: Any, token: str) -> None:
        self._app = app
        self._token = token

    def post(self, *pieces: bytes, media_type: bytes = JSON, hangs_up: bool = False) -> tuple[int, dict[str, Any]]:
        """The status and the problem of a body, which may break off; raises what the application raises."""
        arriving = [{"type": "http.request", "body": piece, "more_body": True} for piece in pieces]
        if hangs_up:
            arriving.append({"type": "http.disconnect"})
        else:
            arriving[-1]["more_body"] = False
        sent: list[Any] = []
        scope = {
            "type": "http",
            "http_version": "1.1",
            "method": "POST",
            "scheme": "http",
            "query_string": b"",
            "path": "/api/v1/query",
            "raw_path": b"/api/v1/query",
            "server": ("127.0.0.1", 80),
            "headers": [
                (b"host", b"127.0.0.1"),
                (b"authorization", f"Bearer {self._token}".encode()),
                (b"content-type", media_type),
            ],
        }

        async def receive() -> Any:
            return arriving.pop(0) if arriving else await asyncio.Event().wait()

        async def send(message: Any) -> None:
            sent.append(message)

        async def call() -> None:
            await self._app(scope, receive, send)

        asyncio.run(call())
        headers = dict(sent[0]["headers"])
        content = b"".join(message["body"] for message in sent[1:])
        return sent[0]["status"], json.loads(content) if b"json" in headers[b"content-type"] else {}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder: Path = tmp_path_factory.mktemp("edge")
    shop = Shop(folder)
    with open_gate(Settings(_env_file=None, state=shop.state, policies=shop.policies)) as gate:
        ann = Principal(
            kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}), channel=Channel.ISSUED_TOKEN
        )
        token, _ = Sessions(gate).issue(OPERATOR, ann, dt.timedelta(hours=1))
        yield Place(make_app(gate), token)


@pytest.mark.parametrize("pieces", [(), (b"{",), (GOOD[:20], GOOD[20:])], ids=["nothing", "a part", "all"])
def test_who_hangs_up_within_a_body_is_no_error(pieces: tuple[bytes, ...], place: Place) -> None:
    assert place.post(*pieces, hangs_up=True)[0] == 422


NONE = [
    pytest.param(b"", id="nothing"),
    pytest.param(b"null", id="null"),
    pytest.param(b"[]", id="list"),
    pytest.param(b"NaN", id="NaN"),
    pytest.param(b"[" * 100_000, id="nested lists"),
    pytest.param(b'{"a":' * 50_000, id="nested objects"),
    pytest.param(GOOD[:-1] + b', "x": ' + b"[" * 5_000 + b"]" * 5_000 + b"}", id="nested value"),
    pytest.param(GOOD[:-1] + b', "limit_rows": ' + b"9" * 5_000 + b"}", id="huge number"),
    pytest.param(GOOD[:-1] + b', "limit_rows": 1e999}', id="infinite number"),
    pytest.param(GOOD[:-1] + b', "reason": "\xff"}', id="wrong charset"),
    pytest.param(GOOD[:-1] + b', "reason": "\\ud800"}', id="half a character"),
    pytest.param(GOOD[:-1] + b', "\\ud800": 1}', id="half a character as a name"),
    pytest.param(GOOD[:-1] + b', "params": {"x": NaN}}', id="NaN as a value"),
    pytest.param(GOOD[:-1] + b', "dry_run": 1}', id="a truth that is none"),
    pytest.param(GOOD + GOOD, id="two"),
]


@pytest.mark.parametrize("body", NONE)
def test_a_body_that_is_none_is_invalid_input(body: bytes, place: Place) -> None:
    status, problem = place.post(body)
    assert (status, problem["code"]) == (422, "GB-104")


def test_a_parameter_may_be_named_by_half_a_character_and_is_refused(place: Place) -> None:
    status, problem = place.post(GOOD[:-1] + b', "params": {"\\ud800": 1}}')
    assert (status, problem["code"]) == (400, "GB-208")


@pytest.mark.parametrize(
    "media_type", [b"text/plain", b"", b"application/x-www-form-urlencoded", b"multipart/form-data"]
)
def test_what_a_form_of_another_page_can_send_is_no_body(media_type: bytes, place: Place) -> None:
    assert place.post(GOOD, media_type=media_type)[0] == 422
    assert place.post(GOOD, media_type=b"Application/JSON; charset=utf-8")[0] == 200
