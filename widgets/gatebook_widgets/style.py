"""What do the parts look like? `style.css`, put into the page with the first part that is shown."""

from __future__ import annotations

from pathlib import Path

STYLE = f"<style>{Path(__file__).with_name('style.css').read_text('utf-8')}</style>"
