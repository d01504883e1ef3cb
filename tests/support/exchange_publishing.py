"""Posting to ``POST /v1/event`` of the Exchange document, and what is in Kafka afterwards."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import httpx

    from schemas.avro.codec import DecodedEvent
    from tests.support.exchange_account import ExchangeEndpoint

EMAIL = {"name": "email", "value": "someone@example.org"}
COOKIE = {"name": "cookieId", "value": "abc-123"}
WHEN = "2015-02-28T20:16:12Z"
LATER = "2015-02-28T20:16:13.250Z"


@dataclass(frozen=True)
class Publishing:
    """The publisher with one event type whose topic is empty: it tells whether anything got through."""

    publisher: ExchangeEndpoint
    http: httpx.Client
    code: str

    def post(self, body: Any) -> httpx.Response:
        return self.http.post("/v1/event", json=body)

    def accepted(self, body: Any, events: int) -> list[DecodedEvent]:
        """What is in Kafka after a request that must have been accepted."""
        answer = self.post(body)
        assert answer.status_code == 200, answer.text
        assert answer.json() == {"accepted": events}
        found = self.publisher.account.events(self.code)
        assert len(found) == events
        assert {event.source for event in found} == {self.publisher.id}
        return found

    def refused(self, body: Any, *named: str) -> list[dict[str, str]]:
        """The errors of a request that must have been refused, nothing of it written; one of them names each word."""
        return self.check_refused(self.post(body), *named)

    def check_refused(self, answer: httpx.Response, *named: str) -> list[dict[str, str]]:
        assert answer.status_code == 400, answer.text
        assert answer.headers["content-type"] == "application/json"
        error = answer.json()
        assert list(error) == ["message", "code", "errors"]
        assert error["code"] == 400
        assert error["message"]
        assert all(list(one) == ["path", "message"] for one in error["errors"])
        assert error["errors"]
        told = [f"{one['path']} {one['message']}" for one in error["errors"]]
        assert all(any(word in each for each in told) for word in named), told
        assert self.publisher.account.stored(self.code) == 0
        errors: list[dict[str, str]] = error["errors"]
        return errors

    def event(self, **members: Any) -> dict[str, Any]:
        """An event with a timestamp; None leaves a member out."""
        event = {
            "code": self.code,
            "timestamp": WHEN,
            "attributes": [
                {"name": "productID", "value": "P-1", "type": "string"},
                {"name": "orderTotal", "value": "125.50", "type": "number"},
            ],
        }
        return {name: value for name, value in (event | members).items() if value is not None}

    def individual(self, *events: dict[str, Any], **members: Any) -> dict[str, Any]:
        """The individual form, its root members changed; None leaves one out."""
        body = {"channel": "mobile", "identifiers": [EMAIL, COOKIE], "events": events or (self.event(),)}
        return {name: value for name, value in (body | members).items() if value is not None}

    def simple(self, *events: dict[str, Any]) -> dict[str, Any]:
        """A simple batch of events that bring their own channel and identifiers."""
        own = {"channel": "Web", "identifiers": [EMAIL]}
        return {"events": [{name: value for name, value in (own | one).items() if value is not None} for one in events]}

    def compound(self, *entries: dict[str, Any], **members: Any) -> dict[str, Any]:
        """A compound batch."""
        return {"provider": "Acoustic", "eventbatch": entries} | members

    def undated(self, **members: Any) -> dict[str, Any]:
        """An event of the document's compound batches: they have no timestamp."""
        return self.event(timestamp=None, **members)


def pairs(event: DecodedEvent) -> list[tuple[str, str]]:
    return [(one.name, one.value) for one in event.identifiers]
