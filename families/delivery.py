"""The formats of bodies that an endpoint may ask for: our own, and those of the families."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, cast

from connectors.shared import cloudevents
from families import registry
from schemas.model.endpoint import CLOUDEVENTS

if TYPE_CHECKING:
    from connectors.shared.body import Bodies, Body

BODIES: Bodies = {
    CLOUDEVENTS: cloudevents,
    **{name: cast("Body", import_module(module)) for name, module in registry.BODIES.items()},
}
