"""Endpoints: where events go, and the secrets that sign what is sent there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from backbone.catalog import endpoint_credentials, signing_secrets
from backbone.catalog.accounts import existing_workspace
from backbone.catalog.resealing import resealed, sealed_resources
from backbone.catalog.writer import Changes
from schemas.model import timestamps
from schemas.model.channels import TEMPLATE, ChannelTemplate
from schemas.model.endpoint import LONGEST_DELAY, LONGEST_SCHEDULE, MOST_TRIES, Endpoint, EndpointType
from schemas.model.errors import IdempotencyMismatch, InvalidRequest, Misconfigured, NotFound, Problem
from schemas.model.ids import derived, new_id
from schemas.model.topics import SHORTEST_DELAY
from schemas.model.unlinked import UNLINKED, is_unlinked_at
from schemas.model.urls import is_absolute

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.secrets import SecretBox
    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from schemas.model.endpoint import Authorization, EventFilter, Subscription
    from schemas.model.resources import Resource
    from schemas.security.destinations import Destinations


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
        self, endpoint: Endpoint, *, signing_secret: str | None = None, key: tuple[str, str] | None = None
    ) -> tuple[Endpoint, str | None]:
        """A new endpoint, and its signing secret in plaintext: shown now and never again.

        Args:
            endpoint: as it shall be, with plain headers, and plain secrets in its authorization; id, times and signing
                secrets are set here.
            signing_secret: one that the receiver has already (``whsec_`` and base64); otherwise it is generated.
            key: the client's ``unique_id`` and its idempotency key; a repeat gives the endpoint that the first call
                made, and no secret.

        Raises:
            IdempotencyMismatch: the key made another endpoint.
            InvalidRequest: no name, a webhook without an absolute http(s) URL, or a secret that is not one.
            NotFound: there is no such workspace.
        """
        plaintext = signing_secrets.new_secret() if signing_secret is None else signing_secret
        destinations, authorization = self._writer.destinations, []
        if endpoint.authorization is not None:
            authorization = endpoint_credentials.problems(endpoint.authorization, destinations)
        hidden = endpoint_credentials.unknown_headers(endpoint.headers, None)
        wrong = [*endpoint_problems(endpoint), *url_problems(endpoint, destinations), *schedule_problems(endpoint)]
        _check([*wrong, *authorization, *hidden, *signing_secrets.problems(plaintext)])
        now = timestamps.now()
        new = msgspec.structs.replace(
            endpoint_credentials.sealed_headers(endpoint, self._secrets),
            id=new_id() if key is None else derived("endpoint", endpoint.workspace, *key),
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
            if signing_secret is not None and found.updated_at == found.created_at:
                signing_secrets.check_repeat(found, signing_secret, self._secrets)
            # Sealing gives another text each time: credentials are compared as they were given.
            check_repeat(
                msgspec.structs.replace(
                    endpoint_credentials.with_plain_headers(found, self._secrets),
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
            Conflict: it belongs to an API family, whose own API changes it.
            InvalidRequest: as for a new one; or credentials would go to another server than they were given for.
            NotFound: there is no such endpoint in the workspace.
        """
        plain: Authorization | None = changed.get("authorization")
        if plain is not None:
            _check(endpoint_credentials.problems(plain, self._writer.destinations))
            changed["authorization"] = self._sealed(plain)
        headers: dict[str, str] | None = changed.pop("headers", None)

        def change(found: Endpoint) -> Endpoint:
            wanted = msgspec.structs.replace(found, **changed)
            if headers is not None:
                _check(endpoint_credentials.unknown_headers(headers, found))
                wanted = endpoint_credentials.with_headers(wanted, headers, self._secrets)
                _check(endpoint_credentials.large_headers(found, wanted, self._secrets))
            _check(endpoint_problems(wanted))
            # One of before this was forbidden can still be changed, disabled above all.
            if (wanted.type, wanted.url) != (found.type, found.url):
                _check(url_problems(wanted, self._writer.destinations))
            if wanted.retry_schedule != found.retry_schedule:
                _check(schedule_problems(wanted))
            _check(endpoint_credentials.sent_elsewhere(found, wanted))
            return wanted

        return await self._change(workspace, endpoint_id, change, enabling=changed.get("enabled") is True)

    async def rotate_secret(
        self,
        workspace: str,
        endpoint_id: str,
        *,
        signing_secret: str | None = None,
        overlap: int = signing_secrets.OVERLAP,
    ) -> tuple[Endpoint, str]:
        """A new signing secret in plaintext; those of before sign along until the overlap ends.

        Args:
            workspace: that the endpoint belongs to.
            endpoint_id: its id.
            signing_secret: one that the receiver has already; otherwise it is generated.
            overlap: seconds.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it, or too many old secrets still sign.
            InvalidRequest: the secret is none, or the endpoint has it already.
            NotFound: there is no such endpoint in the workspace.
        """
        plaintext = signing_secrets.new_secret() if signing_secret is None else signing_secret
        _check(signing_secrets.problems(plaintext))

        def rotated(found: Endpoint) -> Endpoint:
            return signing_secrets.rotated(found, plaintext, overlap, self._secrets)

        return await self._change(workspace, endpoint_id, rotated), plaintext

    async def hold(self, workspace: str, endpoint_id: str, now: int) -> Endpoint:
        """Pause an endpoint for its owner; one that is paused stays as it is. ``now`` in microseconds since the epoch.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            NotFound: there is no such endpoint in the workspace.
        """

        def held(found: Endpoint) -> Endpoint:
            return found if found.held_since is not None else msgspec.structs.replace(found, held_since=now)

        return await self._change(workspace, endpoint_id, held)

    async def release(self, workspace: str, endpoint_id: str, since: int) -> Endpoint:
        """End the pause that began then; a later one stays.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            NotFound: there is no such endpoint in the workspace.
        """

        def released(found: Endpoint) -> Endpoint:
            return msgspec.structs.replace(found, held_since=None) if found.held_since == since else found

        return await self._change(workspace, endpoint_id, released)

    async def reseal(self) -> Resealed:
        """Seal every secret of the catalog with the first secret key.

        Afterwards the catalog needs the other secret keys only for API key hashes that were made with them.
        """

        def decide(view: CatalogView) -> Changes[Resealed]:
            changed: list[Resource] = []
            lost: list[str] = []
            for each in sealed_resources(view):
                try:
                    fresh = resealed(each, self._secrets)
                except Misconfigured:
                    lost.append(each.key)
                else:
                    changed += [fresh] if fresh != each else []
            return Changes(put=changed, result=Resealed(len(changed), tuple(lost)))

        return await self._writer.write(decide)

    async def delete_endpoint(self, workspace: str, endpoint_id: str) -> None:
        """Delete an endpoint, its subscriptions and its projections.

        Raises:
            Conflict: it belongs to an API family, whose own API changes it.
            NotFound: there is no such endpoint in the workspace.
        """

        def decide(view: CatalogView) -> Changes[None]:
            found = existing_endpoint(view, workspace, endpoint_id)
            self._writer.extension.guard(view, found)
            gone: list[Resource] = [found, *view.subscriptions_of(endpoint_id), *view.projections_of(endpoint_id)]
            return Changes(delete=[each.key for each in gone], result=None)

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
            self._writer.extension.guard(view, found)
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

    def _sealed(self, plain: Authorization | None) -> Authorization | None:
        return plain and endpoint_credentials.sealed(plain, self._secrets)

    def _opened(self, stored: Authorization | None) -> Authorization | None:
        return stored and endpoint_credentials.opened(stored, self._secrets)


def existing_endpoint(view: CatalogView, workspace: str, endpoint_id: str) -> Endpoint:
    """An endpoint of a workspace by its id, or ``NotFound``."""
    found = view.endpoint(endpoint_id)
    if found is None or found.workspace != workspace:
        raise NotFound(f"there is no endpoint {endpoint_id}")
    return found


def linked_anew(subscription: Subscription) -> Subscription:
    """The subscription with its link counted from the append time of the record that is about to be written."""
    return msgspec.structs.replace(subscription, linked_at=None, updated_at=timestamps.now())


def _check(problems: list[Problem]) -> None:
    if problems:
        raise InvalidRequest("The endpoint cannot be used.", problems)


def endpoint_problems(endpoint: Endpoint) -> list[Problem]:
    """Return what is wrong with an endpoint, but for its URL and its schedule."""
    problems = []
    if not endpoint.name.strip():
        problems.append(Problem(path="$.name", message="must not be empty"))
    if endpoint.timeout is not None and endpoint.timeout <= 0:
        problems.append(Problem(path="$.timeout", message="must be more than 0 seconds"))
    if endpoint.max_in_flight < 1:
        problems.append(Problem(path="$.max_in_flight", message="must be at least 1"))
    if (limit := endpoint.rate_limit) is not None and (limit.per_second <= 0 or limit.burst < 1):
        problems.append(Problem(path="$.rate_limit", message="must allow a request at some time"))
    if not is_unlinked_at(endpoint.options.get(UNLINKED, "")):
        problems.append(Problem(path=f"$.options.{UNLINKED}", message="must be microseconds since 1970"))
    if endpoint.type is EndpointType.WEB_SOCKET and TEMPLATE in endpoint.options:
        try:
            ChannelTemplate(endpoint.options[TEMPLATE])
        except InvalidRequest as error:
            problems += error.problems
    return problems


def schedule_problems(endpoint: Endpoint) -> list[Problem]:
    """Return what is wrong with an endpoint's retry schedule."""
    schedule = endpoint.retry_schedule or ()
    if len(schedule) >= MOST_TRIES:
        message = f"has at most {MOST_TRIES - 1} delays: the first of {MOST_TRIES} tries needs none"
        return [Problem(path="$.retry_schedule", message=message)]
    message = f"must be {SHORTEST_DELAY} seconds, the shortest delay that there is, to {LONGEST_DELAY}"
    found = [
        Problem(path=f"$.retry_schedule[{at}]", message=message)
        for at, wait in enumerate(schedule)
        if not SHORTEST_DELAY <= wait <= LONGEST_DELAY
    ]
    if not found and sum(schedule) > LONGEST_SCHEDULE:
        message = f"must be {LONGEST_SCHEDULE} seconds at most, all delays together: a delivery is kept no longer"
        found.append(Problem(path="$.retry_schedule", message=message))
    return found


def url_problems(endpoint: Endpoint, destinations: Destinations) -> list[Problem]:
    """Return what is wrong with the URL of a webhook."""
    if endpoint.type is not EndpointType.WEB_HOOK:
        return []
    if not is_absolute(endpoint.url):
        return [Problem(path="$.url", message="a webhook needs an absolute http or https URL")]
    return endpoint_credentials.url_problems(endpoint.url, destinations, "$.url")
