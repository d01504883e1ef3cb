"""The names of the CRMLS family."""

from __future__ import annotations

from families.registry import FAMILIES

REALM = FAMILIES["crmls"]
NAMESPACE = "crmls"
