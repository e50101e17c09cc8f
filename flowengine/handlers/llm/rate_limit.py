"""When a service that was asked too often wants to be asked again, and how long to wait then. Pure.

Many nodes are told the same moment. Each waits a little longer by chance, so that they do not come together.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_NUMBER: Final = re.compile(r"[0-9]{1,15}(\.[0-9]{1,9})?\Z")
_DURATION: Final = re.compile(
    r"(?:(\d{1,6})h)?(?:(\d{1,6})m(?!s))?(?:(\d{1,9}(?:\.\d{1,9})?)s)?(?:(\d{1,9}(?:\.\d{1,9})?)ms)?\Z"
)
_IN_WORDS: Final = re.compile(
    r"(?:try again|retry|available|wait)[^0-9\n]{0,40}?"
    r"(\d[\d.]*(?:h|ms|m|s)[\dhms.]*\b|\d[\d.]*\s*(?:milli)?sec\w*|\d[\d.]*\s*min\w*)",
    re.IGNORECASE,
)
_SPELT: Final = re.compile(r"([\d.]+)\s*(millisec|sec|min)", re.IGNORECASE)
_UNITS: Final = {"millisec": 0.001, "sec": 1.0, "min": 60.0}
_FORMS: Final = (
    "x-ratelimit-{}-requests",
    "x-ratelimit-{}-tokens",
    "x-ratelimit-{}",
    "anthropic-ratelimit-requests-{}",
    "anthropic-ratelimit-tokens-{}",
)
_LEAST_EPOCH: Final = 1_000_000_000.0
_LEAST_EPOCH_MS: Final = 1_000_000_000_000.0
_SHARE: Final = 0.1


def told_wait_s(
    headers: Mapping[str, str], sentence: str, now: datetime, *, is_limit: bool = True
) -> float | None:
    """Seconds until the service may be asked again, as it says; never negative. None if it does not say.

    `retry-after-ms` and `Retry-After` (RFC 9110, 10.2.3) decide. Else the moment when what is used up is
    filled again (`x-ratelimit-reset...`, `anthropic-ratelimit-...-reset`), else the sentence ("try again in
    6m0s"). The resets say nothing where it is no limit that refuses: services send them with every answer.
    Header names are in lower case. `now` is the service's own time where it is known.
    """
    milliseconds = headers.get("retry-after-ms", "").strip()
    if _NUMBER.match(milliseconds):
        return float(milliseconds) / 1000
    retry_after = headers.get("retry-after", "")
    if (seconds := _moment_s(retry_after, now)) is not None:
        return seconds
    if several := [float(text) for text in retry_after.split(", ") if _NUMBER.match(text)]:
        return max(several)
    resets = list(_resets(headers, now)) if is_limit else []
    return max(resets) if resets else _in_words(sentence)


def wait_s(told_s: float, least_s: float, draw: float) -> float:
    """How long to wait for a moment that is `told_s` away. `draw` is a random number, 0 to 1."""
    bare = max(told_s, least_s)
    return bare + draw * max(_SHARE * bare, least_s)


def _resets(headers: Mapping[str, str], now: datetime) -> Iterator[float]:
    """The resets of what is used up, or of that of which nobody says what is left."""
    given = [
        (headers.get(form.format("remaining"), "").strip(), headers[form.format("reset")])
        for form in _FORMS
        if form.format("reset") in headers
    ]
    used_up = [text for left, text in given if left in ("0", "0.0")]
    for text in used_up or [text for left, text in given if not left]:
        if (seconds := _moment_s(text, now)) is not None:
            yield seconds


def _moment_s(text: str, now: datetime) -> float | None:
    """Seconds, `6m0s`, a time since the epoch in seconds or milliseconds, an HTTP date or an ISO date."""
    bare = text.strip().strip('"')
    if not bare:
        return None
    if _NUMBER.match(bare):
        number = float(bare)
        if number >= _LEAST_EPOCH_MS:
            number /= 1000
        return number if number < _LEAST_EPOCH else max(0.0, number - now.timestamp())
    if (found := _DURATION.match(bare)) is not None:
        return _seconds(found)
    when = _date(bare)
    return None if when is None else max(0.0, (when - now).total_seconds())


def _date(text: str) -> datetime | None:
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            when = read(text)
        except (ValueError, IndexError, OverflowError, TypeError):
            continue
        return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
    return None


def _in_words(sentence: str) -> float | None:
    found = _IN_WORDS.search(sentence)
    if found is None:
        return None
    said = found[1].rstrip(".")
    if (duration := _DURATION.match(said)) is not None:
        return _seconds(duration)
    spelt = _SPELT.match(said)
    number = spelt[1].rstrip(".") if spelt else ""
    return float(number) * _UNITS[spelt[2].lower()] if spelt and _NUMBER.match(number) else None


def _seconds(found: re.Match[str]) -> float:
    hours, minutes, seconds, milliseconds = (float(part or 0) for part in found.groups())
    return hours * 3600 + minutes * 60 + seconds + milliseconds / 1000
