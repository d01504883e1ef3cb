from __future__ import annotations

import time

import pytest
from standardwebhooks import Webhook, WebhookVerificationError

from connectors.webhook.signing import signature_headers, signing_key
from schemas.model.errors import Misconfigured

SECRET = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"
OTHER = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
BODY = '{"amount":125.50,"name":"Žluťoučký"}'.encode()


def test_the_reference_verifier_accepts_it() -> None:
    headers = signature_headers([signing_key(SECRET)], "msg_1", int(time.time()), BODY)
    assert Webhook(SECRET).verify(BODY, headers)["amount"] == 125.50


@pytest.mark.parametrize("ahead", [-240, 240])
def test_a_receiver_whose_clock_is_minutes_off_accepts_it(ahead: int) -> None:
    headers = signature_headers([signing_key(SECRET)], "msg_1", int(time.time()) + ahead, BODY)
    assert Webhook(SECRET).verify(BODY, headers)


@pytest.mark.parametrize("ahead", [-600, 600])
def test_a_signature_of_another_time_is_no_good(ahead: int) -> None:
    signed = signature_headers([signing_key(SECRET)], "msg_1", int(time.time()) + ahead, BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, signed)
    # Nor is it if somebody sets the clock of the request right.
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY, {**signed, "webhook-timestamp": str(int(time.time()))})


def test_known_signature_of_the_specification() -> None:
    headers = signature_headers(
        [signing_key("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw")],
        "msg_p5jXN8AQM9LWM0D4loKWxJek",
        1614265330,
        b'{"test": 2432232314}',
    )
    assert headers["webhook-signature"] == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


def test_both_secrets_verify_during_a_rotation() -> None:
    headers = signature_headers([signing_key(OTHER), signing_key(SECRET)], "msg_1", int(time.time()), BODY)
    for secret in (SECRET, OTHER):
        Webhook(secret).verify(BODY, headers)


def test_a_changed_body_does_not_verify() -> None:
    headers = signature_headers([signing_key(SECRET)], "msg_1", int(time.time()), BODY)
    with pytest.raises(WebhookVerificationError):
        Webhook(SECRET).verify(BODY + b" ", headers)


def test_without_a_secret_there_is_an_id_and_no_signature() -> None:
    assert signature_headers([], "msg_1", 17, BODY) == {"webhook-id": "msg_1", "webhook-timestamp": "17"}


def test_unpadded_secrets_are_taken() -> None:
    assert signing_key("whsec_YWJjZA") == b"abcd"


@pytest.mark.parametrize("secret", ["", "whsec_", "whsec_!!!", "whsec_YWJjZ"])
def test_a_secret_that_is_none_is_refused(secret: str) -> None:
    with pytest.raises(Misconfigured):
        signing_key(secret)
