"""Which files does a policy set have, and which keys do they take?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from writing import bounds_of, first_sentence, literal, table, type_of, whole_page

from gatebook_hub import policy
from gatebook_hub.policy import documents as of

EXAMPLE: Mapping[str, str] = {
    "sources/shop.yaml": """
source: shop
title: The shop
engine: postgresql
url: postgresql://gatebook@db.example/shop
production: true
default_quorum:
  - {groups: [reviewers], needed: 1}
""",
    "rules.yaml": """
classification:
  pii.email: [shop.customer.email]

grants:
  - id: support-reads-customers
    to: group:support
    on: shop.customer
    columns: [id, name, email, city]
    allow: [select]
    where: country = 'DE'

  - id: support-moves-customers
    to: group:support
    on: shop.customer
    columns: [city]
    allow: [update]

  - id: support-credits
    to: group:support
    actions: credit

protections:
  - id: mask-email
    tag: pii.email
    mask: email
    unless: group:privacy

approvals:
  - id: many-rows
    on: shop.customer
    when: rows > 10
    require:
      - {groups: [reviewers], needed: 2}

  - id: small-credits
    actions: credit
    when: amount <= 5.00
    require: []
""",
    "actions/credit.yaml": """
action: credit
title: Give credit
source: shop
params:
  customer: {type: integer, title: Customer}
  amount: {type: number, exclusiveMinimum: 0, maximum: 50, title: Amount}
sql: insert into credit (customer, amount, by, at) values (:customer, :amount, :gb_principal, :gb_now)
expect_rows: 1
confirm: "Give customer {customer} a credit of {amount}?"
""",
    "jobs/nightly.yaml": """
job: nightly
title: Revenue of yesterday
notebook: jobs/nightly.ipynb
cron: "15 2 * * *"
zone: Europe/Berlin
owner: finance
""",
    "tests/shop.yaml": """
tests:
  - name: support sees masked addresses
    as: {user: kim, groups: [support]}
    source: shop
    sql: select name, email from customer
    expect:
      allow: true
      masks: {customer.email: email}
      rows: [support-reads-customers]
""",
}
_AFTER = """
Folders say what a file is: `sources/`, `actions/`, `jobs/`, `tests/`; every other YAML file holds rules, under any
name. Unknown keys are errors. No grant, no access; grants of one table are OR-ed. Protections apply to everybody whom
`unless` does not name, and all that match apply. Where several approval rules match a write, all of their quorums are
needed; where none does, the source's `default_quorum` is. Nobody approves their own request.
[Policy](../explanation/policy.md) says why it is this way.

`gatebook policy check` validates the files and compares them with the live schemas, `gatebook policy test` decides
the expectations in `tests/`, `gatebook policy schema` prints the JSON Schema of all this, for editors.
"""
_DOCUMENTS = {
    "sources/NAME.yaml": (of.SourceDocument, of.RequirementDocument, of.LimitsDocument),
    "Rules": (of.RuleFile, of.GrantDocument, of.ProtectionDocument, of.ApprovalDocument),
    "actions/NAME.yaml": (of.ActionDocument, of.ParameterDocument),
    "jobs/NAME.yaml": (of.JobDocument,),
    "tests/NAME.yaml": (of.TestFile, of.ExpectationDocument, of.PersonDocument, of.ExpectDocument),
}


def page() -> str:
    """The page; raises PolicyInvalid when the example on it is none."""
    policy.load(EXAMPLE)
    parts = [f"`{path}`\n\n```yaml\n{text.strip()}\n```" for path, text in EXAMPLE.items()]
    parts.append(_AFTER)
    for title, kinds in _DOCUMENTS.items():
        parts.append(f"## {title}")
        for kind in kinds:
            parts += _document(kind)
    return whole_page("Policy files", *parts)


def _document(kind: type[of.Document]) -> Iterator[str]:
    schema = kind.model_json_schema(by_alias=True)
    yield f"### {kind.__name__}"
    yield first_sentence(kind.__doc__)
    required = set(schema.get("required", ()))
    named = schema.get("$defs", {})
    rows = [
        (
            f"`{key}`",
            _value(item, named),
            "required" if key in required else _default(item),
            item.get("description", ""),
        )
        for key, item in schema["properties"].items()
    ]
    yield table(("key", "value", "default", "meaning"), rows)


def _value(schema: Mapping[str, Any], named: Mapping[str, Any]) -> str:
    inside = schema.get("items", {})
    if not inside and isinstance(schema.get("additionalProperties"), dict):
        inside = schema["additionalProperties"].get("items", {})
    return "; ".join(part for part in (type_of(schema, named), bounds_of(schema), bounds_of(inside)) if part)


def _default(schema: Mapping[str, Any]) -> str:
    if schema.get("default") in (None, "", [], {}):
        return ""
    return literal(schema["default"])
