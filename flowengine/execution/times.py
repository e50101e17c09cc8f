"""Times as the API shows them: RFC 3339 in UTC with milliseconds, so that as texts they sort as times."""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, TypeAlias

import msgspec

Moment: TypeAlias = Annotated[str, msgspec.Meta(extra_json_schema={"format": "date-time"})]
"""A time in UTC with milliseconds, always: `2026-11-28T13:03:53.000Z` (RFC 3339)."""


def moment(milliseconds: int) -> Moment:
    """Milliseconds since the epoch as a text."""
    seconds, rest = divmod(milliseconds, 1000)
    return f"{_second(seconds)}.{rest:03d}Z"


@lru_cache(maxsize=256)
def _second(seconds: int) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat()[:19]


def moment_or_none(milliseconds: int | None) -> Moment | None:
    """The same; None, and 0 for a time that has not come, stay None."""
    return moment(milliseconds) if milliseconds else None
