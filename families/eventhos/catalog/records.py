"""What eventhos keeps of its own: systems, events, actions, contracts, clients and roles, with its integer ids.

Beside each record stands what the rest of the installation goes by: of an event its event type and one filter that
selects it, of an action an endpoint, of a contract the subscription of that endpoint to that filter. The records are
keyed so that either leads to the other without a search: an event's by its identifier (the code of its type), an
action's by the id of its endpoint, a contract's by the id of its subscription, a client's by the client's id.

A record outlives its deletion, because executions that were are still shown by it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, TypeVar

import msgspec

from families.registry import FAMILIES
from schemas.model import timestamps
from schemas.model.access import DEFAULT_WORKSPACE
from schemas.model.endpoint import BodyFormat
from schemas.model.errors import HeadraceError
from schemas.model.family_record import FamilyRecord
from schemas.model.ids import derived
from schemas.model.topics import event_topic

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.view import CatalogView

REALM = FAMILIES["eventhos"]
FAMILY = str(REALM)
BODY = BodyFormat("eventhos")
"""What its actions send: the request that their template makes."""

NAMESPACE = "eventhos"
WORKSPACE = DEFAULT_WORKSPACE
"""eventhos has no tenants."""


EVERYTHING = "OAUTH2_global:*"
"""The permission that stands for all."""

FORBIDDEN = 401002


class Refused(HeadraceError):
    """What the family refuses with a code of its own; the code's first three digits are the HTTP status."""

    def __init__(self, code: int, message: str) -> None:
        super().__init__(message)
        self.code = code


class Kept(msgspec.Struct, frozen=True, kw_only=True):
    """What all of them have: an id, counted in each collection, and times in microseconds since the epoch."""

    collection: ClassVar[str]

    id: int
    deleted: bool = False
    created_at: int
    updated_at: int

    @property
    def record_id(self) -> str:
        """What its record is found by."""
        return str(self.id)


class System(Kept, frozen=True, kw_only=True):
    """An application that produces events, consumes them, or both (``hybrid``); ``client`` is its client's id."""

    collection = "system"

    identifier: str
    name: str
    type: str = ""
    system_class: str
    client: str | None = None
    description: str = ""


class Event(Kept, frozen=True, kw_only=True):
    """A kind of event that a system sends; its identifier is the code of its event type."""

    collection = "event"

    system_id: int
    identifier: str
    name: str
    operation: str = ""
    description: str = ""

    @property
    def record_id(self) -> str:
        """The identifier."""
        return self.identifier

    @property
    def topic(self) -> str:
        """The topic of its event type."""
        return event_topic(WORKSPACE, NAMESPACE, self.identifier)

    @property
    def filter_id(self) -> str:
        """Id of the event filter that its contracts subscribe to."""
        return derived("eventhos", "event", self.identifier)


class Action(Kept, frozen=True, kw_only=True):
    """A request to a system; how it is made says the endpoint. ``reply_to`` is the identifier of an event."""

    collection = "action"

    system_id: int
    identifier: str
    name: str
    operation: str = ""
    description: str = ""
    reply_to: str | None = None

    @property
    def record_id(self) -> str:
        """The id of its endpoint."""
        return action_endpoint(self.id)


class Contract(Kept, frozen=True, kw_only=True):
    """An action that is run for an event; ``event`` is the event's identifier."""

    collection = "contract"

    event_id: int
    event: str
    action_id: int
    identifier: str
    name: str
    order: int
    active: bool = True
    mail_recipients_on_error: str | None = None

    @property
    def record_id(self) -> str:
        """The id of its subscription."""
        return contract_subscription(self.id)


class Account(Kept, frozen=True, kw_only=True):
    """A client of the realm as eventhos shows it; ``client`` is its id. Its permissions are the client's scopes."""

    collection = "client"

    client: str
    identifier: str
    name: str
    description: str = ""
    roles: tuple[int, ...] = ()

    @property
    def record_id(self) -> str:
        """The client's id."""
        return self.client


class Role(Kept, frozen=True, kw_only=True):
    """A name for permissions such as ``event:select``, ``event:*`` or ``OAUTH2_global:*``."""

    collection = "role"

    identifier: str
    permissions: tuple[str, ...] = ()


K = TypeVar("K", bound=Kept)


def action_endpoint(number: int) -> str:
    """Id of the endpoint of an action."""
    return derived("eventhos", "action", str(number))


def contract_subscription(number: int) -> str:
    """Id of the subscription of a contract."""
    return derived("eventhos", "contract", str(number))


def to_record(kept: Kept) -> FamilyRecord:
    """As the catalog keeps it."""
    return FamilyRecord(
        family=FAMILY,
        collection=kept.collection,
        id=kept.record_id,
        workspace=WORKSPACE,
        content=msgspec.to_builtins(kept),
        created_at=kept.created_at,
        updated_at=kept.updated_at,
    )


def find(view: CatalogView, kind: type[K], record_id: str) -> K | None:
    """By what its record is keyed by; deleted ones too."""
    record = view.family_record(FAMILY, kind.collection, record_id)
    return None if record is None else msgspec.convert(record.content, kind)


def ever(view: CatalogView, kind: type[K]) -> list[K]:
    """All there were, the deleted ones too, in the order of their ids."""
    found = (msgspec.convert(each.content, kind) for each in view.family_records(FAMILY, kind.collection, WORKSPACE))
    return sorted(found, key=lambda each: each.id)


def all_of(view: CatalogView, kind: type[K], matches: Callable[[K], bool] = lambda _: True) -> list[K]:
    """Those there are, in the order of their ids."""
    return [each for each in ever(view, kind) if not each.deleted and matches(each)]


def numbered(view: CatalogView, kind: type[K], number: int) -> K | None:
    """The one with an id, unless it is deleted."""
    found: K | None
    if kind in (Event, Account):
        found = next((each for each in ever(view, kind) if each.id == number), None)
    else:
        found = find(view, kind, _KEYS.get(kind, str)(number))
    return None if found is None or found.deleted else found


def next_number(view: CatalogView, kind: type[Kept]) -> int:
    """The id of a new one; only under the writer lock is it sure to be free."""
    return max((each.id for each in ever(view, kind)), default=0) + 1


def has_active_contract(view: CatalogView, event: Event) -> bool:
    """Whether a sent event is run for any contract: cheap, as it is asked with every event."""
    # A link without an order is none of ours: somebody made it through our own API.
    return any(each.enabled and each.order is not None for each in view.subscriptions_of(event.filter_id))


def existing_system(view: CatalogView, number: int) -> System:
    """A system by its id, or 404301."""
    return _existing(view, System, number, 404301, f"The system with id {number} does not exist.")


def existing_event(view: CatalogView, number: int) -> Event:
    """An event by its id, or 400024."""
    return _existing(view, Event, number, 400024, "The event does not exist.")


def existing_action(view: CatalogView, number: int) -> Action:
    """An action by its id, or 400002."""
    return _existing(view, Action, number, 400002, "Action does not exist")


def existing_contract(view: CatalogView, number: int) -> Contract:
    """A contract by its id, or 404101."""
    return _existing(view, Contract, number, 404101, f"The contract with id {number} does not exist.")


def _existing(view: CatalogView, kind: type[K], number: int, code: int, message: str) -> K:
    found = numbered(view, kind, number)
    if found is None:
        raise Refused(code, message)
    return found


def new_numbers(view: CatalogView, kind: type[Kept]) -> dict[str, Any]:
    """Id and times of a new one."""
    now = timestamps.now()
    return {"id": next_number(view, kind), "created_at": now, "updated_at": now}


def revised(found: K, properties: dict[str, Any]) -> K:
    """With other properties, and the time of the change."""
    return msgspec.structs.replace(found, **{**properties, "updated_at": timestamps.now()})


_KEYS: dict[type[Kept], Callable[[int], str]] = {Action: action_endpoint, Contract: contract_subscription}
"""Those whose record is found by something that follows from the id."""
