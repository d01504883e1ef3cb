"""The console in a browser: from a broken endpoint to a balance of zero, by keyboard, on a phone, and unharmed.

With ``HEADRACE_PICTURES`` set to a folder, it makes the pictures of ``docs/console.md`` there.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from aiohttp import web

from tests.support.browser import CHROMIUM
from tests.support.operator_pages import OperatorPages
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    from collections.abc import Iterator

    import httpx

    from tests.component.connectors.receiver import Mailbox
    from tests.support.browser import Browser
    from tests.support.running_gateway import RunningGateway

pytestmark = [
    pytest.mark.skipif(CHROMIUM is None, reason="Chromium is not installed"),
    pytest.mark.usefixtures("processors", "webhooks", "replayer", "monitor"),
]

V1 = "/headrace/v1"
HOSTILE = "<img src=x onerror='window.hacked=1'><script>window.hacked=1</script>"
PICTURES = os.environ.get("HEADRACE_PICTURES")


class Site(OperatorPages):
    """A workspace with a webhook, and the browser of its operator."""

    def __init__(self, gateway: RunningGateway, page: Browser, http: httpx.Client, key: str, mailbox: Mailbox) -> None:
        super().__init__(page, gateway.url, key)
        self.http = http
        self.code = f"order-{uuid4().hex[:8]}"
        self.post("registrations", kind="PUBLISH", namespace="events", code=self.code, open=True)
        self.endpoint = self.post("endpoints", name="billing", url=mailbox.url, retry_schedule=[])["id"]
        chosen = self.post("filters", name="all orders", types=[{"namespace": "events", "code": self.code}])
        self.post("subscriptions", filter=chosen["id"], endpoint=self.endpoint)

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        answer = self.http.post(f"{V1}/{path}", json=body)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def publish(self, *ids: str, **members: Any) -> None:
        for each in ids:
            event = {"specversion": "1.0", "type": self.code, "source": "/shop", "id": each, **members}
            headers = {"Content-Type": "application/cloudevents+json"}
            self.http.post(f"{V1}/events", json=event, headers=headers).raise_for_status()

    def picture(self, name: str) -> None:
        if PICTURES:
            self.page.screenshot(Path(PICTURES) / f"console-{name}.png")


@pytest.fixture(scope="module")
def monitor(gateway: RunningGateway) -> Iterator[None]:
    """The monitor, for pictures: the tests need none of its figures."""
    if PICTURES:
        with running_plane(gateway.bootstrap, gateway.directory, "monitor"):
            yield
    else:
        yield


@pytest.fixture
def site(gateway: RunningGateway, chromium: Browser, mailbox: Mailbox) -> Iterator[Site]:
    workspace = f"shop-{uuid4().hex[:6]}"
    with gateway.client() as admin:
        admin.post(f"{V1}/workspaces", json={"name": workspace}).raise_for_status()
    _, key = gateway.create_client(workspace, "operator", name="Olga")
    with gateway.client(key) as http:
        yield Site(gateway, chromium, http, key, mailbox)


def test_from_a_broken_endpoint_to_a_balance_of_zero(site: Site, mailbox: Mailbox) -> None:
    page = site.page
    mailbox.answers = [500]
    site.publish("order-1", "order-2", "order-3", data={"orderId": "A-1", "total": 125.5})
    site.log_in()
    site.reload_until("3 dead letters open")
    assert "answered 500" in page.text()
    if PICTURES:
        site.reload_until("lag, records")
    site.picture("overview")
    page.look(width=320, height=640, dark=True)
    site.picture("phone")
    page.look()

    page.click("billing")
    page.click("…")
    shown = page.text()
    for each in ("Attempt 1", "500", "server error", '"total": 125.5', "webhook-id", "answer "):
        assert each in shown, shown
    site.picture("delivery")

    mailbox.answers = [204]
    page.click("billing")
    page.click("Redrive 3 dead letters…")
    assert "Would send" in page.text()
    before = len(mailbox.received)
    page.click("Redrive")
    page.until("document.querySelector('.badge').innerText == 'done'")
    ids = [each.id for each in mailbox.wait(before + 3)]
    assert sorted(ids[:before]) == sorted(ids[before:])

    site.open("/")
    site.reload_until("dead letters open", is_shown=False)
    assert page.js("document.querySelector('#difference').innerText") == "0"
    page.click("Log out")
    assert page.problems == []
    assert page.hosts == {site.url.removeprefix("http://")}


def test_by_keyboard_alone(site: Site) -> None:
    page = site.page
    site.log_in()
    page.click("Log out")
    page.until("document.activeElement.id == 'key'")
    page.call("Input.insertText", text=site.key)
    page.press_and_load("Enter")
    page.press("Tab")
    assert page.focused() == "Skip to content"
    page.tab_to("Endpoints")
    page.press_and_load("Enter")
    page.tab_to("billing")
    page.press_and_load("Enter")
    page.tab_to("Pause…")
    page.press_and_load("Enter")
    page.until_focused("Pause")
    page.press_and_load("Enter")
    assert "The endpoint is paused." in page.text()
    page.tab_to("Resume…")
    page.press_and_load("Enter")
    page.until_focused("Resume")
    page.press_and_load("Enter")
    assert "A run sends what was kept." in page.text()
    assert page.problems == []


def test_on_a_phone_and_unharmed(site: Site, mailbox: Mailbox) -> None:
    async def hostile(_request: web.Request, _number: int) -> web.Response:
        return web.Response(status=500, text=f"<html>{HOSTILE}</html>", headers={"X-Told": HOSTILE})

    mailbox.answering = hostile
    site.http.patch(f"{V1}/endpoints/{site.endpoint}", json={"name": HOSTILE}).raise_for_status()
    site.publish(f"{HOSTILE}{uuid4()}", subject=HOSTILE, data={HOSTILE: HOSTILE})
    site.log_in()
    page = site.page
    site.open("/dead-letters")
    site.reload_until("answered 500")
    (letter,) = site.http.get(f"{V1}/dead-letters", params={"state": "open"}).json()["items"]
    paths = (
        "/",
        "/events",
        "/tail",
        "/deliveries",
        "/endpoints",
        "/dead-letters",
        "/runs",
        "/types",
        "/topics",
        "/groups",
        "/clients",
        "/audit",
        "/balance",
        f"/events/{letter['event_id']}",
        f"/deliveries/{letter['delivery']}",
        f"/endpoints/{site.endpoint}",
        f"/dead-letters/{letter['id']}",
        f"/types/events/{site.code}",
    )
    for path in paths:
        page.look(width=320, height=640, dark=len(path) % 2 == 0)
        site.open(path)
        assert page.overflow() <= 0, path
        assert page.js("[window.hacked ?? 0, document.querySelectorAll('main img, main script').length]") == [0, 0]
    assert HOSTILE in page_text_of(site, f"/deliveries/{letter['delivery']}")
    assert page.problems == []
    # The policy holds even where markup would get into a page.
    added = "const s = document.createElement('script'); s.textContent = 'window.hacked = 1'; document.body.append(s);"
    assert page.js(f"(() => {{ {added} return window.hacked ?? null }})()") is None
    page.js("0")
    assert any("Content Security Policy" in each for each in page.problems)


def page_text_of(site: Site, path: str) -> str:
    site.open(path)
    return site.page.text()


def test_the_tail_follows_without_a_reload(site: Site) -> None:
    site.log_in()
    site.open("/tail")
    own = f"seen-{uuid4().hex[:8]}"
    assert own not in site.page.text()
    site.publish(own)
    site.page.until(f"document.body.innerHTML.includes({own!r})")
    assert site.page.problems == []
