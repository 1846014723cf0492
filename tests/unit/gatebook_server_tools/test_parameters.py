"""What reaches a notebook from an address? Declared and checked values, as literals, and nothing else."""

from __future__ import annotations

import ast
import string
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from gatebook_server.tools.parameters import NotDeclared, assignments, checked

DECLARED: dict[str, Any] = {
    "customer": {"type": "integer", "minimum": 1, "maximum": 99},
    "name": {"type": "string", "maxLength": 10, "pattern": "[A-Za-z ]*"},
    "kind": {"type": "string", "enum": ["open", "closed"]},
    "share": {"type": "number"},
    "all": {"type": "boolean"},
}


def test_each_type_arrives_as_its_own() -> None:
    query = {"customer": ["12"], "name": ["Ann"], "kind": ["open"], "share": ["0.5"], "all": ["yes"]}
    found = checked(DECLARED, query)
    assert found == {"customer": 12, "name": "Ann", "kind": "open", "share": 0.5, "all": True}
    assert assignments(found).splitlines()[:2] == ["all = True", "customer = 12"]
    assert checked(DECLARED, {}) == {}


@pytest.mark.parametrize(
    "query, words",
    [
        ({"other": ["1"]}, "takes no “other”"),
        ({"customer": ["0"]}, "at least 1"),
        ({"customer": ["100"]}, "at most 99"),
        ({"customer": ["1.5"]}, "whole number"),
        ({"customer": ["1_0"]}, "whole number"),
        ({"customer": ["\uff11\uff12"]}, "whole number"),
        ({"customer": [""]}, "whole number"),
        ({"customer": ["1", "2"]}, "more than once"),
        ({"customer": ["9" * 400]}, "too long"),
        ({"share": ["nan"]}, "is a number"),
        ({"share": ["inf"]}, "is a number"),
        ({"all": ["maybe"]}, "yes or no"),
        ({"name": ["a" * 11]}, "at most 10 characters"),
        ({"name": ["x'; import os"]}, "at most 10"),
        ({"name": ["a'b"]}, "does not look"),
        ({"name": ["a\nb"]}, "cannot be shown"),
        ({"kind": ["OPEN"]}, "one of: open, closed"),
    ],
)
def test_what_does_not_fit_is_a_sentence(query: dict[str, list[str]], words: str) -> None:
    with pytest.raises(NotDeclared) as refused:
        checked(DECLARED, query)
    assert words in str(refused.value)


@pytest.mark.parametrize(
    "declared",
    [
        {"x": 1}, {"x": {}}, {"x": {"type": "object"}}, {"x": {"type": "string", "default": 1}},
        {"x": {"type": ["string"]}},
    ],
)  # fmt: skip
def test_a_declaration_that_is_not_understood_lets_nothing_through(declared: dict[str, Any]) -> None:
    with pytest.raises(NotDeclared):
        checked(declared, {"x": ["1"]})


@pytest.mark.parametrize("name", ["class", "__builtins__", "Customer", "a.b", "x;y"])
def test_a_declared_name_that_is_no_plain_one_is_not_written(name: str) -> None:
    with pytest.raises(NotDeclared):
        checked({name: {"type": "string"}}, {name: ["1"]})


def test_what_is_required_is_asked_for() -> None:
    with pytest.raises(NotDeclared, match="needs “customer”"):
        checked({"customer": {"type": "integer", "required": True}}, {})


@given(some.text(alphabet=string.printable, max_size=80))
def test_no_text_becomes_code(text: str) -> None:
    """Whatever comes through stands in the cell as one literal with that very value."""
    try:
        found = checked({"x": {"type": "string"}}, {"x": [text]})
    except NotDeclared:
        return
    (statement,) = ast.parse(assignments(found)).body
    assert isinstance(statement, ast.Assign)
    assert ast.literal_eval(statement.value) == text
