import pytest

from families.console.http.forms import in_utc


@pytest.mark.parametrize(
    ("sent", "meant"),
    [
        ("2026-11-30T21:00", "2026-11-30T21:00:00Z"),
        ("2026-11-30T21:00:05", "2026-11-30T21:00:05Z"),
        ("2026-11-30T21:00:05.25", "2026-11-30T21:00:05.25Z"),
        ("2026-11-30T21:00:05Z", "2026-11-30T21:00:05Z"),
        ("2026-11-30T21:00:05+01:00", "2026-11-30T21:00:05+01:00"),
        ("2026-11-30T21:00-05:00", "2026-11-30T21:00-05:00"),
        ("yesterday", "yesterday"),
    ],
)
def test_a_time_without_a_zone_is_utc(sent: str, meant: str) -> None:
    assert in_utc(sent) == meant
