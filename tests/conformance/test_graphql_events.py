"""The event-service document: what its websockets and webhooks get, and the events that were accepted."""

from __future__ import annotations

import contextlib
import json
from typing import TYPE_CHECKING, Any
from uuid import uuid4

import pytest
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import ClientConnection, connect

from tests.support.event_service_client import EventService, event_service, eventually
from tests.support.readers import give

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.component.connectors.receiver import Mailbox
    from tests.support.running_gateway import RunningGateway
    from tests.support.running_installation import Installation

SECONDS = 120
"""That anything may take which the planes do behind the API."""

MEMBERS = ["id", "date", "creationDate", "lastModified", "type", "cameraId", "agentId", "workspaceId", "data"]


@pytest.fixture(scope="module")
def service(gateway: RunningGateway) -> EventService:
    service = event_service(gateway)
    for code in ("IDENTIFICATION", "CROSSING", "HAR"):
        service.event_type(code)
    return service


@pytest.fixture
def socket_url(installation: Installation) -> str:
    return f"{installation.realtime_url}/event-service/ws"


def opened(url: str, endpoint: str, key: str, **query: str) -> ClientConnection:
    extra = "".join(f"&{name}={text}" for name, text in query.items())
    headers = {"Authorization": f"Bearer {key}"}
    return connect(f"{url}?endpoint_id={endpoint}{extra}", additional_headers=headers, open_timeout=SECONDS)


def received(socket: ClientConnection, count: int) -> list[Any]:
    return [json.loads(socket.recv(timeout=SECONDS)) for _ in range(count)]


def ids(socket: ClientConnection, count: int) -> list[str]:
    return [message["id"] for message in received(socket, count)]


def status_of(url: str, **headers: str) -> int:
    with pytest.raises(InvalidStatus) as refused, connect(url, additional_headers=headers, open_timeout=SECONDS):
        pass
    return refused.value.response.status_code


@contextlib.contextmanager
def open_socket(service: EventService, url: str, endpoint: str) -> Iterator[ClientConnection]:
    with opened(url, endpoint, service.key) as socket:
        yield socket


def test_G_50_an_unknown_endpoint_is_refused(service: EventService, socket_url: str) -> None:
    bearer = {"Authorization": f"Bearer {service.key}"}
    assert status_of(f"{socket_url}?endpoint_id={uuid4()}", **bearer) == 404
    assert status_of(f"{socket_url}?endpoint_id={service.webhook()}", **bearer) == 404
    assert status_of(socket_url, **bearer) == 400


def test_G_50_without_a_key_of_the_workspace_it_is_refused(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    url = f"{socket_url}?endpoint_id={endpoint}"
    other = event_service(service.gateway)
    assert status_of(url) == 401
    assert status_of(url, Authorization="Bearer nothing") == 401
    assert status_of(f"{url}&access={service.producer_key}") == 401
    assert status_of(url, Authorization=f"Bearer {other.key}") == 404
    with connect(f"{url}&access={service.key}", open_timeout=SECONDS):
        pass


def test_G_51_without_a_filter_all_events_are_received_in_order(service: EventService, socket_url: str) -> None:
    before = service.publish("HAR", {"seen": False})
    with open_socket(service, socket_url, service.websocket()) as socket:
        published = [service.publish(code, {"n": 1.50, "cameraId": "c1"}) for code in ("IDENTIFICATION", "CROSSING")]
        published += [service.publish("CROSSING", {"n": number, "agentId": 7}) for number in range(5)]
        messages = received(socket, 7)
    assert before not in [message["id"] for message in messages]
    # Events of one source and type keep their order; those of several types are on several topics.
    crossings = [message["id"] for message in messages if message["type"] == "CROSSING"]
    assert crossings == published[1:]
    assert sorted(message["id"] for message in messages) == sorted(published)
    first = next(message for message in messages if message["type"] == "IDENTIFICATION")
    assert list(first) == MEMBERS
    assert (first["cameraId"], first["agentId"], first["data"]) == ("c1", None, {"n": 1.5, "cameraId": "c1"})
    assert next(message for message in messages if message["data"].get("n") == 4)["agentId"] == "7"


def test_G_51_a_type_that_is_registered_later_is_received_too(service: EventService, socket_url: str) -> None:
    with open_socket(service, socket_url, service.websocket()) as socket:
        code = service.event_type(f"later-{uuid4()}")
        event = service.publish(code, [1, 2])
        assert received(socket, 1)[0]["id"] == event


def test_G_52_with_a_filter_only_what_it_lets_through_is_received(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    service.filter(endpoints=(endpoint,), eventTypes=["CROSSING"], cameraIds=["c1", "c2"])
    with open_socket(service, socket_url, endpoint) as socket:
        service.publish("HAR", {"cameraId": "c1"})
        service.publish("CROSSING", {"cameraId": "c3"})
        service.publish("CROSSING", {})
        wanted = [service.publish("CROSSING", {"cameraId": camera}) for camera in ("c2", "c1")]
        assert ids(socket, 2) == wanted


def test_G_53_without_its_filter_it_receives_all_events_again(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    event_filter = service.filter(endpoints=(endpoint,), eventTypes=["CROSSING"])
    with open_socket(service, socket_url, endpoint) as socket:
        service.publish("HAR", {"before": True})
        assert service.unlink(event_filter, endpoint)
        event = service.publish("HAR", {"before": False})
        assert ids(socket, 1) == [event]


def test_G_53_a_filter_that_our_own_api_deletes_leaves_all_events_too(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    event_filter = service.filter(endpoints=(endpoint,), eventTypes=["CROSSING"])
    with open_socket(service, socket_url, endpoint) as socket:
        service.publish("HAR", {"before": True})
        with service.gateway.client(params={"workspace": service.workspace}) as admin:
            admin.delete(f"/headrace/v1/filters/{event_filter}").raise_for_status()
        event = service.publish("HAR", {"before": False})
        assert ids(socket, 1) == [event]


def test_G_49_several_filters_are_alternatives(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    service.filter(endpoints=(endpoint,), agentIds=["a1"])
    service.filter(endpoints=(endpoint,), profileGroupIds=["g1", "g2"])
    with open_socket(service, socket_url, endpoint) as socket:
        service.publish("HAR", {"agentId": "a2", "profileGroupIds": ["g3"]})
        wanted = [
            service.publish("HAR", data)
            for data in (
                {"agentId": "a1"},
                {"profileGroupIds": ["g3", "g2"]},
                {"agentId": "a1", "profileGroupId": "g1"},
            )
        ]
        last = service.publish("HAR", {"agentId": "a1", "last": True})
        assert ids(socket, 4) == [*wanted, last]


def test_G_54_a_webhook_gets_the_event_as_json(
    service: EventService, installation: Installation, mailbox: Mailbox
) -> None:
    check_webhook(service, mailbox, "POST")


@pytest.mark.parametrize("method", ["PUT", "GET"])
def test_G_55_a_webhook_is_requested_with_its_method(
    service: EventService, installation: Installation, mailbox: Mailbox, method: str
) -> None:
    check_webhook(service, mailbox, method)


def check_webhook(service: EventService, mailbox: Mailbox, method: str) -> None:
    endpoint = service.webhook(f"{mailbox.url}?token=1", method)
    service.filter(endpoints=(endpoint,), eventTypes=["IDENTIFICATION"])
    service.publish("HAR", {"other": True})
    event = service.publish("IDENTIFICATION", {"cameraId": "c9"}, time="2024-05-22T08:55:23.460103Z")
    (request,) = mailbox.wait()
    assert request.method == method
    assert request.target.endswith("?token=1")
    assert request.headers["content-type"] == "application/json"
    body = json.loads(request.body)
    assert list(body) == MEMBERS
    assert (body["id"], body["type"], body["data"]) == (event, "IDENTIFICATION", {"cameraId": "c9"})
    assert body["date"] == "2024-05-22T08:55:23.460103+00:00"
    made = "{ endpoints(pagination: {limit: 1}) { collectionItems { workspaceId } } }"
    assert service.data(made)["endpoints"]["collectionItems"][0]["workspaceId"] == body["workspaceId"]


def test_G_56_a_deleted_endpoint_gets_nothing_more_and_its_socket_is_closed(
    service: EventService, socket_url: str
) -> None:
    endpoint = service.websocket()
    with open_socket(service, socket_url, endpoint) as socket:
        event = service.publish("HAR", {})
        assert ids(socket, 1) == [event]
        assert service.delete(endpoint)
        service.publish("HAR", {"after": True})
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 3501
    assert status_of(f"{socket_url}?endpoint_id={endpoint}&access={service.key}") == 404


def test_a_socket_is_closed_when_its_key_is_revoked(service: EventService, socket_url: str) -> None:
    client, key = service.gateway.create_client(service.workspace, "viewer", realm="graphql")
    with opened(socket_url, service.websocket(), key) as socket:
        with service.gateway.client(params={"workspace": service.workspace}) as admin:
            admin.delete(f"/headrace/v1/clients/{client}").raise_for_status()
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 3500


def test_a_socket_is_its_owners_and_of_who_reads_the_workspace(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    for roles, status in (([], 403), (["subscriber"], 404), (["producer"], 404)):
        _, key = service.gateway.create_client(service.workspace, *roles, realm="graphql")
        assert status_of(f"{socket_url}?endpoint_id={endpoint}&access={key}") == status
    client, key = service.gateway.create_client(service.workspace, "viewer", realm="graphql")
    with opened(socket_url, endpoint, key) as socket:
        give(service.gateway, service.workspace, client, "subscriber")
        with pytest.raises(ConnectionClosed) as closed:
            socket.recv(timeout=SECONDS)
        assert closed.value.rcvd is not None
        assert closed.value.rcvd.code == 3500


def test_a_client_that_comes_back_is_sent_what_it_missed(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    with open_socket(service, socket_url, endpoint) as socket:
        last = service.publish("CROSSING", {"n": 0})
        assert ids(socket, 1) == [last]
    missed = [service.publish("CROSSING", {"n": number}) for number in (1, 2)]
    with opened(socket_url, endpoint, service.key, after=last) as socket:
        assert ids(socket, 2) == missed
        event = service.publish("CROSSING", {"n": 3})
        assert ids(socket, 1) == [event]
    assert status_of(f"{socket_url}?endpoint_id={endpoint}&access={service.key}&after={uuid4()}") == 410


def test_two_sockets_of_one_endpoint_get_the_same(service: EventService, socket_url: str) -> None:
    endpoint = service.websocket()
    with open_socket(service, socket_url, endpoint) as one, open_socket(service, socket_url, endpoint) as other:
        event = service.publish("HAR", {})
        assert ids(one, 1) == ids(other, 1) == [event]


def test_events_are_found_in_the_ledger(gateway: RunningGateway, processors: None) -> None:
    service = event_service(gateway)
    for code in ("IDENTIFICATION", "HAR"):
        service.event_type(code)
    first = service.publish(
        "IDENTIFICATION", {"identification": {"data": {"profileId": "p1"}}}, time="2024-01-02T00:00:00Z"
    )
    second = service.publish("HAR", b'{"activityId": "x", "cameraId": "c", "sum": 125.50}', time="2024-01-01T00:00:00Z")
    third = service.publish("HAR", [1], time="2024-01-03T00:00:00Z")

    def listed(arguments: str = "") -> list[str]:
        found = service.data(f"{{ events{arguments} {{ collectionItems {{ id }} }} }}")["events"]["collectionItems"]
        return [each["id"] for each in found]

    eventually(lambda: len(listed()) == 3, what="three events in the ledger")
    assert listed() == [third, second, first]
    assert listed("(order: {date: ASC})") == [second, first, third]
    assert listed("(order: {date: DESC}, pagination: {offset: 1, limit: 1})") == [first]
    assert listed("(pagination: {limit: 0})") == []
    assert listed('(filters: {type: {exact: "HAR"}})') == [third, second]
    assert listed(f'(filters: {{id: {{exact: "{first}"}}, type: {{exact: "HAR"}}}})') == []
    assert listed('(filters: {dataIdentificationDataProfileId: {exact: "p1"}})') == [first]
    assert listed('(filters: {activityId: {exact: "x"}})') == [second]
    assert listed('(filters: {date: {gt: "2024-01-01T00:00:00Z", lt: "2024-01-03T00:00:00+00:00"}})') == [first]
    assert listed('(filters: {date: {gte: "2024-01-01T01:00:00+01:00", lte: "2024-01-02T00:00:00Z"}})') == [
        second,
        first,
    ]
    assert listed('(filters: {date: {exact: "2024-01-03T00:00:00Z"}})') == [third]
    (shown,) = service.data(
        "query ($id: ID) { events(filters: {id: {exact: $id}}) { totalCount collectionItems "
        "{ id date creationDate lastModified data agentId cameraId type workspaceId } } }",
        {"id": second},
    )["events"]["collectionItems"]
    assert (shown["cameraId"], shown["agentId"], shown["date"]) == ("c", None, "2024-01-01T00:00:00.000000+00:00")
    assert shown["creationDate"] == shown["lastModified"]
    assert '"sum":125.50' in service.post("{ events { collectionItems { data } } }").text.replace(" ", "")
    assert service.data('{ events(filters: {type: {exact: "HAR"}}, pagination: {limit: 1}) { totalCount } }') == {
        "events": {"totalCount": 2}
    }
    service.errors('{ events(filters: {date: {gt: "yesterday"}}) { totalCount } }')
    assert event_service(gateway).data("{ events { totalCount } }") == {"events": {"totalCount": 0}}
