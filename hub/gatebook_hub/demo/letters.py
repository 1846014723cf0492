"""What do customers write to the help desk, and why is money given back? Texts whose gaps a purchase fills."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True, kw_only=True)
class Topic:
    """One kind of letter: subject and body with gaps, and how urgent the desk takes it to be."""

    subject: str
    body: str
    priority: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Reason:
    """One reason for a refund, and whether it gives back the whole invoice or the price of one line."""

    text: str
    is_whole: bool


REASONS: Final = (
    Reason(text="“{track}” would not download after three attempts", is_whole=False),
    Reason(text="charged twice for the same order", is_whole=True),
    Reason(text="“{track}” cuts off before its end", is_whole=False),
    Reason(text="bought by mistake, asked for it back the same day", is_whole=True),
    Reason(text="“{track}” was already bought on an earlier invoice", is_whole=False),
    Reason(text="card belongs to somebody else, order disputed by the bank", is_whole=True),
)

TOPICS: Final = (
    Topic(
        subject="Cannot download “{track}”",
        body="The download of “{track}” from invoice {invoice} stops at about half and then says the link has expired. "
        "I tried two browsers. Please renew the link.\n\n{firstname} {lastname}",
        priority="normal",
    ),
    Topic(
        subject="Company address missing on invoice {invoice}",
        body="Our bookkeeping needs the company's name on invoice {invoice} of {day}. Can you issue it again? "
        "You can call me at {phone}.\n\n{firstname} {lastname}, {city}",
        priority="normal",
    ),
    Topic(
        subject="Is “{album}” complete?",
        body="I bought tracks from “{album}”, and on my old CD there is one more than you list. Is the rest coming?"
        "\n\n{firstname}",
        priority="low",
    ),
    Topic(
        subject="Charged {total} but expected less",
        body="Invoice {invoice} says {total}. When I put “{track}” in the basket the sum was lower. Please explain the "
        "difference before my card is billed.\n\n{firstname} {lastname}",
        priority="high",
    ),
    Topic(
        subject="Please change my e-mail address",
        body="I am losing access to {email} at the end of the month. Which address do you need from me, and how do I "
        "prove that it is mine?\n\n{firstname} {lastname}, {country}",
        priority="normal",
    ),
    Topic(
        subject="Copy of invoice {invoice}",
        body="I need a copy of invoice {invoice} of {day} for my tax return. A PDF to {email} is fine.\n\n{firstname}",
        priority="low",
    ),
    Topic(
        subject="Payment I do not recognise",
        body="My bank shows {total} to your shop on {day}. I live in {city} and was travelling that week. Please stop "
        "further orders until this is clear. Phone: {phone}\n\n{firstname} {lastname}",
        priority="urgent",
    ),
    Topic(
        subject="“{track}” plays too quietly",
        body="Compared with the rest of “{album}”, this one is hardly audible. Is there another master?\n\n{firstname}",
        priority="low",
    ),
    Topic(
        subject="Moved house, new billing address",
        body="I have left {address}, {city}. Please tell me where to enter the new address; the form keeps the old one."
        "\n\n{firstname} {lastname}",
        priority="normal",
    ),
    Topic(
        subject="Order stuck in “processing”",
        body="I ordered on {day} and the status has not moved since. Invoice {invoice}, {total}."
        "\n\n{firstname} {lastname}",
        priority="high",
    ),
    Topic(
        subject="Wrong artist on “{track}”",
        body="The file's tags name another artist than {artist}. My player sorts it in the wrong place.\n\n{firstname}",
        priority="low",
    ),
)

ABOUT_REFUND: Final = Topic(
    subject="Refund for invoice {invoice} not on my card yet",
    body="You wrote that {amount} would come back for invoice {invoice}. My bank in {country} shows nothing so far. "
    "When was it sent?\n\n{firstname} {lastname}",
    priority="high",
)
