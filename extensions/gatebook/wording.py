"""How does an error of the gate read on a page? In sentences, with the number under which it is in the book."""

from __future__ import annotations

import re
from html import escape

from gatebook.errors import GatebookError


def sentence(text: str) -> str:
    """With a capital and a full stop."""
    text = text.strip()
    return f"{text[:1].upper()}{text[1:]}{'' if text.endswith(('.', '!', '?', '…')) else '.'}" if text else ""


def marked_up(text: str) -> str:
    """Text as HTML; what stands in backticks is code."""
    return re.sub(r"`([^`]+)`", r"<code>\1</code>", escape(text))


def problem_of(error: GatebookError) -> str:
    """An error of the gate as HTML: what happened, what to ask for, and the number under which it is in the book."""
    parts = [marked_up(sentence(error.detail or error.sentence))]
    if error.ask:
        parts.append(f"You can ask for this: {marked_up(sentence(error.ask))}")
    small = [error.code, *([f"rule {error.rule}"] if error.rule else [])]
    if error.reference:
        small.append(f"reference {error.reference}")
    return " ".join(parts) + f' <span class="gb-quiet">({escape(", ".join(small))})</span>'
