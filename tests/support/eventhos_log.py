"""The log of received events, as a manager of eventhos reads it and acts on it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tests.support.eventhos_calls import SEED_BODY, content

if TYPE_CHECKING:
    from collections.abc import Callable

    import httpx

    from tests.support.eventhos_calls import Eventhos, EventhosEvent

_SHOWN_WITHIN = 120.0
"""Seconds until an execution must be in the log."""


@dataclass(frozen=True, kw_only=True)
class EventLog:
    """Of one event of a test."""

    eventhos: Eventhos
    event: EventhosEvent

    def contract(self, url: str, order: int = 1, **action: Any) -> int:
        """A contract of the event that calls a URL; its id."""
        return self.eventhos.contract(self.event, self.eventhos.action(self.event.system, url, **action), order)

    def send(self, body: Any = SEED_BODY, **options: Any) -> None:
        """Send the event, which has a contract."""
        answer = self.eventhos.send(self.event, json=body, **options)
        assert (answer.status_code, answer.json()["code"]) == (200, 200000), answer.text

    def get(self, path: str, **params: Any) -> httpx.Response:
        """Read as a manager."""
        with self.eventhos.manager() as http:
            return http.get(path, params=params)

    def content(self, path: str, **params: Any) -> Any:
        """The content of a successful answer."""
        return content(self.get(path, **params))

    def page(self, **conditions: Any) -> Any:
        """A page of the event's received events, the oldest first."""
        return self.content("/event/received", eventIdentifierSearch=self.event.identifier, **conditions)

    def row(self, *states: str | None, which: int = 0) -> dict[str, Any]:
        """The event that was received ``which``-th, once its contracts are in these states."""

        def find() -> dict[str, Any] | None:
            items = self.page(itemsPerPage=100)["items"]
            return items[which] if len(items) > which and items[which]["state"] == list(states) else None

        found: dict[str, Any] = until(find, f"in states {states}")
        return found

    def details(self, *states: str, which: int = 0) -> list[dict[str, Any]]:
        """The contracts run for the event that was received ``which``-th, once they are in these states."""
        row = self.row(*states, which=which)
        found: list[dict[str, Any]] = self.content(f"/event/received/{row['id']}")["executedEventContracts"]
        return found

    def execution(self, detail: dict[str, Any]) -> dict[str, Any]:
        """What a contract sent and was answered."""
        found: dict[str, Any] = self.content(f"/event/received/execution-detail/{detail['detailId']}")
        return found

    def retry(self, received: dict[str, Any], detail: dict[str, Any], **changes: Any) -> httpx.Response:
        """Send the event again for a contract."""
        body = {"contractDetailId": detail["detailId"], "receivedEventId": received["id"], **changes}
        query = {"event-identifier": self.event.identifier, "contract-id": detail["contractId"]}
        return self._post("/event/send/contract", query, body, {"access-key": self.event.token})

    def abort(self, detail: dict[str, Any], **headers: str) -> httpx.Response:
        """Give up a contract."""
        query = {"event-identifier": self.event.identifier}
        return self._post("/event/retry/aborted", query, {"contractDetailId": detail["detailId"]}, headers)

    def _post(self, path: str, query: dict[str, Any], body: dict[str, Any], headers: dict[str, str]) -> httpx.Response:
        with self.eventhos.manager() as http:
            return http.post(path, params=query, json=body, headers=headers)


def until(find: Callable[[], Any], what: str) -> Any:
    """What is found, once it is."""
    deadline = time.monotonic() + _SHOWN_WITHIN
    while not (found := find()):
        assert time.monotonic() < deadline, f"after {_SHOWN_WITHIN:g} s: not {what}"
        time.sleep(0.05)
    return found
