"""Every page of the portal in a real browser: accessible, narrow enough for a phone, and working without scripts."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from threading import Thread
from types import ModuleType
from urllib.parse import parse_qs, urlsplit

import pytest
from playwright.sync_api import Browser, Page

from gatebook_hub.portal.render import STATIC, render

pytestmark = pytest.mark.browser

ROOT = Path(__file__).parents[2]
CSP = "default-src 'self'; frame-ancestors 'none'; form-action 'self'; base-uri 'none'"
WCAG = {"runOnly": ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]}
SCROLLED = """one => new Promise(done => {
  if (one.scrollLeft > 0) done(true);
  one.addEventListener('scroll', () => done(true), { once: true });
  setTimeout(() => done(one.scrollLeft > 0), 5000);
})"""
KINDS = {".css": "text/css", ".svg": "image/svg+xml", ".js": "text/javascript"}


class PageServer(ThreadingHTTPServer):
    """Serves the rendered pages by name, and keeps what forms send."""

    pages: dict[str, str]
    posted: list[tuple[str, dict[str, list[str]]]]

    @property
    def address(self) -> str:
        """Return the address of the server, without a final slash."""
        return f"http://127.0.0.1:{self.server_port}"


class PageHandler(BaseHTTPRequestHandler):
    """Answers like the portal: the same security headers, and 303 after a POST."""

    server: PageServer

    def do_GET(self) -> None:
        """Send a page or a static file."""
        path = urlsplit(self.path).path
        static = STATIC / path.removeprefix("/static/")
        if path.startswith("/static/") and static.is_file():
            self._answer(200, KINDS[static.suffix], static.read_bytes())
        elif path.removeprefix("/") in self.server.pages:
            self._answer(200, "text/html; charset=utf-8", self.server.pages[path.removeprefix("/")].encode())
        else:
            self._answer(404, "text/plain", b"")

    def do_POST(self) -> None:
        """Keep what the form sent, and lead on."""
        body = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.server.posted.append((self.path, parse_qs(body)))
        self.send_response(303)
        self.send_header("Location", "/change_executed")
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_parts: object) -> None:
        """Say nothing: the tests tell what went wrong."""

    def _answer(self, status: int, kind: str, body: bytes) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Content-Security-Policy", CSP)
        self.send_header("X-Content-Type-Options", "nosniff")
        self.end_headers()
        self.wfile.write(body)


@pytest.fixture(scope="module")
def server() -> Iterator[PageServer]:
    examples, foreign = _loaded("examples"), _loaded("foreign_texts")
    pages = examples.typical_pages() | examples.empty_pages()
    pages |= {f"long_{name}": page for name, page in foreign.pages_saying(foreign.LONG, examples).items()}
    pages |= {f"hostile_{name}": page for name, page in foreign.pages_saying(foreign.HOSTILE, examples).items()}
    with PageServer(("127.0.0.1", 0), PageHandler) as made:
        made.pages = {name: render(page) for name, page in pages.items()}
        made.posted = []
        thread = Thread(target=made.serve_forever)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@contextmanager
def opened(browser: Browser, *, width: int = 1280, scheme: str = "light", scripts: bool = True) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
        java_script_enabled=scripts,
        reduced_motion="reduce",
    )
    yield context.new_page()
    context.close()


@pytest.mark.slow
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [320, 1280])
def test_each_page_passes_axe_and_never_scrolls_sideways(
    server: PageServer, browser: Browser, axe_script: Path, width: int, scheme: str
) -> None:
    axe = axe_script.read_text(encoding="utf-8")
    wrong: list[str] = []
    # The structure is the same in both schemes: in the dark, the colours of the usual pages are what is new. Foreign
    # texts are looked at where there is the least room for them.
    rules = WCAG if scheme == "light" else {"runOnly": {"type": "rule", "values": ["color-contrast"]}}
    is_tightest = (width, scheme) == (320, "light")
    names = [name for name in server.pages if is_tightest or not name.startswith(("long_", "hostile_"))]
    with opened(browser, width=width, scheme=scheme) as page:
        page.on("console", lambda message: wrong.append(f"{page.url}: {message.text}"))
        for name in names:
            page.goto(f"{server.address}/{name}")
            page.evaluate("document.querySelectorAll('details').forEach(one => { one.open = true })")
            if page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"):
                wrong.append(f"{name} is wider than {width} px")
            page.evaluate(axe)
            report = page.evaluate("options => axe.run(document, options)", rules)
            wrong += [
                f"{name}: {found['id']}: {found['help']}: {node['html'][:160]}"
                for found in report["violations"]
                for node in found["nodes"]
            ]
    assert not wrong, "\n".join(wrong)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_the_style_sheet_follows_the_scheme(server: PageServer, browser: Browser, scheme: str) -> None:
    with opened(browser, scheme=scheme) as page:
        page.goto(f"{server.address}/home")
        red = page.evaluate("getComputedStyle(document.body).backgroundColor.match(/\\d+/)[0]")
    assert (int(red) > 200) is (scheme == "light")


@pytest.mark.parametrize("verdict", ["approve", "reject"])
def test_a_review_needs_no_script_and_binds_what_was_shown(server: PageServer, browser: Browser, verdict: str) -> None:
    server.posted.clear()
    with opened(browser, scripts=False) as page:
        page.goto(f"{server.address}/change")
        page.get_by_label("Why do you approve or reject it?").fill("Agreed with finance")
        page.get_by_role("button", name=verdict.capitalize()).click()
        assert page.get_by_role("heading", level=1).inner_text() == "4 rows of invoice would change"
    [(path, fields)] = server.posted
    assert path == "/changes/c-81/review"
    assert fields == {
        "xsrf": ["xsrf-of-this-session"],
        "digest": ["sha256:" + "5f3c9a" * 10],
        "reason": ["Agreed with finance"],
        "verdict": [verdict],
    }


def test_the_keyboard_skips_to_the_content_and_shows_where_it_is(server: PageServer, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{server.address}/inbox")
        page.keyboard.press("Tab")
        skip = page.locator(":focus")
        assert skip.inner_text() == "Skip to the content"
        assert skip.evaluate("one => getComputedStyle(one).outlineStyle") == "solid"
        box = skip.bounding_box()
        assert box is not None
        assert box["y"] >= 0
        page.keyboard.press("Enter")
        page.keyboard.press("Tab")
        assert page.locator(":focus").inner_text() == "Waiting for me (3)"


def test_an_error_takes_the_focus_and_leads_to_its_field(server: PageServer, browser: Browser) -> None:
    with opened(browser) as page:
        page.goto(f"{server.address}/change_missing_reason")
        assert page.title().startswith("Error: ")
        assert page.locator(":focus").get_attribute("role") == "alert"
        page.get_by_role("link", name="Enter why you approve or reject it").click()
        page.keyboard.type("typed into the field")
        assert page.get_by_label("Why do you approve or reject it?").input_value() == "typed into the field"


def test_a_wide_row_diff_scrolls_inside_its_own_region(server: PageServer, browser: Browser) -> None:
    with opened(browser, width=320) as page:
        page.goto(f"{server.address}/change")
        region = page.get_by_role("region", name="Rows before and after")
        assert region.evaluate("one => one.scrollWidth > one.clientWidth")
        region.focus()
        page.keyboard.press("ArrowRight")
        assert region.evaluate(SCROLLED)


def test_print_leaves_out_what_paper_cannot_do(server: PageServer, browser: Browser) -> None:
    with opened(browser, scheme="dark") as page:
        page.goto(f"{server.address}/change")
        page.emulate_media(media="print")
        assert not page.get_by_role("button", name="Approve").is_visible()
        assert page.get_by_role("heading", level=1).is_visible()


def _loaded(name: str) -> ModuleType:
    spec = spec_from_file_location(f"portal_{name}", ROOT / f"tests/unit/portal/{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
