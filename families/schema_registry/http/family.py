"""The family of the schema registry."""

from __future__ import annotations

from families.schema_registry.http import messages
from families.schema_registry.http.prepared import SCHEMA_BY_ID
from families.schema_registry.http.routes import router
from families.schema_registry.settings import RegistrySettings
from ingest_api.family import Family

FAMILY = Family(
    name="schema-registry",
    prefixes=(router.prefix,),
    render=messages.render,
    hot=(),
    control=router,
    prepared=(SCHEMA_BY_ID,),
    schemas={},
    name_in_ids="registry",
    settings=RegistrySettings,
)
