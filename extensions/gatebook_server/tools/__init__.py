"""How do people without a notebook use curated ones? Through this service of the Hub, each page with its own kernel.

Voila renders a tool's notebook and draws its widgets. Who may open what, which kernel belongs to whom, and which
routes exist at all is decided here.
"""
