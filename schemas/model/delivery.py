"""Deliveries and what becomes of them: the headers of ``deliveries.*``, attempts, endpoint state, routing receipts."""

from __future__ import annotations

from enum import StrEnum
from itertools import groupby
from typing import Annotated, NamedTuple

import msgspec

from schemas.model import topics
from schemas.model.endpoint_health import EndpointHealth
from schemas.model.errors import CorruptRecord
from schemas.model.ids import LIVE, contract_delivery_id
from schemas.model.kept_request import KeptRequest
from schemas.model.operational_event import OperationalEvent
from schemas.model.timestamps import EARLIEST, LATEST, Micros, Millis

Headers = list[tuple[str, bytes]]

_PREFIX = "hr_"
_GROUPS = "hr_groups"

WORKSPACE_HEADER = "hr_workspace"
"""Names the workspace of a delivery, or of a grouped one."""


class SourceOffset(msgspec.Struct, frozen=True):
    """Where in the event topics a delivery came from."""

    topic: str
    partition: int
    offset: int

    def __str__(self) -> str:
        return f"{self.topic}/{self.partition}/{self.offset}"

    @classmethod
    def parse(cls, text: str) -> SourceOffset:
        """Read what ``str()`` printed.

        Raises:
            ValueError: it is something else.
        """
        topic, partition, offset = text.rsplit("/", 2)
        return cls(topic, int(partition), int(offset))


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for one endpoint, as the headers of a ``deliveries.*`` record; the value is the event's own bytes.

    Attributes:
        id: uuid5(event, endpoint).
        event, endpoint, workspace: ids, and the workspace's name.
        source: where the event is.
        subscriptions: ids of those that matched.
        run: ``live``, or the nonce of a replay or resend.
        attempts: tries already made in this run.
        routed_at: when the router matched it, microseconds since the epoch.
        due: on a retry tier, when the next try is due, milliseconds since the epoch.
        projection: version of the endpoint's projection that makes the body; None: the event goes out whole.
        returned: whether it was on a retry tier, or was handed on by a worker. The router's own record was not.
    """

    id: str
    event: str
    endpoint: str
    workspace: str
    source: SourceOffset
    subscriptions: tuple[str, ...]
    run: str = LIVE
    attempts: int = 0
    routed_at: int
    due: int | None = None
    projection: int | None = None
    returned: bool = False

    @property
    def record_key(self) -> bytes:
        """Of its record on ``deliveries.webhook`` or ``deliveries.file``, and on the retry tiers."""
        return self.endpoint.encode()

    @property
    def webhook_topic(self) -> str:
        """Where a webhook's delivery waits to be sent: those of a run wait apart from live ones."""
        return topics.WEBHOOK_DELIVERIES if self.run == LIVE else topics.WEBHOOK_REPLAYS

    def handed_on(self) -> Delivery:
        """The delivery as it comes back from a retry tier, or goes to the next worker."""
        return msgspec.structs.replace(self, due=None, returned=True)

    def to_headers(self) -> Headers:
        """The record headers that carry it (the event's own ``ce_*`` headers go beside them)."""
        headers: Headers = [
            ("hr_delivery", self.id.encode()),
            ("hr_event", self.event.encode()),
            ("hr_endpoint", self.endpoint.encode()),
            (WORKSPACE_HEADER, self.workspace.encode()),
            ("hr_source", str(self.source).encode()),
            ("hr_subscriptions", ",".join(self.subscriptions).encode()),
            ("hr_run", self.run.encode()),
            ("hr_attempts", str(self.attempts).encode()),
            ("hr_routed_at", str(self.routed_at).encode()),
        ]
        if self.due is not None:
            headers.append(("due", str(self.due).encode()))
        if self.projection is not None:
            headers.append(("hr_projection", str(self.projection).encode()))
        if self.returned:
            headers.append(("hr_returned", b"1"))
        return headers

    @classmethod
    def from_headers(cls, headers: Headers | None) -> Delivery:
        """Read a delivery back.

        Raises:
            CorruptRecord: a header is missing or cannot be read.
        """
        try:
            found = dict(headers or ())
            return cls(
                id=found["hr_delivery"].decode(),
                event=found["hr_event"].decode(),
                endpoint=found["hr_endpoint"].decode(),
                workspace=found[WORKSPACE_HEADER].decode(),
                source=SourceOffset.parse(found["hr_source"].decode()),
                subscriptions=tuple(part for part in found["hr_subscriptions"].decode().split(",") if part),
                run=found["hr_run"].decode(),
                attempts=int(found["hr_attempts"]),
                routed_at=_instant(found["hr_routed_at"], 1),
                due=_instant(found["due"], 1_000) if "due" in found else None,
                projection=int(found["hr_projection"]) if "hr_projection" in found else None,
                returned="hr_returned" in found,
            )
        except (KeyError, ValueError, AttributeError, TypeError) as error:
            raise CorruptRecord(f"not a delivery: {error!r}") from error


def _instant(text: str | bytes, unit: int) -> int:
    """An instant in units of so many microseconds."""
    instant = int(text)
    if not EARLIEST <= instant * unit <= LATEST:
        raise ValueError("a time outside the years 1 to 9999")
    return instant


class Contract(msgspec.Struct, frozen=True, array_like=True):
    """One ordered subscription that matched: its order, its id and its endpoint's."""

    order: int
    subscription: str
    endpoint: str


class GroupedDelivery(msgspec.Struct, frozen=True, kw_only=True):
    """One event for all its ordered subscriptions (eventhos contracts): one record, and a ``Delivery`` for each.

    Attributes:
        event, workspace: the event's id, and the workspace's name.
        source: where the event is.
        contracts: those still to be run, by ascending order.
        run, routed_at, due: as in ``Delivery``.
    """

    event: str
    workspace: str
    source: SourceOffset
    contracts: tuple[Contract, ...]
    run: str = LIVE
    routed_at: int
    due: int | None = None

    @property
    def record_key(self) -> bytes:
        """The event's id: no endpoint is its only one."""
        return self.event.encode()

    @property
    def webhook_topic(self) -> str:
        """Where it waits to be run: runs take no part in ordered deliveries."""
        return topics.WEBHOOK_DELIVERIES

    def handed_on(self) -> GroupedDelivery:
        """The delivery as it comes back from a retry tier, or goes to the next worker."""
        return msgspec.structs.replace(self, due=None)

    def groups(self) -> list[tuple[Contract, ...]]:
        """Contracts of one order together, the lowest first."""
        return [tuple(members) for _, members in groupby(self.contracts, key=lambda contract: contract.order)]

    def delivery(self, contract: Contract) -> Delivery:
        """What one contract is: a delivery of its own."""
        return Delivery(
            id=contract_delivery_id(self.event, contract.subscription),
            event=self.event,
            endpoint=contract.endpoint,
            workspace=self.workspace,
            source=self.source,
            subscriptions=(contract.subscription,),
            run=self.run,
            routed_at=self.routed_at,
        )

    def deliveries(self) -> list[Delivery]:
        """One for each contract."""
        return [self.delivery(contract) for contract in self.contracts]

    def to_headers(self) -> Headers:
        """The record headers that carry it."""
        headers: Headers = [
            (_GROUPS, _ENCODER.encode(self.contracts)),
            ("hr_event", self.event.encode()),
            (WORKSPACE_HEADER, self.workspace.encode()),
            ("hr_source", str(self.source).encode()),
            ("hr_run", self.run.encode()),
            ("hr_routed_at", str(self.routed_at).encode()),
        ]
        if self.due is not None:
            headers.append(("due", str(self.due).encode()))
        return headers

    @classmethod
    def from_headers(cls, headers: Headers) -> GroupedDelivery:
        """Read it back.

        Raises:
            CorruptRecord: a header is missing or cannot be read.
        """
        found = dict(headers)
        try:
            contracts = _CONTRACTS.decode(found[_GROUPS])
            if not contracts:
                raise CorruptRecord("a grouped delivery without a contract")
            return cls(
                event=found["hr_event"].decode(),
                workspace=found[WORKSPACE_HEADER].decode(),
                source=SourceOffset.parse(found["hr_source"].decode()),
                contracts=contracts,
                run=found["hr_run"].decode(),
                routed_at=_instant(found["hr_routed_at"], 1),
                due=_instant(found["due"], 1_000) if "due" in found else None,
            )
        except (KeyError, ValueError, AttributeError, TypeError, RecursionError) as error:
            # A header of another producer may have no value.
            raise CorruptRecord(f"not a grouped delivery: {error!r}") from error


_ENCODER = msgspec.json.Encoder()
_CONTRACTS = msgspec.json.Decoder(tuple[Contract, ...])


def read_delivery(headers: Headers) -> Delivery | GroupedDelivery:
    """What a record of ``deliveries.webhook`` or of a retry tier carries.

    Raises:
        CorruptRecord: a header is missing or cannot be read.
    """
    if _GROUPS in dict(headers):
        return GroupedDelivery.from_headers(headers)
    return Delivery.from_headers(headers)


def event_headers(headers: Headers | None) -> Headers:
    """The event's own headers of a delivery record: all but those that ``Delivery`` writes.

    ``hr_request`` belongs to the event.
    """
    return [
        header
        for header in headers or ()
        if not (header[0].startswith(_PREFIX) or header[0] == "due") or header[0] == "hr_request"
    ]


class Outcome(StrEnum):
    """What an attempt came to, and so where its delivery stands."""

    DELIVERED = "delivered"
    RETRYING = "retrying"
    DEAD = "dead"
    CANCELLED = "cancelled"
    ABORTED = "aborted"
    """Given up by a person after it had failed (eventhos)."""


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """One try, as JSON on ``attempts`` (key: event id).

    ``started_at`` and ``next_at`` are microseconds since the epoch, ``duration`` seconds; ``status`` the HTTP status or
    None when there was no response; ``response`` at most the first kilobytes of its body as text. ``reason`` is a
    ``schemas.model.standing.Reason``, None of a success and in records of earlier releases; ``routed_at`` is the
    delivery's; ``request`` and ``response_head`` are what was sent and the headers of the answer, without
    credentials. ``execution`` is an
    ``schemas.model.contract_call.Execution`` as sealed JSON, for the families that show what was sent and answered
    (eventhos).
    """

    id: str
    delivery: str
    event: str
    endpoint: str
    workspace: str
    source: SourceOffset
    run: str
    number: int
    outcome: Outcome
    started_at: Micros
    duration: Annotated[float, msgspec.Meta(ge=0, le=1e9)]
    status: int | None = None
    error: str | None = None
    response: str | None = None
    next_at: Micros | None = None
    execution: str | None = None
    reason: str | None = None
    routed_at: Micros | None = None
    request: KeptRequest | None = None
    response_head: dict[str, str] | None = None


class EndpointState(msgspec.Struct, frozen=True, kw_only=True):
    """What the connectors learned of an endpoint, as JSON on ``endpoint-state``, a compacted topic.

    A disabling has the endpoint's id as key, a pause the id and ``/pause``, a refresh token the id and ``/refresh``,
    its health the id and ``/health``, a socket a ``SocketKey``.
    ``paused_until`` is in milliseconds since the epoch; pause and health are of the endpoint as it was last edited at
    ``edited_at``. ``refresh_token``, encrypted, is what an OAuth server gave in
    place of the registered one with the keyed hash ``succeeds``. ``socket_window``: see ``SocketKey``.
    ``raised`` are operational events that came with the change and are to be published; the record is written again
    without them afterwards.
    """

    endpoint: str
    paused_until: Millis | None = None
    edited_at: Micros = 0
    disabled_reason: str | None = None
    refresh_token: str | None = None
    succeeds: str | None = None
    socket_window: Millis | None = None
    health: EndpointHealth | None = None
    raised: tuple[OperationalEvent, ...] = ()
    changed_at: Micros


class SocketKey(NamedTuple):
    """The key of what a realtime node writes of an endpoint's sockets.

    ``<endpoint>/socket/<node>`` is written when the node has none open and opens one. ``<endpoint>/lease/<node>``, with
    ``socket_window`` in milliseconds, says that one is open, or was until just now: events that are appended until so
    much later than this record are still for the endpoint. Two keys, so that refreshing one keeps the other's time.
    """

    endpoint: str
    kind: str
    node: str

    def __str__(self) -> str:
        return "/".join(self)

    @classmethod
    def parse(cls, key: str) -> SocketKey | None:
        """Read one back; None for other keys."""
        parts = key.split("/")
        return cls(*parts) if len(parts) == len(cls._fields) and parts[1] in (SOCKET, LEASE) else None


SOCKET, LEASE = "socket", "lease"
"""The kinds of ``SocketKey``."""


class ReceiptKind(StrEnum):
    """Whether an offset range was routed or passed over (records that compaction or retention removed)."""

    ROUTED = "routed"
    SKIPPED = "skipped"


class RoutingReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What the router did with offsets ``first_offset`` ≤ o < ``next_offset``, as JSON on ``routing-receipts``.

    ``matched`` maps endpoint id to hour (``2026-11-21T03``, UTC, of routing) to deliveries. Where it has too many
    endpoints for one record, receipts of no offsets (``first_offset`` = ``next_offset``) follow with the others. A part
    of an event's deliveries, written before the rest of them, has one of no offsets too. ``held``
    maps endpoint id to its pause (``Endpoint.held_since``) and the number of the matches that were kept for it: they
    have no deliveries. A ``run`` other than ``live``
    looked at offsets that the router has accounted for, and is counted apart.
    """

    kind: ReceiptKind
    topic: str
    partition: int
    first_offset: int
    next_offset: int
    events: int
    matched: dict[str, dict[str, int]] = {}
    held: dict[str, tuple[int, int]] = {}
    routed_at: int
    run: str = LIVE
