"""Headless Chromium, driven by the DevTools protocol over one socket."""

from __future__ import annotations

import base64
import contextlib
import json
import os
import re
import shutil
import subprocess
import time
from typing import TYPE_CHECKING, Any

from websockets.sync.client import connect

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from websockets.sync.client import ClientConnection

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")

_LISTENING = re.compile(rb"DevTools listening on (ws://\S+)")
_SECONDS = 60.0

_KEYS = {"Enter": (13, "\r"), "Tab": (9, ""), " ": (32, " "), "Escape": (27, "")}


class Browser:
    """One page of a browser.

    Attributes:
        problems: what the console of the page said of errors and of violations of its security policy.
        hosts: every host that the page asked for something.
    """

    def __init__(self, socket: ClientConnection, session: str) -> None:
        self._socket, self._session = socket, session
        self._next = 100
        self._loaded = 0
        self.problems: list[str] = []
        self.hosts: set[str] = set()

    def call(self, method: str, **params: Any) -> dict[str, Any]:
        """The answer to a command."""
        self._next += 1
        wanted = self._next
        self._socket.send(json.dumps({"id": wanted, "method": method, "params": params, "sessionId": self._session}))
        while True:
            message = json.loads(self._socket.recv(timeout=_SECONDS))
            if message.get("id") == wanted:
                assert "error" not in message, (method, message)
                found: dict[str, Any] = message["result"]
                return found
            self._note(message)

    def _note(self, message: dict[str, Any]) -> None:
        params = message.get("params", {})
        match message.get("method"):
            case "Page.loadEventFired":
                self._loaded += 1
            case "Network.requestWillBeSent" if "://" in params["request"]["url"]:
                self.hosts.add(params["request"]["url"].split("/")[2])
            case "Log.entryAdded" if params["entry"]["level"] in ("error", "warning"):
                self.problems.append(params["entry"]["text"])
            case "Runtime.exceptionThrown":
                self.problems.append(str(params["exceptionDetails"]))

    def open(self, url: str) -> None:
        """Load a page."""
        before = self._loaded
        self.call("Page.navigate", url=url)
        self.loaded(before)

    def loaded(self, before: int) -> None:
        """Wait until another page was loaded since ``before``."""
        deadline = time.monotonic() + _SECONDS
        while self._loaded == before:
            assert time.monotonic() < deadline, self.text()
            self.js("0")

    def js(self, expression: str) -> Any:
        """The value of an expression in the page, or what its promise comes to."""
        answer = self.call("Runtime.evaluate", expression=expression, returnByValue=True, awaitPromise=True)
        assert "exceptionDetails" not in answer, answer
        return answer["result"].get("value")

    def text(self) -> str:
        """What the page shows."""
        return str(self.js("document.body.innerText"))

    def until(self, expression: str) -> Any:
        """Wait for an expression to be true."""
        deadline = time.monotonic() + _SECONDS
        while not (found := self.js(expression)):
            assert time.monotonic() < deadline, (expression, self.text())
            time.sleep(0.02)
        return found

    def fill(self, selector: str, text: str) -> None:
        """Type into a field."""
        self.js(f"document.querySelector({json.dumps(selector)}).focus()")
        self.call("Input.insertText", text=text)

    def click(self, text: str) -> None:
        """Click the first visible link or button with a text, and wait for the page that it leads to."""
        before = self._loaded
        found = self.js(
            "(() => { const wanted = [...document.querySelectorAll('a, button, summary')]"
            f".find(each => each.innerText.trim().startsWith({json.dumps(text)}) && each.offsetParent);"
            " if (wanted) wanted.click(); return wanted ? wanted.tagName : null })()"
        )
        assert found, f"no {text!r} in: {self.text()}"
        if found != "SUMMARY":
            self.loaded(before)

    def press(self, key: str, times: int = 1) -> None:
        """Press a key."""
        code, text = _KEYS[key]
        for _ in range(times):
            common = {"key": key, "code": key, "windowsVirtualKeyCode": code}
            self.call("Input.dispatchKeyEvent", type="keyDown", text=text, **common)
            self.call("Input.dispatchKeyEvent", type="keyUp", **common)

    def until_focused(self, words: str) -> None:
        """Wait until the element with these words has the focus: a page takes it to its button after it has loaded."""
        deadline = time.monotonic() + _SECONDS
        while (found := self.focused()) != words:
            assert time.monotonic() < deadline, (words, found)
            time.sleep(0.02)

    def focused(self) -> str:
        """The words of the element with the focus."""
        return str(
            self.js(
                "((e) => (e.innerText || e.getAttribute('aria-label') || e.name || e.tagName).trim())"
                "(document.activeElement)"
            )
        )

    def tab_to(self, words: str) -> None:
        """Press Tab until something with these words has the focus."""
        for _ in range(200):
            self.press("Tab")
            if self.focused().startswith(words):
                return
        raise AssertionError(f"Tab does not come to {words!r}")

    def press_and_load(self, key: str) -> None:
        """Press a key that leads to another page."""
        before = self._loaded
        self.press(key)
        self.loaded(before)

    def look(self, *, width: int = 1280, height: int = 800, dark: bool = False) -> None:
        """Take a size, and colours."""
        self.call(
            "Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=1, mobile=width < 500
        )
        scheme = {"name": "prefers-color-scheme", "value": "dark" if dark else "light"}
        self.call("Emulation.setEmulatedMedia", features=[scheme])

    def overflow(self) -> int:
        """Pixels that the page is wider than its window."""
        return int(self.js("document.documentElement.scrollWidth - window.innerWidth"))

    def screenshot(self, path: Path) -> None:
        """A PNG of what is seen, with few colours' worth of bytes."""
        found = self.call("Page.captureScreenshot", format="png", optimizeForSpeed=False)
        path.write_bytes(base64.b64decode(found["data"]))


@contextlib.contextmanager
def browser(directory: Path) -> Iterator[Browser]:
    """Start one with a profile of its own, and end it."""
    assert CHROMIUM is not None
    command = [
        CHROMIUM,
        "--headless=new",
        "--no-sandbox",
        "--disable-gpu",
        "--disable-dev-shm-usage",
        "--no-first-run",
        "--hide-scrollbars",
        "--disable-background-networking",
        "--remote-debugging-port=0",
        f"--user-data-dir={directory}",
        "about:blank",
    ]
    log = directory / "chromium.log"
    with log.open("wb") as output, subprocess.Popen(command, stderr=output, env={**os.environ, "TZ": "UTC"}) as process:
        try:
            with connect(_address(log, process), max_size=None, open_timeout=_SECONDS) as socket:
                yield _page(socket)
        finally:
            process.terminate()
            process.wait(_SECONDS)


def _address(log: Path, process: subprocess.Popen[bytes]) -> str:
    deadline = time.monotonic() + _SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        if found := _LISTENING.search(log.read_bytes()):
            return found[1].decode()
        time.sleep(0.05)
    raise AssertionError(log.read_text())


def _page(socket: ClientConnection) -> Browser:
    def ask(number: int, method: str, **params: Any) -> dict[str, Any]:
        socket.send(json.dumps({"id": number, "method": method, "params": params}))
        while True:
            message = json.loads(socket.recv(timeout=_SECONDS))
            if message.get("id") == number:
                found: dict[str, Any] = message["result"]
                return found

    target = ask(1, "Target.createTarget", url="about:blank")["targetId"]
    session = ask(2, "Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
    page = Browser(socket, session)
    for domain in ("Page", "Runtime", "Network", "Log"):
        page.call(f"{domain}.enable")
    page.look()
    return page
