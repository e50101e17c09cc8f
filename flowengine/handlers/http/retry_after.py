"""How long a `Retry-After` header asks to wait (RFC 9110, section 10.2.3). Pure."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

MAX_WAIT_SECONDS: Final = 60.0

_SECONDS: Final = re.compile(r"[0-9]{1,12}(\.[0-9]{1,6})?\Z")


def retry_after_seconds(value: str | None, *, now: datetime) -> float | None:
    """Seconds to wait, 0 to 60, for a header in seconds or as an HTTP date; None if there is none.

    `now` is the server's own time (its `Date` header) where it is known: clocks differ.
    """
    if value is None:
        return None
    text = value.strip()
    if _SECONDS.match(text):
        return min(float(text), MAX_WAIT_SECONDS)
    when = http_date(text)
    return None if when is None else min(max(0.0, (when - now).total_seconds()), MAX_WAIT_SECONDS)


def http_date(value: str | None) -> datetime | None:
    """An HTTP date as an aware datetime, or None when it cannot be read."""
    if value is None:
        return None
    try:
        when = parsedate_to_datetime(value)
    except (ValueError, IndexError, OverflowError):
        return None
    return when if when.tzinfo is not None else when.replace(tzinfo=UTC)
