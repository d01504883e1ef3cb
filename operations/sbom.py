"""``python -m operations.sbom``: the Python packages of this environment as a CycloneDX 1.5 document.

The image has one in ``/opt/headrace/sbom.json``, made when it was built.
"""

from __future__ import annotations

import json
import re
import sys
from importlib import metadata
from typing import Any


def document() -> dict[str, Any]:
    """Every installed distribution, in the order of names."""
    found = {_name(each): each for each in metadata.distributions()}
    root = found.pop("headrace", None)
    component = {"type": "application", "name": "headrace", "version": root.version if root else "unknown"}
    return {
        "bomFormat": "CycloneDX",
        "specVersion": "1.5",
        "version": 1,
        "metadata": {"component": component},
        "components": [_component(name, each) for name, each in sorted(found.items())],
    }


def _component(name: str, distribution: metadata.Distribution) -> dict[str, Any]:
    told = distribution.metadata
    stated = next((told[name] for name in ("License-Expression", "License") if name in told), "")
    component = {
        "type": "library",
        "name": name,
        "version": distribution.version,
        "purl": f"pkg:pypi/{name}@{distribution.version}",
    }
    # Some packages have their licence's whole text there.
    return component | ({"licenses": [{"license": {"name": stated}}]} if stated and "\n" not in stated else {})


def _name(distribution: metadata.Distribution) -> str:
    return re.sub(r"[-_.]+", "-", distribution.metadata["Name"]).lower()


if __name__ == "__main__":
    json.dump(document(), sys.stdout, indent=1)
    sys.stdout.write("\n")
