"""The console in a browser, as an operator uses it."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tests.support.browser import Browser

_SECONDS = 150


class OperatorPages:
    """A browser on the console, with the key of its user."""

    def __init__(self, page: Browser, url: str, key: str) -> None:
        self.page, self.url, self.key = page, url, key

    def open(self, path: str) -> None:
        """Load a page of the console."""
        self.page.open(f"{self.url}/console{path}")

    def log_in(self) -> None:
        """Begin a session, as in a new browser."""
        self.page.call("Network.clearBrowserCookies")
        self.page.problems.clear()
        self.page.look()
        self.open("/login")
        self.page.fill("#key", self.key)
        self.page.click("Log in")

    def reload_until(self, *words: str, is_shown: bool = True, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Load the page again until it shows all of these words, or none: the ledger has things a moment later."""
        deadline = time.monotonic() + _SECONDS
        while any((each in self.page.text()) is not is_shown for each in words):
            assert time.monotonic() < deadline, (words, self.page.text())
            meanwhile()
            self.page.open(self.page.js("location.href"))
