"""Notifications of changed subscriptions (Exchange ``/v1/subscription/notification``).

A registration is a webhook endpoint of the client's, subscribed to the events that the module ``consequences`` makes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

import msgspec

from backbone.catalog import endpoint_credentials
from backbone.catalog.endpoints import linked_anew
from backbone.catalog.writer import Changes
from families.exchange.catalog.consequences import (
    ATTRIBUTES,
    CODE,
    NAMESPACE,
    NOTIFICATION_KEY,
    notification_filter,
    notification_keys,
    notified_at,
)
from families.exchange.catalog.records import NOTIFICATION_BODY
from schemas.model import timestamps
from schemas.model.endpoint import Endpoint, EndpointType, EventFilter, Subscription, TypeSelection
from schemas.model.errors import InvalidRequest, NotFound
from schemas.model.ids import derived
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from backbone.catalog.event_types import EventTypes
    from backbone.catalog.reader import Catalog
    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.access import Client
    from schemas.model.endpoint import Authorization
    from schemas.model.resources import Resource


class ExchangeNotifications:
    """Registers where an Exchange endpoint is told of changed subscriptions.

    All methods raise ``Unavailable`` when Kafka cannot answer.

    Args:
        catalog: this process's reader.
        writer: this process's writer.
        event_types: makes the event type of the first registration in an account.
        secrets: seals the credentials.
    """

    def __init__(self, catalog: Catalog, writer: CatalogWriter, event_types: EventTypes, secrets: SecretBox) -> None:
        self._catalog = catalog
        self._writer = writer
        self._event_types = event_types
        self._secrets = secrets

    async def put(self, client: Client, url: str, key: str | None, authorization: Authorization | None) -> None:
        """Tell the client at this URL, and nowhere else, from now on.

        Args:
            client: the Exchange endpoint.
            url: absolute http or https.
            key: text that goes with every notification.
            authorization: the credentials to send, checked, with plain secrets.

        Raises:
            InvalidRequest: the URL's address is not allowed.
        """
        problems = endpoint_credentials.url_problems(url, self._writer.destinations, "$.notificationURL")
        if problems:
            raise InvalidRequest("The notification cannot be registered.", problems)
        topic = event_topic(client.workspace, NAMESPACE, CODE)
        if await self._catalog.lookup(lambda view: view.event_type(topic)) is None:
            await self._event_types.register(
                None,
                client.workspace,
                NAMESPACE,
                CODE,
                attributes=ATTRIBUTES,
                name="Subscription changed",
                partition_key="source",
                partitions=1,
            )
        sealed = authorization and endpoint_credentials.sealed(authorization, self._secrets)
        wanted = _resources(client, url, {} if key is None else {NOTIFICATION_KEY: key}, sealed)

        def decide(view: CatalogView) -> Changes[None]:
            found = view.endpoint(wanted.endpoint.id)
            created_at = wanted.endpoint.created_at if found is None else found.created_at
            put: list[Resource] = [msgspec.structs.replace(wanted.endpoint, created_at=created_at)]
            if view.event_filter(wanted.event_filter.id) is None:
                put.append(wanted.event_filter)
            linked = view.subscription(wanted.subscription.id)
            if linked is None or not linked.enabled:
                put.append(wanted.subscription)
            elif found is None or not found.enabled:
                put.append(linked_anew(linked))
            return Changes(put=put, result=None)

        await self._writer.write(decide)

    async def delete(self, client: Client) -> None:
        """Tell the client no more.

        Raises:
            NotFound: nothing is registered.
        """

        def decide(view: CatalogView) -> Changes[None]:
            if view.endpoint(notified_at(client.unique_id)) is None:
                raise NotFound("This endpoint has no subscription notification.")
            return Changes(delete=notification_keys(view, client), result=None)

        await self._writer.write(decide)


class _Registration(NamedTuple):
    endpoint: Endpoint
    event_filter: EventFilter
    subscription: Subscription


def _resources(client: Client, url: str, options: dict[str, str], authorization: Authorization | None) -> _Registration:
    now = timestamps.now()
    name = f"Subscription notifications of {client.name}"
    endpoint = Endpoint(
        id=notified_at(client.unique_id),
        workspace=client.workspace,
        name=name,
        type=EndpointType.WEB_HOOK,
        client=client.id,
        url=url,
        body=NOTIFICATION_BODY,
        authorization=authorization,
        max_in_flight=1,  # so that changes are told in their order
        options=options,
        created_at=now,
        updated_at=now,
    )
    event_filter = EventFilter(
        id=notification_filter(client.unique_id),
        workspace=client.workspace,
        name=name,
        client=client.id,
        types=(TypeSelection(namespace=NAMESPACE, code=CODE),),
        sources=(client.id,),
        created_at=now,
        updated_at=now,
    )
    subscription = Subscription(
        id=derived("subscription", event_filter.id, endpoint.id),
        workspace=client.workspace,
        event_filter=event_filter.id,
        endpoint=endpoint.id,
        created_at=now,
        updated_at=now,
    )
    return _Registration(endpoint, event_filter, subscription)
