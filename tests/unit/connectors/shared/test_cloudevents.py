"""The CloudEvent that subscribers get is the one that was sent, and records of earlier releases are as they were."""

from __future__ import annotations

import json
from typing import Any

from backbone.slices import Slices
from connectors.shared import cloudevents
from connectors.shared.body import OutgoingEvent
from families.headrace.http.cloudevents import Translator
from schemas.avro.codec import EventDecoder
from schemas.avro.validation import EventWriter
from schemas.model.access import Client
from schemas.model.event import Identifier
from schemas.model.event_headers import EventHeaders
from tests.unit.schemas.avro.event_types import EVENT_ID, RECEIVED_AT, draft, event_type, older_schema_of, schema_of

OPEN = event_type(open=True)
CLIENT = Client(id="client-1", workspace="acme", name="c", created_at=0, updated_at=0)


def delivered(sent: dict[str, Any]) -> dict[str, Any]:
    translator = Translator("acme", CLIENT, lambda _: ("shop", "Order"), Slices())
    draft = translator.structured(json.dumps(sent).encode())
    value, _ = EventWriter(OPEN, None).write(draft, event_id=EVENT_ID, received_at=RECEIVED_AT)
    headers = dict(EventHeaders("client-1", "Order")(draft, EVENT_ID, RECEIVED_AT))
    event = EventDecoder(schema_of(OPEN)).decode(value)
    body: dict[str, Any] = json.loads(cloudevents.render(OutgoingEvent(event, headers, "shop")))
    return body


def test_every_attribute_comes_out_as_it_went_in() -> None:
    sent = {
        "specversion": "1.0",
        "id": "8",
        "source": "/o",
        "type": "shop/Order",
        "subject": "A-1",
        "time": "2021-03-04t16:36:54.50+01:00",
        "dataschema": "https://example.com/schema?v=1",
        "datacontenttype": "application/vnd.order+json; v=1",
        "region": "eu",
        "n": 5,
        "yes": True,
        "number": "5",
        "empty": "",
        "traceparent": "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "tracestate": "a=b",
        "data": {"a": [1, 2]},
    }
    assert delivered(sent) == sent | {"clientid": "client-1", "namespace": "shop"}


def test_extensions_that_are_named_like_ours_stay_the_producers() -> None:
    sent = {"specversion": "1.0", "id": "8", "source": "/o", "type": "Order", "data": None}
    own = {"namespace": "theirs", "identifiers": "these", "channel": "Web"}
    found = delivered(sent | own)
    assert {name: found[name] for name in own} == own


def test_an_event_of_another_family_is_its_clients() -> None:
    plain = draft({"a": 1}, identifiers=(Identifier("email", "a@b.c"),), channel="Web")
    value, _ = EventWriter(OPEN, None).write(plain, event_id=EVENT_ID, received_at=RECEIVED_AT)
    headers = dict(EventHeaders("client-1", "Order")(plain, EVENT_ID, RECEIVED_AT))
    body = json.loads(cloudevents.render(OutgoingEvent(EventDecoder(schema_of(OPEN)).decode(value), headers, "shop")))
    assert (body["id"], body["source"], body["clientid"], body["type"]) == (EVENT_ID, "client-1", "client-1", "Order")
    assert (body["channel"], body["identifiers"]) == ("Web", '[{"name":"email","value":"a@b.c"}]')


def test_a_record_of_an_earlier_release_is_rendered_as_it_was() -> None:
    """Its producer's id is in a header only, and its source among the identifiers."""
    older = draft({"a": 1}, identifiers=(Identifier("source", "/o"),))
    value, _ = EventWriter(OPEN, None, identity=False).write(older, event_id=EVENT_ID, received_at=RECEIVED_AT)
    event = EventDecoder(older_schema_of(OPEN)).decode(value)
    headers = {"ce_id": b"8", "ce_source": b"client-1", "ce_type": b"Order", "ce_specversion": b"1.0"}
    body = json.loads(cloudevents.render(OutgoingEvent(event, headers, "shop")))
    assert body.pop("clientid") == "client-1"
    assert body == {
        "specversion": "1.0",
        "id": "8",
        "source": "client-1",
        "type": "Order",
        "time": "2026-11-21T03:33:20.123456Z",
        "datacontenttype": "application/json",
        "namespace": "shop",
        "identifiers": '[{"name":"source","value":"/o"}]',
        "data": {"a": 1},
    }
    assert (event.event_id, event.clientid, event.code) == (EVENT_ID, "client-1", "Order")
