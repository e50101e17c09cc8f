"""When a service wants to be asked again, in every form in which services say it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowengine.handlers.llm.rate_limit import told_wait_s, wait_s

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "20s"}, 20.0),
        ({"retry-after": "Sat, 28 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Sat, 28 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "2, 5"}, 5.0),
        ({"retry-after": "-3"}, None),
        ({"retry-after": "soon"}, None),
        ({"retry-after": ""}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "x", "retry-after": "9"}, 9.0),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-tokens": "120ms"}, 0.12),
        ({"x-ratelimit-reset-requests": "1h2m3.5s"}, 3723.5),
        ({"x-ratelimit-reset-requests": "20s", "x-ratelimit-reset-tokens": "1s"}, 20.0),
        (
            {
                "x-ratelimit-reset-requests": "8h",
                "x-ratelimit-remaining-requests": "7",
                "x-ratelimit-reset-tokens": "3s",
                "x-ratelimit-remaining-tokens": "0",
            },
            3.0,
        ),
        ({"x-ratelimit-reset": "1795867245"}, 45.0),
        ({"x-ratelimit-reset": "1795867245000"}, 45.0),
        ({"x-ratelimit-reset": "30"}, 30.0),
        ({"x-ratelimit-reset-requests": "8h", "x-ratelimit-remaining-requests": "7"}, None),
        ({"anthropic-ratelimit-requests-reset": "2026-11-28T12:00:10Z"}, 10.0),
        ({"retry-after": "4", "x-ratelimit-reset-requests": "8h"}, 4.0),
        ({}, None),
    ],
)
def test_a_header_says_how_long(headers: dict[str, str], seconds: float | None) -> None:
    """`Retry-After` first; of several limits, that of what is used up."""
    assert told_wait_s(headers, "", NOW) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("sentence", "seconds"),
    [
        ("Rate limit reached (TPM): Limit 10000, Used 9800. Please try again in 1.2s. Visit x", 1.2),
        ("Please try again in 6m0s.", 360.0),
        ("Please try again in 120ms.", 0.12),
        ("Please retry after 17 seconds.", 17.0),
        ("Try again in 5 seconds.", 5.0),
        ("Please retry in 17.5s.", 17.5),
        ("wait 2 minutes", 120.0),
        ("Limit 20, used 20", None),
        ("try again later", None),
        ("", None),
    ],
)
def test_a_sentence_says_how_long(sentence: str, seconds: float | None) -> None:
    """Where no header does."""
    assert told_wait_s({}, sentence, NOW) == pytest.approx(seconds)


def test_a_failure_that_is_no_limit_is_not_held_up_by_the_limits() -> None:
    """Services send their resets with every answer, with a 500 too."""
    headers = {"x-ratelimit-reset-requests": "8h"}
    assert told_wait_s(headers, "", NOW, is_limit=False) is None
    assert told_wait_s({**headers, "retry-after": "2"}, "", NOW, is_limit=False) == 2


def test_a_wait_is_never_shorter_than_told_and_differs_by_chance() -> None:
    """Sixty nodes that are told the same second do not come in the same second."""
    waits = {wait_s(30, 1, draw / 10) for draw in range(10)}
    assert min(waits) == 30
    assert max(waits) <= 33
    assert len(waits) == 10
    assert wait_s(0, 0.5, 0) == 0.5
