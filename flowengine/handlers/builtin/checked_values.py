"""Numbers and texts made from a config's values, checked, and never larger than a result may be. Pure.

Integers stay integers where the result is exact. Every refusal is a HandlerError whose code says
which rule was broken: `not_a_number`, `wrong_input_type`, `result_too_large`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any, Final, TypeAlias

from flowengine.execution.error_codes import NOT_A_NUMBER, RESULT_TOO_LARGE, WRONG_INPUT_TYPE
from flowengine.jsonvalue import encode
from flowengine.plugin.errors import HandlerError

Number: TypeAlias = int | float

# The range of a double, so that an integer of this size can meet a float without overflowing.
MAX_BITS: Final = 1024

# A separator or replacement can multiply its input, so sizes are worked out before the text is made.
MAX_TEXT_CHARS: Final = 16 * 1024 * 1024

_TEXT_LIMIT: Final = 400
_INTEGER: Final = re.compile(r"[+-]?[0-9]+\Z")
_DECIMAL: Final = re.compile(r"[+-]?([0-9]+\.?[0-9]*|\.[0-9]+)([eE][+-]?[0-9]{1,4})?\Z")


def as_number(value: object, where: str) -> Number:
    """The number that `value` is, or that its text spells ("42", " 1.5e3 ").

    `where` names the value in the error. Raises HandlerError: `not_a_number` for anything else
    (true and false, "nan" and "inf" included), `result_too_large` for an integer beyond 1024 bits.
    """
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        raise _not_a_number(value, where)
    number = _spelled(value, where) if isinstance(value, str) else value
    if isinstance(number, float) and not math.isfinite(number):
        raise _not_a_number(value, where)
    return checked(number, where)


def wrong_with_number(text: str) -> str | None:
    """Why a text that stands in a workflow is no number; None if it spells one."""
    try:
        as_number(text, "this")
    except HandlerError as error:
        return error.message
    return None


def checked(number: object, what: str) -> Number:
    """`number`, if it is real, finite and of at most 1024 bits.

    Raises HandlerError: `not_a_number` (a complex result), `result_too_large`.
    """
    if isinstance(number, complex):
        raise HandlerError(NOT_A_NUMBER.code, f"{what} is not a real number")
    if isinstance(number, float):
        if not math.isfinite(number):
            raise too_large(what)
        return number
    if not isinstance(number, int):
        raise _not_a_number(number, what)
    if number.bit_length() > MAX_BITS:
        raise too_large(what)
    return number


def too_large(what: str) -> HandlerError:
    """The error for a number outside the range of a double."""
    return HandlerError(RESULT_TOO_LARGE.code, f"{what} is outside the range of ±2**{MAX_BITS}")


def describe(value: object) -> str:
    """What a JSON value is, in a few words for an error message: `the text 'abc'`, `a list of 3`."""
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int() if value.bit_length() > MAX_BITS:
            return f"a number of {value.bit_length()} bits"
        case int() | float():
            return f"the number {value!r}"
        case str():
            return f"the text {value[:40]!r}" + ("..." if len(value) > 40 else "")
        case list():
            return f"a list of {len(value)}"
        case dict():
            return f"an object of {len(value)} keys"
    return f"a {type(value).__name__}"


def refuse_long(length: int, operation: str) -> None:
    """Raises HandlerError `result_too_large` if a text of `length` characters is too long to make."""
    if length > MAX_TEXT_CHARS:
        raise HandlerError(
            RESULT_TOO_LARGE.code,
            f"{operation} would make a text of {length} characters; the limit is {MAX_TEXT_CHARS}",
        )


def join_texts(items: Sequence[Any], separator: str, operation: str) -> str:
    """Texts, numbers and booleans as one text.

    Raises HandlerError: `wrong_input_type`, which names the item that is none of these; `result_too_large`.
    """
    parts = []
    for position, item in enumerate(items):
        if isinstance(item, list | dict) or item is None:
            raise HandlerError(
                WRONG_INPUT_TYPE.code, f"{operation} needs texts; item {position} is {describe(item)}"
            )
        parts.append(item if isinstance(item, str) else encode(item).decode())
    refuse_long(sum(map(len, parts)) + len(separator) * len(parts), operation)
    return separator.join(parts)


def _spelled(text: str, where: str) -> Number:
    stripped = text.strip() if len(text) <= _TEXT_LIMIT else ""
    if _INTEGER.match(stripped):
        return int(stripped)
    if _DECIMAL.match(stripped):
        return float(stripped)
    raise _not_a_number(text, where)


def _not_a_number(value: object, where: str) -> HandlerError:
    return HandlerError(NOT_A_NUMBER.code, f"{where} must be a number, it is {describe(value)}")
