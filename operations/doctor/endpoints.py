"""The check of the endpoints: those that get nothing, and those that fail."""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.endpoint_states import PAUSED, EndpointStateView, EndpointStatus
from operations.doctor.findings import fault, warning
from operations.errors import NotKnown
from schemas.model import timestamps
from schemas.model.endpoint_health import REFUSALS
from schemas.model.errors import HeadraceError, Misconfigured
from schemas.model.secrecy import with_user_hidden

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site
    from schemas.model.endpoint import Endpoint

_OWNER = "`enabled` is false"


def endpoints(site: Site) -> Iterator[Finding]:
    """Find endpoints that are disabled, that are paused, and whose attempts fail."""
    try:
        view = site.catalog().view
    except Misconfigured as error:
        raise NotKnown("The catalog cannot be read with our secret keys.") from error
    states = EndpointStateView(site.kafka)
    try:
        states.catch_up()
        for workspace in view.workspaces():
            for endpoint in view.endpoints(workspace.name):
                yield from of_endpoint(endpoint, states)
    except HeadraceError as error:
        raise NotKnown(f"The states of the endpoints could not be read: {error}") from error
    finally:
        states.stop()


def of_endpoint(endpoint: Endpoint, states: EndpointStateView) -> Iterator[Finding]:
    """The findings about one endpoint."""
    standing, health = states.standing(endpoint), states.health(endpoint)
    name = f"The endpoint {endpoint.name!r} ({endpoint.id}, workspace {endpoint.workspace})"
    option = f"--workspace {endpoint.workspace}"
    if standing.status is EndpointStatus.DISABLED:
        by_owner = not endpoint.enabled
        since = "" if standing.since is None else f" since {timestamps.to_text(standing.since)}"
        why = "its owner disabled it" if by_owner else standing.reason
        kind = warning if by_owner else fault
        yield kind(
            "disabled-endpoint",
            f"{name} is disabled{since} and gets no events: {why}.",
            f"Mend the receiver, then run headrace endpoints enable {endpoint.id} {option}; send what it missed with"
            f" headrace replay {endpoint.id} --from TIME {option}",
        )
    elif standing.status is EndpointStatus.PAUSED:
        until = "" if standing.until is None else f" until {timestamps.to_text(standing.until)}"
        asked = standing.reason == PAUSED
        cure = (
            f"Wait, or end it with any change, such as headrace endpoints enable {endpoint.id} {option}"
            if asked
            else f"Run headrace endpoints resume {endpoint.id} {option}: what was kept is sent behind new events."
        )
        yield warning("paused-endpoint", f"{name} is paused{until}: {standing.reason}.", cure)
    elif health.is_failing:
        since = "" if health.failing_since is None else f" since {timestamps.to_text(health.failing_since)}"
        receiver = with_user_hidden(endpoint.url or "")
        end = "" if health.disables_at is None else f" It is disabled at {timestamps.to_text(health.disables_at)}."
        what = f"{name} fails{since}: {health.failures} attempts in a row, the last with {health.error!r}.{end}"
        again = f"send again what was given up: headrace redrive --endpoint {endpoint.id} {option}"
        if health.status in REFUSALS:
            yield fault(
                "refused-secret",
                f"{what} The receiver refuses the signature or the credentials.",
                f"Give the receiver at {receiver} a new signing secret: headrace endpoints rotate-secret {endpoint.id}"
                f" {option}; or correct the credentials: headrace endpoints edit {endpoint.id} --set authorization=JSON"
                f" {option}; then {again}",
            )
            return
        yield fault(
            "failing-endpoint",
            what,
            f"Mend the receiver at {receiver}, or correct the URL with headrace endpoints edit {endpoint.id}"
            f" --address URL {option}; then {again}",
        )
