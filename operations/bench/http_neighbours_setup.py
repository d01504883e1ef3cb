"""What the stage ``neighbours.http`` needs: a quiet workspace, and a busy one with something of every family."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode
from urllib.request import Request, urlopen

from backbone.event_files import Chain, event_files
from backbone.ledger.rows import EventRow, LedgerRows
from backbone.ledger.tables import open_ledger
from backbone.ledger.writer import LedgerWriter
from operations.bench import workload
from schemas.model.ids import new_id

if TYPE_CHECKING:
    from operations.bench.rig import Rig

QUIET = "quiet.order"
OPEN, TYPED, WIDE, EXCHANGE = "busy.open", "busy.typed", "busy.wide", "busyView"
LARGE_TYPE = "busy.1"
"""One of the types that have all of these attributes."""

MANY_ATTRIBUTES = [{"name": f"attribute_{number:04d}", "type": "String"} for number in range(1_000)]
"""As many as one event type may have."""

_LISTED = 300
_LARGE_TYPES = 40
_EVENTS, _EVENT_BYTES = 500, 60_000
_FILE_LINES = 60_000


@dataclass(frozen=True, kw_only=True)
class Installation:
    """Where the plane is, and whose keys there are.

    Attributes:
        quiet_key: of the producer that is measured.
        busy: name of the other workspace.
        operator, exchange, graphql: keys of its clients.
        exchange_account: its account-level key.
        crmls, crmls_key: a token and the key that it was got with.
        eventhos, eventhos_fields, eventhos_event: a manager's token, what it was got with, and an event's identifier.
        endpoint, file: of an endpoint that pulls, and its large file.
    """

    url: str
    quiet_key: str
    busy: str
    operator: str
    exchange: str
    exchange_account: str
    graphql: str
    crmls: str
    crmls_key: str
    eventhos: str
    eventhos_fields: str
    eventhos_event: str
    endpoint: str
    file: str


def installed(rig: Rig) -> Installation:
    """Set it all up over HTTP; the ledger and an event file are written directly."""
    quiet, busy = (_workspace(rig) for _ in range(2))
    quiet_key = _client(rig, quiet, roles=["producer"])
    registration = {"code": QUIET, "attributes": workload.ATTRIBUTES, "partitions": 2}
    rig.call("POST", "/headrace/v1/registrations", registration, quiet_key)
    operator = _client(rig, busy, roles=["operator"])
    endpoint, file = _endpoint_with_a_file(rig, operator)
    _types_and_filters(rig, operator)
    account, exchange = _exchange(rig, busy)
    crmls_key = _client(rig, busy, roles=["producer"], realm="crmls")
    eventhos, fields, event = _eventhos(rig)
    _fill_ledger(rig, busy)
    return Installation(
        url=rig.base_url,
        quiet_key=quiet_key,
        busy=busy,
        operator=operator,
        exchange=exchange,
        exchange_account=account,
        graphql=_client(rig, busy, roles=["subscriber", "viewer"], realm="graphql"),
        crmls=rig.call("POST", f"/api/token?apiKey={crmls_key}")["token"],
        crmls_key=crmls_key,
        eventhos=eventhos,
        eventhos_fields=fields,
        eventhos_event=event,
        endpoint=endpoint,
        file=file,
    )


def _workspace(rig: Rig) -> str:
    name: str = rig.call("POST", "/headrace/v1/workspaces", {"name": f"bench-{new_id()}"})["name"]
    return name


def _client(rig: Rig, workspace: str, **members: Any) -> str:
    """A client's key."""
    body = {"name": "bench", **members}
    client = rig.call("POST", f"/headrace/v1/clients?workspace={workspace}", body)["id"]
    key: str = rig.call("POST", f"/headrace/v1/clients/{client}/keys?workspace={workspace}")["key"]
    return key


def _types_and_filters(rig: Rig, key: str) -> None:
    types: list[dict[str, Any]] = [
        {"code": OPEN, "open": True},
        {"code": TYPED, "attributes": [*workload.ATTRIBUTES, {"name": "details", "type": "json"}]},
        {"code": WIDE, "attributes": [{**each, "type": "Number"} for each in MANY_ATTRIBUTES]},
        *({"code": f"busy.{number}", "attributes": MANY_ATTRIBUTES} for number in range(_LARGE_TYPES)),
    ]
    for each in types:
        rig.call("POST", "/headrace/v1/event-types", {"partitions": 2, **each}, key)
    literals = [f"literal-{number}" for number in range(900)]
    for number in range(_LISTED):
        condition = {"data": {"region": literals[: number * 3 + 1]}}
        made = {"name": f"filter {number}", "types": [{"code": TYPED}], "condition": condition}
        rig.call("POST", "/headrace/v1/filters", made, key)
        rig.call("POST", "/headrace/v1/endpoints", {"name": f"endpoint {number}", "type": "WEB_SOCKET"}, key)


def _endpoint_with_a_file(rig: Rig, key: str) -> tuple[str, str]:
    endpoint: str = rig.call("POST", "/headrace/v1/endpoints", {"name": "files", "type": "FILE"}, key)["id"]
    files = event_files(f"file://{rig.home}/data/files")
    lines = (json.dumps({"offset": n, "data": workload.order(n)}).encode() + b"\n" for n in range(_FILE_LINES))
    return endpoint, files.publish(Chain(endpoint, "publisher", 0), 0, lines)


def _exchange(rig: Rig, workspace: str) -> tuple[str, str]:
    """An account-level key, and that of an endpoint that publishes."""
    account = _client(rig, workspace, realm="exchange", level="account", roles=[])
    body = {
        "name": "publisher",
        "providerName": "bench",
        "endpointTypes": {"event": {"source": {"enabled": True}, "destination": {}}},
        "marketingDatabasesDefinition": {
            "marketingDatabases": [{"name": "people", "identifiers": [{"name": "email"}, {"name": "cookieId"}]}]
        },
    }
    key: str = rig.call("PUT", "/v1/endpoint", body, account)["authenticationKey"]
    attributes = [{"name": "productID", "type": "String"}, {"name": "orderTotal", "type": "Number"}]
    rig.call("POST", "/v1/eventtype", {"code": EXCHANGE, "name": EXCHANGE, "attributes": attributes}, key)
    many = [{"name": each["name"], "type": "String"} for each in MANY_ATTRIBUTES]
    for number in range(_LARGE_TYPES):
        code = f"{EXCHANGE}{number}"
        rig.call("POST", "/v1/eventtype", {"code": code, "name": code, "attributes": many}, key)
    return account, key


def _eventhos(rig: Rig) -> tuple[str, str, str]:
    """A manager's token, what it was got with, and the identifier of an event that it sends."""
    made = rig.call(
        "POST", "/headrace/v1/clients", {"name": "bench", "realm": "eventhos", "scopes": ["OAUTH2_global:*"]}
    )
    secret = rig.call("POST", f"/headrace/v1/clients/{made['id']}/keys")["key"]
    fields = urlencode({"grant_type": "client_credentials", "client_id": made["id"], "client_secret": secret})
    request = Request(f"{rig.base_url}/auth/token", data=fields.encode(), method="POST")  # noqa: S310
    with urlopen(request, timeout=30) as response:  # noqa: S310  # our own server on loopback
        content = json.loads(response.read())["content"]
    token: str = content["jwt_token"]
    system: dict[str, Any] = {"identifier": "bench", "name": "bench", "type": "bench", "systemClass": "hybrid"}
    made = rig.call("POST", "/system", {**system, "clientId": content["client_id"]}, token)["content"]["systemId"]
    for number in range(_LISTED):
        event = {"system_id": made, "identifier": f"event-{number}", "name": f"event {number}", "operation": "new"}
        rig.call("POST", "/event", {**event, "description": "x" * 1_000}, token)
    found = rig.call("GET", "/event?eventName=event%20299", None, token)["content"]["items"][0]
    return token, fields, found["identifier"]


def _fill_ledger(rig: Rig, workspace: str) -> None:
    """Events of which a page is as large as may be."""
    writer = LedgerWriter(open_ledger(f"sqlite:///{rig.home}/data/ledger.sqlite3"))
    writer.create()
    for number in range(_EVENTS):
        row = EventRow(
            workspace=workspace,
            id=new_id(),
            topic=f"events.{workspace}.events.T",
            source_offset=f"events.{workspace}.events.T/0/{number}",
            namespace="events",
            code="T",
            source="client",
            subject=None,
            time=1_614_875_814_591_000 + number,
            received_at=1_614_875_814_591_000 + number,
            channel=None,
            identifiers="[]",
            data=json.dumps({"values": [1.5] * (_EVENT_BYTES // 5)}),
            producer_id=None,
        )
        writer.write(LedgerRows(events=[row]))
