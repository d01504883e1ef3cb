"""Checks signatures as a subscriber does: with the Standard Webhooks library, which knows nothing of Headrace."""

from __future__ import annotations

from typing import TYPE_CHECKING

from operations.errors import CannotStart, WrongUsage

if TYPE_CHECKING:
    from collections.abc import Mapping


class Verifier:
    """Knows one signing secret.

    Args:
        secret: ``whsec_…``, as the answer that created the endpoint has it.

    Raises:
        CannotStart: the library is not installed.
        WrongUsage: the secret is none.
    """

    def __init__(self, secret: str) -> None:
        try:
            from standardwebhooks.webhooks import Webhook, WebhookVerificationError  # noqa: PLC0415  # of the extra ``tour``
        except ImportError as error:
            raise CannotStart("Checking signatures needs: pip install 'headrace[tour]'") from error
        self._error = WebhookVerificationError
        try:
            self._webhook = Webhook(secret)
        except Exception as error:
            raise WrongUsage("The secret must be whsec_ followed by base64.") from error

    def check(self, headers: Mapping[str, str], body: bytes) -> str:
        """``valid``, ``missing``, or ``wrong``: also for a time that is more than five minutes away."""
        if "webhook-signature" not in headers:
            return "missing"
        try:
            self._webhook.verify(body, {name.lower(): value for name, value in headers.items()})
        except (self._error, ValueError):
            return "wrong"
        return "valid"
