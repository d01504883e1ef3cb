"""Endpoints: where events go, and the secrets that sign what is sent there."""

from __future__ import annotations

import base64
import binascii
import secrets as random
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backbone.catalog import authorizations
from backbone.catalog.accounts import existing_workspace
from backbone.catalog.eventhos import check_not_kept
from backbone.catalog.writer import Changes
from schemas import timestamps
from schemas.access import ApiKey
from schemas.channels import TEMPLATE, ChannelTemplate
from schemas.errors import IdempotencyMismatch, InvalidRequest, Misconfigured, NotFound, Problem
from schemas.event_service import UNLINKED, is_socket, is_unlinked_at
from schemas.ids import derived, new_id
from schemas.subscription import Endpoint, EndpointType
from schemas.topics import SHORTEST_DELAY
from schemas.urls import is_absolute

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.destinations import Destinations
    from schemas.resources import Resource
    from schemas.subscription import Authorization, EventFilter, Subscription

SIGNING_SECRET_PREFIX = "whsec_"  # noqa: S105  # what Standard Webhooks puts in front of every secret
_SIGNING_SECRET_BYTES = 24
_SHORTEST_SIGNING_SECRET, _LONGEST_SIGNING_SECRET = 24, 64
"""Bytes that Standard Webhooks allows."""
_SIGNING_SECRETS_KEPT = 2
"""A rotation signs with the new secret and the one before, so that receivers can change over in between."""


class Resealed(NamedTuple):
    """How many endpoints and API keys were changed, and the catalog keys of those that no secret key opens."""

    changed: int
    lost: tuple[str, ...]


def check_repeat(found: Endpoint | EventFilter, wanted: Endpoint | EventFilter) -> None:
    """Refuse a repeated key that made something else; what was changed since then may differ.

    Raises:
        IdempotencyMismatch: ``found`` was never changed, and is not what is ``wanted``, their times aside.
    """
    at = found.created_at
    if found.updated_at == at and found != msgspec.structs.replace(wanted, created_at=at, updated_at=at):
        raise IdempotencyMismatch("This idempotency key was used with another body.")


class Endpoints:
    """Creates, changes and deletes endpoints; all methods raise ``Unavailable`` when Kafka cannot answer.

    A new endpoint is handed over whole, with any id and times (both are set here). Names need not be unique.

    Args:
        writer: this process's writer.
        secrets: seals the signing secrets.
    """

    def __init__(self, writer: CatalogWriter, secrets: SecretBox) -> None:
        self._writer = writer
        self._secrets = secrets

    async def create_endpoint(
        self, endpoint: Endpoint, *, signing_secret: str | None = None, key: str | None = None
    ) -> tuple[Endpoint, str | None]:
        """A new endpoint, and its signing secret in plaintext: shown now and never again.

        Args:
            endpoint: as it shall be, with plain headers, and plain secrets in its authorization; id, times and signing
                secrets are set here.
            signing_secret: one that the receiver has already (``whsec_`` and base64); otherwise it is generated.
            key: idempotency key of the client; a repeat gives the endpoint that the first call made, and no secret.

        Raises:
            IdempotencyMismatch: the key made another endpoint.
            InvalidRequest: no name, a webhook without an absolute http(s) URL, or a secret that is not one.
            NotFound: there is no such workspace.
        """
        plaintext = new_signing_secret() if signing_secret is None else signing_secret
        destinations, authorization = self._writer.destinations, []
        if endpoint.authorization is not None:
            authorization = authorizations.problems(endpoint.authorization, destinations)
        hidden = authorizations.unknown_headers(endpoint.headers, None)
        wrong = [*_problems(endpoint), *_url_problems(endpoint, destinations), *_schedule_problems(endpoint)]
        _check([*wrong, *authorization, *hidden, *_secret_problems(plaintext)])
        now = timestamps.now()
        new = msgspec.structs.replace(
            authorizations.sealed_headers(endpoint, self._secrets),
            id=new_id() if key is None else derived("endpoint", endpoint.workspace, endpoint.client or "", key),
            signing_secrets=(self._secrets.seal(plaintext),),
            authorization=self._sealed(endpoint.authorization),
            created_at=now,
            updated_at=now,
        )

        def decide(view: CatalogView) -> Changes[tuple[Endpoint, str | None]]:
            existing_workspace(view, new.workspace)
            found = view.endpoint(new.id)
            if found is None:
                return Changes(put=[new], result=(new, plaintext))
            # Sealing gives another text each time: credentials are compared as they were given.
            check_repeat(
                msgspec.structs.replace(
                    authorizations.with_plain_headers(found, self._secrets),
                    authorization=self._opened(found.authorization),
                ),
                msgspec.structs.replace(
                    new,
                    headers=endpoint.headers,
                    sealed_headers={},
                    signing_secrets=found.signing_secrets,
                    authorization=endpoint.authorization,
                ),
            )
            return Changes(result=(found, None))

        return await self._writer.write(decide)

    async def update_endpoint(self, workspace: str, endpoint_id: str, **changed: Any) -> Endpoint:
        """Give some of an endpoint's properties other values; what is not named stays as it is at that moment.

        One that is said to be enabled counts as edited even if it was: its connector may have found it gone.

        Args:
            workspace: that it belongs to.
            endpoint_id: its id.
            changed: the new values by property, an authorization with plain secrets, headers plain (``HIDDEN`` for one
                that stays as it is); not the id, the signing secrets or the times.

        Raises:
            Conflict: it is an action of eventhos.
            InvalidRequest: as for a new one; or credentials would go to another server than they were given for.
            NotFound: there is no such endpoint in the workspace.
        """
        plain: Authorization | None = changed.get("authorization")
        if plain is not None:
            _check(authorizations.problems(plain, self._writer.destinations))
            changed["authorization"] = self._sealed(plain)
        headers: dict[str, str] | None = changed.pop("headers", None)

        def change(found: Endpoint) -> Endpoint:
            wanted = msgspec.structs.replace(found, **changed)
            if headers is not None:
                _check(authorizations.unknown_headers(headers, found))
                wanted = authorizations.with_headers(wanted, headers, self._secrets)
            _check(_problems(wanted))
            # One of before this was forbidden can still be changed, disabled above all.
            if (wanted.type, wanted.url) != (found.type, found.url):
                _check(_url_problems(wanted, self._writer.destinations))
            if wanted.retry_schedule != found.retry_schedule:
                _check(_schedule_problems(wanted))
            _check(authorizations.sent_elsewhere(found, wanted))
            return wanted

        return await self._change(workspace, endpoint_id, change, enabling=changed.get("enabled") is True)

    async def enable_endpoint(self, workspace: str, endpoint_id: str, *, enabled: bool = True) -> Endpoint:
        """Enable or disable an endpoint; an enabled one gets events from now on, not those it missed.

        Raises:
            Conflict: it is an action of eventhos.
            NotFound: there is no such endpoint in the workspace.
        """
        return await self._change(
            workspace,
            endpoint_id,
            lambda found: msgspec.structs.replace(found, enabled=enabled),
            enabling=enabled,
        )

    async def rotate_secret(self, workspace: str, endpoint_id: str) -> tuple[Endpoint, str]:
        """A new signing secret in plaintext; the one before signs along until the next rotation.

        Raises:
            Conflict: it is an action of eventhos.
            NotFound: there is no such endpoint in the workspace.
        """
        plaintext = new_signing_secret()
        sealed = self._secrets.seal(plaintext)

        def rotated(found: Endpoint) -> Endpoint:
            return msgspec.structs.replace(
                found, signing_secrets=(sealed, *found.signing_secrets)[:_SIGNING_SECRETS_KEPT]
            )

        return await self._change(workspace, endpoint_id, rotated), plaintext

    async def reseal(self) -> Resealed:
        """Seal every secret of the catalog with the first secret key.

        Afterwards the catalog needs the other secret keys only for API key hashes that were made with them.
        """

        def decide(view: CatalogView) -> Changes[Resealed]:
            changed: list[Resource] = []
            lost: list[str] = []
            for workspace in view.workspaces():
                found: list[Endpoint | ApiKey] = [*view.endpoints(workspace.name)]
                found += [key for client in view.clients(workspace.name) for key in view.api_keys(client.id)]
                for each in found:
                    try:
                        fresh = self._resealed(each)
                    except Misconfigured:
                        lost.append(each.key)
                    else:
                        changed += [fresh] if fresh != each else []
            return Changes(put=changed, result=Resealed(len(changed), tuple(lost)))

        return await self._writer.write(decide)

    async def delete_endpoint(self, workspace: str, endpoint_id: str) -> None:
        """Delete an endpoint and its subscriptions.

        Raises:
            Conflict: it is an action of eventhos.
            NotFound: there is no such endpoint in the workspace.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_endpoint(view, workspace, endpoint_id)
            check_not_kept(view, found)
            links = view.subscriptions_of(endpoint_id)
            return Changes(delete=[found.key, *(each.key for each in links)], result=None)

        await self._writer.write(decide)

    async def _change(
        self,
        workspace: str,
        endpoint_id: str,
        change: Callable[[Endpoint], Endpoint],
        *,
        enabling: bool = False,
    ) -> Endpoint:
        def decide(view: CatalogView) -> Changes[Endpoint]:
            found = existing_endpoint(view, workspace, endpoint_id)
            check_not_kept(view, found)
            changed = change(found)
            if changed == found and not enabling:
                return Changes(result=found)
            # What a connector has disabled since the last edit is enabled by a later one.
            changed = msgspec.structs.replace(changed, updated_at=timestamps.now())
            put: list[Resource] = [changed]
            if changed.enabled and not found.enabled:
                # Its topics may not have been read meanwhile: what was posted then must not turn up now.
                put += [linked_anew(each) for each in view.subscriptions_of(endpoint_id)]
            return Changes(put=put, result=changed)

        return await self._writer.write(decide)

    def _resealed(self, each: Endpoint | ApiKey) -> Endpoint | ApiKey:
        if isinstance(each, ApiKey):
            return (
                each
                if each.sealed is None
                else msgspec.structs.replace(each, sealed=self._secrets.resealed(each.sealed))
            )
        found = each.authorization
        return msgspec.structs.replace(
            authorizations.resealed_headers(each, self._secrets),
            signing_secrets=tuple(self._secrets.resealed(token) for token in each.signing_secrets),
            authorization=found and authorizations.resealed(found, self._secrets),
            request=each.request and authorizations.resealed_template(each.request, self._secrets),
        )

    def _sealed(self, plain: Authorization | None) -> Authorization | None:
        return plain and authorizations.sealed(plain, self._secrets)

    def _opened(self, stored: Authorization | None) -> Authorization | None:
        return stored and authorizations.opened(stored, self._secrets)


def existing_endpoint(view: CatalogView, workspace: str, endpoint_id: str) -> Endpoint:
    """An endpoint of a workspace by its id, or ``NotFound``."""
    found = view.endpoint(endpoint_id)
    if found is None or found.workspace != workspace:
        raise NotFound(f"there is no endpoint {endpoint_id}")
    return found


def linked_anew(subscription: Subscription) -> Subscription:
    """The subscription with its link counted from the append time of the record that is about to be written."""
    return msgspec.structs.replace(subscription, linked_at=None, updated_at=timestamps.now())


def left_alone(view: CatalogView, links: Sequence[Subscription]) -> list[Resource]:
    """The event service's socket endpoints that have no event filter once these links are gone, from when on it is so.

    From then on they get all events, but none of before that the filter kept from them.
    """
    gone = {each.id for each in links}
    alone: list[Resource] = []
    for endpoint_id in dict.fromkeys(each.endpoint for each in links):
        endpoint = view.endpoint(endpoint_id)
        if endpoint is None or not is_socket(endpoint):
            continue
        if all(each.id in gone for each in view.subscriptions_of(endpoint_id)):
            alone.append(msgspec.structs.replace(endpoint, options=endpoint.options | {UNLINKED: ""}))
    return alone


def new_signing_secret() -> str:
    """A signing secret as Standard Webhooks spells it: ``whsec_`` and base64."""
    return SIGNING_SECRET_PREFIX + base64.b64encode(random.token_bytes(_SIGNING_SECRET_BYTES)).decode()


def _check(problems: list[Problem]) -> None:
    if problems:
        raise InvalidRequest("The endpoint cannot be used.", problems)


def _problems(endpoint: Endpoint) -> list[Problem]:
    problems = []
    if not endpoint.name.strip():
        problems.append(Problem(path="$.name", message="must not be empty"))
    if endpoint.timeout is not None and endpoint.timeout <= 0:
        problems.append(Problem(path="$.timeout", message="must be more than 0 seconds"))
    if endpoint.max_in_flight < 1:
        problems.append(Problem(path="$.max_in_flight", message="must be at least 1"))
    if not is_unlinked_at(endpoint.options.get(UNLINKED, "")):
        problems.append(Problem(path=f"$.options.{UNLINKED}", message="must be microseconds since 1970"))
    if endpoint.type is EndpointType.WEB_SOCKET and TEMPLATE in endpoint.options:
        try:
            ChannelTemplate(endpoint.options[TEMPLATE])
        except InvalidRequest as error:
            problems += error.problems
    return problems


def _schedule_problems(endpoint: Endpoint) -> list[Problem]:
    message = f"must be at least {SHORTEST_DELAY} seconds, the shortest delay that there is"
    return [
        Problem(path=f"$.retry_schedule[{at}]", message=message)
        for at, wait in enumerate(endpoint.retry_schedule or ())
        if not wait >= SHORTEST_DELAY
    ]


def _url_problems(endpoint: Endpoint, destinations: Destinations) -> list[Problem]:
    if endpoint.type is not EndpointType.WEB_HOOK:
        return []
    if not is_absolute(endpoint.url):
        return [Problem(path="$.url", message="a webhook needs an absolute http or https URL")]
    return authorizations.url_problems(endpoint.url, destinations, "$.url")


def _secret_problems(signing_secret: str) -> list[Problem]:
    prefix, separator, encoded = signing_secret.partition(SIGNING_SECRET_PREFIX)
    try:
        length = len(base64.b64decode(encoded, validate=True)) if separator and not prefix else None
    except binascii.Error:
        length = None
    if length is None:
        return [Problem(path="$.signing_secret", message="must be whsec_ followed by base64")]
    if not _SHORTEST_SIGNING_SECRET <= length <= _LONGEST_SIGNING_SECRET:
        message = f"must be {_SHORTEST_SIGNING_SECRET} to {_LONGEST_SIGNING_SECRET} bytes"
        return [Problem(path="$.signing_secret", message=message)]
    return []
