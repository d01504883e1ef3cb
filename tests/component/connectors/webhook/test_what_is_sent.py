"""What a receiver gets, by what its endpoint asks for: projections in versions, secrets that end, headers, tokens."""

from __future__ import annotations

import json
import uuid
from typing import TYPE_CHECKING
from urllib.parse import parse_qs

import msgspec
import pytest
from aiohttp import web
from standardwebhooks import Webhook, WebhookVerificationError

from schemas.model import timestamps
from schemas.model.delivery import Outcome
from schemas.model.endpoint import Authorization, AuthorizationType, NameValue
from schemas.model.projection import EndpointProjection, ProjectionVersion
from tests.component.connectors.post_office import until

if TYPE_CHECKING:
    from schemas.model.endpoint import Endpoint
    from tests.component.connectors.post_office import PostOffice
    from tests.component.connectors.receiver import Mailbox, Receiver

NEW = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OLD = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
ENDED = "whsec_" + "QUJDREVGR0hJSktMTU5PUFFSU1RVVldY"

pytestmark = pytest.mark.usefixtures("connector")


@pytest.fixture
def mailbox(receiver: Receiver) -> Mailbox:
    return receiver.mailbox(uuid.uuid4().hex)


def projection(office: PostOffice, endpoint: Endpoint, *expressions: str) -> EndpointProjection:
    now = timestamps.now()
    return EndpointProjection(
        endpoint=endpoint.id,
        workspace=office.workspace,
        topic=office.event_type.topic,
        namespace="shop",
        code="Order",
        versions=tuple(
            ProjectionVersion(number=number, expression=each, created_at=now)
            for number, each in enumerate(expressions, 1)
        ),
        current=len(expressions),
        created_at=now,
        updated_at=now,
    )


async def test_every_try_of_a_delivery_has_the_body_of_the_version_that_it_names(
    office: PostOffice, mailbox: Mailbox
) -> None:
    mailbox.answers = [500, 204]
    endpoint = await office.endpoint(mailbox.url, NEW)
    first = projection(office, endpoint, "{order: data.orderId, total: data.total}")
    await office.write(first)
    await office.deliver(endpoint, projection=1)
    await until(lambda: len(mailbox.received) == 1, "tried")
    # Edited between the tries; and a delivery that was routed afterwards names the new version.
    await office.write(projection(office, endpoint, first.versions[0].expression, "merge(@, {data: `{}`})"))
    await until(lambda: len(mailbox.received) == 2, "tried again")
    await office.deliver(endpoint, projection=2)
    await office.deliver(endpoint)
    await until(lambda: len(mailbox.received) == 4, "all received")

    bodies = [each.body for each in mailbox.received]
    assert bodies[0] == bodies[1] == b'{"order":"A-1","total":125.50}'
    kinds = {each.body: each.headers["content-type"] for each in mailbox.received}
    assert kinds[bodies[0]] == "application/json; charset=utf-8"
    latest, whole = sorted(bodies[2:], key=len)
    assert json.loads(latest)["data"] == {}
    assert b'"total":125.50' in whole
    assert kinds[latest] == kinds[whole] == "application/cloudevents+json; charset=utf-8"
    for received in mailbox.received:
        Webhook(NEW).verify(received.body, received.headers)


async def test_a_projection_that_fails_sets_the_event_aside_at_once_and_sends_nothing(
    office: PostOffice, mailbox: Mailbox
) -> None:
    endpoint = await office.endpoint(mailbox.url)
    await office.write(projection(office, endpoint, "{n: sum(data.orderId)}"))
    (failing,) = await office.deliver(endpoint, projection=1)
    (unknown,) = await office.deliver(endpoint, projection=7)
    await until(lambda: len(office.dead_letters(endpoint.id)) == 2, "set aside")

    letters = {headers["hr_delivery"].decode(): headers for headers, _ in office.dead_letters(endpoint.id)}
    assert letters[failing.id]["hr_dead_kind"] == b"delivery"
    reason = letters[failing.id]["hr_dead_reason"].decode()
    assert "sum() does not take a value of type string (at position 4 of the projection)" in reason
    assert "A-1" not in reason
    assert b"version 7 of the projection is not kept" in letters[unknown.id]["hr_dead_reason"]
    attempts = office.attempts(endpoint)
    assert [(each.outcome, each.status) for each in attempts] == [(Outcome.DEAD, None)] * 2
    assert mailbox.received == []


async def test_secrets_sign_until_they_end_by_the_clock_of_the_sender(office: PostOffice, mailbox: Mailbox) -> None:
    now = timestamps.now()
    expiries = (None, now + 3_600_000_000, now - 1)
    endpoint = await office.endpoint(mailbox.url, NEW, OLD, ENDED, signing_secrets_expire_at=expiries)
    await office.deliver(endpoint)
    await until(lambda: bool(mailbox.received), "received")

    (received,) = mailbox.received
    assert received.headers["webhook-signature"].count("v1,") == 2
    for secret in (NEW, OLD):
        Webhook(secret).verify(received.body, received.headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(ENDED).verify(received.body, received.headers)

    # Nobody acts: the old one ends on its own.
    soon = msgspec.structs.replace(endpoint, signing_secrets_expire_at=(None, timestamps.now() + 2_000_000, now))
    await office.put(soon)
    await until(lambda: timestamps.now() > (soon.signing_secrets_expire_at[1] or 0), "the old secret has ended")
    await office.deliver(endpoint)
    await until(lambda: len(mailbox.received) == 2, "received")
    assert mailbox.received[1].headers["webhook-signature"].count("v1,") == 1
    Webhook(NEW).verify(mailbox.received[1].body, mailbox.received[1].headers)


async def test_method_and_headers_are_the_endpoints_and_what_is_reserved_is_not(
    office: PostOffice, mailbox: Mailbox
) -> None:
    # Of before reserved names were refused.
    headers = {"X-Team": "sales", "Keep-Alive": "5", "Proxy-Authorization": "x", "webhook-id": "forged"}
    endpoint = await office.endpoint(mailbox.url, NEW, method="PUT", headers=headers)
    (delivery,) = await office.deliver(endpoint)
    await until(lambda: bool(mailbox.received), "received")
    (received,) = mailbox.received
    assert (received.method, received.id, received.headers["x-team"]) == ("PUT", delivery.id, "sales")
    assert received.headers.keys().isdisjoint({"keep-alive", "proxy-authorization"})


async def test_a_token_server_is_asked_with_scope_audience_and_parameters(
    office: PostOffice, mailbox: Mailbox, receiver: Receiver
) -> None:
    tokens = receiver.mailbox(uuid.uuid4().hex)

    async def answer(_request: web.Request, _number: int) -> web.Response:
        return web.json_response({"access_token": "T1", "token_type": "bearer"})

    tokens.answering = answer
    stored = Authorization(
        type=AuthorizationType.CLIENT_CREDENTIALS,
        user="me",
        secret=office.sealed("s3cret"),
        token_url=tokens.url,
        scope="a b",
        audience="https://api.example",
        parameters=(NameValue(name="resource", value=office.sealed("urn:x"), sealed=True),),
    )
    await office.deliver(await office.endpoint(mailbox.url, authorization=stored))
    await until(lambda: bool(mailbox.received), "received")

    assert mailbox.received[0].headers["authorization"] == "Bearer T1"
    assert parse_qs(tokens.received[0].body.decode()) == {
        "grant_type": ["client_credentials"],
        "scope": ["a b"],
        "audience": ["https://api.example"],
        "resource": ["urn:x"],
        "client_id": ["me"],
        "client_secret": ["s3cret"],
    }
