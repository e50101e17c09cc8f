"""The times of a cron expression, by zoneinfo alone: walks over every minute. For tests, and slow.

Knows numbers, lists, ranges, steps and SUN to SAT, and Debian's rule where clocks are changed.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

DAYS = ("SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT")
MINUTE = timedelta(minutes=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def between(cron: str, place: str, begin: int, end: int) -> list[int]:
    """The times after `begin` up to `end`, in milliseconds."""
    zone, fields = ZoneInfo(place), cron.split()
    first, last = (EPOCH + timedelta(milliseconds=each) for each in (begin, end))
    walk = _elapsing if any(field.startswith("*") for field in fields[:2]) else _fixed
    found = {instant for instant in walk(fields, zone, first, last) if first < instant <= last}
    return sorted([(instant - EPOCH) // timedelta(milliseconds=1) for instant in found])


def _elapsing(fields: list[str], zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Each minute that goes by, and what the clock on the wall shows then."""
    sets = _sets(fields)
    instant = first.replace(minute=0, second=0, microsecond=0)
    while instant <= last:
        # No clock is changed within a quarter of an hour.
        offset = instant.astimezone(zone).utcoffset() or timedelta()
        for minute in range(15):
            wall = (instant + minute * MINUTE + offset).replace(tzinfo=None)
            if wall.minute in sets[0] and _matches(sets, fields, wall):
                yield instant + minute * MINUTE
        instant += 15 * MINUTE


def _fixed(fields: list[str], zone: ZoneInfo, first: datetime, last: datetime) -> Iterator[datetime]:
    """Each minute that a calendar has: that of the first of two, and the next one for those that are none."""
    sets = _sets(fields)
    wall = first.astimezone(zone).replace(tzinfo=None) - timedelta(days=1)
    until = last.astimezone(zone).replace(tzinfo=None) + timedelta(days=1)
    while wall <= until:
        if wall.minute in sets[0] and _matches(sets, fields, wall):
            there = wall
            while not _exists(there, zone):
                there += MINUTE
            yield there.replace(tzinfo=zone, fold=0).astimezone(UTC)
        wall += MINUTE


def _exists(wall: datetime, zone: ZoneInfo) -> bool:
    there = wall.replace(tzinfo=zone, fold=0)
    return there.astimezone(UTC).astimezone(zone).replace(tzinfo=None) == wall


def _sets(fields: list[str]) -> list[set[int]]:
    ranges = ((0, 59), (0, 23), (1, 31), (1, 12), (0, 7))
    return [_parsed(field, *limits) for field, limits in zip(fields, ranges, strict=True)]


def _parsed(field: str, least: int, most: int) -> set[int]:
    found: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low = least if first == "*" else _number(first)
        high = most if first == "*" or (step and not last) else _number(last or first)
        found |= set(range(low, high + 1, int(step or 1)))
    return found


def _number(text: str) -> int:
    return DAYS.index(text) if text in DAYS else int(text)


def _matches(sets: list[set[int]], fields: list[str], wall: datetime) -> bool:
    minutes, hours, days, months, weekdays = sets
    if wall.minute not in minutes or wall.hour not in hours or wall.month not in months:
        return False
    weekday = wall.isoweekday()
    by_day, by_weekday = wall.day in days, weekday in weekdays or weekday % 7 in weekdays
    if fields[2].startswith("*") or fields[4].startswith("*"):
        return by_day and by_weekday
    return by_day or by_weekday
