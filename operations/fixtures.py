"""``headrace fixtures``: what the conformance cases name, created on a running gateway."""

from __future__ import annotations

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp

from operations.api import TIMEOUT, OwnApi, admin_key
from operations.envoy import envoy_organisations
from operations.errors import CannotStart
from operations.event_service import event_service_workspaces
from operations.eventhos import eventhos_clients
from operations.exchange import exchange_endpoints
from schemas.access import DEFAULT_WORKSPACE
from schemas.ids import derived

if TYPE_CHECKING:
    from rich.console import Console

    from operations.settings import OperationsSettings


def run(settings: OperationsSettings, console: Console, *, as_json: bool) -> None:
    """Create them and print what they are called in the cases, with their ids and keys.

    Raises:
        CannotStart: no gateway answers.
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
    async with aiohttp.ClientSession(timeout=TIMEOUT) as session:
        api = OwnApi(session, settings.base_url, admin_key(settings))
        try:
            return {
                **await crmls_key(api),
                **await eventhos_clients(api, session),
                **await envoy_organisations(api, session),
                **await exchange_endpoints(api, session),
                **await event_service_workspaces(api, session),
            }
        except aiohttp.ClientConnectionError as error:
            raise CannotStart(f"No gateway answers at {settings.base_url}. Start one with: headrace up") from error


async def crmls_key(api: OwnApi, name: str = "KEY") -> dict[str, dict[str, Any]]:
    """A CRMLS source account and a key of it; the account stays the same, the key is a new one each time."""
    # A derived UUID, so that every run finds the account again; CRMLS shows it as ``sourceAccount``.
    account = derived("fixture", "crmls", name)
    await api.client(account, name=f"CRMLS source account {name}", realm="crmls", roles=["producer"])
    key = await api.new_key(account)
    return {name: {"client": account, "workspace": DEFAULT_WORKSPACE, "key": key}}
