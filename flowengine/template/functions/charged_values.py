"""Reads the value that a filter works on: of the right type, and paid for before anything is made of it.

A character of the budget stands for about 20 ns, so the time of a rendering whose budget is used up is
bounded as well. The costs are per item.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.json_values import (
    checked_number,
    is_number,
    json_lines,
    json_size,
    to_text,
    type_name,
)

LOOK_COST: Final = 2
ENCODE_COST: Final = 10
KEEP_COST: Final = 24
CALL_COST: Final = 32
ROW_COST: Final = 40
ENTRY_COST: Final = 80
CELL_COST: Final = 4
MISSING: Final = object()
"""The default of an argument that may be left out, and the answer where there is no field."""

_CHARACTER_COST = 8  # a list of one-character texts takes so many times the memory of the text
_SLICE = 4096
_NUMBERS = frozenset((int, float))
_HASHED = frozenset((int, str, bool, type(None)))


def text_of(budget: Budget, value: object) -> str:
    """The value as text: what is no text as JSON."""
    text = to_text(value, budget)
    budget.spend_work(len(text))
    return text


def only_text(budget: Budget, name: str, value: object) -> str:
    """The text that the value must be."""
    if not isinstance(value, str):
        raise TemplateEvaluationError(f"'{name}' works on text, not on {type_name(value)}")
    budget.spend_work(len(value))
    return value


def items_of(budget: Budget, name: str, value: object, item_cost: int = 1) -> list[object]:
    """A new list of the items of a list, the keys of an object, or the characters of a text."""
    if isinstance(value, list | str | dict):
        cost = max(item_cost, _CHARACTER_COST if isinstance(value, str) else 1)
        budget.spend_work(len(value) * cost)
        return list(value)
    raise TemplateEvaluationError(f"'{name}' works on a list, an object or text, not on {type_name(value)}")


def list_of(budget: Budget, name: str, value: object, item_cost: int = 1) -> list[object]:
    """The list that the value must be. Do not change it."""
    if not isinstance(value, list):
        raise TemplateEvaluationError(f"'{name}' works on a list, not on {type_name(value)}")
    budget.spend_work(len(value) * item_cost)
    return value


def object_of(budget: Budget, name: str, value: object, item_cost: int = 1) -> dict[str, object]:
    """The object that the value must be. Do not change it."""
    if not isinstance(value, dict):
        raise TemplateEvaluationError(f"'{name}' works on an object, not on {type_name(value)}")
    budget.spend_work(len(value) * item_cost)
    return value


def number_of(name: str, value: object) -> int | float:
    """The number that the value must be."""
    if not is_number(value):
        raise TemplateEvaluationError(f"'{name}' works on a number, not on {type_name(value)}")
    return value


def numbers_of(name: str, items: list[object]) -> list[int | float]:
    """The items, all of which must be numbers."""
    if not _NUMBERS.issuperset(kinds := set(map(type, items))):
        other = next(item for item in items if type(item) in kinds - _NUMBERS)
        raise TemplateEvaluationError(f"'{name}' works on a list of numbers; it holds {type_name(other)}")
    return items  # type: ignore[return-value]  # just checked


def comparable(name: str, items: list[object]) -> list[Any]:
    """The items, which must all be numbers or all be texts."""
    kinds = set(map(type, items))
    if _NUMBERS.issuperset(kinds) or kinds == {str}:
        return items
    held = " and ".join(sorted({type_name(item) for item in items})[:3])
    raise TemplateEvaluationError(f"'{name}' works on a list of numbers or a list of texts; it holds {held}")


def sum_of(name: str, numbers: Sequence[int | float]) -> int | float:
    """The sum, within 64 bits."""
    try:
        return checked_number(sum(numbers))
    except OverflowError as error:
        raise TemplateEvaluationError(f"the result of '{name}' is too large") from error


def encode_cost(items: list[object]) -> int:
    """What it costs to write each item as JSON by itself. Different kinds must be told apart."""
    kinds = set(map(type, items))
    if kinds == {str}:
        return 0
    return len(items) * ENCODE_COST * (1 if len(kinds) == 1 else 2)


def identities(budget: Budget, values: list[object]) -> Iterator[object]:
    """For each value something to look it up by: the same where their JSON is, so 1 and 1.0 differ."""
    kinds = set(map(type, values))
    is_plain = len(kinds) == 1 and kinds < _HASHED
    budget.spend_work(0 if is_plain else encode_cost(values))
    for at in range(0, len(values), _SLICE):
        piece: list[Any] = values[at : at + _SLICE]
        if is_plain:
            budget.spend_work(sum(map(len, piece)) if str in kinds else 0)
            yield from piece
        else:
            budget.spend_work(json_size(piece, budget.work_left))
            yield from json_lines(piece)
