"""JSON values inside an expression: their text, their type's name, which numbers are allowed."""

from __future__ import annotations

import math
from typing import TypeGuard

import msgspec
from jinja2 import Undefined

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError

MIN_INTEGER = -(2**63)
MAX_INTEGER = 2**64 - 1

_NAMES: dict[type, str] = {
    type(None): "null",
    bool: "a boolean",
    int: "an integer",
    float: "a number",
    str: "text",
    list: "a list",
    dict: "an object",
}


def _refuse_foreign(value: object) -> object:
    if isinstance(value, Undefined):
        str(value)  # StrictUndefined raises UndefinedError with its own message
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_SHORT = 256
_encoder = msgspec.json.Encoder(enc_hook=_refuse_foreign)


def type_name(value: object) -> str:
    """How messages call the type of a value: "text", "a list", ..."""
    return _NAMES.get(type(value), "no value")


def json_size(value: object, limit: int) -> int:
    """Bytes of the value as JSON, or some number over `limit` once that is passed.

    A short list may hold the same large value many times over, so it is added up item by item; a long one
    is data, and as large as it is. Raises jinja2.UndefinedError when the value holds one.
    """
    total = 0
    pending = [value]
    while pending and total <= limit:
        item = pending.pop()
        if type(item) is str:
            total += len(item) + 2
        elif type(item) in (list, dict) and len(item) <= _SHORT:  # type: ignore[arg-type]  # just checked
            total += 2
            if isinstance(item, dict):
                total += sum(len(key) + 3 for key in item)
                pending.extend(item.values())
            elif isinstance(item, list):
                total += len(item)
                pending.extend(item)
        else:
            total += len(_encoder.encode(item))
    return total


def to_json(value: object, budget: Budget) -> str:
    """The value as compact JSON. Raises jinja2.UndefinedError, TemplateTooLargeError."""
    budget.spend_work(json_size(value, budget.work_left))
    return _encoder.encode(value).decode()


def to_text(value: object, budget: Budget) -> str:
    """The value as it appears inside a text: text as it is, everything else as JSON."""
    return value if type(value) is str else to_json(value, budget)


def is_number(value: object) -> TypeGuard[int | float]:
    """Whether it is a number; booleans are not."""
    return type(value) is int or type(value) is float


def checked_number(value: int | float) -> int | float:
    """The number, if JSON can carry it in 64 bits. Raises TemplateEvaluationError."""
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TemplateEvaluationError("the result is not a finite number")
    elif not MIN_INTEGER <= value <= MAX_INTEGER:
        raise TemplateEvaluationError("the result is an integer of more than 64 bits")
    return value
