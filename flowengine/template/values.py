"""JSON values inside an expression: their text, their type's name, which numbers are allowed."""

from __future__ import annotations

import math
from typing import TypeGuard

import msgspec
from jinja2 import Undefined

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


_encoder = msgspec.json.Encoder(enc_hook=_refuse_foreign)


def type_name(value: object) -> str:
    """How messages call the type of a value: "text", "a list", ..."""
    return _NAMES.get(type(value), "no value")


def to_json(value: object) -> str:
    """The value as compact JSON. Raises jinja2.UndefinedError when it holds one."""
    return _encoder.encode(value).decode()


def json_size(value: object) -> int:
    """Bytes of the value as JSON. Raises jinja2.UndefinedError when it holds one."""
    return len(value) if type(value) is str else len(_encoder.encode(value))


def to_text(value: object) -> str:
    """The value as it appears inside a text: text as it is, everything else as JSON."""
    return value if type(value) is str else to_json(value)


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
