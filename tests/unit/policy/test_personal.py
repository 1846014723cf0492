"""Is a column of personal data found by its words and type, and nothing else?"""

from __future__ import annotations

import pytest

from gatebook_hub.model import Column
from gatebook_hub.policy.personal import suggested_tag


@pytest.mark.parametrize(
    "name, kind, tag",
    [
        ("email", "varchar(60)", "pii.email"),
        ("customer_email", "text", "pii.email"),
        ("customeremail", "text", "pii.email"),
        ("contactEmail", "text", "pii.email"),
        ("home_phone", "bigint", "pii.phone"),
        ("date_of_birth", "date", "pii.birthdate"),
        ("birthdate", "datetime", "pii.birthdate"),
        ("billingaddress", "nvarchar(70)", "pii.address"),
        ("postal_code", "integer", "pii.address"),
        ("first_name", "text", "pii.name"),
        ("iban", "text", "pii.payment"),
        ("password_hash", "bytea", "secret"),
        ("client", "inet", "pii.location"),
        ("salary", "numeric(10,2)", "pii.pay"),
    ],
)
def test_personal_data_is_found(name: str, kind: str, tag: str) -> None:
    assert suggested_tag(Column(name=name, type=kind)) == tag


@pytest.mark.parametrize(
    "name, kind",
    [
        ("mailbox_size", "integer"),
        ("address_id", "integer"),
        ("email_count", "integer"),
        ("is_email_verified", "boolean"),
        ("emailed", "boolean"),
        ("phone_type", "text"),
        ("description", "text"),
        ("recipe", "text"),
        ("mobility", "text"),
        ("zipper", "text"),
        ("companyname", "text"),
        ("total", "numeric(10,2)"),
        ("email", "integer"),
    ],
)
def test_what_only_looks_like_it_is_left_alone(name: str, kind: str) -> None:
    assert suggested_tag(Column(name=name, type=kind)) is None
