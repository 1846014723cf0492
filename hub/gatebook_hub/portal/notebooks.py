"""How is an executed notebook shown although nobody vouches for what it holds? Without scripts, without an origin."""

from __future__ import annotations

from functools import cache
from io import StringIO
from typing import Any

from gatebook_hub.errors import NotFound

# `sandbox` without `allow-scripts` runs nothing, sends no form and gives the document an origin of its own, so that
# whatever an output holds can neither act nor read with the reader's session; nothing is fetched from anywhere.
# (The exporter's own sanitizer takes tables away, which is what jobs show.)
HTML_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


def html_of(document: str) -> str:
    """The notebook as HTML; raises NotFound for what is no notebook."""
    try:
        html, _ = _exporter().from_file(StringIO(document))
    except Exception as error:
        # Whatever its parts raise: the file itself can still be had.
        raise NotFound("what this run kept cannot be shown as a notebook; download it") from error
    return str(html)


@cache
def _exporter() -> Any:
    from nbconvert import HTMLExporter

    exporter: Any = HTMLExporter(template_name="lab")  # type: ignore[no-untyped-call]
    # The libraries that pages would fetch for formulas and diagrams are not fetched here.
    exporter.mathjax_url = exporter.require_js_url = exporter.jquery_url = exporter.mermaid_js_url = ""
    return exporter
