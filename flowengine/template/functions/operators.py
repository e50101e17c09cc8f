"""`+ - * / // %`, `~` and `[:]` in templates, each bounded before it makes anything.

Arithmetic is on numbers that stay within 64 bits; `+` also joins two texts or two lists. Templates do not get
Python's own operators: `'a' * 10**9` and `'%1000000000d' % 1` would each fill the memory.
"""

from __future__ import annotations

import operator
from collections.abc import Callable

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.json_values import checked_number, is_number, to_text, type_name

_OPERATIONS: dict[str, Callable[[int | float, int | float], int | float]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
}


def binary(symbol: str, left: object, right: object, budget: Budget) -> object:
    """The value of `left SYMBOL right`. Raises TemplateEvaluationError, TemplateTooLargeError."""
    if is_number(left) and is_number(right):
        return checked_number(_calculate(symbol, left, right))
    if symbol == "+":
        if isinstance(left, str) and isinstance(right, str):
            budget.spend_work(len(left) + len(right))
            return left + right
        if isinstance(left, list) and isinstance(right, list):
            budget.spend_work(len(left) + len(right))
            return left + right
    hint = "; join texts with '~'" if symbol == "+" else ""
    raise TemplateEvaluationError(
        f"'{symbol}' works on two numbers, not on {type_name(left)} and {type_name(right)}{hint}"
    )


def unary(symbol: str, value: object) -> int | float:
    """The value of `+value` or `-value`. Raises TemplateEvaluationError."""
    if not is_number(value):
        raise TemplateEvaluationError(f"'{symbol}' works on a number, not on {type_name(value)}")
    return checked_number(-value if symbol == "-" else value)


def concatenate(budget: Budget, items: list[object]) -> str:
    """The texts of all items in one. Raises TemplateTooLargeError."""
    texts: list[str] = []
    for item in items:
        text = to_text(item, budget)
        budget.spend_work(len(text))
        texts.append(text)
    return "".join(texts)


def take_slice(budget: Budget, value: object, *bounds: object) -> object:
    """The value of `value[start:stop:step]`. Raises TemplateEvaluationError, TemplateTooLargeError."""
    if not isinstance(value, str | list):
        raise TemplateEvaluationError(f"a slice is taken of text or a list, not of {type_name(value)}")
    if any(bound is not None and type(bound) is not int for bound in bounds) or bounds[-1] == 0:
        raise TemplateEvaluationError("the bounds of a slice are integers, its step is not 0")
    budget.spend_work(len(value))
    return value[slice(*bounds)]  # type: ignore[arg-type]  # just checked


def _calculate(symbol: str, left: int | float, right: int | float) -> int | float:
    try:
        return _OPERATIONS[symbol](left, right)
    except ZeroDivisionError as error:
        raise TemplateEvaluationError(f"division by zero in '{symbol}'") from error
    except OverflowError as error:
        raise TemplateEvaluationError(f"the result of '{symbol}' is too large") from error
