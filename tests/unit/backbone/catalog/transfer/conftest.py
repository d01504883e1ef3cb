"""A catalog with records of every kind and family, in memory."""

from __future__ import annotations

import base64
import gzip
import json
from typing import TYPE_CHECKING

import msgspec
import pytest

from backbone.catalog.indexes import RegisteredSchema
from backbone.catalog.macs import MacKeys
from backbone.catalog.secrets import SecretBox
from backbone.catalog.transfer.checks import check_document
from backbone.catalog.transfer.document import read
from backbone.catalog.transfer.plan import Plan, Scope, plan
from backbone.catalog.view import CatalogView
from backbone.catalog.writer import Changes
from families.event_service.catalog.links import FAMILY, FILTERS
from schemas.model.access import Client, Role, Workspace
from schemas.model.endpoint import Endpoint, EventFilter
from schemas.model.errors import CorruptRecord
from schemas.model.family_record import FamilyRecord
from schemas.model.growth import Growth, GrowthOrder, GrowthState
from schemas.model.projection import EndpointProjection, ProjectionVersion
from schemas.model.resources import decode_resource
from schemas.security.destinations import Destinations
from tests.e2e.test_stored_records import STORED
from tests.support.running_gateway import ALLOWED, SECRET_KEYS

if TYPE_CHECKING:
    from collections.abc import Sequence

KEY_IDS = MacKeys([SECRET_KEYS]).ids


def imported(
    view: CatalogView,
    text: str | bytes,
    *,
    workspace: str | None = None,
    prune: bool = False,
    keys: Sequence[str] = (SECRET_KEYS,),
) -> Plan:
    """Import a file into a view, as the writer would."""
    document = read(text.encode() if isinstance(text, str) else text)
    secrets = SecretBox(keys)
    check_document(document, view, secrets, MacKeys(keys).ids, Destinations((ALLOWED,)))
    signing = {item.resource.key.partition("/")[2]: secrets.seal("whsec_new") for item in document.items}
    planned = plan(view, document, Scope(workspace=workspace, prune=prune), signing)
    Changes(put=planned.put, delete=planned.delete, schemas=planned.schemas, result=None).apply_to(view)
    return planned


def signing_endpoint(view: CatalogView) -> Endpoint:
    """One that signs what it is sent."""
    return next(each for each in view.resources() if isinstance(each, Endpoint) and each.signing_secrets)


@pytest.fixture(scope="session")
def stored() -> CatalogView:
    """The catalog of an installation in which a client of each family was at work."""
    view = CatalogView()
    for topic, _, key, value, _ in json.loads(gzip.decompress(STORED.read_bytes()))["records"]:
        if topic == "catalog" and value is None:
            view.remove(base64.b64decode(key).decode())
        elif topic == "catalog":
            try:
                view.put(decode_resource(base64.b64decode(value)), 1_700_000_000_000_000)
            except CorruptRecord:
                continue
        elif topic == "_schemas" and value is not None:
            schema = json.loads(base64.b64decode(value))
            view.put_schema(RegisteredSchema(schema["id"], schema["subject"], schema["version"], schema["schema"]))
    endpoint = signing_endpoint(view)
    event_type = view.event_types(endpoint.workspace)[0]
    versions = (
        ProjectionVersion(number=1, expression="data", created_at=5, replaced_at=6),
        ProjectionVersion(number=2, expression="{id: id}", created_at=6),
    )
    projection = EndpointProjection(
        endpoint=endpoint.id,
        workspace=endpoint.workspace,
        topic=event_type.topic,
        namespace=event_type.namespace,
        code=event_type.code,
        versions=versions,
        current=2,
        created_at=5,
        updated_at=6,
    )
    view.put(projection, 7)
    linked = next(each for each in view.resources() if isinstance(each, EventFilter))
    record = FamilyRecord(
        family=FAMILY,
        collection=FILTERS,
        id=linked.id,
        workspace=linked.workspace,
        content={"name": "n", "values": [1, 2.5, None, True, "2026-01-01", "yes", "é\u2028\x07"]},
        created_at=1,
        updated_at=1,
    )
    view.put(record, 7)
    view.put(
        Growth(
            id="g",
            workspace=event_type.workspace,
            topic=event_type.topic,
            before=1,
            partitions=event_type.effective_partitions,
            order=GrowthOrder.KEEP,
            state=GrowthState.DONE,
            requested_by="somebody",
            created_at=1,
            updated_at=1,
        ),
        7,
    )
    return view


@pytest.fixture
def old(stored: CatalogView) -> CatalogView:
    return stored.copy()


@pytest.fixture
def fresh() -> CatalogView:
    """An installation that has just been started for the first time."""
    view = CatalogView()
    view.put(Workspace(id="of-the-fresh-one", name="default", created_at=9, updated_at=9), 9)
    admin = Client(
        id="boot", identity="boot", workspace="default", name="admin", roles=(Role.ADMIN,), created_at=9, updated_at=9
    )
    view.put(msgspec.structs.replace(admin), 9)
    return view
