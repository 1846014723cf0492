"""Requests reach the right gate, with the right token, and as often as is safe."""

import threading
from typing import Any

import pyarrow as pa
import pytest

import gatebook
from gatebook.errors import GatewayUnreachable, NotConfigured
from gatebook.transport import gate

ONE = pa.table({"id": [1]})
ME = {"name": "analyst", "kind": "user", "groups": ["analysts"], "sources": ["chinook"], "actions": [], "tools": []}


def test_a_statement_travels_as_it_was_typed_with_its_values_beside_it(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(ONE))
    sql = "select id from customer where country = :country -- as typed"
    gatebook.query(
        "chinook", sql, {"reason": "x"}, reason="ticket 5", purpose="billing", limit_rows=10, country="Germany"
    )
    (body,) = gate_server.bodies("/query")
    assert body["source"] == "chinook"
    assert body["sql"] == sql
    assert body["params"] == {"reason": "x", "country": "Germany"}
    assert (body["reason"], body["purpose"], body["limit_rows"]) == ("ticket 5", "billing", 10)


@pytest.mark.parametrize("token, header", [("gbk_k", "GateToken gbk_k"), ("gbt_p", "Bearer gbt_p")])
def test_the_scheme_follows_the_kind_of_token(gate_server: Any, token: Any, header: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(ONE))
    gatebook.connect("chinook", url=gate_server.url, token=token).query("select 1")
    assert gate_server.asked[0].headers["Authorization"] == header


def test_the_kernels_token_never_goes_to_an_address_that_a_notebook_names(gate_server: Any) -> None:
    with pytest.raises(NotConfigured):
        gate("http://127.0.0.1:9")
    assert gate(gate_server.url + "/").token == gate().token


@pytest.mark.parametrize(
    "url, word",
    [
        ("http://gateway.example", "plain http"),
        ("http://127.0.0.1.evil.example", "plain http"),
        ("http://localhost.evil.example", "plain http"),
        ("ftp://127.0.0.1", "address"),
        ("127.0.0.1:8001", "address"),
        ("https://user:word@127.0.0.1", "address"),
    ],
)
def test_a_token_is_not_sent_in_the_clear_or_to_nonsense(url: Any, word: Any) -> None:
    with pytest.raises(NotConfigured) as refusal:
        gate(url, "gbt_p")
    assert word in str(refusal.value)


def test_a_token_with_a_line_break_is_refused_and_not_repeated() -> None:
    with pytest.raises(NotConfigured) as refusal:
        gate("http://127.0.0.1", "gbt_secret\r\nX: y")
    assert "secret" not in str(refusal.value)
    assert "secret" not in repr(gate("http://127.0.0.1", "gbt_secret"))


def test_without_a_gate_the_sentence_says_what_to_do(monkeypatch: Any) -> None:
    monkeypatch.delenv("GATEBOOK_URL", raising=False)
    monkeypatch.delenv("GATEBOOK_TOKEN", raising=False)
    with pytest.raises(NotConfigured) as refusal:
        gatebook.query("chinook", "select 1")
    assert "workspace" in str(refusal.value)


def test_a_redirect_is_not_followed(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.reply(status=307))
    with pytest.raises(gatebook.GatebookError):
        gatebook.query("chinook", "select 1")
    assert len(gate_server.asked) == 1


def test_one_connection_serves_many_statements(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(ONE))
    gate_server.on("GET", "/me", gate_server.said(ME))
    for _ in range(3):
        gatebook.query("chinook", "select 1")
        gatebook.me()
    assert len(gate_server.connections) == 1


def test_a_statement_whose_answer_is_lost_is_not_sent_twice(gate_server: Any) -> None:
    gate_server.on("POST", "/query", lambda _: None)
    with pytest.raises(GatewayUnreachable) as lost:
        gatebook.query("chinook", "update invoice set total = 1")
    assert len(gate_server.bodies("/query")) == 1
    assert lost.value.was_sent
    assert "not known whether" in str(lost.value)


def test_an_action_is_sent_again_only_with_an_idempotency_key(gate_server: Any) -> None:
    answers = [None, gate_server.said({"kind": "outcome", "rows_changed": 1, "audit_index": 3, "change": None})]
    gate_server.on("POST", "/actions/refund_invoice", lambda _: answers.pop(0))
    outcome = gatebook.action("refund_invoice", idempotency_key="k1", purpose="billing", invoice=5)
    assert outcome.rows_changed == 1
    sent = gate_server.bodies("/actions/refund_invoice")
    assert [one["idempotency_key"] for one in sent] == ["k1", "k1"]
    assert (sent[0]["params"], sent[0]["purpose"]) == ({"invoice": 5}, "billing")

    gate_server.on("POST", "/actions/refund_invoice", lambda _: None)
    gate_server.asked.clear()
    with pytest.raises(GatewayUnreachable):
        gatebook.action("refund_invoice", invoice=5)
    assert len(gate_server.asked) == 1


def test_a_read_of_the_interface_is_tried_again(gate_server: Any) -> None:
    answers = [None, gate_server.said(ME)]
    gate_server.on("GET", "/me", lambda _: answers.pop(0))
    assert gatebook.me().name == "analyst"


def test_nobody_there_is_told_as_such(gate_server: Any, monkeypatch: Any) -> None:
    monkeypatch.setenv("GATEBOOK_URL", "http://127.0.0.1:1")
    with pytest.raises(GatewayUnreachable) as nobody:
        gatebook.query("chinook", "select 1")
    assert not nobody.value.was_sent
    assert "127.0.0.1:1" in str(nobody.value)


def test_an_answer_that_is_not_ours_is_no_answer(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.reply(media_type="text/html", chunks=[b"<h1>Welcome</h1>"]))
    with pytest.raises(GatewayUnreachable):
        gatebook.query("chinook", "select 1")


def test_a_name_with_a_slash_stays_one_name(gate_server: Any) -> None:
    with pytest.raises(gatebook.errors.NotFound):
        gatebook.change("../me")
    assert gate_server.asked[0].path == "/changes/..%2Fme"


def test_threads_share_the_pool(gate_server: Any) -> None:
    gate_server.on("POST", "/query", gate_server.rows(ONE))
    failures = []

    def run() -> None:
        try:
            assert len(gatebook.query("chinook", "select 1")) == 1
        except Exception as error:  # noqa: BLE001
            failures.append(error)

    threads = [threading.Thread(target=run) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == []
