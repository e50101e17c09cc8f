"""Filters that take objects apart and put them together."""

from __future__ import annotations

from flowengine.template.budget import Budget
from flowengine.template.errors import TemplateEvaluationError
from flowengine.template.functions.charged_values import (
    ENTRY_COST,
    KEEP_COST,
    LOOK_COST,
    ROW_COST,
    list_of,
    object_of,
)
from flowengine.template.json_values import type_name

_ENTRY = {"key", "value"}
_PAIR = 2


def keys(budget: Budget, value: object) -> list[object]:
    """The names of its fields."""
    return list(object_of(budget, "keys", value))


def values(budget: Budget, value: object) -> list[object]:
    """The values of its fields."""
    return list(object_of(budget, "values", value).values())


def pairs(budget: Budget, value: object) -> list[object]:
    """Each field as `[name, value]`."""
    found = object_of(budget, "items", value, ROW_COST)
    return [[key, item] for key, item in found.items()]


def entries(budget: Budget, value: object) -> list[object]:
    """Each field as `{key, value}`."""
    found = object_of(budget, "entries", value, ENTRY_COST)
    return [{"key": key, "value": item} for key, item in found.items()]


def from_items(budget: Budget, value: object) -> dict[str, object]:
    """The object of such pairs or entries. Of two with the same name, the later one counts."""
    made: dict[str, object] = {}
    for place, item in enumerate(list_of(budget, "from_items", value, KEEP_COST)):
        key, made_of = _entry(place, item)
        made[key] = made_of
    return made


def _entry(place: int, item: object) -> tuple[str, object]:
    if isinstance(item, list) and len(item) == _PAIR:
        key, value = item
    elif isinstance(item, dict) and item.keys() == _ENTRY:
        key, value = item["key"], item["value"]
    else:
        raise TemplateEvaluationError(
            f"'from_items' takes a list of [name, value] or {{key, value}}; "
            f"item {place} is {type_name(item)} of another form"
        )
    if not isinstance(key, str):
        raise TemplateEvaluationError(f"'from_items': the name in item {place} is {type_name(key)}, not text")
    return key, value


def pick(budget: Budget, value: object, name: object, *names: object) -> dict[str, object]:
    """Only the fields of these names, as far as they are there."""
    found = object_of(budget, "pick", value, 0)
    return {key: found[key] for key in _names(budget, "pick", name, *names) if key in found}


def omit(budget: Budget, value: object, name: object, *names: object) -> dict[str, object]:
    """All fields but those of these names."""
    left_out = set(_names(budget, "omit", name, *names))
    found = object_of(budget, "omit", value, KEEP_COST)
    return {key: item for key, item in found.items() if key not in left_out}


def _names(budget: Budget, filter_name: str, *names: object) -> list[str]:
    for name in names:
        if not isinstance(name, str):
            raise TemplateEvaluationError(
                f"'{filter_name}' takes names of fields as text, not {type_name(name)}"
            )
        budget.spend_work(len(name) + KEEP_COST)
    return list(names)  # type: ignore[arg-type]  # just checked


def merge(budget: Budget, value: object, other: object) -> dict[str, object]:
    """Both objects in one, at every depth. Where both have a value that is no object, the other's counts."""
    left = object_of(budget, "merge", value, 0)
    if not isinstance(other, dict):
        raise TemplateEvaluationError(f"'merge' takes an object to merge, not {type_name(other)}")
    return _merged(budget, left, other)


def _merged(budget: Budget, left: dict[str, object], right: dict[str, object]) -> dict[str, object]:
    budget.spend_work((len(left) + len(right)) * KEEP_COST + LOOK_COST)
    made = dict(left)
    for key, item in right.items():
        before = made.get(key)
        both = isinstance(before, dict) and isinstance(item, dict)
        made[key] = _merged(budget, before, item) if both else item  # type: ignore[arg-type]  # just checked
    return made
