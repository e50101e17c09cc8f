"""Filters that work on numbers, or make one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import MISSING, number_of
from flowengine.template.json_values import checked_number, type_name

MAX_ROUND_DIGITS: Final = 15


def absolute(budget: Budget, value: object) -> int | float:
    """Without its sign."""
    return checked_number(abs(number_of("abs", value)))


def rounded(budget: Budget, value: object, digits: int = 0) -> int | float:
    """With so many digits after the point."""
    if type(digits) is not int or not 0 <= digits <= MAX_ROUND_DIGITS:
        raise TemplateEvaluationError(f"'round' takes 0 to {MAX_ROUND_DIGITS} digits")
    return checked_number(round(number_of("round", value), digits))


def to_int(budget: Budget, value: object, default: object = MISSING) -> object:
    """As an integer, without what follows the point."""
    return _converted(budget, "int", value, default, lambda number: int(number))


def to_float(budget: Budget, value: object, default: object = MISSING) -> object:
    """As a number with a point."""
    return _converted(budget, "float", value, default, lambda number: float(number))


def _converted(
    budget: Budget,
    name: str,
    value: object,
    default: object,
    convert: Callable[[int | float | str], int | float],
) -> object:
    try:
        if isinstance(value, bool | int | float | str):
            budget.spend_work(len(value) if isinstance(value, str) else 1)
            return checked_number(convert(value))
    except (ValueError, OverflowError, TemplateEvaluationError):
        pass
    if default is MISSING:
        raise TemplateEvaluationError(f"'{name}' cannot read this {type_name(value)} as a number")
    return default
