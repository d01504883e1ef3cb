from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.model import timestamps

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
INSTANTS = st.integers(min_value=-62_135_596_800_000_000, max_value=253_402_300_799_999_999)


def as_micros(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(microseconds=1)


@given(INSTANTS)
def test_every_instant_prints_and_reads_back(micros: int) -> None:
    text = timestamps.to_text(micros)

    assert micros == timestamps.parse(text)
    assert micros == as_micros(datetime.fromisoformat(text))
    assert timestamps.parse_spelling(text) == (micros, True)


@given(
    st.datetimes(min_value=datetime(2, 1, 1), max_value=datetime(9998, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001 -- bounds are naive by hypothesis' contract
    st.integers(min_value=-23 * 60, max_value=23 * 60),
    st.sampled_from(["{:+03d}:{:02d}", "{:+03d}{:02d}"]),
    st.integers(min_value=0, max_value=9),
    st.sampled_from("Tt "),
)
def test_any_offset_and_fraction_agrees_with_the_standard_library(
    moment: datetime, minutes: int, offset: str, digits: int, separator: str
) -> None:
    hours, rest = divmod(abs(minutes), 60)
    spelled = offset.format(hours, rest)
    spelled = spelled.replace("+", "-") if minutes < 0 else spelled
    fraction = f".{f'{moment.microsecond:06d}789'[:digits]}" if digits else ""
    text = f"{moment:%m-%dT%H:%M:%S}".replace("T", separator)
    text = f"{moment.year:04d}-{text}{fraction}{spelled}"

    assert as_micros(datetime.fromisoformat(text)) == timestamps.parse(text)


@given(INSTANTS, st.integers(min_value=0, max_value=9), st.sampled_from(["Z", "z", "+00:00"]))
def test_a_spelling_is_ours_only_if_it_is_the_one_we_print(micros: int, digits: int, offset: str) -> None:
    head = timestamps.to_text(micros)[:19]
    fraction = f"{micros % 1_000_000:06d}000"[:digits]
    text = f"{head}.{fraction}{offset}" if digits else f"{head}{offset}"

    parsed, prints_back = timestamps.parse_spelling(text)
    assert parsed == timestamps.parse(text)
    assert prints_back == (timestamps.to_text(parsed) == text)


@pytest.mark.parametrize(
    ("text", "printed"),
    [
        ("2021-03-04T16:36:54.591Z", "2021-03-04T16:36:54.591Z"),
        ("2021-03-04T16:36:54.591+00:00", "2021-03-04T16:36:54.591Z"),
        ("2021-03-04T16:47:21.9708899+00:00", "2021-03-04T16:47:21.970889Z"),
        ("2021-03-04T16:47:21.970889999Z", "2021-03-04T16:47:21.970889Z"),
        ("2021-03-04T16:36:54.500Z", "2021-03-04T16:36:54.5Z"),
        ("2021-03-04T16:36:54,5Z", "2021-03-04T16:36:54.5Z"),
        ("2021-03-04T01:36+02:00", "2021-03-03T23:36:00Z"),
        ("2021-03-04T23:36:00-0130", "2021-03-05T01:06:00Z"),
        ("1969-12-31T23:59:59.5Z", "1969-12-31T23:59:59.5Z"),
        ("2020-01-01t00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01t00:00:00.25z", "2020-01-01T00:00:00.25Z"),
        ("2020-01-01 00:00:00Z", "2020-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00-00:00", "2020-01-01T00:00:00Z"),
        ("2020-01-01T00:00:00+23:59", "2019-12-31T00:01:00Z"),
        ("2021-03-04T16:36:54.1234567890Z", "2021-03-04T16:36:54.123456Z"),
        (f"2021-03-04T16:36:54.{'0' * 5_000}+01:00", "2021-03-04T15:36:54Z"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31T23:59:60.123Z", "2016-12-31T23:59:59.999999Z"),
        ("2016-12-31t23:59:60z", "2016-12-31T23:59:59.999999Z"),
        ("1990-12-31T15:59:60-08:00", "1990-12-31T23:59:59.999999Z"),
        ("2017-01-01T05:29:60+05:30", "2016-12-31T23:59:59.999999Z"),
        ("2015-06-30T23:59:60Z", "2015-06-30T23:59:59.999999Z"),
        ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z"),
        ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ("9999-12-31T23:59:60Z", "9999-12-31T23:59:59.999999Z"),
    ],
)
def test_spellings(text: str, printed: str) -> None:
    assert printed == timestamps.to_text(timestamps.parse(text))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Z",
        "yesterday",
        "2021-03-04",
        "2021-03-04T16:36:54",
        "2021-03-04T16:36:54.591",
        "2021-03-04T16:36:54.Z",
        "2021-03-04T16:36:54.1234567x9Z",
        "2021-03-04T16:36:54.\u0661\u0662Z",
        "2021-03-04T16:36:54Z\n",
        " 2021-03-04T16:36:54Z",
        "2021-W09-4T16:36:54Z",
        "20210304T163654Z",
        "2021-02-30T16:36:54Z",
        "2021-03-04T24:00:00Z",
        "2021-03-04T16:36:60Z",
        "2016-12-31T23:58:60Z",
        "2016-12-31T22:59:60Z",
        "2016-12-30T23:59:60Z",
        "2016-12-31T23:59:60-08:00",
        "2016-12-31T23:59:61Z",
        "0000-01-01T00:00:00Z",
        "10000-01-01T00:00:00Z",
        "2021-3-4T16:36:54Z",
        "2021-03-04T16:36:54ZZ",
        "2021-03-04T16:36:54+24:00",
        "2021-03-04T16:36:54+01:60",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        "1614875814591",
    ],
)
def test_naive_times_and_garbage_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        timestamps.parse(text)


@given(
    st.sampled_from(["0000", "0001", "1969", "2016", "2021", "9999"]),
    st.sampled_from(["01-01", "02-29", "02-30", "06-30", "12-31"]),
    st.sampled_from(["00:00", "23:59", "24:00"]),
    st.sampled_from(["00", "59", "60", "61"]),
    st.sampled_from(["", ".", ".5", ".500", ".1234567", ".0"]),
)
def test_the_fast_path_and_the_careful_one_agree(
    year: str, day: str, minutes: str, seconds: str, fraction: str
) -> None:
    """The fast path reads only ``T`` and ``Z``; each other spelling of the same instant is read field by field."""

    def read(separator: str, offset: str) -> int | None:
        try:
            return timestamps.parse(f"{year}-{day}{separator}{minutes}:{seconds}{fraction}{offset}")
        except ValueError:
            return None

    fast = read("T", "Z")
    assert {fast} == {read(separator, offset) for separator in "Tt " for offset in ("Z", "z", "+00:00", "-00:00")}


def test_now_is_the_present_in_microseconds() -> None:
    assert abs(timestamps.now() - as_micros(datetime.now(UTC))) < 60_000_000


def test_long_texts_are_not_cached() -> None:
    before = timestamps._fraction.cache_info().currsize

    assert timestamps.parse("2021-03-04T16:36:54." + "5" * 1_000_000 + "Z")
    with pytest.raises(ValueError, match="not an ISO 8601 instant"):
        timestamps.parse("2021-03-04T16:36:54." + "5" * 1_000_000)
    assert timestamps._fraction.cache_info().currsize == before
