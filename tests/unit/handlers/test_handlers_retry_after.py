"""The wait that a `Retry-After` header asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.handlers.http.retry_waits import retry_after_seconds

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", 2.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("3600", 3600.0),
        ("999999999999", 999999999999.0),
        (format_datetime(NOW + timedelta(seconds=7), usegmt=True), 7.0),
        (format_datetime(NOW + timedelta(days=1), usegmt=True), 86400.0),
        (format_datetime(NOW - timedelta(days=1), usegmt=True), 0.0),
        ("Tuesday, 01-Jan-30 12:00:05 GMT", 5.0),
        ("-1", None),
        ("soon", None),
        ("", None),
        ("9" * 5000, None),
        (None, None),
    ],
)
def test_retry_after_is_read_in_seconds_and_as_a_date(value: str | None, expected: float | None) -> None:
    """Seconds or an HTTP date, never below 0; nonsense counts as no header."""
    assert retry_after_seconds(value, now=NOW) == expected


@given(st.text())
def test_no_retry_after_header_breaks_the_reader(value: str) -> None:
    """Whatever a server sends, the wait is None or not negative."""
    seconds = retry_after_seconds(value, now=NOW)
    assert seconds is None or seconds >= 0
