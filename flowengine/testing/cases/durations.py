"""Lengths of time as tests write them: a number of seconds, or a text such as `90s`, `10m`, `1.5h`, `7d`."""

from __future__ import annotations

import re
from typing import Annotated, Final, TypeAlias

from msgspec import Meta

PATTERN: Final = r"^\d+(\.\d+)?(ms|s|m|h|d)$"

Duration: TypeAlias = Annotated[float, Meta(ge=0)] | Annotated[str, Meta(pattern=PATTERN)]

_WRITTEN: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|s|m|h|d)")
_MS: Final = {"ms": 1, "s": 1000, "m": 60_000, "h": 3_600_000, "d": 86_400_000}


def milliseconds(duration: float | str) -> int:
    """The length in milliseconds. Raises ValueError for a text of another form."""
    if not isinstance(duration, str):
        return round(duration * 1000)
    found = _WRITTEN.fullmatch(duration)
    if found is None:
        raise ValueError(f"{duration!r} is no length of time: write seconds, or a text such as 10m")
    return round(float(found[1]) * _MS[found[2]])


def shown(ms: int) -> str:
    """The length as a person reads it."""
    for unit, size in reversed(_MS.items()):
        if ms >= size:
            return f"{ms / size:.6g}{unit}"
    return "0s"
