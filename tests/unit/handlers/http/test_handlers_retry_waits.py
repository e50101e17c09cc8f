"""What a refusing service says about another try, header by header."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from flowengine.handlers.http.answer import Answer
from flowengine.handlers.http.retry_waits import advice_of, retry_after_seconds

NOW = datetime(2030, 1, 1, 12, 0, 0, tzinfo=UTC)


def refused(status: int, *headers: tuple[str, str], body: bytes = b"") -> Answer:
    """A refusal with those headers, and the server's own time."""
    pairs = (("date", format_datetime(NOW, usegmt=True)), *headers)
    joined: dict[str, str] = {}
    for name, value in pairs:
        joined[name] = f"{joined[name]}, {value}" if name in joined else value
    return Answer(status_code=status, headers=joined, body=body, pairs=pairs)


def wait_of(*headers: tuple[str, str], status: int = 429) -> float | None:
    """The wait that the headers ask for."""
    return advice_of(refused(status, *headers)).wait_s


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 507, 520, 599])
def test_an_error_that_may_pass_is_worth_another_try(status: int) -> None:
    """SPEC, section 5."""
    assert advice_of(refused(status)).retry


@pytest.mark.parametrize("status", [400, 401, 402, 403, 404, 405, 410, 413, 418, 422, 451, 501, 505])
def test_an_error_that_will_not_pass_is_not(status: int) -> None:
    """501 says that the service has no such method, and never will by being asked."""
    assert not advice_of(refused(status)).retry


@pytest.mark.parametrize(
    ("says", "status", "retry"), [("true", 404, True), ("False", 503, False), ("?", 503, True)]
)
def test_the_service_knows_best(says: str, status: int, retry: bool) -> None:
    """`x-should-retry`, as OpenAI's and Anthropic's services send it."""
    assert advice_of(refused(status, ("x-should-retry", says))).retry is retry


HTTP_DATE = format_datetime(NOW + timedelta(seconds=7), usegmt=True)
WAITS: dict[str, tuple[list[tuple[str, str]], float | None]] = {
    "nothing": ([], None),
    "seconds": ([("retry-after", "120")], 120),
    "a date": ([("retry-after", HTTP_DATE)], 7),
    "twice": ([("retry-after", "3"), ("retry-after", "5")], 5),
    "twice, joined by a proxy": ([("retry-after", "3, 5")], 5),
    "twice, one a date": ([("retry-after", "3"), ("retry-after", HTTP_DATE)], 7),
    "twice, one unreadable": ([("retry-after", "soon"), ("retry-after", "4")], 4),
    "milliseconds": ([("retry-after-ms", "1500")], 1.5),
    "milliseconds before seconds": ([("retry-after", "2"), ("retry-after-ms", "1500")], 1.5),
    "milliseconds twice, joined by a proxy": ([("retry-after-ms", "100, 1500")], 1.5),
    "milliseconds of Azure": ([("x-ms-retry-after-ms", "1500"), ("retry-after", "2")], 1.5),
    "a duration": ([("retry-after", "2m")], 120),
    "a time of RFC 3339": ([("retry-after", "2030-01-01T12:00:07Z")], 7),
    "a time in seconds": ([("retry-after", str(int(NOW.timestamp()) + 30))], 30),
    "unreadable milliseconds": ([("retry-after", "2"), ("retry-after-ms", "soon")], 2),
    "reset in seconds": ([("x-ratelimit-reset", "30")], 30),
    "reset at a time": ([("x-ratelimit-reset", str(int(NOW.timestamp()) + 30))], 30),
    "reset at a time in milliseconds": ([("x-rate-limit-reset", str(int(NOW.timestamp() + 30) * 1000))], 30),
    "reset in the past": ([("x-ratelimit-reset", str(int(NOW.timestamp()) - 30))], 0),
    "reset after": ([("x-ratelimit-reset-after", "1.5")], 1.5),
    "OpenAI's durations": (
        [("x-ratelimit-reset-requests", "1m30s"), ("x-ratelimit-reset-tokens", "20ms")],
        90,
    ),
    "only what is used up": (
        [
            ("x-ratelimit-remaining-requests", "10"),
            ("x-ratelimit-reset-requests", "8.64s"),
            ("x-ratelimit-remaining-tokens", "0"),
            ("x-ratelimit-reset-tokens", "6m0s"),
        ],
        360,
    ),
    "nothing is used up": ([("x-ratelimit-remaining", "10"), ("x-ratelimit-reset", "30")], None),
    "Anthropic's times": ([("anthropic-ratelimit-tokens-reset", "2030-01-01T12:00:20Z")], 20),
    "the IETF's draft": ([("ratelimit-reset", "9")], 9),
    "the IETF's older field": ([("ratelimit", "limit=10, remaining=0, reset=30")], 30),
    "the IETF's newer field": ([("ratelimit", '"minute";r=5;t=10, "day";r=0;t=40')], 40),
    "Retry-After before resets": ([("retry-after", "1"), ("x-ratelimit-reset", "30")], 1),
    "nonsense": ([("x-ratelimit-reset", "soon"), ("ratelimit", ";;=")], None),
}


@pytest.mark.parametrize("case", WAITS)
def test_the_wait_that_a_service_asks_for_is_understood(case: str) -> None:
    """A header that comes twice counts with its longest wait; of several limits, those that are used up."""
    headers, wait_s = WAITS[case]
    found = wait_of(*headers)
    assert found == (None if wait_s is None else pytest.approx(wait_s, abs=1))


def test_a_limit_that_is_reset_says_nothing_about_a_failure() -> None:
    """Services send these headers with every answer; only 429 means that the limit was the reason."""
    assert wait_of(("x-ratelimit-reset", "3600"), status=500) is None
    assert wait_of(("retry-after", "4"), status=500) == 4


@pytest.mark.parametrize(
    "body",
    [
        {"error": {"code": "insufficient_quota", "message": "You exceeded your current quota"}},
        {"error": {"type": "insufficient_quota"}},
        {"error": "QUOTA_EXCEEDED"},
        {"errors": [{"code": "billing_hard_limit_reached"}]},
        {"code": "insufficient_balance"},
        {"code": "budget_exceeded"},
        {"code": "QuotaExceeded"},
        [{"error": {"code": "insufficient_quota"}}],
        {"code": "account_deactivated"},
    ],
)
def test_a_quota_that_is_used_up_is_not_waited_for(body: object) -> None:
    """Money does not come back by itself, so the node fails at once and says why."""
    advice = advice_of(refused(429, ("retry-after", "1"), body=json.dumps(body).encode()))
    assert not advice.retry
    assert "quota is used up" in str(advice.why_not)


@pytest.mark.parametrize("body", [b"", b"[", b'{"error": {"code": "rate_limit_exceeded"}}', b"[[]]", b"null"])
def test_a_rate_that_is_used_up_is(body: bytes) -> None:
    """It comes back in a minute."""
    assert advice_of(refused(429, body=body)).retry


@given(
    st.sampled_from(["retry-after", "retry-after-ms", "x-ratelimit-reset", "ratelimit", "x-should-retry"]),
    st.text(),
)
def test_no_header_breaks_the_reader(name: str, value: str) -> None:
    """Whatever a server sends, the wait is None or not negative."""
    wait_s = wait_of((name, value))
    assert wait_s is None or wait_s >= 0


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("2", 2.0),
        (" 0 ", 0.0),
        ("1.5", 1.5),
        ("3600", 3600.0),
        ("999999999", 999999999.0),
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
