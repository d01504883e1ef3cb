"""Resends and replays through all planes: the same ``webhook-id``, counted apart, refused where they must be."""

from __future__ import annotations

import json
import time
from collections import Counter
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

import pytest

from schemas.model import timestamps

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    import httpx

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_gateway import RunningGateway

pytestmark = pytest.mark.usefixtures("processors", "webhooks", "replayer")

V1 = "/headrace/v1"
JSON = {"Content-Type": "application/json"}


class Subscriber(NamedTuple):
    """A client with a webhook, and who publishes for it."""

    http: httpx.Client
    code: str
    endpoint: str
    filter: str
    mailbox: Mailbox

    def publish(self, *names: str) -> None:
        """One event each, accepted one after the other."""
        for name in names:
            event = {"specversion": "1.0", "type": self.code, "source": "s", "id": name, "data": {"name": name}}
            headers = {"Content-Type": "application/cloudevents+json"}
            self.http.post(f"{V1}/events", json=event, headers=headers).raise_for_status()

    def delivered(self, count: int) -> list[str]:
        """The names of the events that arrived, once there are so many."""
        return [json.loads(each.body)["data"]["name"] for each in self.mailbox.wait(count)]

    def post(self, path: str, **body: Any) -> dict[str, Any]:
        """The answer of a change that is allowed."""
        answer = self.http.post(f"{V1}/{path}", json=body)
        assert answer.is_success, answer.text
        made: dict[str, Any] = answer.json()
        return made

    def done(self, run: dict[str, Any]) -> dict[str, Any]:
        """A run once it has ended."""
        return until(
            lambda: self.http.get(f"{V1}/runs/{run['id']}").raise_for_status().json(),
            lambda found: found["state"] in {"DONE", "CANCELLED", "FAILED"},
        )


def until(look: Callable[[], Any], holds: Callable[[Any], object], seconds: float = 60) -> Any:
    """What is seen once it is as it should be."""
    deadline = time.monotonic() + seconds
    while not holds(found := look()):
        assert time.monotonic() < deadline, found
        time.sleep(0.05)
    return found


@pytest.fixture
def subscriber(gateway: RunningGateway, mailbox: Mailbox) -> Iterator[Subscriber]:
    _, key = gateway.create_client(gateway.create_workspace(), "producer", "subscriber")
    code = f"Code-{uuid4().hex}"
    with gateway.client(key) as http:

        def make(path: str, **body: Any) -> str:
            return str(http.post(f"{V1}/{path}", json=body).raise_for_status().json().get("id"))

        make("registrations", kind="PUBLISH", namespace="events", code=code, open=True)
        endpoint = make("endpoints", name="hook", url=mailbox.url)
        chosen = make("filters", name="all", types=[{"namespace": "events", "code": code}])
        make("subscriptions", filter=chosen, endpoint=endpoint)
        yield Subscriber(http, code, endpoint, chosen, mailbox)


def test_a_delivery_that_succeeded_is_sent_again_with_the_same_id(subscriber: Subscriber) -> None:
    subscriber.publish("a")
    (first,) = subscriber.mailbox.wait(1)
    until(lambda: subscriber.http.get(f"{V1}/events/{first.id}"), lambda answer: answer.is_success)
    resend = f"{V1}/deliveries/{first.id}/resend"

    dry = subscriber.done(subscriber.http.post(resend, params={"dry_run": True}).raise_for_status().json())
    assert (dry["state"], dry["deliveries"], dry["dry_run"]) == ("DONE", 1, True)
    key = {"Idempotency-Key": uuid4().hex}
    runs = [subscriber.http.post(resend, headers=key).raise_for_status().json() for _ in range(2)]
    again = subscriber.http.post(resend).raise_for_status().json()

    assert runs[0]["id"] == runs[1]["id"] != again["id"]
    assert subscriber.http.post(resend, headers=key, params={"dry_run": True}).status_code == 422
    arrived = subscriber.mailbox.wait(3)
    assert {each.id for each in arrived} == {first.id}
    assert {each.body for each in arrived} == {first.body}
    assert "webhook-replay" not in arrived[0].headers
    assert {each.headers["webhook-replay"] for each in arrived[1:]} == {runs[0]["id"], again["id"]}
    event = until(
        lambda: subscriber.http.get(f"{V1}/events/{first.id}").json(),
        lambda found: sum(len(each["tries"]) for each in found["deliveries"]) == 3,
    )
    tried = {each["run"]: [one["number"] for one in each["tries"]] for each in event["deliveries"]}
    assert tried == {"live": [1], runs[0]["id"]: [1], again["id"]: [1]}
    assert len(subscriber.mailbox.received) == 3


def test_a_replay_counts_first_then_sends_successes_too(subscriber: Subscriber) -> None:
    subscriber.publish("a", "b")
    subscriber.mailbox.wait(2)
    began = timestamps.to_text(timestamps.now())
    subscriber.publish("c")
    subscriber.mailbox.wait(3)
    replay = f"endpoints/{subscriber.endpoint}/replay"

    counts = {
        origin: subscriber.done(subscriber.post(replay, **{"from": origin, "dry_run": True}))["deliveries"]
        for origin in ("earliest", "0001-01-01T00:00:00Z", began)
    }
    assert counts == {"earliest": 3, "0001-01-01T00:00:00Z": 3, began: 1}
    then = subscriber.post(replay, **{"from": "earliest", "matched": "then", "dry_run": True})
    assert subscriber.done(then)["deliveries"] == 3
    assert len(subscriber.mailbox.received) == 3

    run = subscriber.done(subscriber.post(replay, **{"from": "earliest", "until": began}))
    assert (run["state"], run["deliveries"], run["looked_at"]) == ("DONE", 2, run["total"])
    assert sorted(subscriber.delivered(5)) == ["a", "a", "b", "b", "c"]
    ids = [each.id for each in subscriber.mailbox.received]
    assert len(set(ids)) == 3

    event = subscriber.http.get(f"{V1}/events/{ids[0]}").raise_for_status().json()
    alone = subscriber.done(subscriber.post(replay, **{"from": event["topic_offset"], "dry_run": True}))
    assert 1 <= alone["deliveries"] <= 3


def test_a_replay_uses_the_filter_of_now_unless_asked_for_what_matched_then(subscriber: Subscriber) -> None:
    subscriber.publish("a", "b")
    subscriber.mailbox.wait(2)
    condition = {"data": {"name": ["b"]}}
    changed = subscriber.http.patch(f"{V1}/filters/{subscriber.filter}", json={"condition": condition})
    assert changed.is_success, changed.text
    replay = f"endpoints/{subscriber.endpoint}/replay"

    now = subscriber.done(subscriber.post(replay, **{"from": "earliest", "dry_run": True}))
    then = subscriber.done(subscriber.post(replay, **{"from": "earliest", "matched": "then", "dry_run": True}))

    assert (now["deliveries"], then["deliveries"]) == (1, 2)


def test_a_run_is_paused_resumed_cancelled_and_listed(subscriber: Subscriber) -> None:
    subscriber.publish(*(f"event-{number}" for number in range(8)))
    subscriber.mailbox.wait(8)
    run = subscriber.post(f"endpoints/{subscriber.endpoint}/replay", **{"from": "earliest", "rate": 2})

    assert subscriber.post(f"runs/{run['id']}/pause")["state"] == "PAUSED"
    found = subscriber.http.get(f"{V1}/runs", params={"state": "PAUSED", "endpoint": subscriber.endpoint}).json()
    assert [each["id"] for each in found["items"]] == [run["id"]]
    assert subscriber.post(f"runs/{run['id']}/resume")["state"] in {"WAITING", "RUNNING"}
    assert subscriber.post(f"runs/{run['id']}/cancel")["state"] in {"CANCELLING", "CANCELLED"}
    assert subscriber.done(run)["state"] == "CANCELLED"
    assert subscriber.http.post(f"{V1}/runs/{run['id']}/resume").status_code == 409

    # It goes on where it ended: each event has come once more, and no more than that.
    assert subscriber.post(f"runs/{run['id']}/retry")["state"] in {"WAITING", "RUNNING", "DONE"}
    assert subscriber.done(run)["state"] == "DONE"
    assert subscriber.http.get(f"{V1}/runs/{run['id']}").json()["deliveries"] == 8
    assert set(Counter(each.id for each in subscriber.mailbox.wait(16)).values()) == {2}
    refused = subscriber.http.post(f"{V1}/runs/{run['id']}/retry")
    assert (refused.status_code, "is DONE" in refused.json()["detail"]) == (409, True)
    assert subscriber.http.get(f"{V1}/runs", params={"colour": "red"}).status_code == 400


def test_what_cannot_be_sent_again_is_refused_with_the_reason(subscriber: Subscriber) -> None:
    subscriber.publish("a")
    (first,) = subscriber.mailbox.wait(1)
    until(lambda: subscriber.http.get(f"{V1}/events/{first.id}"), lambda answer: answer.is_success)
    endpoint = f"{V1}/endpoints/{subscriber.endpoint}"
    wrong = [
        {"from": "yesterday"},
        {"from": "a/b"},
        {"from": "a/0/0", "matched": "then"},
        {"from": f"a/0/{2**63}"},
        {"from": "a/+1/0"},
        {"from": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"},
        {"from": "earliest", "rate": 0},
        {"from": "earliest", "colour": "red"},
        {},
    ]
    refused = [subscriber.http.post(f"{endpoint}/replay", json=body) for body in wrong]
    assert {answer.status_code for answer in refused} == {400}, [each.text for each in refused]
    assert subscriber.http.post(f"{endpoint}/replay", json={"from": "events.x.y.z/0/0"}).status_code == 404
    assert subscriber.http.post(f"{V1}/deliveries/{uuid4()}/resend").status_code == 404

    subscriber.http.patch(endpoint, json={"enabled": False}).raise_for_status()
    for answer in (
        subscriber.http.post(f"{V1}/deliveries/{first.id}/resend"),
        subscriber.http.post(f"{endpoint}/replay", json={"from": "earliest"}),
    ):
        assert answer.status_code == 409
        assert "`enabled` is false" in answer.json()["detail"]
    subscriber.http.delete(endpoint).raise_for_status()
    assert subscriber.http.post(f"{V1}/deliveries/{first.id}/resend").status_code == 404


def test_dead_letters_are_listed_read_redriven_once_and_discarded(subscriber: Subscriber) -> None:
    subscriber.http.patch(f"{V1}/endpoints/{subscriber.endpoint}", json={"retry_schedule": []}).raise_for_status()
    subscriber.mailbox.answers = [500, 500, 500, 204]
    subscriber.publish("a", "b", "c")
    subscriber.mailbox.wait(3)

    def letters(**query: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = (
            subscriber.http.get(f"{V1}/dead-letters", params=query).raise_for_status().json()["items"]
        )
        return found

    dead = until(letters, lambda found: len(found) == 3)
    assert {(each["state"], each["kind"], each["status"]) for each in dead} == {("open", "delivery", 500)}
    first, *others = dead
    content = subscriber.http.get(f"{V1}/dead-letters/{first['id']}").raise_for_status().json()
    assert ("hr_endpoint", subscriber.endpoint) in {(name, text) for name, text in content["headers"]}
    assert content["size"] > 0
    page = subscriber.http.get(f"{V1}/dead-letters", params={"limit": 2}).json()
    rest = subscriber.http.get(f"{V1}/dead-letters", params={"limit": 2, "cursor": page["next_cursor"]}).json()
    assert [each["id"] for each in (*page["items"], *rest["items"])] == [each["id"] for each in dead]
    assert letters(reason="TIMEOUT") == []
    assert len(letters(reason="500", endpoint=subscriber.endpoint, state="open")) == 3

    dropped = subscriber.done(subscriber.post("dead-letters/discard", ids=[first["id"]]))
    assert (dropped["state"], dropped["deliveries"]) == ("DONE", 1)
    counted = subscriber.done(subscriber.post("dead-letters/redrive", endpoint=subscriber.endpoint, dry_run=True))
    assert counted["deliveries"] == 2
    runs = [subscriber.post("dead-letters/redrive", endpoint=subscriber.endpoint) for _ in range(2)]
    assert sorted(subscriber.done(each)["deliveries"] for each in runs) == [0, 2]
    to_it = subscriber.http.get(f"{V1}/runs", params={"endpoint": subscriber.endpoint}).raise_for_status().json()
    assert {each["id"] for each in to_it["items"]} == {each["id"] for each in (counted, *runs)}

    arrived = subscriber.mailbox.wait(5)
    assert sorted(each.id for each in arrived[3:]) == sorted(each["delivery"] for each in others)
    states = until(
        lambda: {each["id"]: each["state"] for each in letters()}, lambda found: "open" not in found.values()
    )
    assert states == {first["id"]: "discarded"} | {each["id"]: "redriven" for each in others}
    assert len(subscriber.mailbox.received) == 5
    nothing = {"since": "2026-01-02T00:00:00Z", "until": "2026-01-01T00:00:00Z"}
    wrong = [{"ids": []}, {"since": "yesterday"}, nothing, {"namespace": "events"}, {"colour": "red"}]
    refused = [subscriber.http.post(f"{V1}/dead-letters/redrive", json=body).status_code for body in wrong]
    assert set(refused) == {400}
    assert subscriber.http.post(f"{V1}/dead-letters/redrive", json={"ids": ["x"]}).status_code == 404
    assert subscriber.http.post(f"{V1}/dead-letters/redrive", json={"ids": ["0-99999999"]}).status_code == 409


def test_a_subscription_from_a_time_gets_the_past_and_then_what_is_new_without_gap_or_repeat(
    subscriber: Subscriber,
) -> None:
    subscriber.publish("a", "b")
    subscriber.mailbox.wait(2)
    began = timestamps.to_text(timestamps.now())
    subscriber.publish("c", "d")
    late = subscriber.post("endpoints", name="late", url=f"{subscriber.mailbox.url}?late")["id"]
    link = {"filter": subscriber.filter, "endpoint": late, "from": began}
    made = subscriber.post("subscriptions", **link)
    subscriber.publish("e")
    again = subscriber.post("subscriptions", **link)

    assert again["backfill"]["id"] == made["backfill"]["id"]
    run = subscriber.done(made["backfill"])
    assert (run["kind"], run["state"], run["deliveries"]) == ("BACKFILL", "DONE", 2)

    def arrived() -> list[str]:
        got = [each for each in subscriber.mailbox.received if each.target.endswith("?late")]
        return sorted(json.loads(each.body)["data"]["name"] for each in got)

    until(arrived, lambda found: len(found) >= 3)
    assert arrived() == ["c", "d", "e"]
    wrong = subscriber.http.post(f"{V1}/subscriptions", json=link | {"from": "yesterday"})
    assert wrong.status_code == 400


def test_what_came_while_its_owner_paused_it_is_kept_and_sent_once(subscriber: Subscriber) -> None:
    subscriber.publish("before")
    subscriber.mailbox.wait(1)
    endpoint = f"{V1}/endpoints/{subscriber.endpoint}"
    paused = subscriber.post(f"endpoints/{subscriber.endpoint}/pause")
    assert subscriber.post(f"endpoints/{subscriber.endpoint}/pause") == paused
    assert subscriber.http.get(endpoint).json()["state"]["status"] == "paused"
    kept = [f"kept-{number}" for number in range(5)]
    subscriber.publish(*kept)

    def balance(column: str) -> int:
        found = subscriber.http.get(f"{V1}/balance", params={"endpoint": subscriber.endpoint}).raise_for_status().json()
        return sum(each[column] for each in found["items"])

    until(lambda: balance("held"), lambda held: held == len(kept))
    assert len(subscriber.mailbox.received) == 1

    resumed = subscriber.post(f"endpoints/{subscriber.endpoint}/resume")["backfill"]
    subscriber.publish("after")
    run = subscriber.done(resumed)
    assert (run["kind"], run["state"], run["deliveries"]) == ("BACKFILL", "DONE", len(kept))
    assert sorted(subscriber.delivered(7)) == sorted(["before", *kept, "after"])
    assert subscriber.http.post(f"{endpoint}/resume").status_code == 409
    assert subscriber.http.get(endpoint).json()["state"]["status"] == "enabled"

    subscriber.http.patch(endpoint, json={"enabled": False}).raise_for_status()
    refused = subscriber.http.post(f"{endpoint}/pause")
    assert (refused.status_code, "dropped" in refused.json()["detail"]) == (409, True)
    assert len(subscriber.mailbox.received) == 7


def test_an_endpoint_is_tried_once_with_a_made_up_event(subscriber: Subscriber) -> None:
    subscriber.mailbox.answers = [500, 204]
    send = f"endpoints/{subscriber.endpoint}/test"

    failed = subscriber.post(send, code=subscriber.code)
    content = b'{"code": "%s", "data": {"total": 125.50}}' % subscriber.code.encode()
    worked = subscriber.http.post(f"{V1}/{send}", content=content, headers=JSON).raise_for_status().json()

    first, second = subscriber.mailbox.wait(2)
    assert [each.headers["webhook-test"] for each in (first, second)] == ["true", "true"]
    assert [each.id for each in (first, second)] == [failed["delivery"], worked["delivery"]]
    assert b'"data":{"total": 125.50}' in second.body
    for tried, outcome in ((failed, "dead"), (worked, "delivered")):
        found = until(
            lambda tried=tried: subscriber.http.get(f"{V1}/deliveries/{tried['delivery']}").json(),
            lambda body: outcome in json.dumps(body),  # noqa: B023  # called at once
        )
        assert tried["run"] in json.dumps(found)
        again = subscriber.http.post(f"{V1}/deliveries/{tried['delivery']}/resend")
        assert (again.status_code, "test send" in again.json()["detail"]) == (409, True)
    assert subscriber.http.get(f"{V1}/dead-letters").json()["items"] == []
    assert subscriber.http.post(f"{V1}/{send}", json={"code": "nothing"}).status_code == 404
    for wrong in (content.replace(b"125.50", b"NaN"), b"[]", b""):
        assert subscriber.http.post(f"{V1}/{send}", content=wrong, headers=JSON).status_code == 400

    limited = {"rate_limit": {"per_second": 0.001, "burst": 1}}
    subscriber.http.patch(f"{V1}/endpoints/{subscriber.endpoint}", json=limited).raise_for_status()
    pending = subscriber.post(send, code=subscriber.code)
    assert (pending["outcome"], "its rate limit allows 0.001" in pending["explanation"]) == ("pending", True)
    assert len(subscriber.mailbox.received) == 2
