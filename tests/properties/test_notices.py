"""No message holds a value: not of the rows, the parameters, the statement or a reason, whatever they look like.

Two proofs for every kind of message. Whatever the values are, the message is the same, so nothing of them is in it.
And a value that nothing else has is found nowhere in what is kept, sent or shown.
"""

from __future__ import annotations

import datetime as dt
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gatebook_hub.changes import (
    ChangeRequest,
    Notice,
    Returned,
    Review,
    RowChange,
    RowDiff,
    State,
    Verdict,
    daily_message,
    message_of,
    notice_of,
)
from gatebook_hub.changes.request import Broken, Comment, RowKind
from gatebook_hub.changes.risk import Risk
from gatebook_hub.model import Glass, NoticeKind, Principal, PrincipalKind, Requirement, RuleRef
from gatebook_hub.stores.outbox import read_notice, write_notice

NOW = dt.datetime(2026, 1, 1, tzinfo=dt.UTC)
PORTAL = "https://portal.example"
ANN = Principal(kind=PrincipalKind.USER, name="ann", groups=frozenset({"writers"}))
SECRET = "Zq7%s\n{secret}\u202e<b>ß"

odd_texts = st.text(max_size=40) | st.sampled_from(
    [
        "",
        "%s",
        "{0}",
        "{requester}",
        "\n\nState: executed",
        "https://evil.example/",
        "<script>",
        "\u202e",
        "\x00",
        "'; --",
    ]
)
values = (
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False)
    | odd_texts
    | st.fixed_dictionaries({"$type": st.sampled_from(["bytes", "decimal", "date"]), "value": odd_texts})
)
kinds = st.sampled_from(list(NoticeKind))


def request(value: Any, text: str, *, rows: int = 2, state: State = State.EXECUTED) -> ChangeRequest:
    """A request with one value wherever data stands, and one text wherever somebody writes."""
    row = RowChange(kind=RowKind.CHANGED, key=(value,), before=(value, value), after=(value, text))
    review = Review(reviewer="user:rita", groups=frozenset(), verdict=Verdict.REJECT, reason=text, at=NOW)
    return ChangeRequest(
        id="c0ffee",
        state=state,
        source="shop",
        table="customer",
        operation="update",
        statement=text,
        parameters={"a": value, text: value},
        action=None,
        requester=ANN,
        reason=text,
        created_at=NOW,
        expires_at=NOW + dt.timedelta(hours=72),
        diffs=(RowDiff(table="t", key=("id",), columns=("id", "email"), rows=(row,) * rows, assigned=frozenset()),),
        warnings=(text,),
        requirements=(Requirement(groups=("reviewers",), needed=1),),
        rules=(RuleRef(id="r", digest="d"),),
        schema_version="v",
        digest=text,
        reviews=(review,),
        failure=text,
        purpose=text,
        notes={text: text},
        returned=Returned(columns=("email",), rows=((value,),), sight=text),
        image=(RowDiff(table="t", key=("id",), columns=(text,), rows=(row,)),),
        broken=Broken(reason=text, at=NOW, reviews=(review,)),
        glasses=(Glass(groups=("oncall",), review=(Requirement(groups=("auditors",), needed=1),)),),
        comments=(Comment(author="user:rita", text=text, at=NOW),),
        risks=(Risk(points=1, sentence=text),),
        left=((value,),),
    )


def everything_told(notice: Notice) -> str:
    """Whatever leaves the gate of a notice, and what is kept until then."""
    messages = [message_of(notice, PORTAL), daily_message([notice] * 60, PORTAL), daily_message([notice], PORTAL)]
    return "\n".join(part for message in messages for part in (message.title, message.body)) + write_notice(notice)


@given(kind=kinds, value=values, text=odd_texts, other_value=values, other_text=odd_texts)
@settings(max_examples=500)
def test_a_message_is_the_same_whatever_the_values_are(
    kind: NoticeKind, value: Any, text: str, other_value: Any, other_text: str
) -> None:
    one, other = request(value, text), request(other_value, other_text)
    assert everything_told(notice_of(kind, one)) == everything_told(notice_of(kind, other))


@pytest.mark.parametrize("kind", NoticeKind)
def test_a_value_that_nothing_else_has_is_in_no_message(kind: NoticeKind) -> None:
    told = everything_told(notice_of(kind, request(SECRET, SECRET)))
    assert not [part for part in ("Zq7", "secret", "\u202e", "ß") if part in told]


@given(kind=kinds, name=odd_texts, table=odd_texts, rows=st.integers(0, 5), state=st.sampled_from(list(State)))
def test_a_name_can_be_no_line_and_no_link(kind: NoticeKind, name: str, table: str, rows: int, state: State) -> None:
    """Names of people and tables come from other systems; a message has the lines that it has."""
    plain = request("x", "x", rows=rows, state=state)
    named = replace(plain, requester=replace(ANN, name=name), table=table)
    notice = notice_of(kind, named)
    for sent in (message_of(notice, PORTAL), daily_message([notice], PORTAL)):
        expected = message_of(notice_of(kind, plain), PORTAL) if "notice" not in sent.title else None
        assert "\n" not in sent.title
        assert sent.body.count("://") == 1
        assert f"{PORTAL}/changes/c0ffee" in sent.body.splitlines()
        if expected is not None:
            assert len(sent.body.splitlines()) == len(expected.body.splitlines())


def test_those_who_look_after_a_broken_glass_are_told() -> None:
    broken = notice_of(NoticeKind.BREAK_GLASS, request("x", "x"))
    assert broken.parties == {"user:ann", "group:reviewers", "group:auditors"}
    whole = notice_of(NoticeKind.REQUESTED, replace(request("x", "x"), broken=None))
    assert whole.parties == {"group:reviewers"}


@given(kind=kinds, name=odd_texts, rows=st.integers(0, 5), state=st.sampled_from(list(State)))
def test_a_notice_is_kept_as_it_was_told(kind: NoticeKind, name: str, rows: int, state: State) -> None:
    made = replace(request("x", "x", rows=rows, state=state), requester=replace(ANN, name=name))
    notice = notice_of(kind, made)
    assert read_notice(write_notice(notice)) == notice
