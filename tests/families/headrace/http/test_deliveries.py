"""The delivery log in our own API: parameters, pages, who sees what, and counts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.writer import LedgerWriter
from schemas.model import timestamps
from schemas.model.delivery import Attempt, Delivery, Outcome, SourceOffset
from schemas.model.ids import attempt_id, delivery_id
from schemas.model.topics import event_topic
from tests.support.local_gateway import LocalGateway, local_gateway

if TYPE_CHECKING:
    from pathlib import Path

    import httpx

V1 = "/headrace/v1"
HOUR = 3_600_000_000
NOON = timestamps.parse("2026-03-04T12:00:00Z")
TIMES = {"since": "2026-03-04T00:00:00Z", "until": "2026-03-05T00:00:00Z"}


@dataclass(frozen=True, kw_only=True)
class World:
    """A workspace with a producer and two subscribers; ``hook`` and ``far`` are the endpoints of the latter."""

    gateway: LocalGateway
    workspace: str
    keys: dict[str, str]
    endpoints: dict[str, str]

    async def get(self, who: str, path: str, **params: Any) -> httpx.Response:
        async with self.gateway.client(self.keys[who]) as http:
            return await http.get(f"{V1}/{path}", params=params)

    async def events(self, who: str, path: str = "deliveries", **params: Any) -> list[str]:
        answer = await self.get(who, path, order="oldest", **params)
        assert answer.status_code == 200, answer.text
        assert answer.json()["next_cursor"] is None
        return [each["event"] for each in answer.json()["items"]]


@pytest.fixture
async def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    gateway = await local_gateway(tmp_path, monkeypatch).begin()
    workspace = await gateway.workspace()
    roles = {"shop": "producer", "crm": "subscriber", "other": "subscriber", "viewer": "viewer"}
    made = {name: await gateway.new_client(workspace, role) for name, role in roles.items()}
    endpoints = {}
    for owner, name in (("crm", "hook"), ("other", "far")):
        async with gateway.client(made[owner][1]) as http:
            answer = await http.post(f"{V1}/endpoints", json={"name": name, "type": "FILE"})
            endpoints[name] = answer.raise_for_status().json()["id"]
    async with gateway.client(made["shop"][1]) as http:
        for code in ("Order", "Refund"):
            body = {"kind": "PUBLISH", "namespace": "shop", "code": code, "open": True}
            (await http.post(f"{V1}/registrations", json=body)).raise_for_status()
    LedgerWriter(gateway.gateway.clients.ledger).write(rows(workspace, made["shop"][0], endpoints))
    return World(
        gateway=gateway, workspace=workspace, keys={name: key for name, (_, key) in made.items()}, endpoints=endpoints
    )


def rows(workspace: str, publisher: str, endpoints: dict[str, str]) -> LedgerRows:
    """``one``: delivered to the hook, dead for the other; ``two``: waits for the hook; ``three``: another type."""
    found = LedgerRows(events=[], deliveries=[], attempts=[])
    for number, (event, code, where, outcome, status) in enumerate(
        [
            ("one", "Order", "hook", Outcome.DELIVERED, 200),
            ("one", "Order", "far", Outcome.DEAD, 503),
            ("two", "Order", "hook", None, None),
            ("three", "Refund", "hook", Outcome.RETRYING, 429),
        ]
    ):
        topic = event_topic(workspace, "shop", code)
        at = NOON + number * HOUR // 2
        row = EventRow(
            workspace=workspace,
            id=event,
            topic=topic,
            source_offset=f"{topic}/0/{number}",
            namespace="shop",
            code=code,
            source=publisher if event != "two" else "somebody",
            subject=None,
            time=at,
            received_at=at,
            channel=None,
            identifiers="[]",
            data="1",
            producer_id=f"P-{event}",
        )
        sent = Delivery(
            id=delivery_id(event, where),
            event=event,
            endpoint=endpoints[where],
            workspace=workspace,
            source=SourceOffset(topic, 0, number),
            subscriptions=("s",),
            routed_at=at,
        )
        found.events.append(row)
        found.deliveries.append(sent)
        if outcome is not None:
            found.attempts.append(
                Attempt(
                    id=attempt_id(sent.id, "live", 1),
                    delivery=sent.id,
                    event=event,
                    endpoint=sent.endpoint,
                    workspace=workspace,
                    source=sent.source,
                    run="live",
                    number=1,
                    outcome=outcome,
                    started_at=at + 1,
                    duration=0.5,
                    status=status,
                    response="said the receiver",
                    next_at=at + 5_000_000 if outcome is Outcome.RETRYING else None,
                )
            )
    return found


async def test_each_parameter_is_a_filter(world: World) -> None:
    assert await world.events("crm") == ["one", "two", "three"]
    assert await world.events("viewer") == ["one", "one", "two", "three"]
    for params, expected in [
        ({"outcome": "delivered"}, ["one"]),
        ({"outcome": ["pending", "dead"]}, ["one", "two"]),
        ({"namespace": "shop"}, ["one", "one", "two", "three"]),
        ({"type": "Refund"}, ["three"]),
        ({"type": "shop/Order"}, ["one", "one", "two"]),
        ({"namespace": "shop", "type": "shop/Refund"}, ["three"]),
        ({"namespace": "shop", "type": "Gone"}, []),
        ({"type": "Gone"}, []),
        ({"endpoint": world.endpoints["far"]}, ["one"]),
        ({"endpoint": "gone"}, []),
        ({"since": "2026-03-04T13:00:00Z"}, ["two", "three"]),
        ({"until": "2026-03-04T13:00:00Z"}, ["one", "one"]),
        ({"id": delivery_id("one", "far")}, ["one"]),
        ({"id": "two"}, ["two"]),
        ({"id": "P-three"}, ["three"]),
        ({"id": "P-three", "source": "elsewhere"}, []),
        ({"status": "503"}, ["one"]),
        ({"status": "4xx"}, ["three"]),
        ({"reason": ["server_error", "client_error"]}, ["one", "three"]),
        ({"run": "live"}, ["one", "one", "two", "three"]),
        ({"run": "other"}, []),
        ({"identifier": "A"}, []),
    ]:
        assert await world.events("viewer", **params) == expected, params
        if "endpoint" not in params:
            to_hook = await world.events("viewer", f"endpoints/{world.endpoints['hook']}/deliveries", **params)
            assert to_hook == await world.events("crm", **params), params


@pytest.mark.parametrize(
    ("params", "path"),
    [
        ({"outcome": "lost"}, "outcome"),
        ({"outcomes": "dead"}, "outcomes"),
        ({"status": "600"}, "status"),
        ({"status": "5"}, "status"),
        ({"reason": "bad luck"}, "reason"),
        ({"source": "/s"}, "source"),
        ({"identifier_name": "order"}, "identifier_name"),
        ({"identifier": ""}, "identifier"),
        ({"cursor": "nonsense"}, "cursor"),
        ({"limit": 0}, "limit"),
        ({"limit": 501}, "limit"),
        ({"order": "random"}, "order"),
        ({"since": "yesterday"}, "since"),
        ({"offset": 10}, "offset"),
        ({"limit": [1, 2]}, "limit"),
        ({"run": ["live", "other"]}, "run"),
        ({"workspace": ["a", "b"]}, "workspace"),
        ({"identifier": "\0"}, "identifier"),
    ],
)
async def test_a_parameter_that_is_not_one_is_a_400_that_names_it(
    world: World, params: dict[str, Any], path: str
) -> None:
    for where in ("deliveries", f"endpoints/{world.endpoints['hook']}/deliveries"):
        answer = await world.get("viewer", where, **params)
        assert answer.status_code == 400, answer.text
        assert path in str(answer.json()["errors"])


async def test_pages_continue_from_the_cursor(world: World) -> None:
    seen, cursor = [], {}
    while True:
        answer = (await world.get("viewer", "deliveries", limit=1, **cursor)).json()
        seen += [(each["event"], each["outcome"]) for each in answer["items"]]
        if answer["next_cursor"] is None:
            break
        cursor = {"cursor": answer["next_cursor"]}
    assert seen == [("three", "retrying"), ("two", None), ("one", "dead"), ("one", "delivered")]


async def test_a_delivery_tells_of_its_attempts(world: World) -> None:
    own = delivery_id("three", "hook")
    found = (await world.get("crm", f"deliveries/{own}")).json()
    assert (found["id"], found["event"], found["producer_id"]) == (own, "three", "P-three")
    assert (found["namespace"], found["code"], found["endpoint"]) == ("shop", "Refund", world.endpoints["hook"])
    assert (found["outcome"], found["status"], found["reason"]) == ("retrying", 429, "client_error")
    assert (found["run"], found["runs"]) == ("live", [])
    assert found["next_at"] == "2026-03-04T13:30:05Z"
    (attempt,) = found["tries"]
    assert (attempt["status"], attempt["duration"], attempt["response"]) == (429, 0.5, "said the receiver")

    async with world.gateway.client() as http:
        schemas = (await http.get("/openapi.json")).json()["components"]["schemas"]
    assert found.keys() == schemas["Delivery"]["properties"].keys()
    (listed,) = (await world.get("crm", "deliveries", id=own)).json()["items"]
    assert listed.keys() == schemas["LoggedDelivery"]["properties"].keys()


async def test_a_client_does_not_see_the_deliveries_of_others(world: World) -> None:
    others = delivery_id("one", "far")
    assert (await world.get("crm", f"deliveries/{others}")).status_code == 404
    assert (await world.get("crm", f"endpoints/{world.endpoints['far']}/deliveries")).status_code == 404
    assert (await world.get("viewer", f"deliveries/{others}")).status_code == 200
    assert (await world.get("viewer", f"deliveries/{others}", run="r1")).status_code == 404
    assert await world.events("crm", id=others) == []
    assert await world.events("crm", endpoint=world.endpoints["far"]) == []
    for path in ("deliveries", f"deliveries/{others}", f"endpoints/{world.endpoints['far']}/deliveries"):
        assert (await world.get("shop", path)).status_code == 403


def told(answer: httpx.Response) -> list[tuple[str, str, str | None, dict[str, int]]]:
    items = answer.raise_for_status().json()["items"]
    return [(each["hour"][11:13], each["code"], each["endpoint"], each["outcomes"]) for each in items]


async def test_counts_by_hour_type_and_endpoint(world: World) -> None:
    hook, far = world.endpoints["hook"], world.endpoints["far"]
    answer = await world.get("viewer", "delivery-counts", **TIMES)
    counted = told(answer)
    assert sorted(counted, key=str) == sorted(
        [
            ("13", "Order", hook, {"pending": 1}),
            ("13", "Refund", hook, {"retrying": 1}),
            ("12", "Order", hook, {"delivered": 1}),
            ("12", "Order", far, {"dead": 1}),
        ],
        key=str,
    )
    assert [hour for hour, *_ in counted] == ["13", "13", "12", "12"]
    lost = next(each for each in answer.json()["items"] if each["endpoint"] == far)
    assert (lost["deliveries"], lost["attempts"], lost["delivered_rate"], lost["live"]) == (1, 1, 0.0, True)
    assert lost["per_second"] == round(1 / 3_600, 6)
    assert {endpoint for _, _, endpoint, _ in told(await world.get("crm", "delivery-counts", **TIMES))} == {hook}
    assert told(await world.get("viewer", "delivery-counts", **TIMES, type="Refund", endpoint=hook)) == [
        ("13", "Refund", hook, {"retrying": 1})
    ]
    half = {"since": "2026-03-04T12:30:00Z", "until": "2026-03-04T13:00:00Z"}
    (found,) = (await world.get("viewer", "delivery-counts", **half)).json()["items"]
    assert found["per_second"] == round(1 / 1_800, 6)


async def test_a_producer_counts_its_events_and_learns_of_no_endpoint(world: World) -> None:
    answer = await world.get("shop", "delivery-counts", **TIMES)
    assert told(answer) == [
        ("13", "Refund", None, {"retrying": 1}),
        ("12", "Order", None, {"delivered": 1, "dead": 1}),
    ]
    assert not any(endpoint in answer.text for endpoint in world.endpoints.values())
    assert (await world.get("shop", "delivery-counts", endpoint=world.endpoints["far"])).status_code == 400
    assert told(await world.get("shop", "delivery-counts", **TIMES, of="received")) == []
    assert told(await world.get("crm", "delivery-counts", **TIMES, of="published")) == []


@pytest.mark.parametrize(
    "params",
    [
        {"since": "2026-03-01T00:00:00Z", "until": "2026-03-08T00:00:01Z"},
        {"since": "2026-03-02T00:00:00Z", "until": "2026-03-01T00:00:00Z"},
        {"hour": "12"},
        {"of": "all"},
    ],
)
async def test_counts_that_cannot_be_asked_for(world: World, params: dict[str, str]) -> None:
    assert (await world.get("viewer", "delivery-counts", **params)).status_code == 400


async def test_an_option_in_a_body_that_nobody_reads_is_refused(world: World) -> None:
    """A resend that was meant as a dry run would send."""
    async with world.gateway.client(world.keys["crm"]) as http:
        resend = f"{V1}/deliveries/{delivery_id('one', 'hook')}/resend"
        refused = await http.post(resend, json={"dry_run": True})
        assert (refused.status_code, refused.json()["errors"][0]["path"]) == (400, "$")
        pause = f"{V1}/endpoints/{world.endpoints['hook']}/pause"
        assert (await http.post(pause, json={"until": "2026-03-04T12:00:00Z"})).status_code == 400
        # Files are not paused; an empty body is none.
        assert [(await http.post(pause, content=body)).status_code for body in (b"", b"{}")] == [409, 409]
        answer = await http.post(resend, json={"dry_run": True}, headers={"Authorization": "Bearer unknown"})
        assert answer.status_code == 401


@pytest.mark.parametrize(
    ("path", "body", "place"),
    [
        ("dead-letters/discard", '{"dry_run": true, "dry_run": false}', "$.dry_run"),
        ("dead-letters/redrive", '{"ids": ["0-0"], "\\u0069ds": ["0-1"]}', "$.ids"),
        ("filters", '{"name": "f", "types": [{"code": "a"}, {"code": "b", "code": "c"}]}', "$.types[1].code"),
    ],
)
async def test_a_member_that_is_there_twice_is_refused(world: World, path: str, body: str, place: str) -> None:
    async with world.gateway.client(world.keys["crm"]) as http:
        answer = await http.post(f"{V1}/{path}", content=body, headers={"Content-Type": "application/json"})
    assert (answer.status_code, [each["path"] for each in answer.json()["errors"]]) == (400, [place])


async def test_a_cursor_of_another_list_or_a_cut_one_is_refused(world: World) -> None:
    cursors = {
        path: (await world.get("viewer", path, limit=1)).json()["next_cursor"]
        for path in ("deliveries", "events", "endpoints")
    }
    for path in cursors:
        for whose, cursor in cursors.items():
            for text in {cursor, cursor[:-4], ""}:
                answer = await world.get("viewer", path, cursor=text)
                assert (answer.status_code == 200) == (whose == path and text == cursor), (path, whose, text)


async def test_nothing_is_counted_in_the_first_day_of_all(world: World) -> None:
    answer = await world.get("viewer", "delivery-counts", until="0001-01-01T12:00:00Z")
    assert (answer.status_code, told(answer), answer.json()["since"]) == (200, [], "0001-01-01T00:00:00Z")


async def test_events_are_listed_by_any_of_their_ids(world: World) -> None:
    for any_id in ("one", "P-one", delivery_id("one", "far")):
        found = (await world.get("shop", "events", id=any_id)).json()
        assert [each["event_id"] for each in found["items"]] == ["one"]
    assert (await world.get("shop", "events", id="two")).json()["items"] == []
    assert (await world.get("shop", "events", id="nothing")).json()["items"] == []
    assert (await world.get("other", "events", id="P-one")).json()["items"][0]["event_id"] == "one"
    assert (await world.get("other", "events", id="three")).json()["items"] == []
