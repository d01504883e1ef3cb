"""The Envoy organisations and users of the fixtures."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from operations.errors import CallFailed

if TYPE_CHECKING:
    import aiohttp

    from operations.api import OwnApi

NAMESPACE, CODE = "shipments", "updated"
ATTRIBUTES = ({"name": "id", "type": "String"}, {"name": "status", "type": "String"})
SCOPES = ("shipments:read", "events:manage")

_ORGANISATIONS = {
    # The ids that the document prints, so that its examples can be tried as they are.
    ("O", "U"): ("org_26ZZVNs2QURl4yY6owPARekUbMa", "usr_26ZZVRrmnPTXTcZIuzXLZdnigLW"),
    ("O2", "U2"): ("org_2FixturesOfAnotherCompany00", "usr_2FixturesOfAnotherCompany00"),
}


class EnvoyApi:
    """The Envoy API of a running gateway, with one access token."""

    def __init__(self, session: aiohttp.ClientSession, url: str, token: str) -> None:
        self._session = session
        self._url = url
        self._headers = {"Authorization": f"Bearer {token}"}

    async def provision(self) -> Any:
        """Have the organisation's events streamed; what was answered.

        Raises:
            CallFailed: the answer is not a success; also for the other call.
        """
        return await self._call("/events/provision")

    async def connection_token(self) -> str:
        """What the realtime server takes."""
        token: str = (await self._call("/events/connection_token"))["token"]
        return token

    async def _call(self, path: str) -> Any:
        url = self._url + path
        async with self._session.get(url, headers=self._headers) as response:
            if not response.ok:
                raise CallFailed(f"GET {url}", response.status, await response.text())
            return await response.json()


async def envoy_organisations(api: OwnApi, session: aiohttp.ClientSession) -> dict[str, dict[str, Any]]:
    """Two provisioned organisations with a user each, who may see their shipments.

    The key of a user is an access token of the Envoy API, that of an organisation is an operator's: it publishes events
    and sets up webhooks through our own. Both are new each time.
    """
    made: dict[str, dict[str, Any]] = {}
    for (name, user_name), (organisation, user) in _ORGANISATIONS.items():
        await api.workspace(organisation)
        await api.client(user, workspace=organisation, name=user, realm="envoy", roles=[], scopes=SCOPES)
        operator = f"{organisation}-operator"
        await api.client(operator, workspace=organisation, name="operator", roles=["operator"])
        event_type = {"namespace": NAMESPACE, "code": CODE, "attributes": ATTRIBUTES}
        await api.post("/event-types", event_type, workspace=organisation)
        token = await api.new_key(user, workspace=organisation)
        await EnvoyApi(session, api.url, token).provision()
        made[name] = {
            "id": organisation,
            "workspace": organisation,
            "event_type": f"{NAMESPACE}/{CODE}",
            "key": await api.new_key(operator, workspace=organisation),
        }
        made[user_name] = {"id": user, "workspace": organisation, "scopes": list(SCOPES), "key": token}
    return made
