"""The check of the ledger: can it be opened and written?"""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

from operations.doctor.findings import fault
from schemas.model.errors import Misconfigured, Unavailable

if TYPE_CHECKING:
    from collections.abc import Iterator

    from operations.doctor.findings import Finding
    from operations.doctor.site import Site

_WHAT = "Events are delivered, but the ledger does not learn of them."


def ledger(site: Site) -> Iterator[Finding]:
    """Find a ledger that cannot be written, that is another version's, or whose database does not answer."""
    from backbone.ledger.tables import open_ledger  # noqa: PLC0415  # SQLAlchemy takes part of a second
    from backbone.ledger.upgrade import check_usable  # noqa: PLC0415  # likewise

    installed = site.installed
    if not installed.ledger_url and not installed.ledger_file.exists():
        # SQLite would make the file.
        return
    url = installed.ledger_url or f"sqlite:///{quote(str(installed.ledger_file))}"
    try:
        engine = open_ledger(url)
        try:
            check_usable(engine)
        finally:
            engine.dispose()
    except Misconfigured as error:
        yield fault("unwritable-ledger", f"{error} {_WHAT}", "Then run headrace ledger: it catches up by itself.")
    except Unavailable as error:
        yield fault(
            "ledger-away",
            f"The ledger's database does not answer: {error}. {_WHAT}",
            "Start the database of HEADRACE_LEDGER_URL; headrace ledger connects again by itself.",
        )
