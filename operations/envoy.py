"""The Envoy organisations and users of the fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.errors import CallFailed

if TYPE_CHECKING:
    import aiohttp

    from operations.api import OwnApi

NAMESPACE, CODE = "shipments", "updated"
SCOPES = ("shipments:read",)

_ORGANISATIONS = {
    # The ids that the document prints, so that its examples can be tried as they are.
    ("O", "U"): ("org_26ZZVNs2QURl4yY6owPARekUbMa", "usr_26ZZVRrmnPTXTcZIuzXLZdnigLW"),
    ("O2", "U2"): ("org_2FixturesOfAnotherCompany00", "usr_2FixturesOfAnotherCompany00"),
}


async def envoy_organisations(api: OwnApi, session: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    """Two provisioned organisations with a user each, who may see their shipments.

    The key of a user is an access token of the Envoy API, that of an organisation is an operator's: it publishes events
    and sets up webhooks through our own. Both are new each time.
    """
    made: dict[str, dict[str, Any]] = {}
    for (name, user_name), (organisation, user) in _ORGANISATIONS.items():
        if await api.find(f"/workspaces/{organisation}") is None:
            await api.post("/workspaces", {"name": organisation})
        await api.client(user, workspace=organisation, name=user, realm="envoy", roles=[], scopes=SCOPES)
        operator = f"{organisation}-operator"
        await api.client(operator, workspace=organisation, name="operator", roles=["operator"])
        attributes = [{"name": "id", "type": "String"}, {"name": "status", "type": "String"}]
        event_type = {"namespace": NAMESPACE, "code": CODE, "attributes": attributes}
        await api.post("/event-types", event_type, workspace=organisation)
        token = await api.new_key(user, workspace=organisation)
        await _provision(session, api.url, token)
        made[name] = {
            "id": organisation,
            "workspace": organisation,
            "event_type": f"{NAMESPACE}/{CODE}",
            "key": await api.new_key(operator, workspace=organisation),
        }
        made[user_name] = {"id": user, "workspace": organisation, "scopes": list(SCOPES), "key": token}
    return made


async def _provision(session: aiohttp.ClientSession, url: str, token: str) -> None:
    address = f"{url}/events/provision"
    async with session.get(address, headers={"Authorization": f"Bearer {token}"}) as response:
        if not response.ok:
            raise CallFailed(f"GET {address}", response.status, await response.text())
