"""The data of an earlier version is taken over, and then every plane is restarted, while events are published."""

from __future__ import annotations

import contextlib
import json
import tarfile
import threading
import time
from collections import Counter
from typing import TYPE_CHECKING, Any

import httpx
import pytest

from operations.broker.jar_broker import JarBroker
from operations.broker.jars import kafka_jars, user_cache
from operations.broker.java import find_java
from operations.broker.selection import running
from operations.supervisor.ports import free_port
from tests.e2e.data_of_before import ARCHIVE, FOR_EVER, PLANES
from tests.support.running_gateway import running_gateway
from tests.support.running_plane import running_plane

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from tests.component.connectors.receiver import Mailbox

pytestmark = [pytest.mark.timeout(900), pytest.mark.usefixtures("jars")]

CLOUDEVENT = {"Content-Type": "application/cloudevents+json"}
ENVIRONMENT = {
    "HEADRACE_WEBHOOK_ALLOW": "127.0.0.0/8",
    "HEADRACE_FILE_MAX_AGE": "5",
    "HEADRACE_WEBHOOK_MAX_AGE": FOR_EVER,
    "HEADRACE_PROCESSORS_LEDGER_RETENTION": FOR_EVER,
}
"""The data may have been made years ago."""

_SECONDS = 300
_PAUSE = 0.05


class KeepingBroker(JarBroker):
    """Its groups' offsets do not expire."""

    def prepare(self) -> None:
        super().prepare()
        with self._config.open("a", encoding="utf-8") as config:
            config.write("\noffsets.retention.minutes=2147483647\n")


class Load(threading.Thread):
    """Publishes one event after the other; each is repeated with its key until it is accepted.

    Attributes:
        accepted: the producer's id of each event to the gateway's.
        answers: statuses, and ``none`` where nobody listened.
        wrong: answers that no client should get.
    """

    def __init__(self, site: Site, key: str) -> None:
        super().__init__(daemon=True)
        self._site, self._headers = site, {"Authorization": f"Bearer {key}", **CLOUDEVENT}
        self._ending = threading.Event()
        self.accepted: dict[str, str] = {}
        self.answers: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self) -> None:
        number = 0
        while not self._ending.is_set():
            number += 1
            event = {"specversion": "1.0", "type": "order.paid", "source": "/load", "id": f"load-{number}", "data": {}}
            while not self._is_accepted(event):
                time.sleep(_PAUSE)
            time.sleep(_PAUSE)

    def end(self) -> None:
        """Stop after the event that is under way."""
        self._ending.set()
        self.join(_SECONDS)
        assert not self.is_alive()

    def _is_accepted(self, event: dict[str, Any]) -> bool:
        try:
            answer = httpx.post(f"{self._site.url}/headrace/v1/events", json=event, headers=self._headers, timeout=30)
        except httpx.TransportError:
            self.answers["none"] += 1
            return False
        self.answers[str(answer.status_code)] += 1
        if answer.status_code == httpx.codes.CREATED:
            self.accepted[event["id"]] = answer.json()["id"]
            return True
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or "Retry-After" not in answer.headers:
            self.wrong.append(f"{answer.status_code} {answer.text}")
            self._ending.set()
            return True
        return False


class Site:
    """The processes of this version on the data of the earlier one."""

    def __init__(self, bootstrap: str, home: Path) -> None:
        self._place = (bootstrap, home)
        self._running: dict[tuple[str, ...], contextlib.ExitStack] = {}
        self.url = "http://127.0.0.1:1"

    def start(self, plane: tuple[str, ...]) -> None:
        self._running[plane] = contextlib.ExitStack()
        if plane == ("ingest",):
            self.url = self._running[plane].enter_context(running_gateway(*self._place)).url
        else:
            self._running[plane].enter_context(running_plane(*self._place, *plane, **ENVIRONMENT))

    def restart(self, plane: tuple[str, ...]) -> None:
        self._running.pop(plane).close()
        self.start(plane)

    def close(self) -> None:
        for plane in self._running.values():
            plane.close()


def until(holds: Callable[[], Any]) -> None:
    deadline = time.monotonic() + _SECONDS
    while not holds():
        assert time.monotonic() < deadline
        time.sleep(0.2)


def test_no_event_is_lost_and_no_answer_is_wrong(tmp_path: Path, mailbox: Mailbox) -> None:
    with tarfile.open(ARCHIVE) as archive:
        archive.extractall(tmp_path, filter="data")
    facts = json.loads((tmp_path / "facts.json").read_text())
    parts: dict[str, Any] = {"java": find_java(), "jars": kafka_jars(user_cache(), print)}
    broker = KeepingBroker(tmp_path / "kafka", port=free_port(), **parts)
    assert broker.resumes
    with running(broker, tmp_path / "broker.log"):
        site = Site(broker.bootstrap_servers, tmp_path)
        load = Load(site, facts["key"])
        try:
            _followed(site, load, facts, mailbox)
        finally:
            site.close()


def _followed(site: Site, load: Load, facts: dict[str, Any], mailbox: Mailbox) -> None:
    headers = {"Authorization": f"Bearer {facts['key']}"}

    def get(path: str, **query: str) -> httpx.Response:
        return httpx.get(f"{site.url}/headrace/v1{path}", params=query, headers=headers, timeout=60)

    site.start(("ingest",))
    load.start()
    moved = {"url": mailbox.url}
    endpoint = f"{site.url}/headrace/v1/endpoints/{facts['hook']}"
    httpx.patch(endpoint, json=moved, headers=headers, timeout=60).raise_for_status()
    for plane in PLANES:
        site.start(plane)
    waiting = set(facts["waiting"])
    until(lambda: _received(mailbox) >= waiting)
    for plane in (("ingest",), *PLANES):
        count = len(load.accepted)
        site.restart(plane)
        until(lambda count=count: len(load.accepted) > count + 5 or load.wrong)
    load.end()
    assert load.wrong == []
    assert set(load.answers) <= {"201", "503", "none"}
    everything = waiting | load.accepted.keys()
    until(lambda: _received(mailbox) >= everything)
    assert not _received(mailbox) & set(facts["delivered"])
    until(lambda: _written(get, facts["file"]) >= everything | set(facts["delivered"]))
    accepted = list(load.accepted.values())
    for event in (*facts["ids"], accepted[0], accepted[-1]):
        until(lambda event=event: get(f"/events/{event}").is_success)


def _received(mailbox: Mailbox) -> set[str]:
    return {json.loads(each.body)["id"] for each in mailbox.received}


def _written(get: Callable[..., httpx.Response], endpoint: str) -> set[str]:
    """The ids in the event files; each is there once."""
    names, cursor = [], {}
    while True:
        page = get(f"/endpoints/{endpoint}/files", **cursor).raise_for_status().json()
        names += [each["name"] for each in page["items"]]
        if page["next_cursor"] is None:
            break
        cursor = {"cursor": page["next_cursor"]}
    lines = [line for name in names for line in get(f"/endpoints/{endpoint}/files/{name}").text.splitlines()]
    found = Counter(json.loads(line)["id"] for line in lines)
    assert set(found.values()) <= {1}, found
    return set(found)
