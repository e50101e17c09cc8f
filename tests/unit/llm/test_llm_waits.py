"""When a service wants to be asked again, in every form in which services say it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from flowengine.handlers.http.answer import Answer
from flowengine.handlers.llm.rate_limit import told_wait_s, wait_s

NOW = datetime(2026, 11, 28, 12, 0, 0, tzinfo=UTC)


def told(headers: dict[str, str], sentence: str = "", *, is_limit: bool = True) -> float | None:
    """What an answer 200 with these headers and this sentence inside says."""
    head = Answer(status_code=200, headers=headers, body=b"")
    return told_wait_s(head, sentence, NOW, is_limit=is_limit)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "120"}, 120.0),
        ({"retry-after": "0"}, 0.0),
        ({"retry-after": "Sat, 28 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"x-ratelimit-reset-requests": "6m0s"}, 360.0),
        ({"x-ratelimit-reset-requests": "8h", "x-ratelimit-remaining-requests": "7"}, None),
        ({}, None),
    ],
)
def test_a_header_says_how_long(headers: dict[str, str], seconds: float | None) -> None:
    """As with every HTTP call, also where the refusal stands inside an answer 200."""
    assert told(headers) == pytest.approx(seconds)


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
    assert told({}, sentence) == pytest.approx(seconds)


def test_a_failure_that_is_no_limit_is_not_held_up_by_the_limits() -> None:
    """Services send their resets with every answer, with a 500 too."""
    headers = {"x-ratelimit-reset-requests": "8h"}
    assert told(headers, is_limit=False) is None
    assert told({**headers, "retry-after": "2"}, is_limit=False) == 2


def test_a_wait_is_never_shorter_than_told_and_differs_by_chance() -> None:
    """Sixty nodes that are told the same second do not come in the same second."""
    waits = {wait_s(30, 1, draw / 10) for draw in range(10)}
    assert min(waits) == 30
    assert max(waits) <= 33
    assert len(waits) == 10
    assert wait_s(0, 0.5, 0) == 0.5
