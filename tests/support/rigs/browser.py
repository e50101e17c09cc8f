"""A real browser that looks at the page: Debian's Chromium, driven by Playwright.

Decides how it starts, what a visit is, and what no visit may leave behind (an error in the console, a
refused style, an exception); refuses to know what the page shows. An answer of 400 or more is an error in
the console as well: a test that wants one says so with `allow`.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, Literal

from playwright.sync_api import Browser, BrowserContext, ConsoleMessage, Page, sync_playwright

Theme = Literal["light", "dark"]
CHROMIUM: Final = Path("/usr/bin/chromium")
WIDE: Final = 1280
PHONE: Final = 360
WITHIN_MS: Final = 20_000
"""How long a visit waits for anything: the machine may be slow."""

_ARGUMENTS: Final = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)


class Chromium:
    """One browser process. Playwright's event loop runs in this thread whenever the browser is spoken to.

    Other tests of the session run loops of their own here: `in_hand` makes Playwright's the current one.
    """

    def __init__(self) -> None:
        self._playwright = sync_playwright().start()
        self.browser: Browser = self._playwright.chromium.launch(
            executable_path=CHROMIUM, args=list(_ARGUMENTS)
        )
        self._loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)

    @contextmanager
    def in_hand(self) -> Iterator[Browser]:
        """The browser, for as long as the block lasts, also inside another such block."""
        before = asyncio._get_running_loop()
        asyncio._set_running_loop(self._loop)
        try:
            yield self.browser
        finally:
            asyncio._set_running_loop(before)

    def close(self) -> None:
        """End it, and Playwright."""
        with self.in_hand() as browser:
            browser.close()
            self._playwright.stop()


class Visits:
    """The pages that one test opens. `done` fails if any of them complained."""

    def __init__(self, browser: Browser, url: str, keys: dict[str, tuple[str, str]] | None = None) -> None:
        self._browser = browser
        self.url = url
        self._keys = keys or {}
        self._contexts: list[BrowserContext] = []
        self._allowed: list[re.Pattern[str]] = []
        self.complaints: list[str] = []

    def __call__(
        self,
        path: str,
        *,
        theme: Theme = "light",
        width: int = WIDE,
        height: int = 800,
        role: str | None = None,
        url: str | None = None,
        beside: Page | None = None,
    ) -> Page:
        """Open a path of the page.

        `role`: signed in at `url` with a key of that role. `beside`: another tab of that page's browser.
        """
        context = beside.context if beside else self._new_context(theme, width, height)
        root = url or self.url
        if role is not None:
            root, key = self._keys[role]
            answer = context.request.post(f"{root}/session", data={"key": key})
            assert answer.ok, answer.text()
        page = context.new_page()
        page.goto(f"{root}{path}")
        return page

    def key(self, role: str) -> str:
        """A key of that role."""
        return self._keys[role][1]

    def allow(self, pattern: str) -> None:
        """Complaints that match are what this test wants."""
        self._allowed.append(re.compile(pattern))

    def done(self) -> None:
        """Close all, and fail if any page complained."""
        for context in self._contexts:
            context.close()
        unwanted = [
            each for each in self.complaints if not any(known.search(each) for known in self._allowed)
        ]
        assert unwanted == []

    def _new_context(self, theme: Theme, width: int, height: int) -> BrowserContext:
        context = self._browser.new_context(
            viewport={"width": width, "height": height}, color_scheme=theme, reduced_motion="reduce"
        )
        context.set_default_timeout(WITHIN_MS)
        context.on("console", self._heard)
        context.on("weberror", lambda error: self.complaints.append(f"{error.page}: {error.error}"))
        self._contexts.append(context)
        return context

    def _heard(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(f"{message.text} ({message.location})")


def violations(page: Page) -> list[str]:
    """What axe finds wrong with a page, in both themes: rule, place and why, one a line."""
    found: list[str] = []
    page.evaluate(_axe())
    for theme in ("light", "dark"):
        page.emulate_media(color_scheme=theme)
        listed: list[dict[str, Any]] = page.evaluate(
            "axe.run(document, {resultTypes: ['violations']}).then((results) => results.violations)"
        )
        found += [
            f"{theme}: {rule['id']}: {node['target']}: {node['failureSummary']}"
            for rule in listed
            for node in rule["nodes"]
        ]
    return found


def reaches_sideways(page: Page) -> bool:
    """Whether the page is wider than its window."""
    wide: bool = page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth")
    return wide


@cache
def _axe() -> str:
    return (files("axe_playwright_python") / "axe.min.js").read_text("utf-8")
