"""JupyterLab as a person uses it: a browser that logs in at the Hub, opens a notebook and runs cells."""

from __future__ import annotations

from typing import TYPE_CHECKING

from playwright.sync_api import BrowserContext, Locator, Page, expect

if TYPE_CHECKING:
    from tests.stories.workspace import Workspace

_PATIENCE_MS = 90_000


class Lab:
    """One person's browser on one workspace."""

    def __init__(self, workspace: Workspace, context: BrowserContext, name: str) -> None:
        self.workspace = workspace
        self.name = name
        self.page: Page = context.new_page()
        self.page.set_default_timeout(_PATIENCE_MS)

    def log_in(self) -> None:
        """Fill in the Hub's login form."""
        self.page.goto(f"{self.workspace.settings.hub_url}/hub/login")
        self.page.fill("#username_input", self.name)
        self.page.fill("#password_input", self.workspace.password(self.name))
        self.page.click("#login_submit")

    def open_notebook(self) -> None:
        """Open a fresh notebook from the launcher, once the server has started."""
        self.page.goto(f"{self.workspace.settings.hub_url}/hub/spawn")
        self.page.wait_for_url("**/user/*/lab**")
        self.page.locator(".jp-LauncherCard[data-category='Notebook']").first.click()
        expect(self.page.locator(".jp-Notebook")).to_be_visible()
        expect(self.page.get_by_text("Python 3 (ipykernel) | Idle").first).to_be_visible(timeout=_PATIENCE_MS)

    def run(self, code: str) -> Locator:
        """Type a cell, run it, and return its output area once it is done."""
        cell = self.page.locator(".jp-Notebook .jp-CodeCell").last
        cell.locator(".cm-content").click()
        self.page.keyboard.insert_text(code)
        number = self.page.locator(".jp-Notebook .jp-CodeCell").count()
        self.page.keyboard.press("Shift+Enter")
        done = self.page.locator(".jp-Notebook .jp-CodeCell").nth(number - 1)
        expect(done.locator(".jp-InputPrompt")).to_have_text(f"[{number}]:", timeout=_PATIENCE_MS)
        return done.locator(".jp-OutputArea").first
