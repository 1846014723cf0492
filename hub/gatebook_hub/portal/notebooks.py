"""How is an executed notebook shown although nobody vouches for what it holds? Without scripts, without an origin."""

from __future__ import annotations

from functools import cache
from typing import Any

from gatebook_hub.errors import NotFound

# `sandbox` without `allow-scripts` runs nothing and gives the document an origin of its own, so that even what slips
# past the exporter can neither act nor read with the reader's session; nothing is fetched from anywhere.
HTML_HEADERS = {
    "Content-Security-Policy": "sandbox; default-src 'none'; style-src 'unsafe-inline'; img-src data:; font-src data:; "
    "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
}


def html_of(document: str) -> str:
    """The notebook as HTML; raises NotFound for what is no notebook."""
    import nbformat

    try:
        notebook = nbformat.reads(document, as_version=4)
    except Exception as error:  # nbformat raises what its parts raise
        raise NotFound("what this run kept is no notebook; download it to see it") from error
    html, _ = _exporter().from_notebook_node(notebook)
    return str(html)


@cache
def _exporter() -> Any:
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(template_name="lab", sanitize_html=True)
    # The libraries that pages would fetch for formulas and diagrams are not fetched here.
    exporter.mathjax_url = exporter.require_js_url = exporter.jquery_url = exporter.mermaid_js_url = ""
    return exporter
