"""The proxy that webhooks and token requests may have to go through (``HEADRACE_WEBHOOK_PROXY``)."""

from __future__ import annotations

from dataclasses import dataclass, field
from urllib.parse import unquote, urlsplit

from connectors.webhook.token_urls import basic
from schemas.model.errors import Misconfigured

_PORT = 3_128
"""Where proxies listen that say nothing else."""


@dataclass(frozen=True)
class EgressProxy:
    """An HTTP proxy: ``CONNECT`` for https, the whole URL in the request for http.

    Attributes:
        url: without credentials.
        headers: with the credentials, for the proxy alone.
    """

    url: str
    headers: dict[str, str] = field(default_factory=dict, repr=False)

    @classmethod
    def parse(cls, text: str) -> EgressProxy | None:
        """Read the setting; None where it is empty.

        Raises:
            Misconfigured: it is no URL of an HTTP proxy. The message does not quote it: it may have a password.
        """
        if not text:
            return None
        try:
            parts = urlsplit(text)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port, parts = None, None, urlsplit("")
        if parts.scheme != "http" or not host or parts.path not in {"", "/"} or parts.query or parts.fragment:
            raise Misconfigured("HEADRACE_WEBHOOK_PROXY takes a URL such as http://user:password@proxy.example:3128")
        headers = {}
        if parts.username is not None:
            headers["Proxy-Authorization"] = basic(unquote(parts.username), unquote(parts.password or ""))
        shown = f"[{host}]" if ":" in host else host
        return cls(f"http://{shown}:{_PORT if port is None else port}", headers)
