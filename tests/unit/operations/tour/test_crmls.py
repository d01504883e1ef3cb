from __future__ import annotations

import json

from operations.tour.crmls import CONDITION, LEAST_AMOUNT, OFFERS
from schemas.filters.conditions import compile_condition


def test_the_bodies_are_what_the_crmls_document_asks_for() -> None:
    for offer in OFFERS:
        body = json.loads(offer.body)
        assert list(body) == ["eventName", "eventTime", "messageType", "message"]
        assert body["message"] == json.loads(offer.message)


def test_some_are_wanted_and_some_are_not() -> None:
    assert {offer.matches for offer in OFFERS} == {True, False}


def test_the_amounts_are_written_as_no_json_library_would_write_them_back() -> None:
    assert any(json.dumps(json.loads(offer.amount)) != offer.amount for offer in OFFERS)


def test_the_filter_compiles_and_is_the_one_that_is_shown() -> None:
    assert compile_condition(json.dumps(CONDITION)).attributes == {"OfferAmount"}
    assert CONDITION["data"]["OfferAmount"][0]["numeric"][1] == LEAST_AMOUNT
