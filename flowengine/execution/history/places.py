"""Where something stands in a stream: the entry, and its place in the entry, as `ENTRY.INDEX`. Pure.

An entry holds several events, or several lines: what one transaction or one batch has written.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_PLACE: Final = re.compile(r"(\d{1,19})-(\d{1,19})\.(\d{1,9})")

LAST: Final = 999_999_999
"""No entry has an item so far behind its first one."""


class Place(NamedTuple):
    """Places compare as they follow one another. An entry is its server's time and a serial number."""

    milliseconds: int
    serial: int
    offset: int

    @property
    def entry(self) -> str:
        """The entry's id, as Redis writes it."""
        return f"{self.milliseconds}-{self.serial}"

    def __str__(self) -> str:
        return f"{self.entry}.{self.offset}"


START: Final = Place(0, 0, -1)
"""Before everything."""


def parse_place(text: str) -> Place | None:
    """The place that a caller names; None for what is none."""
    found = _PLACE.fullmatch(text)
    return None if found is None else Place(*map(int, found.groups()))


def place_in(entry: bytes, offset: int) -> Place:
    """The place of the item so far behind the first one of an entry."""
    milliseconds, _, serial = entry.partition(b"-")
    return Place(int(milliseconds), int(serial), offset)
