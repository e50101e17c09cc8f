"""Filters that look at the items of a list: how many, which, in what order, and what they make together.

They take an object as the list of its keys, and most take text as the list of its characters.
"""

from __future__ import annotations

from typing import Any

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import (
    KEEP_COST,
    LOOK_COST,
    MISSING,
    comparable,
    identities,
    items_of,
    numbers_of,
    sum_of,
    text_of,
)
from flowengine.template.functions.fields import fields_of
from flowengine.template.json_values import type_name


def length(budget: Budget, value: object) -> int:
    """How many items, fields or characters."""
    if isinstance(value, list | str | dict):
        return len(value)
    raise TemplateEvaluationError(f"'length' works on a list, an object or text, not on {type_name(value)}")


def reverse(budget: Budget, value: object) -> str | list[object]:
    """From the end to the beginning."""
    if isinstance(value, str):
        return text_of(budget, value)[::-1]
    return items_of(budget, "reverse", value)[::-1]


def first(budget: Budget, value: object) -> object:
    """The first item."""
    return _end(items_of(budget, "first", value), 0)


def last(budget: Budget, value: object) -> object:
    """The last item."""
    return _end(items_of(budget, "last", value), -1)


def _end(items: list[object], position: int) -> object:
    if not items:
        raise TemplateEvaluationError("there is no first or last item: the value is empty")
    return items[position]


def to_list(budget: Budget, value: object) -> list[object]:
    """The items, keys or characters."""
    return items_of(budget, "list", value)


def sort(budget: Budget, value: object, reverse: bool = False, attribute: object = MISSING) -> list[object]:
    """In order, by the items or by a field of theirs; items that are equal stay as they are."""
    items = items_of(budget, "sort", value, LOOK_COST)
    keys = comparable("sort", _by(budget, "sort", items, attribute))
    budget.spend_work(len(items) * len(items).bit_length())  # as many comparisons, at most
    if attribute is MISSING:
        return sorted(keys, reverse=reverse is True)
    places = sorted(range(len(keys)), key=keys.__getitem__, reverse=reverse is True)
    return [items[place] for place in places]


def unique(budget: Budget, value: object, attribute: object = MISSING) -> list[object]:
    """The first of all that are the same. Items are the same if their JSON is, so 1 and 1.0 are not."""
    items = items_of(budget, "unique", value, LOOK_COST)
    kept: dict[object, object] = {}
    keys = _by(budget, "unique", items, attribute)
    for identity, item in zip(identities(budget, keys), items, strict=True):
        if identity not in kept:
            budget.spend_work(KEEP_COST)
            kept[identity] = item
    return list(kept.values())


def smallest(budget: Budget, value: object) -> object:
    """The smallest item."""
    return min(_nonempty("min", comparable("min", items_of(budget, "min", value, LOOK_COST))))


def largest(budget: Budget, value: object) -> object:
    """The largest item."""
    return max(_nonempty("max", comparable("max", items_of(budget, "max", value, LOOK_COST))))


def _nonempty(name: str, items: list[Any]) -> list[Any]:
    if not items:
        raise TemplateEvaluationError(f"'{name}' of an empty list is not defined")
    return items


def total(budget: Budget, value: object, attribute: object = MISSING) -> int | float:
    """The sum of the items, or of a field of theirs."""
    items = items_of(budget, "sum", value, LOOK_COST)
    return sum_of("sum", numbers_of("sum", _by(budget, "sum", items, attribute)))


def _by(budget: Budget, name: str, items: list[object], attribute: object) -> list[object]:
    return items if attribute is MISSING else fields_of(budget, name, items, attribute)
