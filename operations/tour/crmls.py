"""CRMLS in the tour and the fixtures: a producer's key, and offers with numbers that a careless gateway would rewrite.

The tour follows the offers to every place that they reach: a webhook, a realtime channel, the topic and the ledger.
"""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import json
import time
from typing import TYPE_CHECKING, Any

from backbone.kafka.settings import KafkaSettings
from operations.errors import CallFailed, TourFailed
from schemas.model.access import DEFAULT_WORKSPACE
from schemas.model.ids import derived

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    import aiohttp

    from operations.api.client import OwnApi
    from operations.tour.realtime_listener import RealtimeListener
    from operations.tour.receiver import Arrival, Receiver
    from operations.tour.reporter import Narrator

NAMESPACE, CODE = "crmls", "Offer"

LEAST_AMOUNT = 400_000
CONDITION = {"data": {"OfferAmount": [{"numeric": [">=", LEAST_AMOUNT]}]}}
"""The tour's filter: offers of at least that amount."""

_LOOK_EVERY = 0.1


@dataclasses.dataclass(frozen=True)
class Offer:
    """One event as it is posted; ``amount`` is the JSON text of a number, kept to the last digit."""

    name: str
    listing: str
    amount: str

    @property
    def matches(self) -> bool:
        """Whether the tour's filter wants it."""
        return float(self.amount) >= LEAST_AMOUNT

    @property
    def message(self) -> str:
        """The free-form part, as JSON text."""
        return (
            f'{{"ListingId":{json.dumps(self.listing)},"OfferId":{json.dumps(self.name)},"OfferAmount":{self.amount}}}'
        )

    @property
    def body(self) -> str:
        """The request body of ``POST /api/app/events``."""
        return (
            f'{{"eventName":{json.dumps(self.name)},"eventTime":"2021-03-04T16:36:54.591Z",'
            f'"messageType":"Offer","message":{self.message}}}'
        )


Posted = dict[str, Offer]
"""Offers by the ids that their events got."""

OFFERS = (
    Offer("Offer1233", "L-1187", "389000.00"),
    Offer("Offer1234", "L-1187", "450000.00"),
    Offer("Offer1235", "L-2040", "1275000.5"),
    Offer("Offer1236", "L-2041", "12345678901234567890"),
)
"""The first is under the filter's amount: it is stored, and delivered to nobody."""


async def crmls_key(api: OwnApi, name: str = "KEY") -> dict[str, dict[str, Any]]:
    """A CRMLS source account and a key of it; the account stays the same, the key is a new one each time."""
    # A derived UUID, so that every run finds the account again; CRMLS shows it as ``sourceAccount``.
    account = derived("fixture", "crmls", name)
    await api.client(account, name=f"CRMLS source account {name}", realm="crmls", roles=["producer"])
    key = await api.new_key(account)
    return {name: {"client": account, "workspace": DEFAULT_WORKSPACE, "key": key}}


async def play(
    session: aiohttp.ClientSession,
    api: OwnApi,
    receiver: Receiver,
    narrator: Narrator,
    longest_wait: float,
    *,
    realtime_url: str,
    registry: Mapping[str, str],
) -> None:
    """Subscribe, post the offers and check where they arrive; ``longest_wait`` in seconds for each place.

    What was set up is deleted at the end.
    """
    from operations.tour.realtime_listener import RealtimeListener  # noqa: PLC0415  # of the extra ``tour``: fixtures do without

    async with _set_up(api, receiver, narrator) as (event_type, channel):
        token = (await api.post("/realtime/connection-token", {"channels": [channel]}))["token"]
        async with RealtimeListener(realtime_url, token) as listener:
            posted = await _post(session, api, narrator)
            await _check_webhooks(api, receiver, posted, narrator, longest_wait)
            await _check_realtime(listener, realtime_url, posted, narrator, longest_wait)
        await _check_topic(registry, event_type["topic"], posted, narrator, longest_wait)
        await _check_ledger(api, posted, narrator, longest_wait)


@contextlib.asynccontextmanager
async def _set_up(api: OwnApi, receiver: Receiver, narrator: Narrator) -> AsyncIterator[tuple[dict[str, Any], str]]:
    """The event type, and the realtime channel; a webhook and a channel are subscribed while the context is open."""
    narrator.step("An operator sets it up, over /headrace/v1")
    event_type: dict[str, Any] = await api.post("/event-types", {"namespace": NAMESPACE, "code": CODE, "open": True})
    narrator.show("event type", f"{NAMESPACE}/{CODE} → topic {event_type['topic']}, schema {event_type['schema_id']}")
    async with contextlib.AsyncExitStack() as made:
        webhook = await _create(api, made, "/endpoints", {"name": "tour", "url": receiver.url})
        receiver.secret = webhook["signing_secret"]
        narrator.show("webhook", f"{receiver.url}, signing secret {receiver.secret[:10]}…")
        socket = await _create(api, made, "/endpoints", {"name": "tour", "type": "WEB_SOCKET"})
        channel = f"endpoint:{socket['id']}"
        narrator.show("channel", channel)
        types = [{"namespace": NAMESPACE, "code": CODE}]
        event_filter = await _create(api, made, "/filters", {"name": "tour", "types": types, "condition": CONDITION})
        narrator.show("filter", f"OfferAmount ≥ {LEAST_AMOUNT:,}: {CONDITION}")
        for endpoint in (webhook, socket):
            body = {"filter": event_filter["id"], "endpoint": endpoint["id"]}
            link = await _create(api, made, "/subscriptions", body)
            narrator.show("linked", f"subscription {link['id']}")
        yield event_type, channel


async def _create(api: OwnApi, made: contextlib.AsyncExitStack, path: str, body: dict[str, Any]) -> dict[str, Any]:
    """What ``body`` describes, deleted again with everything else that was made."""
    resource: dict[str, Any] = await api.post(path, body)
    made.push_async_callback(api.delete, f"{path}/{resource['id']}")
    return resource


async def _post(session: aiohttp.ClientSession, api: OwnApi, narrator: Narrator) -> Posted:
    """Post the offers as a CRMLS producer would; returns them by event id."""
    narrator.step("A producer posts offers, over the CRMLS API")
    account = (await crmls_key(api, "TOUR"))["TOUR"]
    async with session.post(f"{api.url}/api/token", params={"apiKey": account["key"]}) as answer:
        token = (await answer.json())["token"]
    narrator.show("token", f"{token[:24]}… for source account {account['client']}")
    posted = {}
    headers = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    for offer in OFFERS:
        async with session.post(f"{api.url}/api/app/events", data=offer.body, headers=headers) as answer:
            text = await answer.text()
            if not answer.ok:
                raise CallFailed(f"POST {answer.url}", answer.status, text)
            narrator.check(f"{offer.name}, {offer.amount}", accepted=True, answered_as_sent=offer.message in text)
            posted[(await answer.json())["id"]] = offer
    return posted


async def _check_webhooks(
    api: OwnApi, receiver: Receiver, posted: Posted, narrator: Narrator, longest_wait: float
) -> None:
    narrator.step("A subscriber receives webhooks")
    wanted = [event for event, offer in posted.items() if offer.matches]
    arrivals = await receiver.arrivals(set(wanted), longest_wait)
    for event in wanted:
        name = f"{posted[event].name} as webhook {event}"
        if event not in arrivals:
            raise TourFailed(f"The tour failed: {name}: not arrived: {await _why_not(api, event)}")
        narrator.check(name, **_webhook_properties(arrivals[event], posted[event]))
    narrator.show("webhook-id", arrivals[wanted[0]].webhook_id)
    narrator.show("body", arrivals[wanted[0]].text)


async def _why_not(api: OwnApi, event: str) -> str:
    """What went wrong with the last attempt, as the ledger has it."""
    known = await api.find(f"/events/{event}") or {}
    errors: list[str] = [attempt["error"] for attempt in _attempts(known) if attempt["error"]]
    return errors[-1] if errors else "no attempt failed"


def _webhook_properties(arrival: Arrival, offer: Offer) -> dict[str, bool]:
    event = arrival.event
    return {
        "arrived": True,
        "signature_verified_by_standardwebhooks": arrival.verified,
        "a_CloudEvent_of_its_type": event.get("specversion") == "1.0" and event.get("type") == CODE,
        "data_as_sent": offer.message in arrival.text,
    }


async def _check_realtime(
    listener: RealtimeListener, url: str, posted: Posted, narrator: Narrator, longest_wait: float
) -> None:
    narrator.step("An application on Centrifugo's SDK receives WebSocket messages")
    wanted = [event for event, offer in posted.items() if offer.matches]
    arrivals = await listener.arrivals(set(wanted), longest_wait)
    for event in wanted:
        event_of = arrivals.get(event, {})
        amount = event_of.get("data", {}).get("OfferAmount")
        narrator.check(
            f"{posted[event].name} as publication",
            arrived=event in arrivals,
            a_CloudEvent_of_its_type=event_of.get("type") == CODE,
            data_as_sent=amount == json.loads(posted[event].amount),
        )
    narrator.show("connected", url)
    narrator.show("message", json.dumps(arrivals[wanted[0]]))


async def _check_topic(
    registry: Mapping[str, str], topic: str, posted: Posted, narrator: Narrator, longest_wait: float
) -> None:
    from operations.tour import avro_reader  # noqa: PLC0415  # of the extra ``tour``: fixtures do without

    narrator.step("Another team reads the topic, with Confluent's AvroDeserializer")
    kafka = KafkaSettings().client_config()
    records = await asyncio.to_thread(avro_reader.read, kafka, registry, topic, set(posted), timeout=longest_wait)
    for event, offer in posted.items():
        record = records.get(event)
        narrator.check(
            f"{offer.name} in {topic}", there=record is not None, data_as_sent=_data(record) == offer.message
        )
    narrator.show("schemas", registry["url"])
    narrator.show("record", records[next(iter(posted))])


def _data(record: dict[str, Any] | None) -> object:
    return None if record is None else record["data"]


async def _check_ledger(api: OwnApi, posted: Posted, narrator: Narrator, longest_wait: float) -> None:
    narrator.step("The ledger knows what became of each")
    for event, offer in posted.items():
        known = await _settled(api, event, deliveries=int(offer.matches), longest_wait=longest_wait)
        outcomes = [attempt["outcome"] for attempt in _attempts(known)]
        if offer.matches:
            narrator.check(f"{offer.name} after {len(outcomes)} attempt(s)", delivered="delivered" in outcomes)
        else:
            narrator.check(
                f"{offer.name}, which the filter does not want", stored=True, kept_back=not known["deliveries"]
            )


async def _settled(api: OwnApi, event: str, *, deliveries: int, longest_wait: float) -> dict[str, Any]:
    """What ``GET /events/{id}`` says once it knows as many deliveries with their attempts, or the time is up."""
    deadline = time.monotonic() + longest_wait
    while True:
        known = await api.find(f"/events/{event}")
        if known is not None and len(known["deliveries"]) >= deliveries and len(_attempts(known)) >= deliveries:
            return dict(known)
        if time.monotonic() > deadline:
            raise TourFailed(f"The tour failed: after {longest_wait:.0f} s the ledger says of event {event}: {known}")
        await asyncio.sleep(_LOOK_EVERY)


def _attempts(known: dict[str, Any]) -> list[dict[str, Any]]:
    return [attempt for delivery in known.get("deliveries", []) for attempt in delivery.get("tries", [])]
