"""The check of the secrets: do ours open what the installation on this Kafka stored?"""

from __future__ import annotations

from typing import TYPE_CHECKING

from backbone.catalog.resealing import lost_secrets
from backbone.catalog.secrets import SecretBox
from operations.doctor.findings import fault, warning
from schemas.model.errors import Misconfigured

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

_NAMED = 5


def secret_keys(site: Site) -> Iterator[Finding]:
    """Find secret keys that are another installation's, secrets that none opens, and records that do not count."""
    try:
        catalog = site.catalog()
    except Misconfigured:
        yield fault(
            "other-secrets",
            f"The catalog on this Kafka is signed with a key that is not among ours ({_source(site)}): no plane starts"
            " with these secrets.",
            "Set HEADRACE_SECRET_KEYS to the keys of the installation (its data directory has them in secret-keys, and"
            " so has your backup), or HEADRACE_DATA_DIR to its data directory.",
        )
        return
    lost = lost_secrets(catalog.view, SecretBox(site.installed.known_secret_keys()))
    if lost:
        named = ", ".join(lost[:_NAMED]) + (" …" if len(lost) > _NAMED else "")
        yield fault(
            "other-secrets",
            f"{len(lost)} stored secrets cannot be opened with our keys ({_source(site)}): {named}.",
            "Add the key that sealed them to the end of HEADRACE_SECRET_KEYS, restart every plane and run headrace"
            " reseal. If it is lost: headrace endpoints edit ID, with the credentials anew.",
        )
    forged = [key.decode(errors="replace") for (_, key), poison in catalog.poison.items() if poison.forged]
    if forged:
        yield warning(
            "forged-records",
            f"{len(forged)} records of the catalog do not count, because nobody with our keys wrote them:"
            f" {', '.join(forged[:_NAMED])}.",
            "Find out who can write to the topic catalog (docs/security.md). A running headrace ingest writes the last"
            " good state back.",
        )


def _source(site: Site) -> str:
    if site.installed.secret_keys:
        return "HEADRACE_SECRET_KEYS"
    return str(site.installed.data_dir / "secret-keys")
