"""Dead letters: deliveries that were given up, and records that nobody could handle. Listed, redriven, discarded."""

from __future__ import annotations

import base64
import re
from typing import Annotated, Any

from fastapi import APIRouter, Query
from fastapi.responses import Response
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from backbone.ledger.letters import MOST_LETTERS, LedgerLetter, LetterQueries, LetterQuery, LetterState
from families.headrace.http.replays import DryRun, Rate, identity
from families.headrace.http.runs import RunOutput, answer_of
from ingest_api.management.dependencies import Caller, RepeatKey, Scope, SubscribersScope, TheGateway
from ingest_api.management.models import Input, Instant, Time, example
from ingest_api.management.pages import Cursor, Page, encode_model, items_answer
from schemas.model import timestamps, topics
from schemas.model.access import Client, Role
from schemas.model.errors import InvalidRequest, NotFound, Problem
from schemas.model.run import LetterFilter, OffsetRange, Run, RunKind
from schemas.model.topics import event_topic
from schemas.security.permissions import Operation, check, owner_in
from schemas.security.reading import ReadScope

router = APIRouter(tags=["Sending again"])

MOST_IDS = 1_000
"""Dead letters that one request may name."""

_ID = re.compile(r"(\d{1,4})-(\d{1,18})", re.ASCII)
_RESPONSE = "hr_dead_response"
"""The header with a receiver's response, which may repeat what it was sent."""

_SHOWN = 65_536
"""Bytes of a letter's value that are shown."""


class Settled(BaseModel):
    """The run that redrove or discarded it."""

    run: str | None
    by: str | None
    at: Time


class LetterOutput(BaseModel):
    """A dead letter."""

    model_config = ConfigDict(frozen=True)

    id: str
    state: LetterState
    kind: Annotated[str, Field(description="`delivery`: it was given up. `poison`: a record that cannot be handled.")]
    reason: str
    set_aside_at: Time
    topic: Annotated[str, Field(description="Of the event, or of the record.")]
    topic_offset: Annotated[str | None, Field(description="Where the event, or the record, is.")]
    endpoint: str | None
    delivery: Annotated[str | None, Field(description="Its id, which the receiver got as `webhook-id`.")]
    event_id: str | None
    run: Annotated[str | None, Field(description="Of the delivery: `live`, or the run that gave it up.")]
    status: Annotated[int | None, Field(description="HTTP status of the last response.")]
    settled: Settled | None

    @classmethod
    def members(cls, letter: LedgerLetter) -> dict[str, Any]:
        """What is shown of a letter."""
        settled = None
        if letter.mark is not None and letter.marked_at is not None:
            settled = Settled(run=letter.marked_run, by=letter.marked_by, at=letter.marked_at)
        return {
            "id": letter.id,
            "state": letter.state,
            "kind": letter.kind,
            "reason": letter.reason,
            "set_aside_at": letter.set_aside_at,
            "topic": letter.topic,
            "topic_offset": letter.source_offset,
            "endpoint": letter.endpoint,
            "delivery": letter.delivery,
            "event_id": letter.event,
            "run": letter.run,
            "status": letter.status,
            "settled": settled,
        }


class LetterContent(LetterOutput):
    """A dead letter with the record that was set aside."""

    headers: Annotated[list[tuple[str, str]], Field(description="As they were written, with the reasons behind them.")]
    value: Annotated[
        str | None,
        Field(description=f"In base64, its first {_SHOWN} bytes; null where it had no room, or was redacted."),
    ]
    size: Annotated[int, Field(description="Bytes of the value.")]


class LetterSelection(Input):
    """Which dead letters: `ids`, or all that the other members name. Those that are settled are passed over."""

    model_config = Input.model_config | example(endpoint="0190f0a0-0000-7000-8000-000000000002", dry_run=True)

    ids: Annotated[list[str] | None, Field(min_length=1, max_length=MOST_IDS)] = None
    endpoint: str | None = None
    namespace: str | None = None
    type: str | None = None
    reason: Annotated[str | None, Field(min_length=1, max_length=200, description="A part of the reason.")] = None
    since: Annotated[str | None, Field(max_length=100, description="Set aside then or later (RFC 3339).")] = None
    until: Annotated[str | None, Field(max_length=100, description="Set aside before.")] = None
    rate: Rate = None
    dry_run: DryRun = False

    @field_validator("since", "until")
    @classmethod
    def _is_time(cls, text: str | None) -> str | None:
        if text is not None:
            timestamps.parse(text)
        return text

    @model_validator(mode="after")
    def _has_a_span(self) -> LetterSelection:
        if self.since and self.until and timestamps.parse(self.until) <= timestamps.parse(self.since):
            raise ValueError("until must be later than since")
        return self


@router.get("/dead-letters", summary="List dead letters", response_model=Page[LetterOutput])
async def list_letters(
    gateway: TheGateway,
    caller: Caller,
    scope: SubscribersScope,
    *,
    state: Annotated[LetterState | None, Query(description="What became of them.")] = None,
    kind: Annotated[str | None, Query(pattern="^(delivery|poison)$")] = None,
    endpoint: str | None = None,
    namespace: str | None = None,
    type: Annotated[str | None, Query(description="The event type's code, with its `namespace`.")] = None,  # noqa: A002
    reason: Annotated[str | None, Query(min_length=1, max_length=200, description="A part of the reason.")] = None,
    since: Annotated[Instant | None, Query(description="Set aside then or later.")] = None,
    until: Annotated[Instant | None, Query(description="Set aside before.")] = None,
    limit: Annotated[int, Query(ge=1, le=MOST_LETTERS)] = 50,
    cursor: Cursor = None,
) -> Response:
    """The latest first, as the ledger has them. A client sees those of its own endpoints.

    `viewer`, `operator` and `admin` see the workspace's, poison among them; `admin` also poison of no workspace.
    """
    query = LetterQuery(
        state=state,
        kind=kind,
        endpoint=endpoint,
        topic=_topic(scope, namespace, type),
        reason=reason,
        since=since,
        until=until,
        unowned=_unowned(caller),
    )
    letters = LetterQueries(gateway.clients.ledger)
    page, following = await gateway.ask(lambda: letters.page(scope, query, limit=limit, cursor=cursor))

    def encode(letter: LedgerLetter) -> bytes:
        return encode_model(LetterOutput(**LetterOutput.members(letter)))

    return await items_answer(gateway.slices, encode, page, following)


@router.get("/dead-letters/{letter_id}", summary="Get a dead letter with its content")
async def get_letter(gateway: TheGateway, caller: Caller, scope: SubscribersScope, letter_id: str) -> LetterContent:
    """The record as it was set aside, of any topic, and why. 404 once Kafka's retention has taken it."""
    partition, offset = _place(letter_id)
    letters = LetterQueries(gateway.clients.ledger)
    found = await gateway.ask(lambda: letters.letter(scope, partition, offset, unowned=_unowned(caller)))
    if found is None:
        raise NotFound(f"There is no dead letter {letter_id}.")
    place = OffsetRange(topics.DEAD_LETTERS, partition, offset, offset + 1)
    record = await gateway.runs.record(place, seconds=gateway.settings.request_timeout)
    value, headers = record.value, record.headers
    of_event = [] if found.event is None else [found.event]
    redacted: set[str] = await gateway.ask(lambda: gateway.ledger.redacted(scope, of_event))
    if redacted:
        value = None
        headers = [(name, content) for name, content in headers if name.startswith("hr_") and name != _RESPONSE]
    return LetterContent(
        **LetterOutput.members(found),
        headers=[(name, content.decode(errors="replace")) for name, content in headers],
        value=None if value is None else base64.b64encode(value[:_SHOWN]).decode(),
        size=len(record.value or b""),
    )


@router.post("/dead-letters/redrive", status_code=202, summary="Send dead letters again")
async def redrive(
    gateway: TheGateway, caller: Caller, scope: Scope, body: LetterSelection, key: RepeatKey = None
) -> RunOutput:
    """Each once, also when two ask for the same: a run that can be watched, paused and cancelled.

    The receiver gets the same `webhook-id`, and what the endpoint's projection of now makes of the event. Letters of an
    endpoint that is disabled or deleted are skipped, and stay open.
    """
    return await _settle(gateway, caller, scope, body, key, RunKind.REDRIVE)


@router.post("/dead-letters/discard", status_code=202, summary="Discard dead letters")
async def discard(
    gateway: TheGateway, caller: Caller, scope: Scope, body: LetterSelection, key: RepeatKey = None
) -> RunOutput:
    """They count as settled, and are not sent again. Poison is discarded by `ids`, or by a selection of operators."""
    return await _settle(gateway, caller, scope, body, key, RunKind.DISCARD)


async def _settle(
    gateway: TheGateway, caller: Client, scope: ReadScope, body: LetterSelection, key: str | None, kind: RunKind
) -> RunOutput:
    check(caller, Operation.SEND_AGAIN)
    run_id, digest = identity(caller, scope.workspace, key, kind, body.model_dump_json())
    known = None if key is None else await gateway.in_time(gateway.runs.repeated(run_id, digest))
    if known is not None:
        return RunOutput.of(known)
    wanted = LetterFilter(
        endpoint=body.endpoint,
        topic=_topic(scope, body.namespace, body.type),
        reason=body.reason,
        since=None if body.since is None else timestamps.parse(body.since),
        until=None if body.until is None else timestamps.parse(body.until),
        endpoints=None if scope.client is None else tuple(sorted(scope.endpoints)),
        poison=kind is RunKind.DISCARD and scope.client is None,
        unowned=_unowned(caller),
    )
    seconds = gateway.settings.request_timeout
    if body.ids is None:
        ranges = await gateway.runs.ranges(
            [topics.DEAD_LETTERS], wanted.since, wanted.until, seconds=seconds, is_strict=False
        )
    else:
        ranges = tuple(
            OffsetRange(topics.DEAD_LETTERS, partition, offset, offset + 1)
            for partition, offset in sorted({_place(each) for each in body.ids})
        )
        await gateway.runs.check_there(ranges, seconds=seconds)
    run = Run(
        id=run_id,
        kind=kind,
        workspace=scope.workspace,
        ranges=ranges,
        letters=wanted,
        rate=body.rate,
        dry_run=body.dry_run,
        requested_by=caller.id,
        owner=owner_in(scope.workspace, caller),
        origin=body.since,
        until=body.until,
        digest=digest,
        created_at=timestamps.now(),
    )
    return await answer_of(gateway, run)


def _unowned(caller: Client) -> bool:
    """Whether poison of no workspace is the caller's business."""
    return Role.ADMIN in caller.roles


def _topic(scope: ReadScope, namespace: str | None, code: str | None) -> str | None:
    if namespace is None and code is None:
        return None
    if namespace is None or code is None:
        missing = "namespace" if namespace is None else "type"
        message = "is needed: an event type has a namespace and a code"
        raise InvalidRequest("The request is not valid.", [Problem(path=missing, message=message)])
    return event_topic(scope.workspace, namespace, code.removeprefix(f"{namespace}/"))


def _place(letter_id: str) -> tuple[int, int]:
    found = _ID.fullmatch(letter_id)
    if found is None:
        raise NotFound(f"There is no dead letter {letter_id}.")
    return int(found[1]), int(found[2])
