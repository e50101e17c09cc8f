"""Filters that make lists of lists: side by side, every combination, in portions, in groups."""

from __future__ import annotations

from itertools import product as combinations
from math import prod

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import (
    CELL_COST,
    ENTRY_COST,
    LOOK_COST,
    MISSING,
    ROW_COST,
    identities,
    list_of,
)
from flowengine.template.functions.fields import fields_of
from flowengine.template.json_values import type_name


def side_by_side(budget: Budget, value: object, other: object, *others: object) -> list[object]:
    """The first items of all lists as one list, then the second ones, and so on."""
    lists = [list_of(budget, "zip", each, 0) for each in (value, other, *others)]
    lengths = {len(each) for each in lists}
    if len(lengths) > 1:
        given = ", ".join(str(len(each)) for each in lists)
        raise TemplateEvaluationError(f"'zip' takes lists of one length; these have {given} items")
    _pay_for_rows(budget, len(lists[0]), len(lists))
    return [list(row) for row in zip(*lists, strict=True)]


def product(budget: Budget, value: object, other: object, *others: object) -> list[object]:
    """Every combination of an item of each list; the last list's items vary fastest."""
    lists = [list_of(budget, "product", each) for each in (value, other, *others)]
    _pay_for_rows(budget, prod(len(each) for each in lists), len(lists))
    return [list(row) for row in combinations(*lists)]


def _pay_for_rows(budget: Budget, rows: int, width: int) -> None:
    budget.spend_work(rows * (ROW_COST + CELL_COST * width))


def batch(budget: Budget, value: object, size: int) -> list[object]:
    """Lists of so many items one after the other; the last one may be shorter."""
    if type(size) is not int or size < 1:
        raise TemplateEvaluationError(f"'batch' takes a whole number of items from 1 on, not {_said(size)}")
    items = list_of(budget, "batch", value)
    _pay_for_rows(budget, -(-len(items) // size), 0)
    return [items[at : at + size] for at in range(0, len(items), size)]


def _said(size: object) -> str:
    return str(size) if type(size) is int else type_name(size)


def flatten(budget: Budget, value: object) -> list[object]:
    """The items of the lists in it, one after the other, and what is no list as it is. One level."""
    items = list_of(budget, "flatten", value, 2 * CELL_COST)
    budget.spend_work(LOOK_COST * sum(len(item) for item in items if isinstance(item, list)))
    made: list[object] = []
    for item in items:
        if isinstance(item, list):
            made.extend(item)
        else:
            made.append(item)
    return made


def groupby(budget: Budget, value: object, attribute: object, *, default: object = MISSING) -> list[object]:
    """`{key, items}` for each value of a field, in the order in which these come first.

    Keys are the same if their JSON is.
    """
    items = list_of(budget, "groupby", value, LOOK_COST)
    keys = fields_of(budget, "groupby", items, attribute, default)
    groups: dict[object, list[object]] = {}
    made: list[object] = []
    for identity, key, item in zip(identities(budget, keys), keys, items, strict=True):
        group = groups.get(identity)
        if group is None:
            budget.spend_work(ENTRY_COST + ROW_COST)
            group = groups[identity] = []
            made.append({"key": key, "items": group})
        group.append(item)
    return made
