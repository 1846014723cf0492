"""A refusal is one sentence with what to do, for a person in a cell and for a program."""

import pickle
import re
from typing import Any

import pytest

import gatebook
from gatebook import errors
from gatebook.errors import GatebookError, error_of


def test_every_class_is_drawn_in_the_tree_and_has_its_code_and_sentence() -> None:
    drawn = set(re.findall(r"[├└]── (\w+)", errors.__doc__))
    classes = {
        one.__name__: one
        for one in vars(errors).values()
        if isinstance(one, type) and issubclass(one, GatebookError) and one is not GatebookError
    }
    assert drawn == set(classes)
    for one in classes.values():
        assert re.fullmatch(r"GB-\d{3}", one.default_code)
        assert one.sentence[0].islower()
        assert not one.sentence.endswith(".")


@pytest.mark.parametrize(
    "status, code, kind",
    [
        (401, "GB-101", errors.NotAuthenticated),
        (403, "GB-102", errors.NotPermitted),
        (403, "GB-103", errors.NotPermitted),
        (422, "GB-104", errors.InvalidInput),
        (404, "GB-105", errors.NotFound),
        (413, "GB-106", errors.InvalidInput),
        (429, "GB-107", errors.LimitExceeded),
        (400, "GB-201", errors.StatementRefused),
        (400, "GB-209", errors.StatementRefused),
        (403, "GB-301", errors.AccessRefused),
        (403, "GB-401", errors.ChangeRefused),
        (409, "GB-404", errors.ChangeRefused),
        (503, "GB-501", errors.SourceUnavailable),
        (400, "GB-502", errors.StatementFailed),
        (504, "GB-503", errors.LimitExceeded),
        (413, "GB-504", errors.LimitExceeded),
        (409, "GB-505", errors.StatementFailed),
        (503, "GB-506", errors.SourceChanged),
        (413, "GB-507", errors.LimitExceeded),
        (503, "GB-701", errors.GatewayFailed),
        (500, "GB-801", errors.GatewayFailed),
        (400, "GB-299", errors.StatementRefused),  # a code of tomorrow falls to its family
        (429, "XY-1", errors.LimitExceeded),  # a foreign one to its status
        (418, "XY-1", errors.GatewayFailed),
    ],
)
def test_a_problem_becomes_its_error(gate_server: Any, status: Any, code: Any, kind: Any) -> None:
    gate_server.on(
        "POST", "/query", gate_server.problem(status, code, detail="It is so.", rule="r1", ask="Ask x.", reference="e9")
    )
    with pytest.raises(GatebookError) as raised:
        gatebook.query("chinook", "select 1")
    error = raised.value
    assert type(error) is kind
    assert (error.code, error.rule, error.ask, error.reference) == (code, "r1", "Ask x.", "e9")
    assert str(error) == "it is so (rule `r1`); ask x"


def test_policy_and_statement_refusals_are_caught_together() -> None:
    assert isinstance(error_of({"code": "GB-203"}), errors.Refused)
    assert isinstance(error_of({"code": "GB-301"}), errors.Refused)
    assert not isinstance(error_of({"code": "GB-404"}), errors.Refused)


@pytest.mark.parametrize(
    "detail, text",
    [
        ("The table is gone.", "the table is gone"),
        ("SQL that does not parse.", "SQL that does not parse"),
        ("`Invoice` is unknown", "`Invoice` is unknown"),
        ("A quorum is missing.", "a quorum is missing"),
    ],
)
def test_text_is_a_clause_but_abbreviations_stay(detail: Any, text: Any) -> None:
    assert str(error_of({"code": "GB-201", "detail": detail})) == text


def test_an_answer_without_explanation_still_says_what_kind_it_is(gate_server: Any) -> None:
    html = gate_server.reply(status=502, media_type="text/html", chunks=[b"<h1>Bad gateway</h1>"])
    gate_server.on("POST", "/query", html)
    with pytest.raises(errors.SourceUnavailable) as error:
        gatebook.query("chinook", "select 1")
    assert "502" in str(error.value)
    assert "<h1>" not in str(error.value)


def test_a_broken_problem_document_is_no_crash(gate_server: Any) -> None:
    broken = gate_server.reply(status=403, media_type="application/problem+json", chunks=[b"{"])
    gate_server.on("POST", "/query", broken)
    with pytest.raises(errors.NotPermitted):
        gatebook.query("chinook", "select 1")


def test_errors_cross_processes_whole() -> None:
    error = error_of({"code": "GB-301", "detail": "no", "rule": "r", "ask": "a", "reference": "7"})
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert vars(again) == vars(error)
    assert str(again) == str(error)
