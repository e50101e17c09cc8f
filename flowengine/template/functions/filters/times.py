"""Filters that work on times: a text as RFC 3339 writes it, a date, or a number of seconds since 1970."""

from __future__ import annotations

from calendar import monthrange
from datetime import datetime, timedelta

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import CALL_COST
from flowengine.template.functions.dates import (
    EPOCH,
    MAX_FORMAT_CHARS,
    format_time,
    read_time,
    seconds,
    write_time,
    zone,
)
from flowengine.template.json_values import is_number, type_name

_MONTHS = 12


def date_add(
    budget: Budget,
    value: object,
    *,
    days: int | float = 0,
    hours: int | float = 0,
    minutes: int | float = 0,
    seconds: int | float = 0,
    months: int = 0,
) -> str:
    """A later or, with numbers below 0, an earlier time, in UTC.

    The months come first; a day that the month does not have becomes its last one. A date to which only
    months and whole days are added stays a date.
    """
    budget.spend_work(CALL_COST)
    time = read_time("date_add", value)
    amounts = {"days": days, "hours": hours, "minutes": minutes, "seconds": seconds, "months": months}
    for name, amount in amounts.items():
        if not is_number(amount) or (name == "months" and type(amount) is not int):
            kind = "a whole number" if name == "months" else "a number"
            raise TemplateEvaluationError(f"'date_add' takes {kind} of {name}, not {type_name(amount)}")
    try:
        moved = _in_months(time.at, months)
        moved += timedelta(days=days, hours=hours, minutes=minutes, seconds=seconds)
        stays_date = time.is_date and type(days) is int and not (hours or minutes or seconds)
        return moved.date().isoformat() if stays_date else write_time(moved)
    except (ValueError, OverflowError) as error:
        raise TemplateEvaluationError("'date_add' leads beyond the years 1 to 9999") from error


def _in_months(at: datetime, months: int) -> datetime:
    years, month = divmod(at.year * _MONTHS + at.month - 1 + months, _MONTHS)
    return at.replace(year=years, month=month + 1, day=1) + timedelta(
        days=min(at.day, monthrange(years, month + 1)[1]) - 1
    )


def date_format(budget: Budget, value: object, format: object = "%Y-%m-%d", timezone: object = "UTC") -> str:
    """The time in a format and a time zone. A date is the same day in every zone."""
    budget.spend_work(CALL_COST * 4)
    time = read_time("date_format", value)
    if not isinstance(format, str):
        raise TemplateEvaluationError(f"'date_format' takes a format as text, not {type_name(format)}")
    budget.spend_work(CALL_COST * min(len(format), MAX_FORMAT_CHARS))
    place = zone("date_format", timezone)
    try:
        local = time.at.replace(tzinfo=place) if time.is_date else time.at.astimezone(place)
    except OverflowError as error:
        raise TemplateEvaluationError("'date_format' leads beyond the years 1 to 9999") from error
    return format_time("date_format", local, format)


def date_diff(budget: Budget, value: object, other: object) -> int | float:
    """The seconds from the other time to this one."""
    budget.spend_work(CALL_COST)
    return seconds(read_time("date_diff", value).at - read_time("date_diff", other).at)


def to_timestamp(budget: Budget, value: object) -> int | float:
    """The time as a number of seconds since the beginning of 1970, in UTC."""
    budget.spend_work(CALL_COST)
    return seconds(read_time("to_timestamp", value).at - EPOCH)
