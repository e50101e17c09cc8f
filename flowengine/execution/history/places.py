"""Where something stands in a stream: the entry, and its place in the entry, as `ENTRY.INDEX`. Pure.

An entry holds several events, or several lines: what one transaction or one batch has written.
"""

from __future__ import annotations

import re
from typing import Final, Literal, NamedTuple, TypeAlias, get_args

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


MOST: Final = 2**64 - 1
"""The largest number in an entry's id."""

Stream: TypeAlias = Literal["events", "live", "logs"]
STREAMS: Final[tuple[Stream, ...]] = get_args(Stream)
"""The streams of one execution. Entries of the same moment follow one another in this order."""

_LIVE_PLACE: Final = re.compile(r"(.{1,60}?)(?:\.(live|logs))?")


class LivePlace(NamedTuple):
    """A place in all streams of an execution together, by the time of one server. `stream`: its number."""

    milliseconds: int
    serial: int
    stream: int
    offset: int

    @property
    def entry_before(self) -> str:
        """The id behind which the entry follows: what lies in it is read again, in each stream."""
        if self.serial:
            return f"{self.milliseconds}-{self.serial - 1}"
        return f"{self.milliseconds - 1}-{MOST}" if self.milliseconds else "0-0"

    def __str__(self) -> str:
        name = "" if self.stream == 0 else f".{STREAMS[self.stream]}"
        return f"{self.milliseconds}-{self.serial}.{self.offset}{name}"


LIVE_START: Final = LivePlace(0, 0, 0, -1)


NOW: Final = LivePlace(MOST, MOST, 0, 0)
"""From now on: what is there already is not wanted."""


def live_place_in(entry: bytes, stream: int, offset: int) -> LivePlace:
    """The place of an item of an entry of this stream."""
    place = place_in(entry, offset)
    return LivePlace(place.milliseconds, place.serial, stream, offset)


def end_of(milliseconds: int) -> LivePlace:
    """Behind all that has this time."""
    return LivePlace(milliseconds, MOST, len(STREAMS), LAST)


def parse_live_place(text: str) -> LivePlace | None:
    """The place that a reader has reached; None for what is none."""
    found = _LIVE_PLACE.fullmatch(text)
    place = None if found is None else parse_place(found[1])
    if found is None or place is None:
        return None
    stream = STREAMS.index(found[2]) if found[2] in ("live", "logs") else 0
    return LivePlace(place.milliseconds, place.serial, stream, place.offset)
