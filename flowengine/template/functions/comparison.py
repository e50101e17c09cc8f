"""`==`, `<`, `in` and the like in templates: the cost of a comparison is taken from the budget first.

Python compares two equal objects of 60,000 keys in 2 ms, and a template can hold a hundred such comparisons.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

from jinja2 import Undefined

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.json_values import json_size, type_name

_LOOK_COST = 2


def compare(budget: Budget, operands: Sequence[object], symbols: Sequence[str]) -> bool:
    """The value of `a SYMBOL b SYMBOL c`, with Jinja2's names of the symbols.

    As in Python, the first false pair ends it; unlike there, all operands have been evaluated.
    Raises TemplateTooLargeError, TemplateEvaluationError, jinja2.UndefinedError.
    """
    pairs = zip(symbols, pairwise(operands), strict=True)
    return all(_COMPARISONS[symbol](budget, left, right) for symbol, (left, right) in pairs)


def is_in(budget: Budget, value: object, container: object) -> bool:
    """Whether the text, list or object holds the value. Raises as `compare`."""
    present(value)
    if not isinstance(present(container), str | list | dict):
        raise TemplateEvaluationError(
            f"'in' looks in text, a list or an object, not in {type_name(container)}"
        )
    budget.spend_work(search_cost(budget, value, container))
    return value in container  # type: ignore[operator]  # just checked


def present(value: object) -> object:
    """The value itself. Raises jinja2.UndefinedError when there is none."""
    if isinstance(value, Undefined):
        str(value)  # raises
    return value


def search_cost(budget: Budget, value: object, container: object) -> int:
    """What it takes to look for the value in a text, list or object."""
    if isinstance(container, list) and isinstance(value, str | list | dict):
        return json_size(container, budget.work_left)
    if isinstance(container, dict):
        return len(value) if isinstance(value, str) else 1
    if isinstance(container, list):
        return _LOOK_COST * len(container)
    return len(container)  # type: ignore[arg-type]  # text


def _ordered(compared: Callable[[Any, Any], object]) -> Callable[[Budget, object, object], bool]:
    def charged(budget: Budget, left: object, right: object) -> bool:
        budget.spend_work(comparison_cost(budget, present(left), present(right)))
        return bool(compared(left, right))

    return charged


def _equal(budget: Budget, left: object, right: object) -> bool:
    if isinstance(left, str | list | dict) and type(left) is type(right) and len(left) != len(right):
        return False
    return _charged_equal(budget, left, right)


def comparison_cost(budget: Budget, left: object, right: object) -> int:
    """What a walk through both takes at most: the size of the shorter one."""
    if isinstance(left, str) and isinstance(right, str):
        return min(len(left), len(right))
    if isinstance(left, list | dict) and isinstance(right, list | dict):
        return json_size(min(left, right, key=len), budget.work_left)
    return 1


_charged_equal = _ordered(operator.eq)
_COMPARISONS: dict[str, Callable[[Budget, object, object], bool]] = {
    "eq": _equal,
    "ne": lambda budget, left, right: not _equal(budget, left, right),
    "lt": _ordered(operator.lt),
    "lteq": _ordered(operator.le),
    "gt": _ordered(operator.gt),
    "gteq": _ordered(operator.ge),
    "in": is_in,
    "notin": lambda budget, left, right: not is_in(budget, left, right),
}
