"""The CRMLS family."""

from __future__ import annotations

from families.crmls.http.openapi import POST_EVENT, SCHEMAS, SECURITY
from families.crmls.http.publish import EVENTS, post_event, render, router
from families.crmls.model import NAMESPACE, REALM
from families.crmls.settings import CrmlsSettings
from ingest_api.family import Family, HotRoute

FAMILY = Family(
    name=NAMESPACE,
    prefixes=("/api/token", "/api/app"),
    render=render,
    refuses_head=True,
    hot=(HotRoute("POST", EVENTS, post_event, POST_EVENT),),
    control=router,
    schemas=SCHEMAS,
    security=SECURITY,
    unnamed_tokens=REALM,
    settings=CrmlsSettings,
)
