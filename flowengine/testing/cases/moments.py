"""When a test begins, as it is written."""

from __future__ import annotations

from datetime import datetime


def milliseconds_at(text: str) -> int:
    """Since the epoch. Raises ValueError for what is no time with its offset from UTC."""
    time = datetime.fromisoformat(text)
    if time.tzinfo is None:
        raise ValueError(text)
    return round(time.timestamp() * 1000)
