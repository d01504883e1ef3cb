"""``headrace tour``: real events through every stage of a running gateway, each arrival checked and shown.

It plays all the parts, in the five API families: an operator who sets things up over HTTP; a CRMLS producer, and a
subscriber whose webhook receiver checks signatures with the Standard Webhooks library; an Exchange publisher, and an
endpoint that pulls event files; two systems with an eventhos contract; an Envoy user on Centrifugo's own SDK; a viewer
on the event service's websocket; and a team that reads the topics with Confluent's deserializer. At last
it looks at the balance: what was matched is what became of it.
"""

from __future__ import annotations

import asyncio
import signal
from typing import TYPE_CHECKING

import aiohttp

from operations.api.client import TIMEOUT, admin_key, connected
from operations.errors import TourFailed
from operations.tour import balance, crmls, envoy, event_service, eventhos, exchange
from operations.tour.receiver import Receiver
from operations.tour.reporter import Narrator

if TYPE_CHECKING:
    from rich.console import Console

    from operations.settings import OperationsSettings

ARRIVAL_TIMEOUT = 30.0
"""Seconds for what was acknowledged to arrive everywhere."""


def run(settings: OperationsSettings, console: Console) -> None:
    """Go through all stages; what was set up for a stage is taken down after it, also when the tour is stopped.

    Raises:
        Unreachable: no gateway answers.
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
    async with (
        connected(settings.base_url, admin_key(settings)) as api,
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
    ):
        registry = _registry(settings)
        async with Receiver() as receiver:
            await crmls.play(
                session,
                api,
                receiver,
                narrator,
                ARRIVAL_TIMEOUT,
                realtime_url=settings.realtime_url,
                registry=registry,
            )
            await exchange.play(session, api, registry, narrator, ARRIVAL_TIMEOUT)
            await eventhos.play(session, api, receiver, narrator, ARRIVAL_TIMEOUT)
        await envoy.play(session, api, settings.realtime_url, narrator, ARRIVAL_TIMEOUT)
        await event_service.play(session, api, settings.realtime_node_url, narrator, ARRIVAL_TIMEOUT)
        await balance.play(api, narrator, ARRIVAL_TIMEOUT)
    narrator.step("Every arrival of the five API families was checked:")
    narrator.show("CRMLS", "signed webhooks, WebSocket messages, Avro records")
    narrator.show("Exchange", "event file, typed Avro records")
    narrator.show("eventhos", "contract call from a template, logged as processed")
    narrator.show("Envoy", "WebSocket messages to a user and to its organisation")
    narrator.show("GraphQL", "filtered message on the event service's websocket")
    narrator.show("All", "the balance is zero")


def _registry(settings: OperationsSettings) -> dict[str, str]:
    """What Confluent's client is told of the schema registry; one that is open passes over the key."""
    url = f"{settings.base_url}/schema-registry"
    return {"url": url, "basic.auth.user.info": f"headrace:{admin_key(settings)}"}
