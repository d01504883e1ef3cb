"""The events of the tour: offers as CRMLS producers post them, with numbers that a careless gateway would rewrite."""

from __future__ import annotations

import dataclasses
import json

LEAST_AMOUNT = 400_000
CONDITION = {"data": {"OfferAmount": [{"numeric": [">=", LEAST_AMOUNT]}]}}
"""The tour's filter: offers of at least that amount."""


@dataclasses.dataclass(frozen=True)
class Offer:
    """One event as it is posted; ``amount`` is the JSON text of a number, kept to the last digit."""

    name: str
    listing: str
    amount: str

    @property
    def matches(self) -> bool:
        """Whether the tour's filter wants it."""
        return float(self.amount) >= LEAST_AMOUNT

    @property
    def message(self) -> str:
        """The free-form part, as JSON text."""
        return (
            f'{{"ListingId":{json.dumps(self.listing)},"OfferId":{json.dumps(self.name)},"OfferAmount":{self.amount}}}'
        )

    @property
    def body(self) -> str:
        """The request body of ``POST /api/app/events``."""
        return (
            f'{{"eventName":{json.dumps(self.name)},"eventTime":"2021-03-04T16:36:54.591Z",'
            f'"messageType":"Offer","message":{self.message}}}'
        )


OFFERS = (
    Offer("Offer1233", "L-1187", "389000.00"),
    Offer("Offer1234", "L-1187", "450000.00"),
    Offer("Offer1235", "L-2040", "1275000.5"),
    Offer("Offer1236", "L-2041", "12345678901234567890"),
)
"""The first is under the filter's amount: it is stored, and delivered to nobody."""
