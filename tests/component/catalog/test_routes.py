from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

import msgspec
import pytest

from backbone.catalog import endpoint_credentials
from backbone.catalog.accounts import Accounts
from backbone.catalog.endpoints import Resealed
from backbone.catalog.secrets import SecretBox
from backbone.catalog.subscriptions import Routes
from backbone.catalog.writer import Changes
from schemas.model.access import KeyUse
from schemas.model.endpoint import (
    HIDDEN,
    Authorization,
    AuthorizationType,
    Endpoint,
    EndpointType,
    EventFilter,
    TypeSelection,
)
from schemas.model.errors import IdempotencyMismatch, InvalidFilter, InvalidRequest, Misconfigured, NotFound

if TYPE_CHECKING:
    from collections.abc import Callable

    from backbone.catalog.view import CatalogView
    from backbone.catalog.writer import CatalogWriter
    from tests.component.catalog.conftest import Node

OLD, NEW, OTHERS = "an-old-secret-key", "a-new-secret-key!", "what-others-use!!"


@dataclass
class Place:
    """A workspace, and what changes its routes."""

    routes: Routes
    node: Node
    workspace: str

    def endpoint(self, **properties: object) -> Endpoint:
        plain = Endpoint(
            id="",
            workspace=self.workspace,
            name="receiver",
            type=EndpointType.WEB_HOOK,
            url="https://example.org/hook",
            created_at=0,
            updated_at=0,
        )
        return msgspec.structs.replace(plain, **properties)

    def filter(self, **properties: object) -> EventFilter:
        types = (TypeSelection(namespace="events", code="Offer"),)
        plain = EventFilter(id="", workspace=self.workspace, name="offers", types=types, created_at=0, updated_at=0)
        return msgspec.structs.replace(plain, **properties)

    def live(self) -> list[str]:
        found = self.node.catalog.view.live_subscriptions(self.workspace)
        return [subscription.id for subscription, *_ in found]


@pytest.fixture
async def place(node: Node, unique: str) -> Place:
    box = SecretBox([OLD])
    await Accounts(node.catalog, node.writer, box).create_workspace(unique)
    return Place(Routes(node.catalog, node.writer, box), node, unique)


@pytest.fixture
async def another(place: Place) -> Place:
    """A second workspace of the same node."""
    name = f"{place.workspace}-2"
    await Accounts(place.node.catalog, place.node.writer, SecretBox([OLD])).create_workspace(name)
    return Place(place.routes, place.node, name)


async def test_an_endpoints_secret_is_shown_once_and_kept_sealed(place: Place) -> None:
    created, plaintext = await place.routes.create_endpoint(place.endpoint())
    stored = place.node.catalog.view.endpoint(created.id)
    assert stored == created
    assert plaintext.startswith("whsec_")
    assert plaintext not in repr(stored)
    assert SecretBox([OLD]).open(created.signing_secrets[0]) == plaintext


async def test_a_secret_the_receiver_has_already_is_taken(place: Place) -> None:
    given = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
    assert (await place.routes.create_endpoint(place.endpoint(), signing_secret=given))[1] == given
    for bad in ("secret", "whsec_%%%", "whsec_c2hvcnQ="):
        with pytest.raises(InvalidRequest) as raised:
            await place.routes.create_endpoint(place.endpoint(), signing_secret=bad)
        assert raised.value.problems[0].path == "$.signing_secret"


@pytest.mark.parametrize(
    ("properties", "path"),
    [
        ({"name": " "}, "$.name"),
        ({"url": None}, "$.url"),
        ({"url": "/relative"}, "$.url"),
        ({"url": "ftp://example.org"}, "$.url"),
        ({"url": "http://example.org:port/"}, "$.url"),
        ({"timeout": 0.0}, "$.timeout"),
        ({"max_in_flight": 0}, "$.max_in_flight"),
        ({"retry_schedule": (5.0, -1.0)}, "$.retry_schedule[1]"),
        ({"retry_schedule": (4.9,)}, "$.retry_schedule[0]"),
        ({"retry_schedule": (5.0, 86_401.0)}, "$.retry_schedule[1]"),
        ({"retry_schedule": (5.0,) * 20}, "$.retry_schedule"),
        ({"retry_schedule": (86_400.0,) * 15}, "$.retry_schedule"),
    ],
)
async def test_an_endpoint_that_cannot_work_is_refused(place: Place, properties: dict[str, object], path: str) -> None:
    with pytest.raises(InvalidRequest) as raised:
        await place.routes.create_endpoint(place.endpoint(**properties))
    assert [each.path for each in raised.value.problems] == [path]


async def test_rotating_keeps_the_secrets_before_for_the_overlap(place: Place) -> None:
    box = SecretBox([OLD])
    created, first = await place.routes.create_endpoint(place.endpoint())
    _, second = await place.routes.rotate_secret(place.workspace, created.id)
    rotated, third = await place.routes.rotate_secret(place.workspace, created.id, overlap=3_600)
    assert len({first, second, third}) == 3
    assert [box.open(each) for each in rotated.signing_secrets] == [third, second, first]
    assert rotated == place.node.catalog.view.endpoint(created.id)
    alone, fourth = await place.routes.rotate_secret(place.workspace, created.id, overlap=0)
    assert [box.open(each) for each in alone.signing_secrets] == [fourth]


class OneWorkspace:
    """The catalog's writer, for decisions on one workspace: the broker may have others, sealed with other keys."""

    def __init__(self, writer: CatalogWriter, workspace: str) -> None:
        self._writer = writer
        self._workspace = workspace

    async def write(self, decide: Callable[[CatalogView], Changes[int]]) -> int:
        return await self._writer.write(lambda view: decide(self._alone(view)))

    def _alone(self, view: CatalogView) -> CatalogView:
        alone = view.copy()
        for each in view.workspaces():
            if each.name != self._workspace:
                alone.remove(each.key)
        return alone


async def test_stored_secrets_move_to_the_new_key(place: Place, another: Place) -> None:
    # Others on the broker have keys of their own; what is sealed with those can be neither opened nor moved here.
    await Routes(another.node.catalog, another.node.writer, SecretBox([OTHERS])).create_endpoint(another.endpoint())
    created, plaintext = await place.routes.create_endpoint(place.endpoint())
    rotated = SecretBox([NEW, OLD])
    assert rotated.open(created.signing_secrets[0]) == plaintext
    with pytest.raises(Misconfigured):
        SecretBox([NEW]).open(created.signing_secrets[0])

    writer = cast("CatalogWriter", OneWorkspace(place.node.writer, place.workspace))
    assert await Routes(place.node.catalog, writer, rotated).reseal() == Resealed(1, ())
    moved = place.node.catalog.view.endpoint(created.id)
    assert moved is not None
    assert SecretBox([NEW]).open(moved.signing_secrets[0]) == plaintext
    with pytest.raises(Misconfigured):
        SecretBox([OLD]).open(moved.signing_secrets[0])
    assert await Routes(place.node.catalog, writer, rotated).reseal() == Resealed(0, ())


async def test_credentials_and_shown_keys_move_to_the_new_key(place: Place) -> None:
    plain = Authorization(
        type=AuthorizationType.REFRESH_TOKEN, secret="s", refresh_token="r", token_url="https://login.example/token"
    )
    created, _ = await place.routes.create_endpoint(place.endpoint(authorization=plain))
    accounts = Accounts(place.node.catalog, place.node.writer, SecretBox([OLD]))
    client = await accounts.create_client(place.workspace, "shop")
    key, shown = await accounts.issue_key(place.workspace, client.id, use=KeyUse.BROWSER, sealed=True)

    writer = cast("CatalogWriter", OneWorkspace(place.node.writer, place.workspace))
    routes = Routes(place.node.catalog, writer, SecretBox([NEW, OLD]))
    assert await routes.reseal() == Resealed(2, ())
    moved, moved_key = place.node.catalog.view.endpoint(created.id), place.node.catalog.view.api_key(key.id)
    assert moved is not None
    assert moved.authorization is not None
    assert endpoint_credentials.opened(moved.authorization, SecretBox([NEW])) == plain
    assert moved_key is not None
    assert SecretBox([NEW]).open(moved_key.sealed or "") == shown
    assert await routes.reseal() == Resealed(0, ())


async def test_headers_that_are_credentials_are_kept_sealed(place: Place) -> None:
    headers = {"X-Api-Key": "s3cret", "X-Team": "a"}
    given = place.endpoint(headers=headers)
    created, _ = await place.routes.create_endpoint(given, key=("c", "k"))
    assert (await place.routes.create_endpoint(given, key=("c", "k")))[0] == created
    with pytest.raises(IdempotencyMismatch):
        await place.routes.create_endpoint(place.endpoint(headers=headers | {"X-Api-Key": "other"}), key=("c", "k"))
    assert "s3cret" not in repr(created)
    assert created.shown_headers == headers | {"X-Api-Key": HIDDEN}
    assert endpoint_credentials.with_plain_headers(created, SecretBox([OLD])).headers == headers

    shown = {name.lower(): value for name, value in created.shown_headers.items()}
    with pytest.raises(InvalidRequest, match="cannot be used"):
        await place.routes.update_endpoint(place.workspace, created.id, headers=shown | {"Cookie": HIDDEN})
    changed = await place.routes.update_endpoint(place.workspace, created.id, headers=shown)
    plain = endpoint_credentials.with_plain_headers(changed, SecretBox([OLD])).headers
    assert plain == {"x-api-key": "s3cret", "x-team": "a"}

    writer = cast("CatalogWriter", OneWorkspace(place.node.writer, place.workspace))
    routes = Routes(place.node.catalog, writer, SecretBox([NEW, OLD]))
    assert await routes.reseal() == Resealed(1, ())
    moved = place.node.catalog.view.endpoint(created.id)
    assert moved is not None
    assert endpoint_credentials.with_plain_headers(moved, SecretBox([NEW])).headers == plain
    assert await routes.reseal() == Resealed(0, ())


async def test_credentials_go_to_no_other_server_unless_they_are_given_again(place: Place) -> None:
    plain = Authorization(type=AuthorizationType.API_KEY, secret="s3cret")
    created, _ = await place.routes.create_endpoint(place.endpoint(headers={"X-Api-Key": "k"}, authorization=plain))
    elsewhere = "https://elsewhere.example/hook"

    async def paths(**changed: object) -> list[str]:
        with pytest.raises(InvalidRequest) as raised:
            await place.routes.update_endpoint(place.workspace, created.id, **changed)
        return [each.path for each in raised.value.problems]

    assert await paths(url=elsewhere) == ["$.headers", "$.authorization"]
    assert await paths(url=elsewhere, headers={"x-api-key": HIDDEN}, authorization=None) == ["$.headers"]
    assert await paths(url=elsewhere, headers={}) == ["$.authorization"]
    assert place.node.catalog.view.endpoint(created.id) == created
    same = await place.routes.update_endpoint(place.workspace, created.id, url="https://EXAMPLE.org/other")
    assert (same.authorization, same.sealed_headers) == (created.authorization, created.sealed_headers)
    file = {"type": EndpointType.FILE, "url": None}
    await place.routes.update_endpoint(place.workspace, created.id, **file)
    hook = {"type": EndpointType.WEB_HOOK, "url": elsewhere}
    assert await paths(**hook) == ["$.headers", "$.authorization"]

    moved = await place.routes.update_endpoint(
        place.workspace, created.id, **hook, headers={"X-Api-Key": "k"}, authorization=plain
    )
    assert moved.url == elsewhere


async def test_headers_that_were_kept_before_they_were_sealed(place: Place) -> None:
    headers = {"X-Api-Key": "s3cret", "X-Team": "a"}
    created, _ = await place.routes.create_endpoint(place.endpoint())
    older = msgspec.structs.replace(created, headers=headers)
    await place.node.writer.write(lambda _: Changes(put=[older], result=None))

    shown = dict.fromkeys(headers, HIDDEN)
    changed = await place.routes.update_endpoint(place.workspace, created.id, headers=shown)

    assert "s3cret" not in repr(changed)
    assert endpoint_credentials.with_plain_headers(changed, SecretBox([OLD])).headers == headers


async def test_an_update_keeps_secrets_and_creation(place: Place) -> None:
    created, _ = await place.routes.create_endpoint(place.endpoint())
    changed = await place.routes.update_endpoint(place.workspace, created.id, url="https://example.org/other")
    assert changed.url == "https://example.org/other"
    assert (changed.signing_secrets, changed.created_at) == (created.signing_secrets, created.created_at)
    assert await place.routes.update_endpoint(place.workspace, created.id, url=changed.url) == changed
    with pytest.raises(InvalidRequest):
        await place.routes.update_endpoint(place.workspace, created.id, url=None)
    with pytest.raises(NotFound):
        await place.routes.update_endpoint("another", created.id, name="x")


async def test_a_filter_is_compiled_before_it_is_kept(place: Place) -> None:
    created = await place.routes.create_filter(place.filter(condition='{"data": {"total": [{"numeric": [">", 5]}]}}'))
    assert place.node.catalog.view.event_filter(created.id) == created
    with pytest.raises(InvalidFilter):
        await place.routes.create_filter(place.filter(condition='{"data": {"total": [{"numric": [">", 5]}]}}'))
    with pytest.raises(InvalidRequest) as raised:
        await place.routes.create_filter(place.filter(types=()))
    assert raised.value.problems[0].path == "$.types"


async def test_a_type_counts_from_when_the_filter_was_given_it(place: Place) -> None:
    created = await place.routes.create_filter(place.filter())
    first = created.types[0].added_at
    assert first is not None
    both = (TypeSelection(namespace="events", code="Listing"), TypeSelection(namespace="events", code="Offer"))
    changed = await place.routes.update_filter(place.workspace, created.id, types=both)
    added = {each.code: each.added_at for each in changed.types}
    assert added["Offer"] == first
    assert added["Listing"] is not None
    assert added["Listing"] > first

    only = (TypeSelection(namespace="events", code="Listing"),)
    await place.routes.update_filter(place.workspace, created.id, types=only)
    again = await place.routes.update_filter(place.workspace, created.id, types=both)
    later = {each.code: each.added_at for each in again.types}
    assert later["Listing"] == added["Listing"]
    assert later["Offer"] is not None
    assert later["Offer"] > first


async def test_linking_is_idempotent_and_a_new_link_counts_from_now(place: Place) -> None:
    endpoint, _ = await place.routes.create_endpoint(place.endpoint())
    event_filter = await place.routes.create_filter(place.filter())
    ends = (place.workspace, event_filter.id, endpoint.id)
    linked = await place.routes.link(*ends)
    assert linked.linked_at is not None
    assert await place.routes.link(*ends) == linked
    assert place.live() == [linked.id]

    assert await place.routes.unlink(*ends)
    assert not await place.routes.unlink(*ends)
    assert place.live() == []
    again = await place.routes.link(*ends)
    assert again.linked_at is not None
    assert again.linked_at > linked.linked_at
    with pytest.raises(NotFound):
        await place.routes.link(place.workspace, event_filter.id, "nowhere")
    with pytest.raises(NotFound):
        await place.routes.link("another", event_filter.id, endpoint.id)


async def test_an_endpoint_that_is_enabled_counts_as_edited_even_if_it_was(place: Place) -> None:
    """A connector that met 410 sends nothing more to it until it is edited, and the catalog does not know of that."""
    created, _ = await place.routes.create_endpoint(place.endpoint())
    changed = await place.routes.update_endpoint(place.workspace, created.id, enabled=True)
    assert changed.updated_at > created.updated_at
    assert place.node.catalog.view.endpoint(created.id) == changed
    assert await place.routes.update_endpoint(place.workspace, created.id, name=created.name) == changed


async def test_what_is_enabled_again_counts_from_then(place: Place) -> None:
    endpoint, _ = await place.routes.create_endpoint(place.endpoint())
    event_filter = await place.routes.create_filter(place.filter())
    linked = await place.routes.link(place.workspace, event_filter.id, endpoint.id)
    times = [linked.linked_at]

    disabled = await place.routes.enable_subscription(place.workspace, linked.id, enabled=False)
    assert disabled.linked_at == linked.linked_at
    assert place.live() == []
    times.append((await place.routes.enable_subscription(place.workspace, linked.id)).linked_at)
    assert place.live() == [linked.id]

    await place.routes.update_endpoint(place.workspace, endpoint.id, enabled=False)
    assert place.live() == []
    await place.routes.update_endpoint(place.workspace, endpoint.id, enabled=True)
    assert place.live() == [linked.id]
    found = place.node.catalog.view.subscription(linked.id)
    assert found is not None
    times.append(found.linked_at)
    assert times == sorted(set(times), key=lambda each: each or 0)


@pytest.mark.parametrize("end", ["endpoint", "filter"])
async def test_a_link_goes_with_either_end(place: Place, end: str) -> None:
    endpoint, _ = await place.routes.create_endpoint(place.endpoint())
    event_filter = await place.routes.create_filter(place.filter())
    linked = await place.routes.link(place.workspace, event_filter.id, endpoint.id)
    assert place.node.catalog.view.subscriptions(place.workspace) == (linked,)
    if end == "endpoint":
        await place.routes.delete_endpoint(place.workspace, endpoint.id)
    else:
        await place.routes.delete_filter(place.workspace, event_filter.id)
    assert place.node.catalog.view.subscription(linked.id) is None
    assert place.node.catalog.view.subscriptions(place.workspace) == ()


async def test_a_filter_from_before_its_condition_was_bounded_can_still_be_renamed(place: Place) -> None:
    tests = ",".join(f'{{"suffix": "x{number}"}}' for number in range(1_500))
    large = place.filter(id=f"{place.workspace}-large", condition=f'{{"data": {{"a": [{tests}]}}}}')
    with pytest.raises(InvalidFilter, match="at most 1,000"):
        await place.routes.create_filter(large)
    await place.node.writer.write(lambda _: Changes(put=[large], result=None))

    changed = await place.routes.update_filter(place.workspace, large.id, name="another")
    assert (changed.name, changed.condition) == ("another", large.condition)
    with pytest.raises(InvalidFilter, match="at most 1,000"):
        await place.routes.update_filter(place.workspace, large.id, condition=f"{large.condition} ")
