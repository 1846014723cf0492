"""How do people without a notebook reach curated ones? Through this service of the Hub, a kernel of its own for each page.

Voila renders a tool's notebook and draws its widgets; everything that decides who may open what, which kernel belongs to
whom, and which routes exist at all is here.
"""
