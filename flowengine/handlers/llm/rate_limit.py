"""When a service that was asked too often wants to be asked again, and how long to wait then. Pure.

Many nodes are told the same moment. Each waits a little longer by chance, so that they do not come together.
"""

from __future__ import annotations

import re
from datetime import datetime
from typing import Final

import msgspec

from flowengine.handlers.http.answer import Answer
from flowengine.handlers.http.retry_waits import NUMBER, asked_wait
from flowengine.jsonvalue import JsonValue

_DURATION: Final = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?\Z"
)
_IN_WORDS: Final = re.compile(
    r"(?:try again|retry|available|wait)[^0-9\n]{0,40}?"
    r"(\d[\d.]*(?:h|ms|m|s)[\dhms.]*\b|\d[\d.]*\s*(?:milli)?sec\w*|\d[\d.]*\s*min\w*)",
    re.IGNORECASE,
)
_WRITTEN: Final = re.compile(r"([\d.]+)\s*(millisec|sec|min)", re.IGNORECASE)
_UNITS: Final = {"millisec": 0.001, "sec": 1.0, "min": 60.0}
_SHARE: Final = 0.1


def told_wait_s(head: Answer, sentence: str, now: datetime, *, is_limit: bool) -> float | None:
    """Seconds until the service may be asked again, as it says; never negative. None if it does not say.

    The headers decide, else the sentence ("try again in 6m0s"). `is_limit`: whether the service refuses
    because it is asked too often, be it inside an answer 200; only then count the headers that say when a
    limit is full again. `now` is the service's own time where it is known.
    """
    judged = msgspec.structs.replace(head, status_code=429) if is_limit else head
    asked_s = asked_wait(judged, now=now)
    return _in_words(sentence) if asked_s is None else asked_s


def waited_seconds(value: JsonValue) -> float | None:
    """Seconds of a field such as `retryDelay: "34.5s"` or `retry_after: 20`; None if it is no such value."""
    text = str(value) if isinstance(value, int | float | str) and not isinstance(value, bool) else ""
    if NUMBER.match(text):
        return float(text)
    duration = _DURATION.match(text) if text else None
    return None if duration is None else _seconds(duration)


def wait_s(told_s: float, least_s: float, draw: float) -> float:
    """How long to wait for a moment that is `told_s` away. `draw` is a random number, 0 to 1."""
    bare = max(told_s, least_s)
    return bare + draw * max(_SHARE * bare, least_s)


def _in_words(sentence: str) -> float | None:
    found = _IN_WORDS.search(sentence)
    if found is None:
        return None
    said = found[1].rstrip(".")
    if (duration := _DURATION.match(said)) is not None:
        return _seconds(duration)
    written = _WRITTEN.match(said)
    number = written[1].rstrip(".") if written else ""
    return float(number) * _UNITS[written[2].lower()] if written and NUMBER.match(number) else None


def _seconds(found: re.Match[str]) -> float:
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
