from __future__ import annotations

from tests.component.ledger.conftest import postgresql_server

__all__ = ["postgresql_server"]
