"""``headrace tour``: real events through every stage of a running gateway, each arrival checked and shown.

It plays all the parts: an operator who sets things up over HTTP, a CRMLS producer, a subscriber whose webhook receiver
checks signatures with the Standard Webhooks library, and a team that reads the topic with Confluent's deserializer.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import TYPE_CHECKING, Any

import aiohttp

from backbone.kafka.settings import KafkaSettings
from operations import avro_reader
from operations.api import TIMEOUT, OwnApi, admin_key
from operations.errors import CallFailed, CannotStart, TourFailed
from operations.fixtures import crmls_key
from operations.offers import CONDITION, LEAST_AMOUNT, OFFERS, Offer
from operations.receiver import Arrival, Receiver

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
    """Go through all stages.

    Raises:
        CannotStart: no gateway answers.
        CallFailed: a call was refused.
        TourFailed: something did not arrive, or not as it was sent.
    """
    asyncio.run(_run(settings, Narrator(console)))


class Narrator:
    """Prints what happens, and stops the tour at the first thing that is not as it should be."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def step(self, title: str) -> None:
        """A new stage begins."""
        self._console.print(f"\n[bold]{title}[/bold]")

    def show(self, name: str, text: object) -> None:
        """Something to look at."""
        self._console.print(f"    {name:<12}{text}", markup=False, highlight=False, soft_wrap=True)

    def check(self, what: str, **properties: bool) -> None:
        """Something that must be there, with properties that must all be so.

        Raises:
            TourFailed: one is not; its name is in the message.
        """
        for name, so in properties.items():
            if not so:
                raise TourFailed(f"The tour failed: {what}: not {name.replace('_', ' ')}")
        said = ", ".join(name.replace("_", " ") for name in properties)
        self._console.print("  [green]✓[/green] ", end="")
        self._console.print(f"{what}: {said}", markup=False, highlight=False, soft_wrap=True)


async def _run(settings: OperationsSettings, narrator: Narrator) -> None:
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        api = OwnApi(session, settings.base_url, admin_key(settings))
        try:
            async with Receiver() as receiver, _subscribed(api, receiver, narrator) as event_type:
                posted = await _post(session, api, narrator)
                await _check_webhooks(receiver, posted, narrator)
                await _check_topic(settings, event_type["topic"], posted, narrator)
                await _check_ledger(api, posted, narrator)
        except aiohttp.ClientConnectionError as error:
            raise CannotStart(f"No gateway answers at {settings.base_url}. Start one with: headrace up") from error
    narrator.step("Every arrival was checked.")


@contextlib.asynccontextmanager
async def _subscribed(api: OwnApi, receiver: Receiver, narrator: Narrator) -> AsyncIterator[dict[str, Any]]:
    """The event type, and a subscription of the receiver's for as long as the context is open."""
    narrator.step("An operator sets it up, over /headrace/v1")
    event_type: dict[str, Any] = await api.post("/event-types", {"namespace": NAMESPACE, "code": CODE, "open": True})
    narrator.show("event type", f"{NAMESPACE}/{CODE} → topic {event_type['topic']}, schema {event_type['schema_id']}")
    endpoint = await api.post("/endpoints", {"name": "tour", "url": receiver.url})
    receiver.secret = endpoint["signing_secret"]
    narrator.show("endpoint", f"{receiver.url}, signing secret {receiver.secret[:10]}…")
    types = [{"namespace": NAMESPACE, "code": CODE}]
    event_filter = await api.post("/filters", {"name": "tour", "types": types, "condition": CONDITION})
    narrator.show("filter", f"OfferAmount ≥ {LEAST_AMOUNT:,}: {CONDITION}")
    link = await api.post("/subscriptions", {"filter": event_filter["id"], "endpoint": endpoint["id"]})
    narrator.show("linked", f"subscription {link['id']}")
    try:
        yield event_type
    finally:
        await api.delete(f"/subscriptions/{link['id']}")
        await api.delete(f"/filters/{event_filter['id']}")
        await api.delete(f"/endpoints/{endpoint['id']}")


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


async def _check_webhooks(receiver: Receiver, posted: dict[str, Offer], narrator: Narrator) -> None:
    narrator.step("A subscriber receives webhooks")
    wanted = [event for event, offer in posted.items() if offer.matches]
    arrivals = await receiver.arrivals(set(wanted), ARRIVAL_TIMEOUT)
    for event in wanted:
        narrator.check(
            f"{posted[event].name} as webhook {event}", **_webhook_properties(arrivals.get(event), posted[event])
        )
    narrator.show("webhook-id", arrivals[wanted[0]].webhook_id)
    narrator.show("body", arrivals[wanted[0]].text)


def _webhook_properties(arrival: Arrival | None, offer: Offer) -> dict[str, bool]:
    if arrival is None:
        return {"arrived": False}
    event = arrival.event
    return {
        "arrived": True,
        "signature_verified_by_standardwebhooks": arrival.verified,
        "a_CloudEvent_of_its_type": event.get("specversion") == "1.0" and event.get("type") == CODE,
        "data_as_sent": offer.message in arrival.text,
    }


async def _check_topic(settings: OperationsSettings, topic: str, posted: dict[str, Offer], narrator: Narrator) -> None:
    narrator.step("Another team reads the topic, with Confluent's AvroDeserializer")
    registry = f"{settings.base_url}/schema-registry"
    kafka = KafkaSettings().client_config()
    records = await asyncio.to_thread(avro_reader.read, kafka, registry, topic, set(posted), timeout=ARRIVAL_TIMEOUT)
    for event, offer in posted.items():
        record = records.get(event)
        narrator.check(
            f"{offer.name} in {topic}", there=record is not None, data_as_sent=_data(record) == offer.message
        )
    narrator.show("schemas", registry)
    narrator.show("record", records[next(iter(posted))])


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
