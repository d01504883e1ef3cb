"""Our own API's publishing route: CloudEvents in structured, binary or batched mode at ``POST /headrace/v1/events``."""

from __future__ import annotations

import contextlib
import hashlib
import re
from operator import itemgetter
from typing import TYPE_CHECKING

import msgspec

from backbone.publishing.publisher import IdempotencyKey
from families.headrace.http import cloudevents, own_api
from ingest_api.family import DirectRoute
from ingest_api.http import JSON, Request, Response
from ingest_api.management.parameters import check_parameters
from ingest_api.text import check_body
from schemas.model import timestamps
from schemas.model.errors import (
    MOST_PROBLEMS,
    IdempotencyMismatch,
    InvalidEvent,
    InvalidRequest,
    PayloadTooLarge,
    PermissionDenied,
    Problem,
    Unavailable,
    UnsupportedMediaType,
)
from schemas.model.topics import event_topic
from schemas.security.permissions import Operation, check

if TYPE_CHECKING:
    from backbone.slices import Slices
    from ingest_api.gateway import Gateway
    from schemas.model.access import Client
    from schemas.model.event import EventDraft, Receipt

NAMESPACE = "events"
"""Where a CloudEvents ``type`` is looked up first."""

EVENTS = f"{own_api.PREFIX}/events"
BATCH = f"{EVENTS}/batch"


class Published(msgspec.Struct, frozen=True, gc=False):
    """Where an acknowledged event is, as answered."""

    id: str
    event_id: str
    topic: str
    partition: int
    offset: int
    received_at: str


_INDEX = re.compile(r"\$\[(\d+)\]")
_ENCODER = msgspec.json.Encoder()


async def post_events(request: Request, gateway: Gateway) -> Response:
    """Publish one event or a batch; 201 once Kafka has acknowledged all of them, 200 for a repeat."""
    return await _post(request, gateway, is_batch=False)


async def post_batch(request: Request, gateway: Gateway) -> Response:
    """Publish a batch: JSON of any media type but that of a single event."""
    return await _post(request, gateway, is_batch=True)


async def _post(request: Request, gateway: Gateway, *, is_batch: bool) -> Response:
    client = await gateway.authenticator.by_bearer_key(request.headers.get(b"authorization"))
    check(client, Operation.PUBLISH)
    query = request.query()
    check_parameters(query, ("workspace",))
    workspace = await gateway.workspace(client, query.get("workspace"))
    media_type = _of_batch(request.media_type()) if is_batch else request.media_type()
    key = request.idempotency_key()
    body = await (request.body() if media_type == cloudevents.BATCH else request.event())
    translator = _translator(request, gateway, client, workspace)
    if media_type == cloudevents.BATCH:
        drafts = await _batch(translator, body, gateway)
    else:
        drafts = [_single(translator, media_type, request, body)]
    idempotency = None
    if key is not None:
        elsewhere = None if workspace == client.workspace else workspace
        body_hash = _fingerprint(request, media_type, body, elsewhere)
        idempotency = IdempotencyKey(client=client.unique_id, key=key, body_hash=body_hash)
    try:
        receipts = await gateway.publish(NAMESPACE, drafts, idempotency, size=len(body))
    except (InvalidRequest, IdempotencyMismatch) as error:
        if media_type != cloudevents.BATCH:
            raise
        places = list(error.problems)
        if len(drafts) == 1:
            # The publisher takes a lone draft for the whole request.
            places = [msgspec.structs.replace(found, path=f"$[0]{found.path[1:]}") for found in places]
        raise _refused_batch(places) if type(error) is InvalidEvent else type(error)(str(error), places) from error
    repeated = bool(receipts) and all(receipt.repeated for receipt in receipts)
    published = await _answers(receipts, gateway.slices)
    content = {"events": published} if media_type == cloudevents.BATCH else published[0]
    return Response(200 if repeated else 201, _ENCODER.encode(content))


def _translator(request: Request, gateway: Gateway, client: Client, workspace: str) -> cloudevents.Translator:
    return cloudevents.Translator(
        workspace,
        client,
        lambda name: _resolve(gateway, workspace, name),
        gateway.slices,
        traceparent=request.text(b"traceparent"),
    )


def _usual_draft(request: Request, body: bytes, gateway: Gateway) -> EventDraft | None:
    """The draft of one event in structured mode of a client that is known, which ``post_events`` would publish."""
    client = gateway.authenticator.known_by_bearer_key(request.headers.get(b"authorization"))
    if client is None or request.media_type() != cloudevents.STRUCTURED or len(body) > request.max_body:
        return None
    check(client, Operation.PUBLISH)
    check_body(body)
    return _translator(request, gateway, client, client.workspace).structured(body)


def _usual_answer(receipt: Receipt) -> Response:
    return Response(201, _ENCODER.encode(_published(receipt, timestamps.to_text(receipt.received_at))))


DIRECT = DirectRoute(_usual_draft, _usual_answer)


async def _batch(translator: cloudevents.Translator, body: bytes, gateway: Gateway) -> list[EventDraft]:
    """The drafts of a batch; every event that is not valid is named, also one that only its event type refuses."""
    try:
        return await translator.batch(body, gateway.settings.max_batch_events)
    except InvalidEvent as error:
        problems = list(error.problems)
        indices = list(translator.passed)
        # Another reason is told when these events are valid.
        with contextlib.suppress(PermissionDenied, PayloadTooLarge, Unavailable):
            try:
                drafts = list(translator.passed.values())
                await gateway.in_time(gateway.publisher.check(drafts, lambda at: f"$[{indices[at]}]"))
            except InvalidEvent as found:
                problems += found.problems
        raise _refused_batch(problems) from error


def _refused_batch(problems: list[Problem]) -> InvalidEvent:
    """The refusal of a batch, with its problems in the order of its events."""
    numbers = [int(found[1]) for each in problems if (found := _INDEX.match(each.path))]
    if len(numbers) < len(problems):
        return InvalidEvent("The batch is not valid: nothing was published.", problems)
    ordered = [each for _, each in sorted(zip(numbers, problems, strict=True), key=itemgetter(0))]
    count = len(set(numbers))
    which = "1 event is" if count == 1 else f"{count} events are"
    if len(problems) >= MOST_PROBLEMS:
        which = f"at least {which}"
    return InvalidEvent(f"Nothing was published: a batch is all or nothing, and {which} not valid.", ordered)


def _of_batch(media_type: bytes) -> bytes:
    if media_type in (cloudevents.BATCH, JSON, b""):
        return cloudevents.BATCH
    raise UnsupportedMediaType("The body must be application/cloudevents-batch+json.")


def _single(translator: cloudevents.Translator, media_type: bytes, request: Request, body: bytes) -> EventDraft:
    if media_type == cloudevents.STRUCTURED:
        return translator.structured(body)
    # Without a media type data is JSON (CloudEvents, 3.1.1 of the HTTP binding and 3.1 of the JSON format).
    if media_type == JSON or media_type.endswith(b"+json") or not media_type:
        return translator.binary(request.headers, body)
    raise UnsupportedMediaType(
        "The body must be application/cloudevents+json, application/cloudevents-batch+json, or JSON with ce-* headers."
    )


def _resolve(gateway: Gateway, workspace: str, name: str) -> tuple[str, str]:
    """``<code>`` in namespace ``events``, else ``<namespace>/<code>``."""
    namespace, slash, code = name.partition("/")
    if not slash or gateway.catalog.view.event_type(event_topic(workspace, NAMESPACE, name)) is not None:
        return NAMESPACE, name
    return namespace, code


def _fingerprint(request: Request, media_type: bytes, body: bytes, elsewhere: str | None) -> bytes:
    """What a repeat with the same idempotency key must equal: the body, and in binary mode the attributes.

    And where it goes, if that is another workspace than the client's own.
    """
    digest = hashlib.sha256(media_type)
    if elsewhere is not None:
        digest.update(b"\0\0\0%b" % elsewhere.encode())
    for name, value in sorted(request.headers.items()):
        if name.startswith(b"ce-"):
            digest.update(b"\0%b\0%b" % (name, value))
    digest.update(b"\0\0%b" % body)
    return digest.digest()


async def _answers(receipts: list[Receipt], slices: Slices) -> list[Published]:
    # The events of one request are received at one moment: its text is made once.
    received_at, text = -1, ""

    def answer(receipt: Receipt) -> Published:
        nonlocal received_at, text
        if receipt.received_at != received_at:
            received_at, text = receipt.received_at, timestamps.to_text(receipt.received_at)
        return _published(receipt, text)

    return await slices.begin().each(receipts, answer)


def _published(receipt: Receipt, received_at: str) -> Published:
    return Published(receipt.id, receipt.id, receipt.topic, receipt.partition, receipt.offset, received_at)
