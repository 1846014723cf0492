"""What does the policy of the fortress say, and to whom?"""

from __future__ import annotations

from gatebook_hub.model import Channel, Engine, Principal, PrincipalKind

COUNTRIES = "('Germany', 'Austria', 'Switzerland', 'France')"
SOURCE = """
source: chinook
title: the demo behind walls
engine: {engine}
url: "{url}"
production: true
limits: {{rows: 20000, time_s: 8, concurrent: 4}}
default_quorum:
  - {{groups: [reviewers], needed: 1}}
"""
_RULES = f"""
classification:
  pii.email: [chinook.customer.email, chinook.employee.email]
  pii.phone: [chinook.customer.phone, chinook.customer.fax, chinook.employee.phone, chinook.employee.fax]
  pii.birthdate: [chinook.employee.birthdate]
functions:
  chinook: [{{vouched}}]
grants:
  - id: catalogue
    to: group:analysts
    on: [chinook.artist, chinook.album, chinook.track, chinook.genre, chinook.mediatype, chinook.employee]
    allow: [select]
  - id: a-view-by-name
    to: group:analysts
    on: chinook.genre_sizes
    allow: [select]
  - id: all-tables-and-no-view
    to: group:auditors
    on: chinook.*
    allow: [select]
  - id: customers
    to: group:analysts
    on: chinook.customer
    allow: [select]
    where: country in {COUNTRIES}
  - id: invoices
    to: group:analysts
    on: chinook.invoice
    allow: [select]
    where: customerid in (select customerid from customer where country in {COUNTRIES}) and billingcountry <> 'Nowhere'
  - id: tickets
    to: group:analysts
    on: chinook.support_ticket
    allow: [select, update, insert, delete]
    where: customerid in (select c.customerid from customer c where c.country in {COUNTRIES})
  - id: refunds-few-columns
    to: group:analysts
    on: chinook.refund
    columns: [refundid, invoiceid, amount]
    allow: [select]
  - id: cancel-refunds
    to: group:analysts
    on: chinook.refund
    allow: [delete]
  - id: fix-invoices
    to: group:analysts
    on: chinook.invoice
    columns: [total, billingcity, billingcountry, customerid]
    allow: [update]
  - id: fix-customers
    to: group:analysts
    on: chinook.customer
    allow: [update, insert]
    where: country in {COUNTRIES}
  - id: the-americas
    to: group:desk
    on: chinook.customer
    columns: [customerid, lastname, city, country, phone, email, supportrepid]
    allow: [select]
    where: country in ('Brazil', 'USA', 'Canada')
  - id: own-tickets
    to: group:desk
    on: chinook.support_ticket
    allow: [select]
    where: customerid in (select c.customerid from customer c where c.country in ('Brazil', 'USA', 'Canada'))
  - id: desk-catalogue
    to: group:desk
    on: [chinook.genre, chinook.employee]
    allow: [select]
  - id: small-invoices
    to: user:lea
    on: chinook.invoice
    allow: [select]
    where: total < 4
  - id: everybody-at-a-glance
    to: user:lea
    on: [chinook.customer, chinook.employee, chinook.support_ticket, chinook.genre]
    allow: [select]
  - id: reviewers
    to: group:reviewers
    on: [chinook.customer, chinook.invoice, chinook.support_ticket]
    allow: [select, update]
protections:
  - id: mask-email
    tag: pii.email
    mask: email
    unless: group:reviewers
  - id: mask-phone
    tag: pii.phone
    mask: last(3)
    unless: [group:reviewers, group:desk]
  - id: hash-postal-codes
    on: [chinook.customer.postalcode, chinook.employee.postalcode]
    mask: hash
  - id: first-of-addresses
    on: chinook.customer.address
    mask: first(3)
  - id: redact-addresses
    on: chinook.employee.address
    mask: redact
  - id: years-of-hiring
    on: chinook.employee.hiredate
    mask: year
  - id: no-sizes
    on: chinook.track.bytes
    mask: "null"
  - id: rough-lengths
    on: chinook.track.milliseconds
    mask: bucket(10000)
  - id: rough-prices
    on: chinook.track.unitprice
    mask: bucket(1)
  - id: own-mask-of-media
    on: chinook.mediatype.name
    mask: custom
    expression: "{{custom}}"
  - id: no-birthdates
    tag: pii.birthdate
    refuse: birth dates are for the people team alone
    ask: membership of the group `people`
    unless: group:people
  - id: no-tracks-of-metallica
    on: chinook.track
    where: composer is null or composer not like '%Hetfield%'
"""

_PIPES = "upper(substr(value, 1, 4)) || '-' || length(value)"
_CONCAT = "concat(upper(substr(value, 1, 4)), '-', length(value))"
# A function that the data owners vouch for: one that the gate does not know by itself.
VOUCHED = {
    Engine.SQLITE: "subtype",
    Engine.POSTGRESQL: "unistr",
    Engine.MARIADB: "to_base64",
    Engine.DUCKDB: "url_encode",
}


def rules_for(engine: Engine) -> str:
    """The rule file; it differs by a function and an operator."""
    # There, `||` is a logical or.
    custom = _CONCAT if engine is Engine.MARIADB else _PIPES
    return _RULES.format(vouched=VOUCHED[engine], custom=custom)


ANALYST = Principal(kind=PrincipalKind.USER, name="mallory", groups=frozenset({"analysts"}))
DESK = Principal(kind=PrincipalKind.USER, name="dora", groups=frozenset({"desk"}))
LEA = Principal(kind=PrincipalKind.USER, name="lea")
AUDITOR = Principal(kind=PrincipalKind.USER, name="otto", groups=frozenset({"auditors"}))
REVIEWER = Principal(kind=PrincipalKind.USER, name="rita", groups=frozenset({"reviewers"}), channel=Channel.PORTAL)
