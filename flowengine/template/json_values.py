"""JSON values inside an expression: their size, text and type's name, and which numbers are allowed."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from typing import Any, TypeGuard

import msgspec

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
    from jinja2 import Undefined

    if isinstance(value, Undefined):
        str(value)  # StrictUndefined raises UndefinedError with its own message
    raise TypeError(f"{type(value).__name__} is not a JSON value")


_SLICE = 4096
_encoder = msgspec.json.Encoder(enc_hook=_refuse_foreign)


def type_name(value: object) -> str:
    """How messages call the type of a value: "text", "a list", ..."""
    return _NAMES.get(type(value), "no value")


def json_size(value: object, limit: int) -> int:
    """Bytes of the value as JSON, or some number over `limit` once that is passed.

    A value made of many references to one large value may be far larger as JSON than in memory. So only
    numbers are encoded, and no more is looked at than `limit` allows and one slice of items.
    Raises jinja2.UndefinedError when the value holds something undefined.
    """
    if type(value) is str:
        return len(value) + 2
    total = 0
    pending: list[Iterator[object]] = [iter((value,))]
    while pending and total <= limit:
        items = list(islice(pending[-1], _SLICE))
        if len(items) < _SLICE:
            pending.pop()
        total += len(items)
        for kind, alike in _by_kind(items):
            total += _own_size(kind, alike)
            pending.extend(_parts(kind, alike))
    return total


def _by_kind(items: list[Any]) -> Iterable[tuple[type, list[Any]]]:
    kinds = set(map(type, items))
    if len(kinds) < 2:
        return [(kind, items) for kind in kinds]
    alike: dict[type, list[Any]] = {kind: [] for kind in kinds}
    for item in items:
        alike[type(item)].append(item)
    return alike.items()


def _own_size(kind: type, alike: list[Any]) -> int:
    if kind is str:
        return 2 * len(alike) + sum(map(len, alike))
    return 2 * len(alike) if kind in (list, dict) else len(_encoder.encode(alike))


def _parts(kind: type, alike: list[Any]) -> Iterator[Iterator[object]]:
    """What the lists and objects hold, one after the other. A million small ones cost no more than data."""
    if kind not in (list, dict):
        return
    filled = list(filter(None, alike))
    if filled:
        yield chain.from_iterable(filled)
        if kind is dict:
            yield chain.from_iterable(map(dict.values, filled))


def to_json(value: object, budget: Budget) -> str:
    """The value as compact JSON. Raises jinja2.UndefinedError, TemplateTooLargeError."""
    budget.spend_work(json_size(value, budget.work_left))
    return _encoder.encode(value).decode()


def to_text(value: object, budget: Budget) -> str:
    """The value as it appears inside a text: text as it is, everything else as JSON."""
    return value if type(value) is str else to_json(value, budget)


def to_texts(items: list[object], budget: Budget) -> list[str]:
    """All items as they appear inside a text, at the speed of one.

    Raises jinja2.UndefinedError, TemplateTooLargeError.
    """
    budget.spend_work(json_size(items, budget.work_left))
    kinds = set(map(type, items))
    if kinds == {str}:
        return items  # type: ignore[return-value]  # just checked
    lines = json_lines(items)
    if str not in kinds:
        return lines
    return [item if type(item) is str else line for item, line in zip(items, lines, strict=True)]


def json_lines(items: list[object]) -> list[str]:
    """Each item as compact JSON, which holds no line break. Raises jinja2.UndefinedError."""
    return _encoder.encode_lines(items).decode().split("\n")[:-1]


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
