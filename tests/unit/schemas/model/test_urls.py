from __future__ import annotations

import pytest

from schemas.model.urls import is_absolute, server_of


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("https://example.com", True),
        ("http://127.0.0.1:8080/a?b=c#d", True),
        ("HTTP://EXAMPLE.com/x", True),
        ("hTtPs://example.com", True),
        ("http://example.com\\@127.0.0.1/", False),
        ("http://bücher.example/ä", True),
        (None, False),
        ("", False),
        ("/path", False),
        ("ftp://example.com", False),
        ("http://", False),
        ("http://example.com:x/", False),
        ("http://example.com/\r\nX-A: b", False),
        ("http://example.com/\0", False),
        ("http://not a url", False),
        ("http://exa mple.com/", False),
        ("http://example.com/a b", True),
    ],
)
def test_what_is_an_absolute_url(url: str | None, absolute: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert is_absolute(url) is absolute


def test_the_server_of_a_url() -> None:
    assert server_of("https://Example.com:8443/a?b#c") == "https://example.com:8443"
    assert server_of("HTTPS://EXAMPLE.com:8443") == "https://example.com:8443"
    assert server_of("http://user@example.com") == "http://user@example.com"
