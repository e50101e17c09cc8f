"""Times in templates: how they are read, written, and put into a time zone. Reads no clock.

The zones come from the tz database, as Python's `zoneinfo` finds it. Formats are written here and not by the
platform's `strftime`: that one knows other directives on each platform, speaks the machine's language, and
pads to a billion characters if it is asked to.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from functools import lru_cache
from typing import Final

from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.json_values import is_number, type_name

MAX_FORMAT_CHARS: Final = 200
EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)

_TIME: Final = re.compile(
    r"(?P<date>(?P<year>\d{4})-(?P<month>\d\d)-(?P<day>\d\d))"
    r"(?:[Tt ](?P<hour>\d\d):(?P<minute>\d\d)(?::(?P<second>\d\d)(?:\.(?P<fraction>\d{1,9}))?)?"
    r"(?P<offset>[Zz]|[+-]\d\d:?\d\d)?)?",
    re.ASCII,
)
_ZONE: Final = re.compile(r"[A-Za-z0-9_+-]{1,32}(/[A-Za-z0-9_+-]{1,32}){0,2}")
_DIRECTIVE: Final = re.compile(r"%(-?)(.?)", re.DOTALL)
_DAYS: Final = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS: Final = (
    *("January", "February", "March", "April", "May", "June", "July", "August", "September"),
    *("October", "November", "December"),
)
_NOON: Final = 12


class Time:
    """A time, and whether it was written as a mere date, which is its midnight in UTC."""

    __slots__ = ("at", "is_date")

    def __init__(self, at: datetime, *, is_date: bool) -> None:
        self.at = at
        self.is_date = is_date


def read_time(name: str, value: object) -> Time:
    """The time that a text or a number of seconds since 1970 stands for. `name` is the filter's.

    Without an offset it is in UTC.
    """
    try:
        if isinstance(value, str) and (found := _TIME.fullmatch(value)) is not None:
            return Time(_from_match(found), is_date=found["hour"] is None)
        if is_number(value):
            return Time(EPOCH + timedelta(seconds=value), is_date=False)
    except (ValueError, OverflowError) as error:
        raise TemplateEvaluationError(f"'{name}': there is no such day or time") from error
    given = "this text" if isinstance(value, str) else type_name(value)
    raise TemplateEvaluationError(
        f"'{name}' works on a time as in 2026-03-01T08:00:00Z, a date, or seconds since 1970, not on {given}"
    )


def _from_match(found: re.Match[str]) -> datetime:
    names = ("year", "month", "day", "hour", "minute", "second")
    fraction = (found["fraction"] or "")[:6].ljust(6, "0")
    parts = [int(found[name] or 0) for name in names]
    return datetime(*parts, int(fraction), tzinfo=_offset(found["offset"]))  # type: ignore[misc, arg-type]  # six parts


def _offset(text: str | None) -> tzinfo:
    if text is None or text in "Zz":
        return UTC
    minutes = int(text[1:3]) * 60 + int(text[-2:])
    if int(text[-2:]) > 59:
        raise ValueError("no such offset")
    return timezone(timedelta(minutes=-minutes if text[0] == "-" else minutes))


def at_moment(milliseconds: int) -> datetime:
    """The time so many milliseconds after the beginning of 1970, in UTC."""
    return EPOCH + timedelta(milliseconds=milliseconds)


def write_time(at: datetime) -> str:
    """The time as RFC 3339 in UTC with milliseconds. Raises OverflowError beyond the years 1 to 9999."""
    return at.astimezone(UTC).isoformat(timespec="milliseconds").removesuffix("+00:00") + "Z"


def seconds(span: timedelta) -> int | float:
    """The span in seconds: a whole number where it is one."""
    found = span.total_seconds()
    return int(found) if found.is_integer() else found


def zone(name: str, key: object) -> tzinfo:
    """The time zone of this key, as in 'Europe/Berlin'. `name` is the filter's."""
    found = _zone(key) if isinstance(key, str) else None
    if found is None:
        given = "another text" if isinstance(key, str) else type_name(key)
        raise TemplateEvaluationError(
            f"'{name}' takes a time zone of the tz database, as in 'Europe/Berlin' or 'UTC', not {given}"
        )
    return found


@lru_cache(256)
def _zone(key: str) -> tzinfo | None:
    if key == "UTC":
        return UTC
    if _ZONE.fullmatch(key) is None:
        return None
    from zoneinfo import ZoneInfo

    try:
        return ZoneInfo(key)
    except (ValueError, LookupError, OSError):  # a folder of the database is no zone
        return None


def format_time(name: str, at: datetime, pattern: str) -> str:
    """The time in a format of `strftime`'s directives, in English. `name` is the filter's."""
    if len(pattern) > MAX_FORMAT_CHARS:
        raise TemplateEvaluationError(f"'{name}' takes a format of at most {MAX_FORMAT_CHARS} characters")

    def written(match: re.Match[str]) -> str:
        write = _DIRECTIVES.get(match[2])
        if write is None:
            raise TemplateEvaluationError(f"'{name}' knows these directives: %{' %'.join(_DIRECTIVES)}")
        text = write(at)
        return text.lstrip("0") or "0" if match[1] and text.isdigit() else text

    return _DIRECTIVE.sub(written, pattern)


def _zone_offset(at: datetime) -> str:
    minutes = int((at.utcoffset() or timedelta()).total_seconds() // 60)
    return f"{'-' if minutes < 0 else '+'}{abs(minutes) // 60:02d}{abs(minutes) % 60:02d}"


_DIRECTIVES: Final[dict[str, Callable[[datetime], str]]] = {
    "Y": lambda at: f"{at.year:04d}",
    "y": lambda at: f"{at.year % 100:02d}",
    "m": lambda at: f"{at.month:02d}",
    "d": lambda at: f"{at.day:02d}",
    "H": lambda at: f"{at.hour:02d}",
    "I": lambda at: f"{(at.hour - 1) % _NOON + 1:02d}",
    "p": lambda at: "PM" if at.hour >= _NOON else "AM",
    "M": lambda at: f"{at.minute:02d}",
    "S": lambda at: f"{at.second:02d}",
    "f": lambda at: f"{at.microsecond:06d}",
    "F": lambda at: at.date().isoformat(),
    "T": lambda at: f"{at.hour:02d}:{at.minute:02d}:{at.second:02d}",
    "j": lambda at: f"{at.timetuple().tm_yday:03d}",
    "a": lambda at: _DAYS[at.weekday()][:3],
    "A": lambda at: _DAYS[at.weekday()],
    "b": lambda at: _MONTHS[at.month - 1][:3],
    "B": lambda at: _MONTHS[at.month - 1],
    "u": lambda at: str(at.isoweekday()),
    "w": lambda at: str(at.isoweekday() % 7),
    "V": lambda at: f"{at.isocalendar().week:02d}",
    "G": lambda at: f"{at.isocalendar().year:04d}",
    "s": lambda at: str(int((at - EPOCH).total_seconds() // 1)),
    "z": _zone_offset,
    "Z": lambda at: at.tzname() or "",
    "%": lambda at: "%",
}
