"""Which files does a policy set have, and which keys do they take?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from writing import bounds_of, first_sentence, literal, table, type_of, whole_page

from gatebook_hub import policy
from gatebook_hub.policy import action_documents as acting
from gatebook_hub.policy import documents as of
from gatebook_hub.policy import entity_documents as entities

EXAMPLE: Mapping[str, str] = {
    "rules.yaml": """
classification:                               # what columns hold
  pii.email: [shop.customer.email]
  pii.income: [shop.customer.income]

grants:                                       # who may do what; no grant, no access
  - id: support-reads-customers
    to: group:support
    on: shop.customer
    columns: [id, name, email, city, country]
    allow: [select]
    where: country = 'DE'                     # only these rows
    hours: "07:00-19:00"                      # only at these times
    days: [mon, tue, wed, thu, fri]
    zone: Europe/Berlin

  - id: support-moves-customers
    to: group:support
    on: shop.customer
    columns: [city]
    allow: [update]

  - id: risk-reads-customers
    to: [group:risk, job:nightly]
    on: shop.*
    allow: [select]
    purpose: [credit_check, fraud_case]       # only statements that name one of these
    reason: true
    limits: {rows: 1000}
    until: 2030-12-31

  - id: support-credits
    to: group:support
    actions: credit                           # a reviewed statement instead of a table
    via: customer_desk                        # only through this tool

protections:                                  # what stays with the data, whoever asks
  - id: mask-email
    tag: pii.email
    mask: email                               # null, redact, hash, last(n), first(n), email, year, bucket(n), custom
    unless: group:privacy

  - id: income-in-thousands
    tag: pii.income
    mask: bucket(1000)

  - id: no-closed-accounts
    on: shop.customer
    where: closed_at is null                  # a condition that every row must meet

approvals:                                    # which writes need whom; without a rule the source's default
  - id: many-rows
    on: shop.customer
    when: rows > 10
    require: [{groups: [reviewers], needed: 2}]
    expires_h: 24

  - id: personal-data-in-production
    tag: pii.email
    production: true
    require: [{groups: [privacy]}]
    reason: true
    execute: window                           # once approved, at night; or by_requester, or on_approval
    window: {hours: "22:00-04:00", zone: Europe/Berlin}
    valid_h: 24                               # an approval holds so long
    break_glass:                              # in need these may have it done before its review
      groups: [on_call]
      review: [{groups: [privacy, owners], needed: 2}]

  - id: small-credits
    actions: credit
    when: amount <= 5.00
    require: []                               # nobody: for actions alone

absences:                                     # who reviews in place of somebody who is away
  - id: maria-july
    who: user:maria
    for: [privacy, owners]                    # groups of hers that review
    instead: user:tom
    from: 2026-07-01
    until: 2026-07-14                         # the last day
    zone: Europe/Berlin

functions:                                    # what data owners vouch for beyond the known functions
  shop: [similarity]
""",
    "sources/shop.yaml": """
source: shop
title: The shop
engine: postgresql
url: postgresql://gatebook@db.example/shop
production: true
working: {hours: "08:00-18:00", days: [mon, tue, wed, thu, fri], zone: Europe/Berlin}
default_quorum:
  - {groups: [reviewers], needed: 1}
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
    "notifications.yaml": """
digest_at: "07:00"
zone: Europe/Berlin
expiring_h: 8                                 # hours before its end when a request is `expiring`

channels:                                     # places that messages about change requests go to
  operations:
    url_env: GATEBOOK_NOTIFY_OPS              # the URL is in the gateway's environment, for it holds a secret
    kinds: [failed, drifted, break_glass]
  reviews:
    url_env: GATEBOOK_NOTIFY_REVIEWS
    to: group:reviewers                       # requests that one of these asked for or may review
    kinds: [requested, expiring]
  month-end:
    url_env: GATEBOOK_NOTIFY_FINANCE
    to: [group:privacy, job:nightly]
    digest: daily

personal:                                     # what people may choose at the portal, for themselves
  mail:
    title: Mail
    url_env: GATEBOOK_NOTIFY_MAIL             # mailto://…?to={name}@example.org
    to: [group:reviewers, group:support]
""",
    "tests/shop.yaml": """
tests:
  - name: support sees masked addresses by day
    as: {user: kim, groups: [support]}
    source: shop
    at: 2026-03-04T10:00:00+01:00
    sql: select name, email from customer
    expect:
      allow: true
      masks: {customer.email: email}
      rows: [no-closed-accounts, support-reads-customers]
""",
}
_AFTER = """
Folders say what a file is: `sources/`, `actions/`, `jobs/`, `tests/`; `notifications.yaml` says where messages go;
every other YAML file holds rules, under any name. Unknown keys are errors; so are aliases, tags, links that lead out of
the folder, and files above one megabyte.

* **No grant, no access.** Grants of one table are OR-ed. One with `hours`, `days`, `until` or `purpose` holds while all
  of them are met; the statement names its purpose in `purpose` beside `sql`.
* **Protections** apply to everybody whom `unless` does not name, and all that match apply. Of several masks the one
  that shows least wins: null, redact, hash, then last, first, email, then year, then bucket; a custom one beside any
  but null and redact becomes null. In its `expression` the word `value` stands for the column. The mask `"null"` is in
  quotes, or YAML reads no mask at all. NULL stays NULL under every mask.
* **Views** are named one by one: `shop.*` means the tables, and their protections do not follow into a view.
* **Approvals**: where several rules match a write, all of their quorums are needed, within the shortest of their times;
  where none does, the source's `default_quorum` is. `on` and `actions` say what is meant (either); `writes`, `via`,
  `tag`, `production` and `when` narrow it (all). A `tag` is met by a write of a column that has it, and by the removal
  of its row. Nobody approves their own request. What rules say about the execution adds up as well: the requester says
  when, if one rule wants that, and every window must be open. A glass can be broken where every rule that asks for
  people lets the requester do so, and everybody whom those rules name has to look at it afterwards. A write of more
  rows than are shown is taken where every rule that asks for people says `sample: true`
  ([what that binds](../explanation/changes.md#more-rows-than-are-shown)).
* **Absences** give a person's place in quorums to somebody else, for reviewing and nothing more, from the day `from` to
  the end of the day `until`, as far as the book knows that the absent person is in the group. Two rules for one place
  on one day are an error. [Change requests](../explanation/changes.md#while-somebody-is-away) says how reviews count.
* **Risk**: `when: risk >= 4` speaks of points: 3 for a write without a condition or of more than 200 rows (1 above 20),
  2 where it writes what has a tag, 1 for the removal of rows, for production, and outside of the source's `working`
  hours. The request's page says each in a sentence.
* **Messages** about change requests hold no data ([send notifications](../how-to/send-notifications.md)). Kinds:
  requested, approved, rejected, expiring, expired, drifted, failed, executed, withdrawn, break_glass, undone.
* The order of rules, keys and files never matters. [Policy](../explanation/policy.md) says why it is this way.

| command | says |
|---|---|
| `gatebook policy check` | whether the files are valid, fit the live schemas, and have an effect |
| `gatebook policy test` | whether the expectations in `tests/` hold |
| `gatebook policy explain --user NAME --groups … SQL` | what is decided, by which rules; the SQL that would run |
| `gatebook policy diff OLD NEW` | what a set changes: past statements, who gains or loses what; exits as diff does |
| `gatebook policy who-can SOURCE.TABLE.COLUMN` | who may do what on it, by which rules; `--csv`, `--json` |
| `gatebook policy reload` | whether the folder came into force in the running gateway |
| `gatebook notify CHANNEL` | whether a message reaches a channel of `notifications.yaml`; `--user` for a personal one |
| `gatebook policy schema` | the JSON Schema of all this, for editors |

None of them executes a statement. `OLD` and `NEW` are folders, or revisions in git such as `HEAD~1:policies`.
[Change the policy](../how-to/change-the-policy.md) shows each.
"""
_DOCUMENTS = {
    "sources/NAME.yaml": (of.SourceDocument, of.RequirementDocument, of.LimitsDocument),
    "Rules": (
        of.RuleFile,
        of.GrantDocument,
        of.ProtectionDocument,
        of.ApprovalDocument,
        of.WindowDocument,
        of.GlassDocument,
        of.OnRequestDocument,
        of.AbsenceDocument,
    ),
    "actions/NAME.yaml": (
        acting.ActionDocument,
        acting.ParameterDocument,
        acting.CheckDocument,
        acting.BulkDocument,
        acting.RateDocument,
        acting.HttpDocument,
    ),
    "connections/NAME.yaml": (acting.ConnectionDocument,),
    "entities/NAME.yaml": (entities.EntityDocument,),
    "jobs/NAME.yaml": (of.JobDocument,),
    "notifications.yaml": (of.NotificationsFile, of.ChannelDocument, of.PersonalDocument),
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
