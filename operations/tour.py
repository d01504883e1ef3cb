"""``headrace tour``: real events through every stage of a running gateway, each arrival checked and shown.

It plays all the parts, in the five API families: an operator who sets things up over HTTP; a CRMLS producer, and a
subscriber whose webhook receiver checks signatures with the Standard Webhooks library; an Exchange publisher, and an
endpoint that pulls event files; two systems with an eventhos contract; an Envoy user on Centrifugo's own SDK; a viewer
on the event service's websocket; and a team that reads the topics with Confluent's deserializer.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import signal
import time
from typing import TYPE_CHECKING, Any

import aiohttp

from backbone.kafka.settings import KafkaSettings
from operations import avro_reader, crossings, hires, shipments
from operations.api import TIMEOUT, OwnApi, admin_key
from operations.errors import CallFailed, CannotStart, TourFailed
from operations.fixtures import crmls_key
from operations.narrator import Narrator
from operations.offers import CONDITION, LEAST_AMOUNT, OFFERS, Offer
from operations.realtime_listener import RealtimeListener
from operations.receiver import Arrival, Receiver
from operations.viewings import Viewings

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from rich.console import Console

    from operations.settings import OperationsSettings

NAMESPACE = "crmls"
CODE = "Offer"

ARRIVAL_TIMEOUT = 30.0
"""Seconds for what was acknowledged to arrive everywhere."""

_LOOK_EVERY = 0.1


def run(settings: OperationsSettings, console: Console) -> None:
    """Go through all stages; what was set up for a stage is taken down after it, also when the tour is stopped.

    Raises:
        CannotStart: no gateway answers.
        CallFailed: a call was refused.
        TourFailed: something did not arrive, or not as it was sent; or the tour was stopped by SIGTERM.
    """
    try:
        asyncio.run(_run_until_stopped(settings, Narrator(console)))
    except asyncio.CancelledError as error:
        raise TourFailed("The tour was stopped.") from error


async def _run_until_stopped(settings: OperationsSettings, narrator: Narrator) -> None:
    running = asyncio.ensure_future(_run(settings, narrator))
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, running.cancel)
    await running


async def _run(settings: OperationsSettings, narrator: Narrator) -> None:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        api = OwnApi(session, settings.base_url, admin_key(settings))
        try:
            async with Receiver() as receiver, _set_up(api, receiver, narrator) as (event_type, channel):
                token = (await api.post("/realtime/connection-token", {"channels": [channel]}))["token"]
                async with RealtimeListener(settings.realtime_url, token) as listener:
                    posted = await _post(session, api, narrator)
                    await _check_webhooks(api, receiver, posted, narrator)
                    await _check_realtime(listener, settings.realtime_url, posted, narrator)
                await _check_topic(settings, event_type["topic"], posted, narrator)
                await _check_ledger(api, posted, narrator)
                await _exchange(settings, session, api, narrator)
                await hires.play(session, api, receiver, narrator, ARRIVAL_TIMEOUT)
            await shipments.play(session, api, settings.realtime_url, narrator, ARRIVAL_TIMEOUT)
            await crossings.play(session, api, settings.event_service_url, narrator, ARRIVAL_TIMEOUT)
        except aiohttp.ClientConnectionError as error:
            raise CannotStart(f"No gateway answers at {settings.base_url}. Start one with: headrace up") from error
    narrator.step("Every arrival of the five API families was checked:")
    narrator.show("CRMLS", "signed webhooks, WebSocket messages, Avro records")
    narrator.show("Exchange", "event file, typed Avro records")
    narrator.show("eventhos", "contract call from a template, logged as processed")
    narrator.show("Envoy", "WebSocket messages to a user and to its organisation")
    narrator.show("GraphQL", "filtered message on the event service's websocket")


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


async def _post(session: aiohttp.ClientSession, api: OwnApi, narrator: Narrator) -> dict[str, Offer]:
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


async def _check_webhooks(api: OwnApi, receiver: Receiver, posted: dict[str, Offer], narrator: Narrator) -> None:
    narrator.step("A subscriber receives webhooks")
    wanted = [event for event, offer in posted.items() if offer.matches]
    arrivals = await receiver.arrivals(set(wanted), ARRIVAL_TIMEOUT)
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


async def _check_realtime(listener: RealtimeListener, url: str, posted: dict[str, Offer], narrator: Narrator) -> None:
    narrator.step("An application on Centrifugo's SDK receives WebSocket messages")
    wanted = [event for event, offer in posted.items() if offer.matches]
    arrivals = await listener.arrivals(set(wanted), ARRIVAL_TIMEOUT)
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


async def _check_topic(settings: OperationsSettings, topic: str, posted: dict[str, Offer], narrator: Narrator) -> None:
    narrator.step("Another team reads the topic, with Confluent's AvroDeserializer")
    registry = _registry(settings)
    kafka = KafkaSettings().client_config()
    records = await asyncio.to_thread(avro_reader.read, kafka, registry, topic, set(posted), timeout=ARRIVAL_TIMEOUT)
    for event, offer in posted.items():
        record = records.get(event)
        narrator.check(
            f"{offer.name} in {topic}", there=record is not None, data_as_sent=_data(record) == offer.message
        )
    narrator.show("schemas", registry["url"])
    narrator.show("record", records[next(iter(posted))])


def _registry(settings: OperationsSettings) -> dict[str, str]:
    """What Confluent's client is told of the schema registry; one that is open passes over the key."""
    url = f"{settings.base_url}/schema-registry"
    return {"url": url, "basic.auth.user.info": f"headrace:{admin_key(settings)}"}


def _data(record: dict[str, Any] | None) -> object:
    return None if record is None else record["data"]


async def _check_ledger(api: OwnApi, posted: dict[str, Offer], narrator: Narrator) -> None:
    narrator.step("The ledger knows what became of each")
    for event, offer in posted.items():
        known = await _settled(api, event, deliveries=int(offer.matches))
        outcomes = [attempt["outcome"] for attempt in _attempts(known)]
        if offer.matches:
            narrator.check(f"{offer.name} after {len(outcomes)} attempt(s)", delivered="delivered" in outcomes)
        else:
            narrator.check(
                f"{offer.name}, which the filter does not want", stored=True, kept_back=not known["deliveries"]
            )


async def _settled(api: OwnApi, event: str, *, deliveries: int) -> dict[str, Any]:
    """What ``GET /events/{id}`` says once it knows as many deliveries with their attempts, or the time is up."""
    deadline = time.monotonic() + ARRIVAL_TIMEOUT
    while True:
        known = await api.find(f"/events/{event}")
        if known is not None and len(known["deliveries"]) >= deliveries and len(_attempts(known)) >= deliveries:
            return dict(known)
        if time.monotonic() > deadline:
            raise TourFailed(
                f"The tour failed: after {ARRIVAL_TIMEOUT:.0f} s the ledger says of event {event}: {known}"
            )
        await asyncio.sleep(_LOOK_EVERY)


def _attempts(known: dict[str, Any]) -> list[dict[str, Any]]:
    return [attempt for delivery in known.get("deliveries", []) for attempt in delivery.get("tries", [])]


async def _exchange(
    settings: OperationsSettings, session: aiohttp.ClientSession, api: OwnApi, narrator: Narrator
) -> None:
    """The second family: published in the Exchange API, pulled as an event file, read from the topic."""
    async with Viewings(session, api, narrator) as viewings:
        topic = await viewings.publish()
        await viewings.check_files(ARRIVAL_TIMEOUT)
    narrator.step("The other team reads this topic too, its attributes typed")
    kafka = KafkaSettings().client_config()
    latest = await asyncio.to_thread(avro_reader.latest, kafka, _registry(settings), topic, timeout=ARRIVAL_TIMEOUT)
    viewings.check_record(latest)
