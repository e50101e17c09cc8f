"""`compute`: one arithmetic operation on two numbers. Knows nothing of templates or storage."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from typing import Annotated, Final, Literal

import msgspec

from flowengine.execution.error_codes import DIVISION_BY_ZERO
from flowengine.handlers.builtin.checked_values import (
    MAX_BITS,
    Number,
    as_number,
    checked,
    too_large,
    wrong_with_number,
)
from flowengine.plugin.context import Context
from flowengine.plugin.errors import HandlerError
from flowengine.plugin.literal_check import LiteralCheck
from flowengine.plugin.registry import handler


class ComputeConfig(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to compute."""

    operation: Annotated[
        Literal["add", "subtract", "multiply", "divide", "power", "modulo", "min", "max"],
        msgspec.Meta(description="What to do with `a` and `b`. `modulo` takes the sign of `b`."),
    ]
    a: Annotated[
        int | float | str,
        msgspec.Meta(description="A number, or text that spells one."),
        LiteralCheck(wrong_with_number),
    ]
    b: Annotated[
        int | float | str,
        msgspec.Meta(description="A number, or text that spells one."),
        LiteralCheck(wrong_with_number),
    ]


class NumberResult(msgspec.Struct, frozen=True):
    """The output."""

    result: Number


@handler("compute", primary="result", secrets=False, output=NumberResult)
def compute(config: ComputeConfig, context: Context) -> NumberResult:
    """Computes one operation on two numbers; integers stay integers where the result is exact.

    Raises HandlerError: `not_a_number`, `division_by_zero`, `result_too_large`.
    """
    a, b = as_number(config.a, "a"), as_number(config.b, "b")
    what = f"the result of {config.operation}"
    try:
        return NumberResult(checked(_OPERATIONS[config.operation](a, b), what))
    except ZeroDivisionError as error:
        raise HandlerError(
            DIVISION_BY_ZERO.code, f"{config.operation}: cannot divide by zero (a = {a}, b = {b})"
        ) from error
    except OverflowError as error:
        raise too_large(what) from error


def divide(a: Number, b: Number) -> Number:
    """a / b; an integer if both are integers and b divides a. Raises ZeroDivisionError."""
    if isinstance(a, int) and isinstance(b, int) and a % b == 0:
        return a // b
    return a / b


def _power(a: Number, b: Number) -> object:
    """a ** b. An integer result that would be too large is refused before it is worked out."""
    if isinstance(a, int) and isinstance(b, int) and b > 0 and (a.bit_length() - 1) * b > MAX_BITS:
        raise OverflowError
    return a**b


_OPERATIONS: Final[Mapping[str, Callable[[Number, Number], object]]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": divide,
    "power": _power,
    "modulo": operator.mod,
    "min": min,
    "max": max,
}
