"""The times of schedules: against an independent reading of the tz database, and where clocks are changed."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from flowengine.workflow.schedules.declared import MACROS, Schedule
from flowengine.workflow.schedules.times import (
    BadTimesError,
    check_cron,
    newest,
    next_after,
    next_times,
)
from tests.support.checks.cron_reference import between

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe")
CAIRO = "Africa/Cairo"


def at(text: str) -> int:
    """A time in milliseconds."""
    return round(datetime.fromisoformat(text).timestamp() * 1000)


def times(schedule: Schedule, begin: int, end: int) -> Iterator[int]:
    """Its times from one instant to another, asked for one after the other."""
    following = next_after(schedule, begin, begin)
    while following is not None and following <= end:
        yield following
        following = next_after(schedule, begin, following)


SPANS = (("2027-03-10", "2027-05-05"), ("2027-09-25", "2027-11-12"))
"""In these, all the clocks of the zones are changed."""


@pytest.mark.parametrize("place", [*ZONES, CAIRO])
@pytest.mark.parametrize(
    "cron",
    [
        "30 2 * * *", "0 0 * * *", "0,20,40 1-3 * * SUN,FRI", "*/20 0-2 * * *", "0 * * * *", "5 */3 * * *",
        "* 2 31 10 *", "10 0 13 * FRI",
    ],
)  # fmt: skip
@pytest.mark.proves("schedule-times")
def test_times_are_those_of_an_independent_reading(place: str, cron: str) -> None:
    """Debian's rule: what is fixed runs once where an hour comes twice, and at the next minute that there is
    where it does not come; with a star or a step in the hour or the minute, elapsed time counts."""
    for first, last in SPANS:
        begin, end = at(f"{first}T00:00:00+00:00"), at(f"{last}T00:00:00+00:00")
        found = list(times(Schedule(cron=cron, timezone=place), begin, end))
        assert found == between(cron, place, begin, end)


@pytest.mark.parametrize(
    ("cron", "after", "expected"),
    [
        ("30 2 * * *", "03-28T00:00:00+01:00", ["03-28T03:00:00+02:00", "03-29T02:30:00+02:00"]),
        ("0,30 2 * * *", "03-28T00:00:00+01:00", ["03-28T03:00:00+02:00", "03-29T02:00:00+02:00"]),
        ("30 2 * * *", "10-31T00:00:00+02:00", ["10-31T02:30:00+02:00", "11-01T02:30:00+01:00"]),
        ("30 2 * * *", "10-31T02:10:00+01:00", ["11-01T02:30:00+01:00"]),
        ("*/30 2 * * *", "10-31T02:15:00+02:00", ["10-31T02:30:00+02:00", "10-31T02:00:00+01:00"]),
        ("*/30 2 * * *", "03-28T00:00:00+01:00", ["03-29T02:00:00+02:00"]),
        ("0 * * * *", "03-28T01:30:00+01:00", ["03-28T03:00:00+02:00", "03-28T04:00:00+02:00"]),
    ],
)  # fmt: skip
def test_where_clocks_are_changed_in_berlin(cron: str, after: str, expected: list[str]) -> None:
    """Hours that do not exist, and hours that come twice, in 2027."""
    schedule = Schedule(cron=cron, timezone="Europe/Berlin")
    found = next_times(schedule, 0, at(f"2027-{after}"), len(expected))
    assert found == [at(f"2027-{text}") for text in expected]


def test_times_that_do_not_exist_and_fall_on_one_minute_are_one() -> None:
    """Also among the newest of many: Debian's cron runs both at 03:00, and a time starts one execution."""
    schedule = Schedule(cron="0,30 2 * * *", timezone="Europe/Berlin")
    first, until = at("2027-03-27T02:00:00+01:00"), at("2027-03-29T02:00:00+02:00")
    expected = ["27T02:00:00+01:00", "27T02:30:00+01:00", "28T03:00:00+02:00", "29T02:00:00+02:00"]
    assert newest(schedule, 0, first, until, 9) == [at(f"2027-03-{text}") for text in expected]


@given(
    cron=st.sampled_from(["30 2 * * *", "*/20 1-3 * * *", "0 */5 * * *", "15,45 2 * * SUN", "0 0 29 2 *"]),
    place=st.sampled_from(ZONES),
    minutes=st.integers(0, 60 * 24 * 500),
    span=st.integers(0, 60 * 24 * 20),
    count=st.integers(1, 120),
)
@settings(max_examples=60, deadline=None)
def test_the_newest_times_are_the_last_of_all(
    cron: str, place: str, minutes: int, span: int, count: int
) -> None:
    """However they are looked for."""
    schedule = Schedule(cron=cron, timezone=place)
    after = at("2027-01-01T00:00:00+00:00") + minutes * 60_000
    first = next_after(schedule, 0, after)
    assert first is not None
    until = first + span * 60_000 - 1
    every = list(times(schedule, first - 1, until))
    assert newest(schedule, 0, first, until, count) == every[-count:]


@given(every=st.integers(1, 5000), passed=st.integers(0, 10_000_000), count=st.integers(1, 100))
def test_seconds_count_from_the_anchor(every: int, passed: int, count: int) -> None:
    """Whatever the time is now."""
    schedule, anchor = Schedule(every_s=every), 1_000_000_123
    first = next_after(schedule, anchor, anchor + passed)
    assert first is not None
    assert (first - anchor) % (every * 1000) == 0
    assert 0 < first - (anchor + passed) <= every * 1000
    until = first + 7 * every * 1000 + 5
    expected = [first + step * every * 1000 for step in range(8)]
    assert newest(schedule, anchor, first, until, count) == expected[-count:]


@pytest.mark.parametrize("word", MACROS)
def test_words_stand_for_expressions(word: str) -> None:
    """`@daily` and the like."""
    begin = at("2027-01-15T12:30:00+00:00")
    assert next_times(Schedule(cron=word), 0, begin, 3) == next_times(
        Schedule(cron=MACROS[word]), 0, begin, 3
    )


@given(st.text(alphabet="0123456789*/,-LW#@ SUNMON?%", max_size=40))
@settings(max_examples=500, deadline=None)
def test_whatever_is_written_is_refused_or_has_a_time(text: str) -> None:
    """Nothing else is raised."""
    try:
        check_cron(text)
    except BadTimesError:
        return
    assert next_after(Schedule(cron=text), 0, 0) is not None


def test_times_end_where_dates_do() -> None:
    """Nothing is raised in the year 9000."""
    late = round((datetime(9000, 1, 1, tzinfo=UTC) - timedelta(hours=1)).timestamp() * 1000)
    assert next_times(Schedule(cron="@yearly"), 0, late, 3) == []
