"""Every page renders, whatever its texts hold."""

import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from types import ModuleType
from typing import get_args

import pytest
from jinja2 import UndefinedError

from gatebook_hub.portal.pages.pattern import pattern_page
from gatebook_hub.portal.render import STATIC, TEMPLATES, Page, environment, render

FOLDER = STATIC.with_name("templates")
BYTES_ALLOWED = 12 * 1024
PALETTE = f"/static/palette.js?v={environment().globals['palette_version']}"
VOID = frozenset({"br", "hr", "img", "input", "link", "meta"})


class Outline(HTMLParser):
    """What a document is made of, and whether its elements are closed in order."""

    def __init__(self, document: str) -> None:
        super().__init__(convert_charrefs=True)
        self.open: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(document)
        self.close()
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Note an element and its attributes."""
        self.tags.append((tag, dict(attrs)))
        if tag not in VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        """Hold each end against the element that is open."""
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        """Collect what a person reads."""
        self.text += data

    @property
    def scripts(self) -> list[str | None]:
        """Return where each script comes from; an inline one has no text here, since it has no place."""
        return [attributes.get("src") for tag, attributes in self.tags if tag == "script"]

    def values(self, attribute: str) -> list[str]:
        """Return the values of an attribute, wherever it stands."""
        return [attributes[attribute] or "" for _, attributes in self.tags if attribute in attributes]


def all_pages(examples: ModuleType, foreign_texts: ModuleType) -> dict[str, Page]:
    pages: dict[str, Page] = examples.typical_pages() | examples.empty_pages()
    for label, text in (("hostile", foreign_texts.HOSTILE), ("long", foreign_texts.LONG)):
        pages |= {f"{label} {name}": page for name, page in foreign_texts.pages_saying(text, examples).items()}
    return pages


def test_every_page_has_a_template_and_an_example(examples: ModuleType) -> None:
    kinds = set(get_args(Page))
    assert kinds == set(TEMPLATES)
    assert kinds == {type(page) for page in examples.typical_pages().values()}
    top = {path.name for path in FOLDER.glob("*.html")}
    assert top == set(TEMPLATES.values()) | {"layout.html"}


def test_every_page_is_one_well_formed_document(examples: ModuleType, foreign_texts: ModuleType) -> None:
    for name, page in all_pages(examples, foreign_texts).items():
        outline = Outline(render(page))
        tags = [tag for tag, _ in outline.tags]
        assert tags.count("h1") == 1, name
        assert tags.count("main") == 1, name
        ids = outline.values("id")
        assert len(ids) == len(set(ids)), name
        assert not [one for one in ids if re.search(r"\s", one)], name
        for attribute in ("for", "aria-describedby", "aria-labelledby"):
            named = [one for value in outline.values(attribute) for one in value.split()]
            assert set(named) <= set(ids), (name, attribute)


def test_a_hostile_text_is_text(examples: ModuleType, foreign_texts: ModuleType) -> None:
    for name, page in foreign_texts.pages_saying(foreign_texts.HOSTILE, examples).items():
        document = render(page)
        assert document.count("<script") == len(Outline(document).scripts), name
        # The page after sign-out has no foreign text but an address, and that is refused.
        assert foreign_texts.HOSTILE in Outline(document).text or name == "signed_out", name


def test_no_page_has_inline_code_or_reaches_elsewhere(examples: ModuleType, foreign_texts: ModuleType) -> None:
    for name, page in all_pages(examples, foreign_texts).items():
        outline = Outline(render(page))
        assert set(outline.scripts) <= {PALETTE}, name
        for tag, attributes in outline.tags:
            assert tag not in {"style", "iframe", "object", "base"}, name
            assert not [one for one in attributes if one == "style" or one.startswith("on")], name
        assert not [one for one in outline.values("src") if not one.startswith("/static/")], name


@pytest.mark.parametrize("url", ["javascript:alert(1)", "//evil.example", "data:text/html,x"])
def test_no_link_leads_to_a_refused_address(examples: ModuleType, foreign_texts: ModuleType, url: str) -> None:
    for name, page in foreign_texts.pages_saying(url, examples).items():
        outline = Outline(render(page))
        links = outline.values("href") + outline.values("action") + outline.values("src")
        assert url not in links, name


def test_every_post_carries_the_token_of_the_session(examples: ModuleType, foreign_texts: ModuleType) -> None:
    seen = 0
    for name, page in all_pages(examples, foreign_texts).items():
        for form in re.findall(r"<form[^>]*method=\"post\".*?</form>", render(page), re.DOTALL):
            seen += 1
            assert 'name="xsrf"' in form, name
    assert seen > 20


def test_forms_of_a_change_bind_its_digest(examples: ModuleType) -> None:
    page = examples.typical_pages()["change"]
    [form] = re.findall(r"<form[^>]*/review\".*?</form>", render(page), re.DOTALL)
    assert f'name="digest" value="{page.digest}"' in form
    assert 'value="approve"' in form
    assert 'value="reject"' in form


def words_of(document: str) -> str:
    return " ".join(Outline(document).text.split())


def test_each_table_of_a_change_has_its_heading_and_its_region(examples: ModuleType) -> None:
    document = render(examples.typical_pages()["change_tables"])
    headings = re.findall(r"<h3>(.*?)</h3>", document, re.DOTALL)
    assert [" ".join(re.sub(r"<[^>]*>", "", one).split()) for one in headings] == [
        "Rows of invoice: 2 removed, 1 of them goes along",
        "Rows of credit: 1 added",
        "Rows of invoiceline: 2 removed, they go along",
        "Rows of another table: 3 changed",
    ]
    labels = Outline(document).values("aria-label")
    for name in ("invoice", "credit", "invoiceline"):
        assert labels.count(f"Rows of {name} before and after") == 1
    assert words_of(document).count("Removed goes along") == 3
    assert "chinook, tables invoice and credit" in words_of(document)


def test_a_sample_says_so_and_what_is_bound(examples: ModuleType) -> None:
    words = words_of(render(examples.typical_pages()["change_sample"]))
    assert "This is a sample: 20 rows of 40,000. The digest covers all of them" in words


def test_sets_of_values_say_how_many_there_are(examples: ModuleType) -> None:
    words = words_of(render(examples.typical_pages()["change_sets"]))
    assert "once for each of 812 sets of values. These are the first 2" in words
    assert "Set id names 1" in words
    assert "Fado" in words


def test_who_is_in_somebodys_place_is_told_so(examples: ModuleType) -> None:
    page = examples.typical_pages()["change"]
    assert "maria is away: second may review in their place" in words_of(render(page))
    there = replace(page, frame=examples.frame(person="second"))
    assert "maria is away: you may review in their place" in words_of(render(there))


def test_who_may_not_review_is_told_why(examples: ModuleType) -> None:
    document = render(examples.typical_pages()["change_own"])
    assert "Nobody approves their own request." in document
    assert "/review" not in document
    assert "/withdraw" in document


def test_a_returned_form_keeps_what_was_typed(examples: ModuleType) -> None:
    document = render(examples.typical_pages()["change_moved"])
    assert ">\nAgreed with finance, ticket 4711</textarea>" in document
    assert "<title>Error: " in document


def test_a_stranger_sees_no_navigation_and_a_trial_its_banner(examples: ModuleType) -> None:
    stranger, person = render(examples.typical_pages()["sign_in"]), render(examples.typical_pages()["home"])
    assert "Sign out" not in stranger
    assert "/inbox" not in stranger
    assert "Trial mode:" not in stranger
    assert "Trial mode:" in person


def test_the_portal_may_live_under_a_path(examples: ModuleType) -> None:
    page = pattern_page(examples.frame(portal_path="/portal"))
    outline = Outline(render(page))
    own = [one for one in outline.values("href") + outline.values("src") if one.startswith("/")]
    assert own
    assert all(one.startswith("/portal/") for one in own)


def test_a_filter_is_a_link_that_keeps_the_others(examples: ModuleType) -> None:
    links = Outline(render(examples.typical_pages()["audit"])).values("href")
    assert "/audit?principal=analyst&source=chinook&since=2026-11-01" in links
    assert "/audit?since=2026-11-01" in links


def test_the_pattern_page_uses_every_component() -> None:
    pattern = (FOLDER / "pattern.html").read_text(encoding="utf-8")
    body = pattern.split("{% block content %}")[1]
    for path in (FOLDER / "components").glob("*.html"):
        for name in re.findall(r"{% macro (\w+)\(", path.read_text(encoding="utf-8")):
            assert re.search(rf"\b{name}\(", body), f"{name} of {path.name} has no example"


def test_an_unknown_name_in_a_template_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ nobody }}").render()


def test_the_style_sheet_is_small_and_alone() -> None:
    style = (STATIC / "gatebook.css").read_text(encoding="utf-8")
    assert len(style.encode()) <= BYTES_ALLOWED
    assert not re.findall(r"url\(|@import|@font-face", style)


def test_the_style_sheet_has_no_class_that_no_template_uses() -> None:
    style = re.sub(r"/\*.*?\*/|\{[^{}]*\}", " ", (STATIC / "gatebook.css").read_text(encoding="utf-8"), flags=re.DOTALL)
    used = "".join(path.read_text(encoding="utf-8") for path in Path(FOLDER).rglob("*.html"))
    used += Path(STATIC.with_name("filters.py")).read_text(encoding="utf-8")
    for name in set(re.findall(r"\.([a-z][\w-]*)", style)):
        assert re.search(rf"\b{name}\b", used), name
