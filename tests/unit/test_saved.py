"""Are values of forms read as what they are, and are names of groups told from everything else?"""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gatebook_hub.errors import InvalidInput
from gatebook_hub.model import Principal, PrincipalKind
from gatebook_hub.saved import (
    Kind,
    Parameter,
    SavedQuery,
    in_order,
    parties_of,
    read_value,
    schema_of,
)


@pytest.mark.parametrize(
    "kind,text,value",
    [
        (Kind.TEXT, " as it is ", " as it is "),
        (Kind.INTEGER, " 12 ", 12),
        (Kind.INTEGER, "-3", -3),
        (Kind.NUMBER, "0.10", Decimal("0.10")),
        (Kind.NUMBER, "1e3", Decimal(1000)),
        (Kind.BOOLEAN, "true", True),
        (Kind.BOOLEAN, "false", False),
        (Kind.DATE, "2026-03-31", "2026-03-31"),
    ],
)
def test_a_field_is_read(kind: Kind, text: str, value: object) -> None:
    read = read_value("x", kind, text)
    assert read == value
    assert type(read) is type(value)


@pytest.mark.parametrize(
    "kind,text",
    [
        (Kind.INTEGER, "1.0"), (Kind.INTEGER, "one"), (Kind.INTEGER, "١٢"), (Kind.INTEGER, "9" * 50),
        (Kind.INTEGER, "0x10"), (Kind.INTEGER, "1_000"), (Kind.NUMBER, "1,5"), (Kind.NUMBER, "nan"),
        (Kind.NUMBER, "inf"), (Kind.NUMBER, "1e999999"), (Kind.NUMBER, ""), (Kind.NUMBER, "9" * 300),
        (Kind.BOOLEAN, "yes"), (Kind.BOOLEAN, "1"), (Kind.DATE, "31.03.2026"), (Kind.DATE, "2026-02-30"),
        (Kind.DATE, "20260331"), (Kind.DATE, "2026-W14-2"), (Kind.DATE, "٢٠٢٦-03-31"),
    ],
)  # fmt: skip
def test_what_it_is_not_is_refused_by_name(kind: Kind, text: str) -> None:
    with pytest.raises(InvalidInput, match="`x` is"):
        read_value("x", kind, text)


@given(st.sampled_from(list(Kind)), st.text(max_size=30))
def test_whatever_is_typed_is_a_value_or_a_sentence(kind: Kind, text: str) -> None:
    told = "`x` is"
    try:
        read_value("x", kind, text)
    except InvalidInput as error:
        told = str(error)
    assert told.startswith("`x` is")


def test_groups_and_jobs_are_named() -> None:
    assert parties_of("analysts, job:nightly\nthe board,,\n ") == {"group:analysts", "job:nightly", "group:the board"}
    assert parties_of("") == frozenset()
    assert parties_of("group:analysts") == {"group:analysts"}


@pytest.mark.parametrize("text", ["user:ann", "tool:desk", "group:", "job:", "a\u202eb", "x" * 200, "group:user:ann"])
def test_nobody_else_is_named(text: str) -> None:
    with pytest.raises(InvalidInput, match="name groups"):
        parties_of(text)


def test_a_job_edits_nothing() -> None:
    with pytest.raises(InvalidInput, match="editors are groups"):
        parties_of("job:nightly", are_editors=True)
    with pytest.raises(InvalidInput, match="at most 20 names"):
        parties_of(",".join(f"g{number}" for number in range(21)))


def query(**more: object) -> SavedQuery:
    given: dict[str, object] = {"id": "1", "name": "q", "author": "user:ann", "created_at": "", "version": 1}
    return SavedQuery(**(given | more))  # type: ignore[arg-type]


def person(name: str, *groups: str) -> Principal:
    return Principal(kind=PrincipalKind.USER, name=name, groups=frozenset(groups))


def test_who_may_see_edit_and_share() -> None:
    shared = query(seen_by=frozenset({"group:a", "job:j"}), edited_by=frozenset({"group:b"}))
    ann, reader, editor = person("ann"), person("rea", "a"), person("eda", "b")
    job = Principal(kind=PrincipalKind.JOB, name="j")
    assert [shared.is_visible_to(one) for one in (ann, reader, editor, job, person("eve", "c"))] == [True] * 4 + [False]
    assert [shared.is_editable_by(one) for one in (ann, reader, editor, job)] == [True, False, True, False]
    assert [shared.is_owned_by(one) for one in (ann, reader, editor, job)] == [True, False, False, False]
    gone = query(seen_by=frozenset({"group:a"}), deleted_at="2026-03-31")
    assert not any(
        may(one) for may in (gone.is_visible_to, gone.is_editable_by, gone.is_owned_by) for one in (ann, reader)
    )


def test_a_job_called_like_the_author_is_not_the_author() -> None:
    assert not query().is_visible_to(Principal(kind=PrincipalKind.JOB, name="ann"))


def test_parameters_are_told_in_json_schema() -> None:
    parameters = (
        Parameter(name="n", kind=Kind.INTEGER, title="N", minimum=Decimal(1), maximum=Decimal("2.5")),
        Parameter(name="d", kind=Kind.DATE, title="Day", default="2026-03-31"),
        Parameter(name="x", kind=Kind.NUMBER, title="X", default=Decimal("0.5"), choices=(Decimal("0.5"), Decimal(2))),
    )
    assert schema_of(parameters) == {
        "type": "object",
        "properties": {
            "n": {"title": "N", "type": "integer", "minimum": 1, "maximum": 2.5},
            "d": {"title": "Day", "type": "string", "format": "date", "default": "2026-03-31"},
            "x": {"title": "X", "type": "number", "default": 0.5, "enum": [0.5, 2]},
        },
        "required": ["n"],
        "additionalProperties": False,
    }


def test_parameters_come_as_in_the_text() -> None:
    assert in_order({"a", "ab", "z"}, "select :z, :ab, :a") == ("z", "ab", "a")
