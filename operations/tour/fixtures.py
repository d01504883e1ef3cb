"""``headrace fixtures``: what the conformance cases name, created on a running gateway."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp

from operations.api.client import TIMEOUT, admin_key, connected
from operations.tour.crmls import crmls_key
from operations.tour.envoy import envoy_organisations
from operations.tour.event_service import event_service_workspaces
from operations.tour.eventhos import eventhos_clients
from operations.tour.exchange import exchange_endpoints

if TYPE_CHECKING:
    from rich.console import Console

    from operations.settings import OperationsSettings


def run(settings: OperationsSettings, console: Console, *, as_json: bool) -> None:
    """Create them and print what they are called in the cases, with their ids and keys.

    Raises:
        Unreachable: no gateway answers.
        CallFailed: it refused.
    """
    made = asyncio.run(_create(settings))
    if as_json:
        print(json.dumps(made, indent=2))
        return
    for name, properties in made.items():
        for property_name, value in properties.items():
            console.print(f"{name}  {property_name}  {value}", markup=False, highlight=False, soft_wrap=True)


async def _create(settings: OperationsSettings) -> dict[str, dict[str, Any]]:
    async with (
        connected(settings.base_url, admin_key(settings)) as api,
        aiohttp.ClientSession(timeout=TIMEOUT) as session,
    ):
        return {
            **await crmls_key(api),
            **await eventhos_clients(api, session),
            **await envoy_organisations(api, session),
            **await exchange_endpoints(api, session),
            **await event_service_workspaces(api, session),
        }
