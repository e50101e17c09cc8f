"""The times of a schedule. Pure: reads no clock. Times are whole milliseconds since the epoch.

Cron expressions are read by `cronsim`, which follows Debian's cron where clocks are changed: a fixed hour and
minute that does not exist runs at the next minute that does, one that comes twice runs once, and with `*` or
a step in the hour or the minute what counts is the time that has gone by. What is added here: a time is an
instant, so two that fall on the same one are one; all is asked from any instant on, with no state; and what
elapses is right also where a clock is changed by half an hour.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Final

from cronsim import CronSim, CronSimError

from flowengine.workflow.schedules.declared import Schedule

if TYPE_CHECKING:
    from zoneinfo import ZoneInfo

MS: Final = 1000
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
LAST: Final = datetime(9000, 1, 1, tzinfo=UTC)
"""Later times are none: the arithmetic of dates ends soon after."""
FIELDS: Final = 5
FIRST_WINDOW: Final = timedelta(hours=1)
"""The newest times before an instant are looked for in windows that grow eightfold: a window holds at most
eight times as many as are wanted."""


class BadTimesError(ValueError):
    """An expression that names no times. The message says what is wrong with it."""


def check_cron(expression: str) -> None:
    """Raises BadTimesError for what is no cron expression of five fields, and for one that names no day."""
    fields = expression.split()
    if len(fields) != FIELDS:
        raise BadTimesError(
            f"a cron expression has {FIELDS} fields (minute, hour, day of the month, month, day of the "
            f"week), this one has {len(fields)}"
        )
    try:
        next(CronSim(expression, EPOCH))
    except StopIteration:
        raise BadTimesError("no such day comes in 50 years") from None
    except (CronSimError, AssertionError) as error:
        raise BadTimesError(str(error) or "nobody can read it") from error


@lru_cache(maxsize=512)
def zone(name: str) -> ZoneInfo:
    """The time zone of this name in the tz database. Raises LookupError where there is none."""
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(name)
    except (ValueError, OSError, LookupError) as error:
        raise LookupError(f"there is no time zone {name[:60]!r}") from error


def next_after(schedule: Schedule, anchor: int, after: int) -> int | None:
    """The first time after this one; None: there is none. `anchor`: from when seconds are counted."""
    if schedule.every_s:
        step = schedule.every_s * MS
        return anchor + max(1, (after - anchor) // step + 1) * step
    return next(_times(schedule, _instant(after)), None)


def next_times(schedule: Schedule, anchor: int, after: int, count: int) -> list[int]:
    """So many of the next times, or as many as there are."""
    found: list[int] = []
    following = next_after(schedule, anchor, after)
    while following is not None and len(found) < count:
        found.append(following)
        following = next_after(schedule, anchor, following)
    return found


def newest(schedule: Schedule, anchor: int, first: int, until: int, count: int) -> list[int]:
    """The last times, at most so many, of those from `first`, which is one, until `until`; in order.

    It takes a time that goes by `count`, not by how many there are.
    """
    if first > until:
        return []
    if schedule.every_s:
        step = schedule.every_s * MS
        last = first + (until - first) // step * step
        return list(range(max(first, last - (count - 1) * step), last + 1, step))
    end, window = _instant(until), FIRST_WINDOW
    while True:
        begin = max(_instant(first), end - window) - timedelta(milliseconds=1)
        found: deque[int] = deque(maxlen=count)
        for at in _times(schedule, begin):
            if at > until:
                break
            found.append(at)
        if len(found) == count or begin < _instant(first):
            return list(found)
        window *= 8


def _instant(at: int) -> datetime:
    return EPOCH + timedelta(milliseconds=at)


def _times(schedule: Schedule, after: datetime) -> Iterator[int]:
    """The times of a cron expression after an instant, each once."""
    place, said = zone(schedule.timezone), schedule.expression
    elapses = any(field.startswith("*") for field in said.split()[:2])
    previous = after
    for found in _elapsing(said, place, after) if elapses else _fixed(said, place, after):
        if found >= LAST:
            return
        # An hour that comes twice is named once, and hours that do not exist may fall on one minute.
        if found > previous:
            previous = found
            yield (found - EPOCH) // timedelta(milliseconds=1)


def _fixed(said: str, place: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """Of an hour and a minute that are fixed."""
    if after < LAST:
        for local in CronSim(said, after.astimezone(place)):
            yield local.astimezone(UTC)


def _elapsing(said: str, place: ZoneInfo, after: datetime) -> Iterator[datetime]:
    """With a star or a step in the hour or the minute: what the clock shows between two of its changes.

    Between them it is read without a zone: across one, cronsim 2.8 passes over times where the clock is
    changed by half an hour.
    """
    begin, seen = after, after
    while begin < LAST:
        offset = _offset(place, seen)
        change = None
        for local in CronSim(said, (begin + offset).replace(tzinfo=None)):
            found = (local - offset).replace(tzinfo=UTC)
            change = _next_change(place, seen, found)
            if change is not None:
                break
            yield found
            seen = found
        if change is None:
            return
        begin, seen = change - timedelta(seconds=1), change


def _offset(place: ZoneInfo, instant: datetime) -> timedelta:
    return instant.astimezone(place).utcoffset() or timedelta()


def _next_change(place: ZoneInfo, after: datetime, until: datetime) -> datetime | None:
    """The first second after one instant and until another at which the clock is set otherwise; None: it is
    not. Zones keep their clocks for more than a day."""
    offset, low = _offset(place, after), after.replace(microsecond=0)
    while low < until:
        high = min(low + timedelta(days=1), until)
        if _offset(place, high) == offset:
            low = high
            continue
        while high - low > timedelta(seconds=1):
            middle = low + (high - low) // timedelta(seconds=2) * timedelta(seconds=1)
            low, high = (middle, high) if _offset(place, middle) == offset else (low, middle)
        return high
    return None
