from __future__ import annotations

import pytest

from schemas.urls import is_absolute


@pytest.mark.parametrize(
    ("url", "absolute"),
    [
        ("https://example.com", True),
        ("http://127.0.0.1:8080/a?b=c#d", True),
        ("http://bücher.example/ä", True),
        (None, False),
        ("", False),
        ("/path", False),
        ("ftp://example.com", False),
        ("http://", False),
        ("http://example.com:x/", False),
        ("http://example.com/\r\nX-A: b", False),
        ("http://example.com/\0", False),
    ],
)
def test_what_is_an_absolute_url(url: str | None, absolute: bool) -> None:  # noqa: FBT001  # a parameter of the test
    assert is_absolute(url) is absolute
